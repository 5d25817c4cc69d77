//! `ring/<what>/<threads>`: handing over between threads. In a quick run with 1, 4 and 64 of them only.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use carrack_backends::arena::{Arena, Lease};
use carrack_engine::ring::{Mailbox, Queue, SlotRing};
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

/// Slots of the ring.
const SLOTS: u32 = 16;
/// Messages that a mailbox or a queue between many threads holds.
const ROOM: usize = 256;
/// How many threads take part, besides the one that waits.
const THREADS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// How long so many threads take for so many hand-overs in all.
type HandOver = fn(threads: u64, count: u64) -> Duration;

/// Measures: `slots/alone`, taking a slot and dropping it on one thread; the rest as the functions below say. The
/// throughput of all is in hand-overs. Outside of all times: arenas, queues, starting and ending the threads.
pub(crate) fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(1));
    group.bench_function("slots/alone", |bencher| {
        let ring = slots();
        bencher.iter(|| drop(ring.try_take()));
    });
    let kinds: [(&str, HandOver); 3] =
        [("slots", reader_to_workers), ("mailbox", senders_to_receiver), ("queue", all_through_one)];
    for (name, hand_over) in kinds {
        for &threads in common::pick(&THREADS, &[1, 4, 64]) {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|count| hand_over(threads, count));
            });
        }
    }
    group.finish();
}

/// A ring of fresh slots, all empty.
fn slots() -> SlotRing {
    SlotRing::new(Arena::new(SLOTS, 4096).expect("64 KiB can be had"))
}

/// Measures: a slot's way round. A reader takes `count` slots, sends them to the workers in turn, who wait for them and
/// drop them; until the last one is back.
fn reader_to_workers(workers: u64, count: u64) -> Duration {
    let ring = slots();
    let filled: Vec<_> = (0..workers).map(|_| Mailbox::<Lease>::new(SLOTS as usize)).collect();
    let (start, done) = (Barrier::new(filled.len() + 1), AtomicBool::new(false));
    thread::scope(|scope| {
        for filled in &filled {
            scope.spawn(|| {
                start.wait();
                while filled.recv_until(|| done.load(Ordering::Acquire)).is_some() {}
            });
        }
        start.wait();
        let begin = Instant::now();
        for (_, filled) in (0..count).zip(filled.iter().cycle()) {
            let lease = ring.take(|| false).expect("nobody stops the ring");
            filled.send(lease).expect("each mailbox has room for all slots");
        }
        while ring.empty_slots() < SLOTS as usize {
            thread::yield_now();
        }
        let took = begin.elapsed();
        done.store(true, Ordering::Release);
        filled.iter().for_each(Mailbox::wake);
        took
    })
}

/// Measures: `count` messages of all senders together to one receiver, who waits for them. A sender whose message does
/// not fit yields and tries again.
fn senders_to_receiver(senders: u64, count: u64) -> Duration {
    let mailbox = Mailbox::new(ROOM);
    let (start, left) = (Barrier::new(senders as usize + 1), AtomicU64::new(senders));
    thread::scope(|scope| {
        for sender in 0..senders {
            let (mailbox, start, left) = (&mailbox, &start, &left);
            scope.spawn(move || {
                start.wait();
                for message in share(sender, senders, count) {
                    insist(message, |message| mailbox.send(message));
                }
                left.fetch_sub(1, Ordering::Release);
                mailbox.wake();
            });
        }
        start.wait();
        let begin = Instant::now();
        let mut received = 0;
        while mailbox.recv_until(|| left.load(Ordering::Acquire) == 0).is_some() {
            received += 1;
        }
        let took = begin.elapsed();
        assert_eq!(received, count, "messages were lost");
        took
    })
}

/// Measures: `count` values through one queue; each thread puts one in, takes one out (whosever it is), and so on.
fn all_through_one(threads: u64, count: u64) -> Duration {
    let queue = Queue::new(ROOM);
    let (start, end) = (Barrier::new(threads as usize + 1), Barrier::new(threads as usize + 1));
    let taken = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (queue, start, end, taken) = (&queue, &start, &end, &taken);
            scope.spawn(move || {
                start.wait();
                let mut own = 0;
                for value in share(thread, threads, count) {
                    insist(value, |value| queue.push(value));
                    own += u64::from(queue.pop().is_some());
                }
                taken.fetch_add(own, Ordering::Relaxed);
                end.wait();
            });
        }
        start.wait();
        let begin = Instant::now();
        end.wait();
        let took = begin.elapsed();
        // A pop that met a push not yet finished left its value behind.
        assert_eq!(taken.load(Ordering::Relaxed) + queue.len() as u64, count, "values were lost");
        took
    })
}

/// The numbers below `count` that are this thread's.
fn share(thread: u64, threads: u64, count: u64) -> impl Iterator<Item = u64> {
    (thread..count).step_by(threads as usize)
}

/// Hands a value over as soon as there is room.
fn insist<T>(mut value: T, hand_over: impl Fn(T) -> Result<(), T>) {
    while let Err(back) = hand_over(value) {
        value = back;
        thread::yield_now();
    }
}
