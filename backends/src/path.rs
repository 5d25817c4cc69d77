//! The table of paths that requests name by number.
//!
//! One buffer holds every archive path, NUL-terminated, so that a path is handed to the kernel without a copy. A base
//! is an open folder; the path of an entry relative to its base is the tail of its archive path (an archive path may
//! carry a prefix that its base already stands for).

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Number of a path in its [`PathTable`]; the row of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

/// An open folder and how many bytes of an archive path it stands for.
#[derive(Clone, Debug)]
pub struct Base {
    /// The folder that relative paths start from.
    pub folder: Arc<OwnedFd>,
    /// How many leading bytes of the archive path to leave out, separator included.
    pub skip: u32,
}

/// All paths of one run, in the order of their rows.
#[derive(Debug, Default)]
pub struct PathTable {
    bases: Vec<Base>,
    bytes: Vec<u8>,
    /// Start of each path in `bytes`; its NUL stands just before the next start.
    starts: Vec<u64>,
    base_of: Vec<u32>,
}

impl PathTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is no path at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Adds a base and returns its number for [`PathTable::push`].
    ///
    /// # Panics
    /// Beyond 2³² bases.
    pub fn push_base(&mut self, base: Base) -> u32 {
        self.bases.push(base);
        u32::try_from(self.bases.len() - 1).expect("fewer than 2^32 bases")
    }

    /// Adds a path (no NUL in it) and returns its number: paths are numbered as they come.
    ///
    /// # Panics
    /// When `path` contains a NUL, is shorter than what its base skips, names no known base, or is the 2³²th.
    pub fn push(&mut self, base: u32, path: &[u8]) -> PathId {
        assert!(!path.contains(&0), "a path holds a NUL byte");
        assert!(path.len() >= self.bases[base as usize].skip as usize, "a path is shorter than its base");
        let id = PathId(u32::try_from(self.starts.len()).expect("fewer than 2^32 paths"));
        self.starts.push(self.bytes.len() as u64);
        self.bytes.extend_from_slice(path);
        self.bytes.push(0);
        self.base_of.push(base);
        id
    }

    /// The archive path, without its NUL.
    ///
    /// # Panics
    /// When the table has no such path.
    #[must_use]
    pub fn path(&self, id: PathId) -> &[u8] {
        let with_nul = self.with_nul(id);
        &with_nul[..with_nul.len() - 1]
    }

    /// Where the entry lives: a folder and the path relative to it.
    /// An empty relative path stands for the folder itself.
    ///
    /// # Panics
    /// When the table has no such path.
    #[must_use]
    pub fn source(&self, id: PathId) -> (BorrowedFd<'_>, &CStr) {
        let base = &self.bases[self.base_of[id.0 as usize] as usize];
        let tail = &self.with_nul(id)[base.skip as usize..];
        let tail = CStr::from_bytes_with_nul(tail).expect("push lets no NUL in and adds one at the end");
        (base.folder.as_fd(), tail)
    }

    fn with_nul(&self, id: PathId) -> &[u8] {
        let row = id.0 as usize;
        let end = self.starts.get(row + 1).map_or(self.bytes.len(), |&next| next as usize);
        &self.bytes[self.starts[row] as usize..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Arc<OwnedFd> {
        Arc::new(std::fs::File::open("/").unwrap().into())
    }

    #[test]
    fn the_source_is_the_tail_behind_what_the_base_stands_for() {
        let mut table = PathTable::new();
        let whole = table.push_base(Base { folder: folder(), skip: 0 });
        let below = table.push_base(Base { folder: folder(), skip: 4 });
        let a = table.push(whole, b"etc/passwd");
        let b = table.push(below, b"src/\xffname");
        let root = table.push(whole, b"");
        assert_eq!((table.len(), a, b), (3, PathId(0), PathId(1)));
        assert_eq!(table.path(b), b"src/\xffname");
        assert_eq!(table.source(a).1.to_bytes(), b"etc/passwd");
        assert_eq!(table.source(b).1.to_bytes(), b"\xffname");
        assert_eq!(table.source(root).1.to_bytes(), b"");
    }

    #[test]
    #[should_panic(expected = "NUL")]
    fn a_nul_cannot_cut_a_path_short() {
        let mut table = PathTable::new();
        let base = table.push_base(Base { folder: folder(), skip: 0 });
        table.push(base, b"a\0b");
    }
}
