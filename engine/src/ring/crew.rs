//! Tasks, and the threads that work at them: as many as may at once, each until there is no task left.
//!
//! A thread pool makes a heap block of everything that it is given. So it is not given tasks but, now and then, a
//! thread's worth of work: whoever adds a task asks for one more thread only when fewer are at work than may be, and a
//! thread that is at work goes on with the next task by itself. While there is always something to do, nothing is
//! allocated, nobody is woken and nobody looks for work in vain.
//!
//! No task is left lying: who adds one makes it visible first and counts the threads then; a thread that leaves
//! stops counting first and looks for tasks then. A sequentially consistent fence on each side, between its write and
//! its look, makes sure that at least one of the two sees the other.

use std::fmt;

use crossbeam_utils::CachePadded;

use super::Queue;
use super::sync::{AtomicUsize, Ordering, fence};

/// Tasks in the order they came, and how many threads are at work.
pub struct Crew<T> {
    tasks: Queue<T>,
    at_work: CachePadded<AtomicUsize>,
    most: usize,
}

impl<T> Crew<T> {
    /// No tasks yet. There may be `capacity` of them waiting, and `most` threads at work at once.
    #[must_use]
    pub fn new(capacity: usize, most: usize) -> Self {
        Self { tasks: Queue::new(capacity), at_work: CachePadded::new(AtomicUsize::new(0)), most }
    }

    /// Puts a task behind all others. When this says `true`, the caller has one more thread call
    /// [`work`](Self::work), soon and exactly once; the thread counts as at work from now on.
    ///
    /// # Errors
    /// Gives the task back when there are too many.
    pub fn push(&self, task: T) -> Result<bool, T> {
        self.tasks.push(task)?;
        Ok(self.join())
    }

    /// Hands tasks to `perform`, which must not panic, until none is left.
    pub fn work(&self, mut perform: impl FnMut(T)) {
        loop {
            while let Some(task) = self.tasks.pop() {
                perform(task);
            }
            self.at_work.fetch_sub(1, Ordering::Release);
            // A task that came before this fence is seen here; who adds one later sees that this thread has left. That
            // holds as well for a task that is hidden behind an unfinished push: finishing that is such an addition.
            fence(Ordering::SeqCst);
            if !self.tasks.is_ready() || !self.join() {
                return;
            }
        }
    }

    /// Counts one more thread as at work, unless there are enough.
    fn join(&self) -> bool {
        fence(Ordering::SeqCst);
        let more = |at_work| (at_work < self.most).then_some(at_work + 1);
        self.at_work.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).is_ok()
    }
}

impl<T> fmt::Debug for Crew<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("tasks", &self.tasks.len()).field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, feature = "shuttle"))))]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_work_is_enough_for_all_tasks_and_more_are_asked_for_up_to_the_most() {
        let crew = Crew::new(8, 2);
        assert_eq!([1, 2, 3].map(|task| crew.push(task)), [Ok(true), Ok(true), Ok(false)]);
        let mut done = Vec::new();
        crew.work(|task| done.push(task));
        assert_eq!(done, [1, 2, 3]);
        assert_eq!(crew.push(4), Ok(true), "one of two has left");
        assert_eq!(crew.push(5), Ok(false));
    }

    #[test]
    fn a_task_that_comes_while_another_is_done_is_done_by_the_same_thread() {
        let crew = Crew::new(2, 1);
        assert_eq!(crew.push(3), Ok(true));
        let mut done = Vec::new();
        crew.work(|task| {
            done.push(task);
            if task > 0 {
                assert_eq!(crew.push(task - 1), Ok(false), "the only thread is at work");
            }
        });
        assert_eq!(done, [3, 2, 1, 0]);
    }

    #[test]
    fn too_many_tasks_are_given_back() {
        let crew = Crew::new(2, 1);
        assert_eq!([1, 2, 3].map(|task| crew.push(task)), [Ok(true), Ok(false), Err(3)]);
    }
}
