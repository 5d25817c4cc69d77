//! The system's allocator with a counter in front: how often memory is asked for, by any thread, while a measurement
//! runs. What libraries in C ask for themselves (the codecs' contexts) is not seen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[global_allocator]
static COUNTER: Counter = Counter;

static ON: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicU64 = AtomicU64::new(0);

struct Counter;

impl Counter {
    fn count() {
        if ON.load(Ordering::Relaxed) {
            ASKED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: everything is handed to the system's allocator as it came; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: handed through from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: handed through from the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        Self::count();
        // SAFETY: handed through from the caller.
        unsafe { System.realloc(at, layout, new_size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: handed through from the caller.
        unsafe { System.dealloc(at, layout) }
    }
}

/// How often memory was asked for (a block made longer counts as asked for) while `work` ran, and what `work` gave.
/// Whatever else the process does meanwhile counts too.
pub(crate) fn allocations<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let before = ASKED.load(Ordering::SeqCst);
    ON.store(true, Ordering::SeqCst);
    let result = work();
    ON.store(false, Ordering::SeqCst);
    (ASKED.load(Ordering::SeqCst) - before, result)
}
