//! What an archive knows of one path, and the columns that a walk fills.

mod column;
mod xattrs;

use std::sync::Arc;

use carrack_backends::path::{PathId, PathTable};

pub use carrack_backends::xattr::{Family, Xattr};
pub use column::{Column, Column32, Witnesses};
pub use xattrs::{XattrChoice, XattrTable};

use crate::digest::Digest;

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file with contents of its own.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// One more name of the file in an earlier row.
    Hardlink,
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Kind; 8] = [
        Kind::File,
        Kind::Dir,
        Kind::Symlink,
        Kind::Hardlink,
        Kind::Fifo,
        Kind::Socket,
        Kind::CharDevice,
        Kind::BlockDevice,
    ];

    /// The word that stands for it in the index.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Dir => "dir",
            Kind::Symlink => "symlink",
            Kind::Hardlink => "hardlink",
            Kind::Fifo => "fifo",
            Kind::Socket => "socket",
            Kind::CharDevice => "char",
            Kind::BlockDevice => "block",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The number that stands for it in a frame's directory.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind of that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }
}

/// Where some bytes of a file lie: a range of one uncompressed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The block: the seq of its frame.
    pub block: u32,
    /// Offset in bytes within the uncompressed block.
    pub offset: u32,
    /// Length in bytes, never zero.
    pub len: u32,
}

/// A range of a file that holds no data and reads as zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hole {
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Length in bytes, never zero.
    pub len: u64,
}

/// Number of a character or block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

/// Remarks on a row, as bits.
pub mod flags {
    /// The file changed while it was read: what is stored is what was read.
    pub const CHANGED: u32 = 1;
    /// Every bit that this version knows.
    pub const KNOWN: u32 = CHANGED;
}

/// One row of the entries table, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Path relative to the archive's root: no leading, trailing or doubled `/`, no `.`, no `..`, no NUL.
    /// Empty for the root folder itself.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Bytes of content; zero for all kinds but files and hard links (which have that of the file they name).
    pub size: u64,
    /// Permission bits with setuid, setgid and sticky: `mode & 0o7777`.
    pub mode: u32,
    /// Owner, by number.
    pub uid: u32,
    /// Group, by number.
    pub gid: u32,
    /// Owner, by name, where the packing machine knew one.
    pub owner: Option<&'a str>,
    /// Group, by name, where the packing machine knew one.
    pub group: Option<&'a str>,
    /// Last change of the contents, ns since 1970-01-01 UTC.
    pub mtime_ns: i64,
    /// What a symlink points to.
    pub link_target: Option<&'a [u8]>,
    /// The row of the file that a hard link names; always an earlier one, of kind file.
    pub hardlink: Option<u32>,
    /// Device number of a device.
    pub device: Option<Device>,
    /// Extended attributes, in order of name.
    pub xattrs: &'a [Xattr],
    /// Holes of a sparse file, in order, neither overlapping nor touching.
    pub holes: &'a [Hole],
    /// BLAKE3 of a file's whole content, holes read as zeros: what `b3sum` prints. Files only.
    pub digest: Option<Digest>,
    /// Where a file's bytes lie, in file order; holes are left out. Their lengths and the holes' add up to `size`.
    pub extents: &'a [Extent],
    /// Bits of [`flags`].
    pub flags: u32,
}

impl Row<'_> {
    /// A row with nothing but a path, a kind and zeros.
    #[must_use]
    pub fn new(path: &[u8], kind: Kind) -> Row<'_> {
        Row {
            path,
            kind,
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            owner: None,
            group: None,
            mtime_ns: 0,
            link_target: None,
            hardlink: None,
            device: None,
            xattrs: &[],
            holes: &[],
            digest: None,
            extents: &[],
            flags: 0,
        }
    }
}

/// One row of the entries table, owned.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// [`Row::path`].
    pub path: Vec<u8>,
    /// [`Row::kind`].
    pub kind: Kind,
    /// [`Row::size`], bytes.
    pub size: u64,
    /// [`Row::mode`].
    pub mode: u32,
    /// [`Row::uid`].
    pub uid: u32,
    /// [`Row::gid`].
    pub gid: u32,
    /// [`Row::owner`].
    pub owner: Option<String>,
    /// [`Row::group`].
    pub group: Option<String>,
    /// [`Row::mtime_ns`].
    pub mtime_ns: i64,
    /// [`Row::link_target`].
    pub link_target: Option<Vec<u8>>,
    /// [`Row::hardlink`].
    pub hardlink: Option<u32>,
    /// [`Row::device`].
    pub device: Option<Device>,
    /// [`Row::xattrs`].
    pub xattrs: Vec<Xattr>,
    /// [`Row::holes`].
    pub holes: Vec<Hole>,
    /// [`Row::digest`].
    pub digest: Option<Digest>,
    /// [`Row::extents`].
    pub extents: Vec<Extent>,
    /// [`Row::flags`].
    pub flags: u32,
}

