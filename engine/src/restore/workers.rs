//! The threads that decode, prove and write.

use std::io;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::RestoreError;

/// Fewest items that are worth handing to another thread: some tens of system calls.
const SHARE: usize = 16;

/// A fixed number of threads, for one run.
#[derive(Debug)]
pub struct Workers(rayon::ThreadPool);

impl Workers {
    /// Starts `threads` of them.
    ///
    /// # Errors
    /// [`RestoreError::Start`] when the system gives no more threads.
    pub fn start(threads: usize) -> Result<Self, RestoreError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("carrack-work-{number}"))
            .build()
            .map_err(|error| RestoreError::Start(io::Error::other(error)))?;
        Ok(Self(pool))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Calls `work` once for each item, several at a time, and returns when all is done. Neighbours mostly go to one
    /// thread, one after the other.
    pub fn for_each<T: Sync>(&self, items: &[T], work: impl Fn(&T) + Sync + Send) {
        if items.len() <= SHARE {
            return items.iter().for_each(work);
        }
        self.0.install(|| items.par_iter().with_min_len(SHARE).for_each(work));
    }

    pub(super) fn pool(&self) -> &rayon::ThreadPool {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn every_item_has_its_turn_once() {
        let workers = Workers::start(3).unwrap();
        assert_eq!(workers.count(), 3);
        for len in [0, 1, SHARE, SHARE + 1, 1000] {
            let items: Vec<AtomicU32> = (0..len).map(|_| AtomicU32::new(0)).collect();
            workers.for_each(&items, |item| {
                item.fetch_add(1, Ordering::Relaxed);
            });
            assert!(items.iter().all(|item| item.load(Ordering::Relaxed) == 1), "{len}");
        }
    }
}
