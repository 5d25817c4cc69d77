//! Sink into memory.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::AppendSink;

/// Appends to a vector that its [`MemoryBytes`] shares.
#[derive(Debug)]
pub struct MemorySink {
    shared: MemoryBytes,
    written: u64,
    finished: bool,
}

/// The other end of a [`MemorySink`]: lives on when the sink is gone.
#[derive(Clone, Debug, Default)]
pub struct MemoryBytes(Arc<Mutex<(Vec<u8>, bool)>>);

impl MemoryBytes {
    fn lock(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
        // A vector is whole even when the thread that appended to it panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All bytes, once the sink is finished; `None` before that and after an abort.
    #[must_use]
    pub fn finished(&self) -> Option<Vec<u8>> {
        let guard = self.lock();
        guard.1.then(|| guard.0.clone())
    }

    /// What has been appended up to now; nothing after an abort.
    #[must_use]
    pub fn so_far(&self) -> Vec<u8> {
        self.lock().0.clone()
    }
}

impl MemorySink {
    /// An empty sink, and the handle that its bytes are read through.
    #[must_use]
    pub fn new() -> (Self, MemoryBytes) {
        let shared = MemoryBytes::default();
        (Self { shared: shared.clone(), written: 0, finished: false }, shared)
    }
}

impl AppendSink for MemorySink {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut guard = self.shared.lock();
        for part in parts {
            guard.0.extend_from_slice(part);
        }
        self.written = guard.0.len() as u64;
        Ok(())
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn identity(&self) -> Option<(u64, u64)> {
        None
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.finished = true;
        self.shared.lock().1 = true;
        Ok(())
    }

    fn abort(self: Box<Self>) {}
}

impl Drop for MemorySink {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.lock().0 = Vec::new();
        }
    }
}
