//! A tree that counts and forgets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::name::check;
use super::{Attributes, FileWriter, SpecialKind, TreeWriter};

/// Takes everything and keeps only the counts: what unpacking costs without the file system.
#[derive(Clone, Debug, Default)]
pub struct NullTree(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    folders: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
    others: AtomicU64,
}

/// What a [`NullTree`] was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NullCounts {
    /// Folders.
    pub folders: u64,
    /// Finished files.
    pub files: u64,
    /// Bytes written, of unfinished files too; holes do not count.
    pub bytes: u64,
    /// Symlinks, hard links and special files.
    pub others: u64,
}

fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

impl NullTree {
    /// A tree with all counts at zero. Clones share them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The counts up to now.
    #[must_use]
    pub fn counts(&self) -> NullCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { folders, files, bytes, others } = &*self.0;
        NullCounts { folders: load(folders), files: load(files), bytes: load(bytes), others: load(others) }
    }

    fn other(&self, path: &[u8]) -> io::Result<()> {
        check(path)?;
        add(&self.0.others, 1);
        Ok(())
    }
}

struct NullFile(Arc<Counters>);

impl FileWriter for NullFile {
    fn write_at(&self, bytes: &[u8], _: u64) -> io::Result<()> {
        add(&self.0.bytes, bytes.len() as u64);
        Ok(())
    }

    fn finish(self: Box<Self>, _: u64, _: &Attributes) -> io::Result<()> {
        add(&self.0.files, 1);
        Ok(())
    }
}

impl TreeWriter for NullTree {
    fn make_folder(&self, path: &[u8]) -> io::Result<()> {
        if !path.is_empty() {
            check(path)?;
            add(&self.0.folders, 1);
        }
        Ok(())
    }

    fn create(&self, path: &[u8], _: u64) -> io::Result<Box<dyn FileWriter>> {
        check(path)?;
        Ok(Box::new(NullFile(Arc::clone(&self.0))))
    }

    fn write_file(&self, path: &[u8], bytes: &[u8], _: &Attributes) -> io::Result<()> {
        check(path)?;
        add(&self.0.bytes, bytes.len() as u64);
        add(&self.0.files, 1);
        Ok(())
    }

    fn symlink(&self, path: &[u8], _: &[u8], _: &Attributes) -> io::Result<()> {
        self.other(path)
    }

    fn hardlink(&self, existing: &[u8], path: &[u8]) -> io::Result<()> {
        check(existing)?;
        self.other(path)
    }

    fn special(&self, path: &[u8], _: SpecialKind, _: (u32, u32), _: &Attributes) -> io::Result<()> {
        self.other(path)
    }

    fn set_folder(&self, path: &[u8], _: &Attributes) -> io::Result<()> {
        if path.is_empty() { Ok(()) } else { check(path) }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
