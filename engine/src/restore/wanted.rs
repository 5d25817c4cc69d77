//! What is to be restored: the files, and for each block which of its bytes belong to which file.

use std::ops::Range;
use std::sync::Arc;

use crate::digest::Digest;
use crate::entry::{Extent, Hole, Kind, Row, Xattr, XattrTable};

/// A file whose contents are to be checked, and written where there is a tree.
#[derive(Clone, Copy, Debug)]
pub struct FileTarget {
    /// Row in the index.
    pub row: u32,
    /// Bytes of content.
    pub size: u64,
    /// BLAKE3 of the content.
    pub digest: Digest,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, ns since 1970-01-01 UTC.
    pub mtime_ns: i64,
    path_start: u64,
    path_len: u32,
    /// Number among the large files, or `u32::MAX`.
    large: u32,
}

/// Some bytes of a block that belong to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The block.
    pub block: u32,
    /// Offset in the uncompressed block, bytes.
    pub offset: u32,
    /// Length, bytes.
    pub len: u32,
    /// Number of the file.
    pub file: u32,
    /// Which of the file's extents it is.
    pub part: u32,
}

/// A file of several extents, or with holes.
#[derive(Debug)]
pub struct LargeTarget {
    /// Offset in the file and length of each extent, bytes, in file order.
    pub parts: Vec<(u64, u32)>,
    /// Its holes.
    pub holes: Box<[Hole]>,
}

/// Everything that is to be restored.
#[derive(Debug, Default)]
pub struct Wanted {
    files: Vec<FileTarget>,
    large: Vec<LargeTarget>,
    paths: Vec<u8>,
    /// Extended attributes by number of the file.
    xattrs: XattrTable,
    uses: Vec<Use>,
    /// The blocks that are used, each with its range of `uses`.
    blocks: Vec<(u32, Range<usize>)>,
    bytes: u64,
    /// Without holes.
    stored: u64,
    /// What the parts and holes of large files take, bytes.
    large_bytes: u64,
}

impl Wanted {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file; other kinds have no contents and are left aside.
    ///
    /// # Panics
    /// When a file's row has no digest: the index lets none such through.
    pub fn push(&mut self, number: u32, row: &Row<'_>) {
        if row.kind != Kind::File {
            return;
        }
        let file = u32::try_from(self.files.len()).expect("rows are numbered by u32");
        let whole = row.holes.is_empty() && row.extents.len() <= 1;
        let large = if whole { u32::MAX } else { self.large.len() as u32 };
        self.files.push(FileTarget {
            row: number,
            size: row.size,
            digest: row.digest.expect("every file has a digest"),
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            mtime_ns: row.mtime_ns,
            path_start: self.paths.len() as u64,
            path_len: row.path.len() as u32,
            large,
        });
        self.paths.extend_from_slice(row.path);
        // The sizes of a few files can be more than all the bytes that can be counted.
        self.bytes = self.bytes.saturating_add(row.size);
        for (part, &Extent { block, offset, len }) in row.extents.iter().enumerate() {
            self.stored = self.stored.saturating_add(len.into());
            self.uses.push(Use { block, offset, len, file, part: part as u32 });
        }
        if !whole {
            let large = LargeTarget { parts: places(row.extents, row.holes), holes: row.holes.into() };
            self.large_bytes +=
                (size_of::<LargeTarget>() + size_of_val(&*large.parts) + size_of_val(&*large.holes)) as u64;
            self.large.push(large);
        }
    }

    /// Gives the file that was added last extended attributes.
    pub fn attach(&mut self, xattrs: &Arc<[Xattr]>) {
        if let Some(file) = (self.files.len() as u32).checked_sub(1) {
            self.xattrs.push(file, xattrs);
        }
    }

    /// The extended attributes that a file was given.
    #[must_use]
    pub fn xattrs(&self, file: u32) -> &[Xattr] {
        self.xattrs.get(file)
    }

    /// Adds all files of `other`, none of whose uses were sorted yet, behind its own. Extended attributes are left aside.
    pub fn append(&mut self, other: Self) {
        let (files, large) = (self.files.len() as u32, self.large.len() as u32);
        let paths = self.paths.len() as u64;
        self.files.extend(other.files.into_iter().map(|file| FileTarget {
            path_start: file.path_start + paths,
            large: if file.large == u32::MAX { u32::MAX } else { file.large + large },
            ..file
        }));
        self.uses.extend(other.uses.into_iter().map(|used| Use { file: used.file + files, ..used }));
        self.large.extend(other.large);
        self.paths.extend(other.paths);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.stored = self.stored.saturating_add(other.stored);
        self.large_bytes += other.large_bytes;
    }

