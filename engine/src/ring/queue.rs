//! A bounded queue for many senders and many receivers, after Dmitry Vyukov.
//!
//! Positions count up for ever; position `p` lives in cell `p & mask`. A cell's **stamp** says whose turn it is:
//!
//! - `stamp == p`: the cell is empty and waits for the push at position `p`;
//! - `stamp == p + 1`: the cell holds the value of position `p` and waits for its pop;
//! - after that pop the stamp becomes `p + capacity`: the turn of the push one lap later.
//!
//! `tail` is the next position to push at, `head` the next one to pop at. A thread claims a position by moving `tail`
//! or `head` one further, which only one thread can do, and only when the stamp says that it is this end's turn.
//!
//! **Invariant.** Between claiming a position and storing the stamp that passes the turn on, the claiming thread alone
//! accesses the cell's value. The value is initialised exactly when the stamp is `p + 1` (or its popper has not yet
//! stored the next stamp). The unsafe blocks below rest on this and on nothing else.

use std::fmt;
use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

use super::sync::{AtomicUsize, Ordering, Pause, UnsafeCell};

/// A bounded first-in-first-out queue. Any number of threads may push and pop at once; nobody waits for a lock.
///
/// A push that was claimed but not finished hides the values behind it: [`pop`](Self::pop) then says `None` although
/// a later push has returned. So whoever waits for values must be notified after *each* push.
pub struct Queue<T> {
    head: CachePadded<AtomicUsize>,
    tail: CachePadded<AtomicUsize>,
    cells: Box<[Cell<T>]>,
}

struct Cell<T> {
    stamp: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the queue hands each value from the thread that pushed it to the one that pops it and gives nobody a
// reference to it in between (the module's invariant), so `T: Send` is all that is needed.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Queue<T> {
    /// An empty queue for at least `capacity` values: rounded up to a power of two, and at least two.
    ///
    /// # Panics
    /// When the rounded capacity does not fit into memory.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        // With one cell, "waits for the push one lap later" and "holds a value" would be the same stamp.
        let capacity = capacity.max(2).checked_next_power_of_two().expect("a queue's capacity fits into memory");
        let cell = |at| Cell { stamp: AtomicUsize::new(at), value: UnsafeCell::new(MaybeUninit::uninit()) };
        Self {
            head: CachePadded::new(AtomicUsize::new(0)),
            tail: CachePadded::new(AtomicUsize::new(0)),
            cells: (0..capacity).map(cell).collect(),
        }
    }

    /// How many values fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// How many values are inside, about: other threads may be at work.
    #[must_use]
    pub fn len(&self) -> usize {
        let head = self.head.load(Ordering::Relaxed);
        self.tail.load(Ordering::Relaxed).wrapping_sub(head).min(self.capacity())
    }

    /// Whether nothing is inside, about: other threads may be at work.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn cell(&self, position: usize) -> &Cell<T> {
        &self.cells[position & (self.cells.len() - 1)]
    }

    /// Puts a value behind all others.
    ///
    /// A queue through which no more than [`capacity`](Self::capacity) tokens circulate, each pushed again only after
    /// it was popped, never refuses one. Where it meets a pop that was claimed but not finished, it waits for
    /// that thread's next two instructions.
    ///
    /// # Errors
    /// Gives the value back when the queue is full.
    pub fn push(&self, value: T) -> Result<(), T> {
        // Acquire, with the release of each claim below: everything that earlier pushers knew when they claimed happens
        // before us. So we see the pops that they had seen, and `full` below counts none of them as missing.
        let mut tail = self.tail.load(Ordering::Acquire);
        let pause = Pause::new();
        loop {
            let cell = self.cell(tail);
            // Acquire: the pop that emptied the cell happens before our write.
            let turn = cell.stamp.load(Ordering::Acquire).wrapping_sub(tail).cast_signed();
            if turn == 0 {
                let next = tail.wrapping_add(1);
                match self.tail.compare_exchange_weak(tail, next, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => {
                        // SAFETY: the stamp gave position `tail` the turn and the exchange claimed it, so until the
                        // store below nobody else accesses the value (the module's invariant).
                        cell.value.with_mut(|place| unsafe { place.cast::<T>().write(value) });
                        cell.stamp.store(next, Ordering::Release);
                        return Ok(());
                    }
                    Err(now) => tail = now,
                }
                continue;
            }
            if turn < 0 {
                // The cell still holds the value of the lap before. Either that is not claimed by any pop …
                let inside = tail.wrapping_sub(self.head.load(Ordering::Relaxed)).cast_signed();
                if inside >= self.capacity().cast_signed() {
                    return Err(value);
                }
                // … or a pop has it in hand (or `tail` is out of date).
                pause.pause();
            }
            tail = self.tail.load(Ordering::Acquire);
        }
    }

    /// Whether [`pop`](Self::pop) would find a value now.
    pub(super) fn is_ready(&self) -> bool {
        loop {
            let head = self.head.load(Ordering::Relaxed);
            let turn = self.cell(head).stamp.load(Ordering::Acquire).wrapping_sub(head.wrapping_add(1)).cast_signed();
            // Beyond its turn: the head is out of date.
            if turn <= 0 {
                return turn == 0;
            }
        }
    }

    /// Takes the value at the front; `None` when there is none, or when its push is not finished.
    pub fn pop(&self) -> Option<T> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let cell = self.cell(head);
            let next = head.wrapping_add(1);
            // Acquire: the push that filled the cell happens before our read.
            let turn = cell.stamp.load(Ordering::Acquire).wrapping_sub(next).cast_signed();
            if turn < 0 {
                return None;
            }
            if turn > 0 {
                head = self.head.load(Ordering::Relaxed);
                continue;
            }
            match self.head.compare_exchange_weak(head, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    // SAFETY: the stamp says that the cell holds the value of position `head`, the exchange claimed it,
                    // so until the store below nobody else accesses the value, and nobody reads it again after it.
                    let value = cell.value.with_mut(|place| unsafe { place.cast::<T>().read() });
                    cell.stamp.store(head.wrapping_add(self.capacity()), Ordering::Release);
                    return Some(value);
                }
                Err(now) => head = now,
            }
        }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        // `&mut self`: every push and pop is finished.
        while self.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("capacity", &self.capacity()).field("len", &self.len()).finish()
    }
}

