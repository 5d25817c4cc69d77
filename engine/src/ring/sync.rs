//! What the ring is built of: atomics, cells and parking of the standard library, or models of them: loom's under
//! `cfg(loom)`, where every interleaving of a small case is tried, and shuttle's with the feature `shuttle`, where whole
//! runs are tried in many an interleaving.

pub(super) use imp::*;

#[cfg(loom)]
use loom as model;
#[cfg(feature = "shuttle")]
use shuttle as model;

#[cfg(not(any(loom, feature = "shuttle")))]
mod imp {
    pub(in crate::ring) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    pub(in crate::ring) use std::sync::{Mutex, MutexGuard};
    pub(in crate::ring) use std::thread::{Thread, current, park, park_timeout};

    pub(in crate::ring) use super::cell::UnsafeCell;

    /// Passes the time until another thread has made one step: a few at first, then up to a time slice.
    pub(in crate::ring) struct Pause(crossbeam_utils::Backoff);

    impl Pause {
        pub(in crate::ring) fn new() -> Self {
            Self(crossbeam_utils::Backoff::new())
        }

        pub(in crate::ring) fn pause(&self) {
            self.0.snooze();
        }

        /// Pausing is no longer worth it: park.
        pub(in crate::ring) fn is_over(&self) -> bool {
            self.0.is_completed()
        }
    }
}

#[cfg(any(loom, feature = "shuttle"))]
mod imp {
    #[cfg(loom)]
    pub(in crate::ring) use loom::cell::UnsafeCell;
    /// It has no time either: who waits for something that nobody tells it about waits for ever, and that is found.
    #[cfg(feature = "shuttle")]
    pub(in crate::ring) use shuttle::thread::park_timeout;

    #[cfg(feature = "shuttle")]
    pub(in crate::ring) use super::cell::UnsafeCell;
    use super::model;
    pub(in crate::ring) use super::model::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    pub(in crate::ring) use super::model::sync::{Mutex, MutexGuard};
    pub(in crate::ring) use super::model::thread::{Thread, current, park};

    /// Loom has no time: a thread that parks for a while wakes up at once.
    #[cfg(loom)]
    pub(in crate::ring) fn park_timeout(_: std::time::Duration) {
        model::thread::yield_now();
    }

    /// Lets another thread run. Over at once, so that a model gets to the parking.
    pub(in crate::ring) struct Pause;

    impl Pause {
        pub(in crate::ring) fn new() -> Self {
            Self
        }

        pub(in crate::ring) fn pause(&self) {
            model::thread::yield_now();
        }

        pub(in crate::ring) fn is_over(&self) -> bool {
            true
        }
    }
}

#[cfg(not(loom))]
mod cell {
    /// `std::cell::UnsafeCell` with the access through closures that loom wants.
    pub(in crate::ring) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(in crate::ring) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub(in crate::ring) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}
