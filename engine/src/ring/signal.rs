//! How one thread waits for a condition that other threads make true.
//!
//! The waiting thread **announces** that it will sleep, looks at the condition once more, and parks. A notifier makes
//! the condition true first, then looks whether anybody has announced. A sequentially consistent fence on each side,
//! between its write and its look, makes sure that at least one of the two sees the other: either the waiting thread
//! sees the condition, or the notifier sees the announcement and wakes it.

use std::fmt;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering, Pause, Thread};
use super::sync::{current, fence, park, park_timeout};

/// Nobody sleeps.
const AWAKE: usize = 0;
/// The thread in `sleeper` sleeps, or is about to.
const ASLEEP: usize = 1;
/// A notifier is taking the thread out of `sleeper`.
const WAKING: usize = 2;

/// Wakes one waiting thread; any number of threads may notify.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use carrack_engine::ring::Signal;
///
/// let (signal, anchored) = (Signal::new(), AtomicBool::new(false));
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         anchored.store(true, Ordering::Release);
///         signal.notify();
///     });
///     signal.wait_until(|| anchored.load(Ordering::Acquire).then_some(()));
/// });
/// ```
pub struct Signal {
    state: CachePadded<AtomicUsize>,
    /// Written by the waiting thread while the state is `AWAKE`, taken out by the notifier that made it `WAKING`. So
    /// the lock is always free; it only proves that to the compiler.
    sleeper: Mutex<Option<Thread>>,
    /// A thread is in [`Signal::wait_until`].
    waited_for: AtomicBool,
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    /// A signal that nobody waits for.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: CachePadded::new(AtomicUsize::new(AWAKE)),
            sleeper: Mutex::new(None),
            waited_for: AtomicBool::new(false),
        }
    }

    /// Says "look again" to the thread that waits, if any: to be called *after* whatever made its condition true. One
    /// fence and one load when nobody sleeps, one wake-up when somebody does; never waits.
    pub fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) == ASLEEP {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // Acquire: the announcement, with the thread in `sleeper`, happens before us.
        let claim = self.state.compare_exchange(ASLEEP, WAKING, Ordering::Acquire, Ordering::Relaxed);
        // Where the claim fails, another notifier was faster, or the thread withdrew. Before it parks again it announces
        // anew, behind our fence in `notify` (else we would have seen that announcement), so it sees what we did.
        if claim.is_ok() {
            let sleeper = self.sleeper().take();
            self.state.store(AWAKE, Ordering::Release);
            if let Some(thread) = sleeper {
                thread.unpark();
            }
        }
    }

    /// Calls `ready` until it gives something: some times in quick succession, then after each notification.
    ///
    /// # Panics
    /// When another thread is waiting for the same signal.
    pub fn wait_until<R>(&self, mut ready: impl FnMut() -> Option<R>) -> R {
        loop {
            // Without a deadline the first turn always gives something.
            if let Some(result) = self.wait(None, &mut ready) {
                return result;
            }
        }
    }

    /// Like [`wait_until`](Self::wait_until), but gives up after `timeout` and says `None`.
    ///
    /// # Panics
    /// When another thread is waiting for the same signal.
    pub fn wait_until_timeout<R>(&self, timeout: Duration, ready: impl FnMut() -> Option<R>) -> Option<R> {
        // A time beyond what the clock can count never comes.
        self.wait(Instant::now().checked_add(timeout), ready)
    }

    /// `None` only after the deadline.
    fn wait<R>(&self, deadline: Option<Instant>, mut ready: impl FnMut() -> Option<R>) -> Option<R> {
        let _only = Only::enter(&self.waited_for);
        let pause = Pause::new();
        while !pause.is_over() {
            if let Some(result) = ready() {
                return Some(result);
            }
            pause.pause();
        }
        loop {
            let announcement = Announcement::make(self);
            if let Some(result) = ready() {
                return Some(result);
            }
            match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => park(),
                Some(Duration::ZERO) => return None,
                Some(left) => park_timeout(left),
            }
            drop(announcement);
        }
    }

    fn sleeper(&self) -> MutexGuard<'_, Option<Thread>> {
        // Nothing that could panic is done under the lock, so a poisoned one is still sound.
        self.sleeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// While it lives, the calling thread is the one that waits.
struct Only<'a>(&'a AtomicBool);

