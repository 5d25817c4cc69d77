//! What a run's threads are: threads of the system and rayon's workers; or, with the feature `shuttle`, shuttle's, which runs
//! one of them at a time and decides at every step which.
//!
//! What it does not know: what the threads do.

pub(super) use imp::*;

#[cfg(not(feature = "shuttle"))]
mod imp {
    use std::io;

    pub(in crate::pipeline) use std::sync::Mutex;
    pub(in crate::pipeline) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(in crate::pipeline) use std::thread::{Builder, JoinHandle};

    /// The workers.
    pub(in crate::pipeline) struct Pool(rayon::ThreadPool);

    impl Pool {
        /// Starts so many workers.
        pub(in crate::pipeline) fn start(threads: usize) -> io::Result<Self> {
            let name = |number| format!("carrack-work-{number}");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build();
            pool.map(Self).map_err(io::Error::other)
        }

        /// Has a worker do this, first come, first served.
        pub(in crate::pipeline) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
            self.0.spawn_fifo(work);
        }

        /// Which of the workers this is called on.
        pub(in crate::pipeline) fn number(&self) -> Option<usize> {
            self.0.current_thread_index()
        }
    }
}

#[cfg(feature = "shuttle")]
mod imp {
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::io;
    use std::sync::{Arc, PoisonError};

    pub(in crate::pipeline) use shuttle::sync::Mutex;
    pub(in crate::pipeline) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use shuttle::sync::{Condvar, MutexGuard};
    pub(in crate::pipeline) use shuttle::thread::{Builder, JoinHandle};

    shuttle::thread_local! {
        static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
    }

    type Work = Box<dyn FnOnce() + Send>;

    /// What is to be done, and whether more may come.
    type Tasks = (VecDeque<Work>, bool);
    type Waiting = (Mutex<Tasks>, Condvar);

    /// The workers: a model of rayon's that does what [`Shared`](super::super::shared::Shared) relies on and no more.
    pub(in crate::pipeline) struct Pool(Arc<Waiting>);

    impl Pool {
        pub(in crate::pipeline) fn start(threads: usize) -> io::Result<Self> {
            let waiting = Arc::new((Mutex::new((VecDeque::new(), true)), Condvar::new()));
            for number in 0..threads {
                let waiting = Arc::clone(&waiting);
                shuttle::thread::spawn(move || {
                    NUMBER.with(|slot| slot.set(Some(number)));
                    while let Some(work) = next(&waiting) {
                        work();
                    }
                });
            }
            Ok(Self(waiting))
        }

        pub(in crate::pipeline) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
            lock(&self.0.0).0.push_back(Box::new(work));
            self.0.1.notify_one();
        }

        pub(in crate::pipeline) fn number(&self) -> Option<usize> {
            NUMBER.with(Cell::get)
        }
    }

    impl Drop for Pool {
        fn drop(&mut self) {
            lock(&self.0.0).1 = false;
            self.0.1.notify_all();
        }
    }

    /// The pool may go away while a panic unwinds.
    fn lock(tasks: &Mutex<Tasks>) -> MutexGuard<'_, Tasks> {
        tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next((waiting, changed): &Waiting) -> Option<Work> {
        let mut waiting = lock(waiting);
        loop {
            match (waiting.0.pop_front(), waiting.1) {
                (Some(work), _) => return Some(work),
                (None, true) => waiting = changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                (None, false) => return None,
            }
        }
    }
}
