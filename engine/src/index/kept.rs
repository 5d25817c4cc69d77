//! Decoded batches that are kept for whoever asks next.
//!
//! In: batches by number, with the bytes that each takes. Out: the same again, as long as they are among the last ones asked
//! for that fit into a number of bytes. Knows nothing of what is in a batch.

use std::sync::{Arc, Mutex, PoisonError};

use super::Result;

/// Bytes of decoded rows that an open index keeps at most, unless told otherwise: those of some 1.5 million entries.
pub const KEPT_BYTES: usize = 384 << 20;

/// How much of what may be kept is for rows of blocks, as a fraction: there are fewer of them, and they are smaller.
const BLOCKS_SHARE: usize = 8;

/// What takes so much memory.
pub(super) trait Weight {
    /// Bytes.
    fn bytes(&self) -> usize;
}

#[derive(Debug)]
struct Held<T> {
    number: usize,
    bytes: usize,
    batch: Arc<T>,
}

/// The last batches asked for, the latest at the end.
#[derive(Debug)]
struct List<T> {
    held: Vec<Held<T>>,
    bytes: usize,
    most: usize,
}

impl<T> List<T> {
    /// Lets go of the oldest until the rest fits. The latest stays whatever it takes: it is in use.
    fn trim(&mut self) {
        let mut excess = self.bytes.saturating_sub(self.most);
        let mut drop = 0;
        while excess > 0 && drop + 1 < self.held.len() {
            excess = excess.saturating_sub(self.held[drop].bytes);
            self.bytes -= self.held[drop].bytes;
            drop += 1;
        }
        self.held.drain(..drop);
    }
}

/// Batches of one table.
#[derive(Debug)]
pub(super) struct Kept<T>(Mutex<List<T>>);

impl<T: Weight> Kept<T> {
    /// Nothing yet, and room for so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self(Mutex::new(List { held: Vec::new(), bytes: 0, most }))
    }

    /// The batch of that number, kept or read anew. Two threads that miss at once both read: neither waits.
    pub(super) fn get(&self, number: usize, read: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        // A panic elsewhere cannot leave the list half changed: what it holds is always sound.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut list = lock();
            if let Some(at) = list.held.iter().rposition(|held| held.number == number) {
                list.held[at..].rotate_left(1);
                return Ok(Arc::clone(&list.held[list.held.len() - 1].batch));
            }
        }
        let batch = Arc::new(read()?);
        let mut list = lock();
        if !list.held.iter().any(|held| held.number == number) {
            let bytes = batch.bytes();
            list.bytes += bytes;
            list.held.push(Held { number, bytes, batch: Arc::clone(&batch) });
            list.trim();
        }
        Ok(batch)
    }

    /// Keeps at most so many bytes from now on.
    pub(super) fn keep(&self, most: usize) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.most = most;
        list.trim();
    }
}

/// What entries and what blocks get of so many bytes.
pub(super) fn shares(bytes: usize) -> (usize, usize) {
    (bytes - bytes / BLOCKS_SHARE, bytes / BLOCKS_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::IndexError;

    impl Weight for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    /// Asks for batches of ten bytes; whether each was read.
    fn reads(kept: &Kept<usize>, numbers: &[usize]) -> Vec<bool> {
        let asked = |number: &usize| {
            let mut read = false;
            let batch = kept.get(*number, || {
                read = true;
                Ok(10)
            });
            assert_eq!(*batch.unwrap(), 10);
            read
        };
        numbers.iter().map(asked).collect()
    }

    #[test]
    fn the_last_ones_that_fit_are_kept() {
        let kept = Kept::new(30);
        assert_eq!(reads(&kept, &[1, 2, 3, 1, 2, 3]), [true, true, true, false, false, false]);
        // 4 takes the place of 1, then 1 that of 2; 3 was asked for in between.
        assert_eq!(reads(&kept, &[4, 3, 1, 3, 4, 2]), [true, false, true, false, false, true]);
        kept.keep(10);
        assert_eq!(reads(&kept, &[2, 4, 2, 2]), [false, true, true, false]);
        kept.keep(0);
        assert_eq!(reads(&kept, &[2, 2, 3, 2]), [false, false, true, true], "the latest stays");
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        let kept = Kept::new(100);
        kept.get(1, || Err(IndexError::damaged("batch", 0, "one", "none"))).unwrap_err();
        assert_eq!(reads(&kept, &[1, 1]), [true, false]);
    }
}