impl Entry {
    /// The same row, borrowed.
    #[must_use]
    pub fn row(&self) -> Row<'_> {
        Row {
            path: &self.path,
            kind: self.kind,
            size: self.size,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            owner: self.owner.as_deref(),
            group: self.group.as_deref(),
            mtime_ns: self.mtime_ns,
            link_target: self.link_target.as_deref(),
            hardlink: self.hardlink,
            device: self.device,
            xattrs: &self.xattrs,
            holes: &self.holes,
            digest: self.digest,
            extents: &self.extents,
            flags: self.flags,
        }
    }
}

impl From<&Row<'_>> for Entry {
    fn from(row: &Row<'_>) -> Self {
        Self {
            path: row.path.to_vec(),
            kind: row.kind,
            size: row.size,
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            owner: row.owner.map(str::to_owned),
            group: row.group.map(str::to_owned),
            mtime_ns: row.mtime_ns,
            link_target: row.link_target.map(<[u8]>::to_vec),
            hardlink: row.hardlink,
            device: row.device,
            xattrs: row.xattrs.to_vec(),
            holes: row.holes.to_vec(),
            digest: row.digest,
            extents: row.extents.to_vec(),
            flags: row.flags,
        }
    }
}

/// Values that only a few rows have, in order of row.
#[derive(Clone, Debug)]
pub struct Rare<T>(Vec<(u32, T)>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Rare<T> {
    /// Adds the value of a row behind the last one.
    ///
    /// # Panics
    /// When `row` does not lie behind all rows so far.
    pub fn push(&mut self, row: u32, value: T) {
        assert!(self.0.last().is_none_or(|&(last, _)| last < row), "rows come in order");
        self.0.push((row, value));
    }

    /// The value of a row, if it has one.
    #[must_use]
    pub fn get(&self, row: u32) -> Option<&T> {
        self.0.binary_search_by_key(&row, |&(r, _)| r).ok().map(|at| &self.0[at].1)
    }

    /// How many rows have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no row has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All rows that have a value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.0.iter().map(|(row, value)| (*row, value))
    }
}

/// What a walk found, one row an entry in strictly ascending byte order of path, each column an array of its own.
#[derive(Debug, Default)]
pub struct Entries {
    /// Archive path and place in the file system of each row.
    pub paths: Arc<PathTable>,
    /// Kind of each row.
    pub kinds: Vec<Kind>,
    /// `mode & 0o7777` of each row.
    pub modes: Column32,
    /// Owner of each row.
    pub uids: Column32,
    /// Group of each row.
    pub gids: Column32,
    /// Identity, size and times of each row.
    pub witnesses: Witnesses,
    /// Targets of symlinks.
    pub link_targets: Rare<Box<[u8]>>,
    /// For a hard link, the row of the first name.
    pub hardlinks: Rare<u32>,
    /// Numbers of devices.
    pub devices: Rare<Device>,
    /// Holes of sparse files, in order, neither overlapping nor touching, on multiples of 4096 bytes but for the end
    /// of the file.
    pub holes: Rare<Box<[Hole]>>,
    /// Extended attributes. Further names of a file have none here: they are in the row of its first name.
    pub xattrs: XattrTable,
    /// Names of the owners in `uids`, where known, in order of number.
    pub owners: Rare<String>,
    /// Names of the groups in `gids`, where known, in order of number.
    pub groups: Rare<String>,
}

impl Entries {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is no row at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Bytes of all paths together, without anything between them.
    #[must_use]
    pub fn path_bytes(&self) -> u64 {
        (0..self.paths.len() as u32).map(|row| self.paths.path(PathId(row)).len() as u64).sum()
    }

    /// Bytes of memory that all columns take. What only a few rows have counts by the row, not by what it holds.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let columns = [&self.modes, &self.uids, &self.gids].map(Column32::memory_bytes).iter().sum::<u64>()
            + self.witnesses.memory_bytes()
            + (self.kinds.len() * size_of::<Kind>()) as u64;
        let rare = (self.link_targets.len() + self.holes.len()) * 64 + (self.hardlinks.len() + self.devices.len()) * 16;
        // A path has a NUL behind it, a start and a base.
        self.path_bytes() + self.paths.len() as u64 * 13 + columns + rare as u64 + self.xattrs.memory_bytes()
    }

    /// Bytes of content that a row has: zero unless it is a file.
    #[must_use]
    pub fn size(&self, row: u32) -> u64 {
        match self.kinds[row as usize] {
            Kind::File => self.witnesses.size(row as usize),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_from_their_names_and_numbers() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(Kind::from_name("files"), None);
        assert_eq!(Kind::from_number(8), None);
    }

    #[test]
    fn rare_values_are_found_by_row() {
        let mut rare = Rare::default();
        rare.push(3, 'a');
        rare.push(9, 'b');
        assert_eq!((rare.get(3), rare.get(4), rare.get(9)), (Some(&'a'), None, Some(&'b')));
    }
}
