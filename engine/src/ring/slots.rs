//! The empty slots of an arena, going round: leased by the reader, dropped by whoever is last, and back.

use std::sync::Arc;

use carrack_backends::arena::{Arena, Lease};

use super::{Queue, Signal};

/// Hands out the slots of an arena, one whole slot at a time, and takes each one back when the last part of its lease
/// is dropped, wherever that happens. This is the engine's backpressure: the reader waits here and nobody else does.
pub struct SlotRing {
    arena: Arc<Arena>,
    empty: Arc<Empty>,
}

/// What the arena's callback holds. It does not hold the arena, which holds the callback.
struct Empty {
    /// Numbers of slots no part of which is leased.
    slots: Queue<u32>,
    signal: Signal,
}

impl Empty {
    fn put(&self, slot: u32) {
        self.slots.push(slot).expect("a slot that is empty is in the queue once, and the queue has room for all");
        self.signal.notify();
    }
}

impl SlotRing {
    /// The ring of a fresh arena. From now on its slots are leased through the ring only.
    ///
    /// # Panics
    /// When part of the arena is leased, or another ring is made of it already.
    #[must_use]
    pub fn new(arena: Arc<Arena>) -> Self {
        let empty = Arc::new(Empty { slots: Queue::new(arena.slots() as usize), signal: Signal::new() });
        let returned = Arc::clone(&empty);
        arena.set_on_free(Box::new(move |slot| returned.put(slot)));
        for slot in 0..arena.slots() {
            // Leased and dropped: the callback puts it into the queue.
            drop(arena.lease(slot));
        }
        assert_eq!(empty.slots.len(), arena.slots() as usize, "a ring wants an arena that nobody else uses");
        Self { arena, empty }
    }

    /// The arena.
    #[must_use]
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// How many slots are empty, about: other threads may be at work.
    #[must_use]
    pub fn empty_slots(&self) -> usize {
        self.empty.slots.len()
    }

    /// An empty slot, if there is one now.
    ///
    /// # Panics
    /// When somebody leased the slot past the ring.
    #[must_use]
    pub fn try_take(&self) -> Option<Lease> {
        let slot = self.empty.slots.pop()?;
        Some(self.arena.lease(slot).expect("slots are leased through their ring only"))
    }

    /// Waits for an empty slot. `None` as soon as `stop` says so; after making it true, call [`wake`](Self::wake).
    ///
    /// # Panics
    /// When another thread is waiting for a slot, or somebody leased one past the ring.
    #[must_use]
    pub fn take(&self, stop: impl Fn() -> bool) -> Option<Lease> {
        self.empty.signal.wait_until(|| if stop() { Some(None) } else { self.try_take().map(Some) })
    }

    /// Makes the waiting thread look again whether it should stop.
    pub fn wake(&self) {
        self.empty.signal.notify();
    }
}

impl std::fmt::Debug for SlotRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlotRing").field("arena", &self.arena).field("empty", &self.empty_slots()).finish()
    }
}

#[cfg(all(test, not(any(loom, feature = "shuttle"))))]
mod tests {
    use super::super::Mailbox;
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    fn ring(slots: u32) -> SlotRing {
        SlotRing::new(Arena::new(slots, 256).unwrap())
    }

    #[test]
    fn every_slot_is_handed_out_once_and_comes_back_after_its_last_part() {
        let ring = ring(3);
        let mut leases: Vec<Lease> = std::iter::from_fn(|| ring.try_take()).collect();
        assert_eq!(leases.iter().map(Lease::slot).collect::<Vec<_>>(), [0, 1, 2]);
        let rest = leases[1].split_off(100);
        drop(leases.remove(1));
        assert!(ring.try_take().is_none(), "part of slot 1 is still out");
        drop(rest);
        assert_eq!(ring.empty_slots(), 1);
        assert_eq!(ring.try_take().map(|lease| lease.slot()), Some(1));
    }

    #[test]
    fn stop_wins_over_an_empty_slot_and_wakes_a_waiting_thread() {
        let ring = ring(1);
        assert!(ring.take(|| true).is_none());
        let lease = ring.take(|| false).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| ring.take(|| stop.load(Ordering::Relaxed)).is_none());
            stop.store(true, Ordering::Relaxed);
            ring.wake();
            assert!(waiting.join().unwrap());
        });
        drop(lease);
        assert_eq!(ring.empty_slots(), 1);
    }

    #[test]
    fn nothing_is_kept_alive_by_the_callback() {
        let ring = ring(2);
        let arena = Arc::downgrade(ring.arena());
        let empty = Arc::downgrade(&ring.empty);
        let lease = ring.try_take();
        drop(ring);
        assert!(arena.upgrade().is_some(), "a lease holds its arena");
        drop(lease);
        assert!(arena.upgrade().is_none() && empty.upgrade().is_none());
    }

    #[test]
    #[should_panic(expected = "a slot that is empty is in the queue once")]
    fn an_arena_has_one_ring() {
        let ring = ring(2);
        let _ = SlotRing::new(Arc::clone(ring.arena()));
    }

    #[test]
    #[should_panic(expected = "an arena that nobody else uses")]
    fn a_ring_wants_all_slots() {
        let arena = Arena::new(2, 256).unwrap();
        let _lease = arena.lease(0);
        let _ = SlotRing::new(arena);
    }

    #[test]
    fn slots_go_round_between_a_reader_and_workers_without_mixing_bytes() {
        const ROUNDS: usize = if cfg!(miri) { 30 } else { 30_000 };
        let ring = ring(5);
        let filled = Mailbox::new(5);
        let (left, seen) = (AtomicUsize::new(ROUNDS), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..7 {
                // Workers poll: a mailbox has one receiver that may wait.
                scope.spawn(|| {
                    while left.load(Ordering::Relaxed) > 0 {
                        let Some((number, mut lease)) = filled.try_recv() else {
                            thread::yield_now();
                            continue;
                        };
                        let lease: &mut Lease = &mut lease;
                        assert!(
                            lease.iter().all(|&byte| byte == number as u8),
                            "slot {} was overwritten",
                            lease.slot()
                        );
                        let rest = lease.split_off(lease.len() / 2);
                        drop(rest);
                        seen.fetch_add(number, Ordering::Relaxed);
                        left.fetch_sub(1, Ordering::Relaxed);
                    }
                });
            }
            for number in 0..ROUNDS {
                let mut lease = ring.take(|| false).unwrap();
                lease.fill(number as u8);
                filled.send((number, lease)).expect("as many messages as slots");
            }
        });
        assert_eq!(seen.into_inner(), ROUNDS * (ROUNDS - 1) / 2);
        assert_eq!(ring.empty_slots(), 5);
    }
}