impl<'a> Only<'a> {
    fn enter(waited_for: &'a AtomicBool) -> Self {
        assert!(!waited_for.swap(true, Ordering::Acquire), "two threads wait for one signal");
        Self(waited_for)
    }
}

impl Drop for Only<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// While it lives, notifiers find the calling thread asleep.
struct Announcement<'a>(&'a Signal);

impl<'a> Announcement<'a> {
    /// What notifiers did before their fence is visible to the caller afterwards; notifiers whose fence comes later see
    /// the announcement.
    fn make(signal: &'a Signal) -> Self {
        *signal.sleeper() = Some(current());
        signal.state.store(ASLEEP, Ordering::Release);
        fence(Ordering::SeqCst);
        Self(signal)
    }
}

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        let state = &self.0.state;
        if state.compare_exchange(ASLEEP, AWAKE, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // A notifier has the announcement: wait for its next three instructions, so that `sleeper` is ours again.
            let pause = Pause::new();
            while state.load(Ordering::Acquire) == WAKING {
                pause.pause();
            }
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, feature = "shuttle"))))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    #[test]
    fn what_is_ready_needs_no_notification() {
        let signal = Signal::new();
        assert_eq!(signal.wait_until(|| Some(7)), 7);
        let mut calls = 0;
        let ready = || {
            calls += 1;
            (calls == 3).then_some("third")
        };
        assert_eq!(signal.wait_until_timeout(Duration::from_secs(3600), ready), Some("third"));
    }

    #[test]
    fn time_runs_out_on_what_never_comes() {
        let signal = Signal::new();
        let mut calls = 0;
        let mut never = || {
            calls += 1;
            None::<()>
        };
        assert_eq!(signal.wait_until_timeout(Duration::ZERO, &mut never), None);
        assert_eq!(signal.wait_until_timeout(Duration::from_millis(5), &mut never), None);
        assert!(calls >= 4, "each wait must look before and after it announces itself, made {calls} calls");
        assert_eq!(signal.wait_until_timeout(Duration::MAX, || Some(1)), Some(1));
    }

    #[test]
    fn a_sleeper_is_woken_by_every_count_of_ping_and_pong() {
        const ROUNDS: u32 = if cfg!(miri) { 20 } else { 20_000 };
        let (ping, pong) = (Signal::new(), Signal::new());
        let count = AtomicU32::new(0);
        let wait_for = |signal: &Signal, n: u32| {
            signal.wait_until(|| (count.load(Ordering::Relaxed) >= n).then_some(()));
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    wait_for(&ping, 2 * round + 1);
                    count.store(2 * round + 2, Ordering::Relaxed);
                    pong.notify();
                }
            });
            for round in 0..ROUNDS {
                count.store(2 * round + 1, Ordering::Relaxed);
                ping.notify();
                wait_for(&pong, 2 * round + 2);
            }
        });
        assert_eq!(count.into_inner(), 2 * ROUNDS);
    }

    #[test]
    fn a_parked_thread_wakes_up() {
        let signal = Signal::new();
        let flag = AtomicBool::new(false);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| signal.wait_until(|| flag.load(Ordering::Relaxed).then_some(())));
            while signal.state.load(Ordering::Relaxed) != ASLEEP {
                thread::yield_now();
            }
            // Without its condition, a notification puts it back to sleep.
            signal.notify();
            while signal.state.load(Ordering::Relaxed) != ASLEEP {
                thread::yield_now();
            }
            assert!(!sleeper.is_finished());
            flag.store(true, Ordering::Relaxed);
            signal.notify();
        });
        assert_eq!(signal.state.load(Ordering::Relaxed), AWAKE);
    }

    #[test]
    fn a_condition_that_panics_leaves_the_signal_usable() {
        let signal = Signal::new();
        let mut calls = 0;
        let wait = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            signal.wait_until(|| -> Option<()> {
                calls += 1;
                assert!(calls < 100 && signal.state.load(Ordering::Relaxed) == AWAKE, "asleep");
                None
            });
        }));
        assert!(wait.is_err());
        assert_eq!(signal.state.load(Ordering::Relaxed), AWAKE);
        signal.notify();
        assert_eq!(signal.wait_until(|| Some(1)), 1);
    }

    #[test]
    #[should_panic(expected = "two threads wait for one signal")]
    fn a_second_waiting_thread_is_a_mistake() {
        let signal = Signal::new();
        signal.wait_until(|| Some(signal.wait_until(|| Some(1))));
    }
}
