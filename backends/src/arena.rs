//! The arena: NUM_SLOTS × slot size bytes, allocated once, handed out as exclusive windows.
//!
//! A [`Lease`] is the only way to the arena's bytes. It is neither `Clone` nor `Copy`; it can be split in two and
//! joined again, so a whole slot can be spread over many read requests and come back together. Each slot counts the
//! bytes that are out; when the count returns to zero the slot is free and the arena says so through one callback.
//!
//! **Invariant.** The live leases of an arena never overlap. [`Arena::lease`] makes one for a slot only while that
//! slot's count is zero; every other lease comes from splitting or joining existing ones, which keeps the covered
//! bytes the same. The unsafe blocks below rest on this and on nothing else.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

/// Size and alignment of a transparent huge page, bytes (x86-64 and AArch64 with 4 KiB base pages).
pub const HUGE_PAGE: usize = 2 << 20;

/// What is called with the number of a slot that has become free. It must not block: it runs wherever the last
/// lease of the slot is dropped.
pub type OnFree = Box<dyn Fn(u32) + Send + Sync>;

/// The one allocation behind all slots.
pub struct Arena {
    memory: Memory,
    slot_size: usize,
    /// Bytes of each slot that are leased out at this moment.
    out: Box<[AtomicUsize]>,
    on_free: OnceLock<OnFree>,
}

impl Arena {
    /// Allocates `slots` slots of `slot_size` bytes each, aligned to huge pages, untouched (no page is resident yet).
    ///
    /// # Errors
    /// `InvalidInput` when either number is zero or their product overflows; else what `mmap` says.
    pub fn new(slots: u32, slot_size: usize) -> io::Result<Arc<Self>> {
        let total = (slots as usize).checked_mul(slot_size).filter(|&n| n > 0 && isize::try_from(n).is_ok());
        let total = total.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("an arena of {slots} slots of {slot_size} bytes cannot be allocated"),
            )
        })?;
        Ok(Arc::new(Self {
            memory: Memory::allocate(total)?,
            slot_size,
            out: (0..slots).map(|_| AtomicUsize::new(0)).collect(),
            on_free: OnceLock::new(),
        }))
    }

    /// Number of slots.
    #[must_use]
    pub fn slots(&self) -> u32 {
        u32::try_from(self.out.len()).expect("the number of slots came in as u32")
    }

    /// Bytes in each slot.
    #[must_use]
    pub fn slot_size(&self) -> usize {
        self.slot_size
    }

    /// Says who is told about slots that become free. Only the first call counts.
    pub fn set_on_free(&self, on_free: OnFree) {
        let _ = self.on_free.set(on_free);
    }

    /// Leases a whole slot, or `None` while any part of it is still out.
    ///
    /// # Panics
    /// When there is no slot of that number.
    #[must_use]
    pub fn lease(self: &Arc<Self>, slot: u32) -> Option<Lease> {
        let out = &self.out[slot as usize];
        // Acquire pairs with the release in `give_back`: what former holders wrote happens before us.
        out.compare_exchange(0, self.slot_size, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Lease { arena: Arc::clone(self), start: slot as usize * self.slot_size, len: self.slot_size })
    }

    /// Address and length in bytes of the whole allocation, for registering it with the kernel.
    /// The memory stays mapped as long as the arena lives.
    #[must_use]
    pub fn extent(&self) -> (*mut u8, usize) {
        (self.memory.start.as_ptr(), self.memory.len)
    }

    fn give_back(&self, start: usize, len: usize) {
        if len == 0 {
            return;
        }
        let slot = start / self.slot_size;
        let before = self.out[slot].fetch_sub(len, Ordering::Release);
        debug_assert!(before >= len, "slot {slot}: {len} bytes given back, {before} were out");
        if before == len {
            fence(Ordering::Acquire);
            if let Some(on_free) = self.on_free.get() {
                on_free(u32::try_from(slot).expect("slot numbers are u32"));
            }
        }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("slots", &self.out.len()).field("slot_size", &self.slot_size).finish()
    }
}

