//! Handing over between threads: slots that go round, and messages of several senders to one receiver. Threads are
//! started outside the measured time.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use carrack_backends::arena::Arena;
use carrack_engine::ring::{Mailbox, SlotRing};
use criterion::{BenchmarkId, Criterion, Throughput};

/// Slots of the ring, messages under way at once.
const SLOTS: u32 = 16;

pub(crate) fn slots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/slots");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one thread", |bencher| {
        let ring = SlotRing::new(Arena::new(SLOTS, 4096).expect("64 KiB can be had"));
        bencher.iter(|| drop(ring.try_take()));
    });
    group.bench_function("reader to worker", |bencher| bencher.iter_custom(reader_to_worker));
    group.finish();
}

/// A reader takes slots and sends them to a worker, who drops them: the way of every block.
fn reader_to_worker(count: u64) -> Duration {
    let ring = SlotRing::new(Arena::new(SLOTS, 4096).expect("64 KiB can be had"));
    let filled = Mailbox::new(SLOTS as usize);
    let (start, done) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            while filled.recv_until(|| done.load(Ordering::Acquire)).is_some() {}
        });
        start.wait();
        let begin = Instant::now();
        for _ in 0..count {
            let lease = ring.take(|| false).expect("nobody stops the ring");
            filled.send(lease).expect("as many messages as slots");
        }
        // All are back: the worker has dropped the last one.
        while ring.empty_slots() < SLOTS as usize {
            thread::yield_now();
        }
        let took = begin.elapsed();
        done.store(true, Ordering::Release);
        filled.wake();
        took
    })
}

pub(crate) fn mailbox(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/mailbox");
    group.throughput(Throughput::Elements(1));
    for senders in [1, 2, 4, 16, 64] {
        group.bench_function(BenchmarkId::new("senders", senders), |bencher| {
            bencher.iter_custom(|count| send_all(senders, count));
        });
    }
    group.finish();
}

/// `count` messages in all; a sender whose message does not fit yields and tries again.
fn send_all(senders: u64, count: u64) -> Duration {
    let mailbox = Mailbox::new(256);
    let (start, left) = (Barrier::new(senders as usize + 1), AtomicU64::new(senders));
    thread::scope(|scope| {
        for sender in 0..senders {
            let (mailbox, start, left) = (&mailbox, &start, &left);
            scope.spawn(move || {
                start.wait();
                for message in (sender..count).step_by(senders as usize) {
                    let mut message = message;
                    while let Err(back) = mailbox.send(message) {
                        message = back;
                        thread::yield_now();
                    }
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
