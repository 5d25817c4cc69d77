//! What the ring is built of: atomics, cells and parking of the standard library, or loom's models of them under
//! `cfg(loom)`, where every interleaving is tried.

pub(super) use imp::*;

#[cfg(not(loom))]
mod imp {
    pub(in crate::ring) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    pub(in crate::ring) use std::sync::{Mutex, MutexGuard};
    pub(in crate::ring) use std::thread::{Thread, current, park, park_timeout};

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

#[cfg(loom)]
mod imp {
    pub(in crate::ring) use loom::cell::UnsafeCell;
    pub(in crate::ring) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
    pub(in crate::ring) use loom::sync::{Mutex, MutexGuard};
    pub(in crate::ring) use loom::thread::{Thread, current, park};

    /// Loom has no time: a thread that parks for a while wakes up at once.
    pub(in crate::ring) fn park_timeout(_: std::time::Duration) {
        loom::thread::yield_now();
    }

    /// Lets another thread run. Over at once, so that loom gets to the parking.
    pub(in crate::ring) struct Pause;

    impl Pause {
        pub(in crate::ring) fn new() -> Self {
            Self
        }

        pub(in crate::ring) fn pause(&self) {
            loom::thread::yield_now();
        }

        pub(in crate::ring) fn is_over(&self) -> bool {
            true
        }
    }
}