/// Exclusive use of some consecutive bytes of one slot, until dropped.
pub struct Lease {
    arena: Arc<Arena>,
    start: usize,
    len: usize,
}

impl Lease {
    /// Number of the slot that these bytes belong to.
    #[must_use]
    pub fn slot(&self) -> u32 {
        u32::try_from(self.start / self.arena.slot_size).expect("slot numbers are u32")
    }

    /// Offset in bytes of the first leased byte within the arena.
    #[must_use]
    pub fn arena_offset(&self) -> usize {
        self.start
    }

    /// The arena that these bytes belong to.
    #[must_use]
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Keeps the first `at` bytes and returns a lease of the rest.
    ///
    /// # Panics
    /// When `at` lies beyond the end.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Lease {
        assert!(at <= self.len, "split at {at} of a lease of {} bytes", self.len);
        let rest = Lease { arena: Arc::clone(&self.arena), start: self.start + at, len: self.len - at };
        self.len = at;
        rest
    }

    /// Takes in the bytes that follow directly behind these, in the same slot.
    ///
    /// # Panics
    /// When `next` is not the direct neighbour behind this lease: joining anything else would alias memory.
    pub fn join(&mut self, mut next: Lease) {
        let neighbours = Arc::ptr_eq(&self.arena, &next.arena) && self.start + self.len == next.start;
        let same_slot = next.len == 0 || self.len == 0 || self.slot() == next.slot();
        assert!(neighbours && same_slot, "leases joined that are not neighbours in one slot");
        self.len += next.len;
        next.len = 0;
    }
}

impl Deref for Lease {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: start + len lies within the allocation (from `lease`, kept by split and join), the memory is
        // zero-initialised by the kernel and mapped while `arena` lives, and no other lease covers these bytes
        // (the module's invariant), so nobody writes them while `&self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.arena.memory.at(self.start), self.len) }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; `&mut self` makes this the only reference that comes from the only lease.
        unsafe { std::slice::from_raw_parts_mut(self.arena.memory.at(self.start), self.len) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.arena.give_back(self.start, self.len);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("slot", &self.slot()).field("start", &self.start).field("len", &self.len).finish()
    }
}

/// Zeroed, huge-page-aligned memory.
struct Memory {
    start: NonNull<u8>,
    len: usize,
    #[cfg(not(miri))]
    map: (NonNull<std::ffi::c_void>, usize),
}

// SAFETY: `Memory` is an address and a length; who may touch which bytes is governed by leases, which are Send and
// Sync by the module's invariant.
unsafe impl Send for Memory {}
// SAFETY: as above: `&Memory` alone gives no access to the bytes outside this module.
unsafe impl Sync for Memory {}

