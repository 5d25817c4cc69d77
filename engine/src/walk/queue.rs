//! Two stacks of work that threads share.
//!
//! In: tasks, from any thread. Out: tasks, urgent ones first, the last pushed first; nothing once all work is done or
//! the queue is stopped. A thread without work is parked, never spinning. It does not know what the tasks are.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The stacks. Work is done when both are empty and no thread has a task in hand that could push more.
pub(super) struct Queue<U, L> {
    state: Mutex<State<U, L>>,
    changed: Condvar,
}

struct State<U, L> {
    urgent: Vec<U>,
    later: Vec<L>,
    /// Threads with a task in hand.
    busy: usize,
    /// Threads that are parked.
    parked: usize,
    stopped: bool,
}

/// A task from one of the stacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task<U, L> {
    Urgent(U),
    Later(L),
}

impl<U, L> Queue<U, L> {
    pub(super) fn new() -> Self {
        let state = State { urgent: Vec::new(), later: Vec::new(), busy: 0, parked: 0, stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn push_urgent(&self, task: U) {
        let mut state = self.lock();
        state.urgent.push(task);
        self.wake(&state, 1);
    }

    pub(super) fn push_later(&self, tasks: impl ExactSizeIterator<Item = L>) {
        let count = tasks.len();
        let mut state = self.lock();
        state.later.extend(tasks);
        self.wake(&state, count);
    }

    /// Takes tasks and hands them to `work` until all work is done or the queue is stopped. When `work` panics, the
    /// queue is stopped, so that no thread waits for what will never come.
    pub(super) fn run(&self, mut work: impl FnMut(Task<U, L>)) {
        struct StopOnPanic<'a, U, L>(&'a Queue<U, L>);
        impl<U, L> Drop for StopOnPanic<'_, U, L> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.stop();
                }
            }
        }
        let _guard = StopOnPanic(self);
        let mut state = self.lock();
        loop {
            if state.stopped {
                return;
            }
            let task = match state.urgent.pop() {
                Some(task) => Some(Task::Urgent(task)),
                None => state.later.pop().map(Task::Later),
            };
            if let Some(task) = task {
                state.busy += 1;
                drop(state);
                work(task);
                state = self.lock();
                state.busy -= 1;
            } else if state.busy == 0 {
                self.changed.notify_all();
                return;
            } else {
                state.parked += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.parked -= 1;
            }
        }
    }

    /// Makes every thread leave after the task it has in hand.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn stopped(&self) -> bool {
        self.lock().stopped
    }

    fn wake(&self, state: &State<U, L>, tasks: usize) {
        for _ in 0..tasks.min(state.parked) {
            self.changed.notify_one();
        }
    }

    // No task runs under the lock, so the state is whole even if a thread panicked.
    fn lock(&self) -> MutexGuard<'_, State<U, L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn urgent_work_comes_first_and_the_newest_before_the_older() {
        let queue = Queue::new();
        queue.push_later([1, 2].into_iter());
        queue.push_urgent('a');
        queue.push_urgent('b');
        let mut seen = Vec::new();
        queue.run(|task| seen.push(task));
        assert_eq!(seen, [Task::Urgent('b'), Task::Urgent('a'), Task::Later(2), Task::Later(1)]);
    }

    #[test]
    fn threads_share_work_that_makes_more_work_and_all_leave() {
        let queue = Queue::<u32, u32>::new();
        let done = AtomicU64::new(0);
        queue.push_later([12].into_iter());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    queue.run(|task| {
                        done.fetch_add(1, Ordering::Relaxed);
                        match task {
                            Task::Urgent(0) | Task::Later(0) => {}
                            Task::Later(n) => queue.push_later([n - 1, n - 1].into_iter()),
                            Task::Urgent(n) => queue.push_urgent(n - 1),
                        }
                        if done.load(Ordering::Relaxed) == 100 {
                            queue.push_urgent(50);
                        }
                    });
                });
            }
        });
        let tree = (1 << 13) - 1;
        assert!(done.load(Ordering::Relaxed) >= tree, "{done:?}");
    }

    #[test]
    fn a_panic_frees_the_threads_that_wait() {
        let queue = Queue::<(), ()>::new();
        queue.push_later([()].into_iter());
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        queue.run(|_| {
                            std::thread::sleep(std::time::Duration::from_millis(20));
                            panic!("on purpose");
                        });
                    })
                })
                .collect();
            let panicked = threads.into_iter().map(|t| t.join().is_err()).filter(|&e| e).count();
            assert_eq!(panicked, 1);
        });
        assert!(queue.stopped());
    }
}
