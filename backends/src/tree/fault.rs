//! A tree whose operations fail when told to, for tests of what happens then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Attributes, FileWriter, Refusal, SpecialKind, TreeWriter};

/// Which operations of a [`FaultTree`] fail, counted from 0 in the order in which they come: those on the tree, and writing
/// and finishing files.
#[derive(Clone, Copy, Debug)]
pub struct FaultTreePlan {
    /// The first one that fails.
    pub from: u64,
    /// How many fail.
    pub count: u64,
    /// The system's number of their error (`EIO` is 5, `ENOSPC` 28 on Linux). Nothing is done then.
    pub errno: i32,
}

#[derive(Debug)]
struct Counter {
    plan: FaultTreePlan,
    operations: AtomicU64,
    failed: AtomicU64,
}

impl Counter {
    fn next(&self) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        if number < self.plan.from || number - self.plan.from >= self.plan.count {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        Err(io::Error::from_raw_os_error(self.plan.errno))
    }
}

/// Another tree, with faults.
pub struct FaultTree {
    inner: Box<dyn TreeWriter>,
    counter: Arc<Counter>,
}

impl FaultTree {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn TreeWriter>, plan: FaultTreePlan) -> Self {
        Self { inner, counter: Arc::new(Counter { plan, operations: 0.into(), failed: 0.into() }) }
    }

    /// How many operations failed so far because they were told to.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.counter.failed.load(Ordering::SeqCst)
    }
}

struct FaultFile(Box<dyn FileWriter>, Arc<Counter>);

impl FileWriter for FaultFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.next()?;
        self.0.write_at(bytes, offset)
    }

    fn finish(self: Box<Self>, size: u64, attributes: &Attributes<'_>) -> io::Result<()> {
        self.1.next()?;
        self.0.finish(size, attributes)
    }
}

impl TreeWriter for FaultTree {
    fn make_folder(&self, path: &[u8]) -> io::Result<()> {
        self.counter.next()?;
        self.inner.make_folder(path)
    }

    fn create(&self, path: &[u8], size: u64) -> io::Result<Box<dyn FileWriter>> {
        self.counter.next()?;
        Ok(Box::new(FaultFile(self.inner.create(path, size)?, Arc::clone(&self.counter))))
    }

    fn write_file(&self, path: &[u8], bytes: &[u8], attributes: &Attributes<'_>) -> io::Result<()> {
        self.counter.next()?;
        self.inner.write_file(path, bytes, attributes)
    }

    fn symlink(&self, path: &[u8], target: &[u8], attributes: &Attributes<'_>) -> io::Result<()> {
        self.counter.next()?;
        self.inner.symlink(path, target, attributes)
    }

    fn hardlink(&self, existing: &[u8], path: &[u8]) -> io::Result<()> {
        self.counter.next()?;
        self.inner.hardlink(existing, path)
    }

    fn special(
        &self,
        path: &[u8],
        kind: SpecialKind,
        device: (u32, u32),
        attributes: &Attributes<'_>,
    ) -> io::Result<()> {
        self.counter.next()?;
        self.inner.special(path, kind, device, attributes)
    }

    fn set_folder(&self, path: &[u8], attributes: &Attributes<'_>) -> io::Result<()> {
        self.counter.next()?;
        self.inner.set_folder(path, attributes)
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.inner.refusals()
    }

    fn sync(&self) -> io::Result<()> {
        self.counter.next()?;
        self.inner.sync()
    }
}