impl Memory {
    fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.len);
        // SAFETY: callers pass offsets within the allocation (one past its end for an empty lease).
        unsafe { self.start.as_ptr().add(offset) }
    }

    #[cfg(not(miri))]
    fn allocate(len: usize) -> io::Result<Self> {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        // Small arenas (tests, tiny archives) stay on small pages: a huge page each would only waste memory.
        let align = if len >= HUGE_PAGE { HUGE_PAGE } else { 1 };
        let mapped = len.checked_add(align).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a fresh private anonymous mapping at an address of the kernel's choice overlaps nothing.
        let map = unsafe {
            mmap_anonymous(std::ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }?;
        let map = NonNull::new(map).ok_or(io::ErrorKind::OutOfMemory)?;
        let skip = map.cast::<u8>().as_ptr().align_offset(align);
        // SAFETY: skip < align and the mapping is len + align bytes long, so the sum stays inside it.
        let start = unsafe { map.cast::<u8>().add(skip) };
        #[cfg(target_os = "linux")]
        if align == HUGE_PAGE {
            // Only a wish: where the kernel refuses, small pages serve as well.
            // SAFETY: the range lies inside the mapping made above; the advice changes no contents.
            let _ = unsafe { rustix::mm::madvise(start.as_ptr().cast(), len, rustix::mm::Advice::LinuxHugepage) };
        }
        Ok(Self { start, len, map: (map, mapped) })
    }

    #[cfg(miri)]
    fn allocate(len: usize) -> io::Result<Self> {
        let layout = std::alloc::Layout::from_size_align(len, 4096).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: `Arena::new` refuses a size of zero.
        let start = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        #[cfg(not(miri))]
        {
            let (map, len) = self.map;
            // SAFETY: exactly the mapping that `allocate` made; every lease holds the arena, so none is left.
            let _ = unsafe { rustix::mm::munmap(map.as_ptr(), len) };
        }
        #[cfg(miri)]
        // SAFETY: the layout that `allocate` used.
        unsafe {
            std::alloc::dealloc(self.start.as_ptr(), std::alloc::Layout::from_size_align_unchecked(self.len, 4096));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_slot_is_leased_once_and_free_again_after_its_last_part() {
        let arena = Arena::new(2, 4096).unwrap();
        let freed = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&freed);
        arena.set_on_free(Box::new(move |slot| seen.lock().unwrap().push(slot)));

        let mut first = arena.lease(1).unwrap();
        assert!(arena.lease(1).is_none(), "a slot that is out must not be leased again");
        let rest = first.split_off(100);
        drop(first);
        assert!(freed.lock().unwrap().is_empty(), "half of the slot is still out");
        drop(rest);
        assert_eq!(*freed.lock().unwrap(), [1]);
        assert!(arena.lease(1).is_some());
    }

    #[test]
    fn parts_written_apart_read_as_one_after_joining() {
        let arena = Arena::new(1, 64).unwrap();
        let mut a = arena.lease(0).unwrap();
        let mut b = a.split_off(10);
        let mut c = b.split_off(0);
        let d = c.split_off(54);
        a.fill(1);
        c.fill(2);
        b.join(c);
        b.join(d);
        a.join(b);
        assert_eq!(a.len(), 64);
        assert!(a[..10].iter().all(|&x| x == 1) && a[10..].iter().all(|&x| x == 2));
    }

    #[test]
    #[should_panic(expected = "not neighbours")]
    fn strangers_cannot_be_joined() {
        let arena = Arena::new(1, 64).unwrap();
        let mut a = arena.lease(0).unwrap();
        let mut b = a.split_off(10);
        let c = b.split_off(10);
        a.join(c);
    }

    #[test]
    #[should_panic(expected = "not neighbours in one slot")]
    fn neighbours_in_two_slots_cannot_be_joined() {
        let arena = Arena::new(2, 64).unwrap();
        let mut a = arena.lease(0).unwrap();
        a.join(arena.lease(1).unwrap());
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert!(Arena::new(0, 4096).is_err());
        assert!(Arena::new(4, 0).is_err());
        assert!(Arena::new(u32::MAX, usize::MAX / 2).is_err());
    }

    #[test]
    fn threads_fill_their_own_parts() {
        let arena = Arena::new(1, 1 << 16).unwrap();
        let mut whole = arena.lease(0).unwrap();
        let mut parts = Vec::new();
        for _ in 0..7 {
            let rest = whole.split_off(8192);
            parts.push(std::mem::replace(&mut whole, rest));
        }
        parts.push(whole);
        let filled: Vec<Lease> = std::thread::scope(|scope| {
            let tasks: Vec<_> = parts
                .into_iter()
                .enumerate()
                .map(|(i, mut part)| {
                    scope.spawn(move || {
                        part.fill(i as u8);
                        part
                    })
                })
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        let mut filled = filled.into_iter();
        let mut all = filled.next().unwrap();
        filled.for_each(|part| all.join(part));
        assert!(all.iter().enumerate().all(|(i, &byte)| byte as usize == i / 8192));
    }
}