    /// What all of it takes in memory, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let tables = size_of_val(&*self.files) + size_of_val(&*self.uses) + self.paths.len();
        tables as u64 + self.large_bytes + self.xattrs.memory_bytes()
    }

    /// Puts the uses in the order of their blocks. Called once, after the last file.
    pub fn sort(&mut self) {
        self.uses.sort_unstable();
        let mut start = 0;
        for group in self.uses.chunk_by(|a, b| a.block == b.block) {
            self.blocks.push((group[0].block, start..start + group.len()));
            start += group.len();
        }
    }

    /// All files.
    #[must_use]
    pub fn files(&self) -> &[FileTarget] {
        &self.files
    }

    /// The path of a file.
    #[must_use]
    pub fn path(&self, file: u32) -> &[u8] {
        let target = &self.files[file as usize];
        &self.paths[target.path_start as usize..][..target.path_len as usize]
    }

    /// The number of a file among the large ones, if it is one.
    #[must_use]
    pub fn large_number(&self, file: u32) -> Option<usize> {
        let large = self.files[file as usize].large;
        (large != u32::MAX).then_some(large as usize)
    }

    /// All large files.
    #[must_use]
    pub fn large(&self) -> &[LargeTarget] {
        &self.large
    }

    /// The blocks that are used, in order.
    #[must_use]
    pub fn blocks(&self) -> &[(u32, Range<usize>)] {
        &self.blocks
    }

    /// What a block is used for.
    #[must_use]
    pub fn uses(&self, range: Range<usize>) -> &[Use] {
        &self.uses[range]
    }

    /// Bytes of content of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of content of all files without their holes.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.stored
    }
}

/// Where in the file each extent belongs: one behind the other, around the holes.
fn places(extents: &[Extent], holes: &[Hole]) -> Vec<(u64, u32)> {
    let mut holes = holes.iter().peekable();
    let mut at = 0;
    let mut places = Vec::with_capacity(extents.len());
    for extent in extents {
        while let Some(hole) = holes.next_if(|hole| hole.offset == at) {
            at += hole.len;
        }
        places.push((at, extent.len));
        at += u64::from(extent.len);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(block: u32, offset: u32, len: u32) -> Extent {
        Extent { block, offset, len }
    }

    #[test]
    fn extents_lie_around_the_holes() {
        let holes = [Hole { offset: 0, len: 10 }, Hole { offset: 15, len: 5 }, Hole { offset: 30, len: 1 }];
        let extents = [extent(0, 0, 5), extent(0, 5, 4), extent(1, 0, 6)];
        assert_eq!(places(&extents, &holes), [(10, 5), (20, 4), (24, 6)]);
    }

    #[test]
    fn what_is_appended_is_as_if_it_had_been_pushed() {
        let digest = Some(Digest::of(b""));
        let extents = [[extent(7, 0, 1024), extent(2, 4, 1)], [extent(2, 5, 1024), extent(7, 1024, 1)]];
        let push = |wanted: &mut Wanted, from: usize| {
            for (at, extents) in extents.iter().enumerate() {
                let (large, small) = ([b'a', at as u8], [b'b', at as u8]);
                let row = Row { size: 1025, digest, extents, ..Row::new(&large, Kind::File) };
                wanted.push((from + 2 * at) as u32, &row);
                let row = Row { size: 1, digest, extents: &extents[1..], ..Row::new(&small, Kind::File) };
                wanted.push((from + 2 * at + 1) as u32, &row);
            }
        };
        let (mut pushed, mut appended) = (Wanted::new(), Wanted::new());
        for from in [0, 4] {
            push(&mut pushed, from);
            let mut part = Wanted::new();
            push(&mut part, from);
            appended.append(part);
        }
        pushed.sort();
        appended.sort();
        assert_eq!(format!("{appended:?}"), format!("{pushed:?}"));
        assert_eq!((appended.path(6), appended.large_number(6), appended.files()[7].row), (&[b'a', 1][..], Some(3), 7));
    }

    /// Who claims more than can be counted has not claimed little.
    #[test]
    fn sums_stop_at_the_largest_number() {
        let (digest, holes) = (Some(Digest::of(b"")), [Hole { offset: 0, len: 1 << 63 }]);
        let row = Row { size: 1 << 63, digest, holes: &holes, ..Row::new(b"a", Kind::File) };
        let (mut pushed, mut appended, mut part) = (Wanted::new(), Wanted::new(), Wanted::new());
        pushed.push(0, &row);
        pushed.push(1, &row);
        appended.push(0, &row);
        part.push(1, &row);
        appended.append(part);
        assert_eq!((pushed.bytes(), appended.bytes()), (u64::MAX, u64::MAX));
    }

    #[test]
    fn uses_are_grouped_by_block_in_order() {
        let digest = Some(Digest::of(b""));
        let mut wanted = Wanted::new();
        let later = [extent(7, 0, 3)];
        let split = [extent(2, 4, 1024), extent(7, 3, 1)];
        wanted.push(0, &Row { size: 3, digest, extents: &later, ..Row::new(b"a", Kind::File) });
        wanted.push(1, &Row::new(b"b", Kind::Dir));
        wanted.push(2, &Row { size: 1025, digest, extents: &split, ..Row::new(b"c", Kind::File) });
        wanted.sort();
        assert_eq!(wanted.blocks(), [(2, 0..1), (7, 1..3)]);
        let files: Vec<_> = wanted.uses(1..3).iter().map(|used| (used.file, used.part)).collect();
        assert_eq!(files, [(0, 0), (1, 1)]);
        assert_eq!((wanted.path(1), wanted.large_number(0), wanted.large_number(1)), (&b"c"[..], None, Some(0)));
        assert_eq!((wanted.bytes(), wanted.stored_bytes(), wanted.files()[1].row), (1028, 1028, 2));
    }
}