#[cfg(all(test, not(any(loom, feature = "shuttle"))))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU8;

    #[test]
    fn values_come_out_in_order_lap_after_lap() {
        let queue = Queue::new(4);
        for lap in 0..10 {
            for i in 0..4 {
                queue.push(4 * lap + i).unwrap();
            }
            assert_eq!((queue.push(99), queue.len()), (Err(99), 4));
            for i in 0..4 {
                assert_eq!(queue.pop(), Some(4 * lap + i));
            }
            assert_eq!((queue.pop(), queue.is_empty()), (None, true));
            // Shift the lap by one cell.
            queue.push(0).unwrap();
            assert_eq!(queue.pop(), Some(0));
        }
    }

    #[test]
    fn capacities_are_rounded_up() {
        assert_eq!([0, 1, 2, 3, 4, 5, 1000].map(|n| Queue::<u8>::new(n).capacity()), [2, 2, 2, 4, 4, 8, 1024]);
    }

    #[test]
    fn positions_may_wrap_around() {
        let mut queue = Queue::new(2);
        let start = usize::MAX - 2;
        queue.head = CachePadded::new(AtomicUsize::new(start));
        queue.tail = CachePadded::new(AtomicUsize::new(start));
        queue.cells[start & 1].stamp.store(start, Ordering::Relaxed);
        queue.cells[start.wrapping_add(1) & 1].stamp.store(start.wrapping_add(1), Ordering::Relaxed);
        for i in 0..10 {
            queue.push(i).unwrap();
            queue.push(i + 100).unwrap();
            assert_eq!(queue.push(7), Err(7));
            assert_eq!((queue.pop(), queue.pop(), queue.pop()), (Some(i), Some(i + 100), None));
        }
    }

    #[test]
    fn dropping_the_queue_drops_what_is_inside_once() {
        let value = Arc::new(());
        let queue = Queue::new(4);
        for _ in 0..4 {
            queue.push(Arc::clone(&value)).unwrap();
        }
        drop(queue.pop());
        assert_eq!(Arc::strong_count(&value), 4);
        drop(queue);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn everything_arrives_exactly_once_and_in_each_senders_order() {
        const SENDERS: usize = 4;
        const EACH: usize = if cfg!(miri) { 40 } else { 25_000 };
        let queue = Queue::new(8);
        let seen: Vec<AtomicU8> = (0..SENDERS * EACH).map(|_| AtomicU8::new(0)).collect();
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let queue = &queue;
                scope.spawn(move || {
                    for i in 0..EACH {
                        let mut value = Box::new(sender * EACH + i);
                        while let Err(back) = queue.push(value) {
                            value = back;
                            std::thread::yield_now();
                        }
                    }
                });
            }
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = [None; SENDERS];
                    for _ in 0..EACH {
                        let value = loop {
                            match queue.pop() {
                                Some(value) => break *value,
                                None => std::thread::yield_now(),
                            }
                        };
                        seen[value].fetch_add(1, Ordering::Relaxed);
                        let last = &mut last[value / EACH];
                        assert!(last.is_none_or(|last| last < value), "a sender's values overtook each other");
                        *last = Some(value);
                    }
                });
            }
        });
        assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        assert!(queue.is_empty());
    }

    #[test]
    fn as_many_tokens_as_fit_circulate_without_a_refusal() {
        let queue = Queue::new(4);
        (0..4).for_each(|token| queue.push(token).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..if cfg!(miri) { 30 } else { 20_000 } {
                        if let Some(token) = queue.pop() {
                            queue.push(token).expect("as many tokens as cells: never full");
                        }
                    }
                });
            }
        });
        let mut left: Vec<i32> = std::iter::from_fn(|| queue.pop()).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3]);
    }
}
