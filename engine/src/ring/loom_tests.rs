//! Every interleaving of a few small cases. A lost wake-up shows as a deadlock, two threads in one cell as an access
//! that loom refuses, a value lost or doubled as a failed assertion.
//!
//! Small cases are exhaustive; larger ones up to three or four forced switches of thread, which keeps each under half a
//! minute.

use std::time::Duration;

use carrack_backends::arena::Arena;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Crew, Mailbox, Queue, Signal, SlotRing};

/// Tries every interleaving with at most `preemptions` forced switches of thread (`None`: with any number of them).
fn model(preemptions: Option<usize>, case: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(case);
}

/// Pops until there is something.
fn pop<T>(queue: &Queue<T>) -> T {
    loop {
        match queue.pop() {
            Some(value) => return value,
            None => thread::yield_now(),
        }
    }
}

#[test]
fn queue_with_two_senders_and_one_receiver_wraps_around() {
    model(Some(4), || {
        let queue = Arc::new(Queue::new(2));
        // The second lap begins with the third push.
        queue.push(Box::new(0)).unwrap();
        let senders = [1, 2].map(|value| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut value = Box::new(value);
                while let Err(back) = queue.push(value) {
                    value = back;
                    thread::yield_now();
                }
            })
        });
        let first = *pop(&queue);
        let mut rest = [*pop(&queue), *pop(&queue)];
        rest.sort_unstable();
        assert_eq!((first, rest), (0, [1, 2]));
        assert!(queue.pop().is_none());
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn queue_with_one_sender_and_two_receivers() {
    model(None, || {
        let queue = Arc::new(Queue::new(2));
        let receivers = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.pop().map_or(0, |value: Box<u32>| *value))
        });
        queue.push(Box::new(1)).unwrap();
        queue.push(Box::new(2)).unwrap();
        let mut sum: u32 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        while let Some(value) = queue.pop() {
            sum += *value;
        }
        assert_eq!(sum, 3, "each value arrives exactly once");
    });
}

#[test]
fn queue_drops_what_is_inside() {
    model(None, || {
        // Loom's Arc reports a value that is never dropped.
        let value = Arc::new(());
        let queue = Arc::new(Queue::new(2));
        queue.push(Arc::clone(&value)).unwrap();
        let other = Arc::clone(&queue);
        let receiver = thread::spawn(move || drop(other.pop()));
        queue.push(value).unwrap();
        drop(queue);
        receiver.join().unwrap();
    });
}

#[test]
fn queue_never_refuses_one_of_as_many_tokens_as_fit() {
    model(Some(3), || {
        let queue = Arc::new(Queue::new(2));
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        let go_round = |queue: &Queue<u32>| {
            if let Some(token) = queue.pop() {
                queue.push(token).expect("two tokens, two cells");
            }
        };
        let other = Arc::clone(&queue);
        let thread = thread::spawn(move || (0..2).for_each(|_| go_round(&other)));
        (0..2).for_each(|_| go_round(&queue));
        thread.join().unwrap();
        assert_eq!(pop(&queue) + pop(&queue), 3);
    });
}

#[test]
fn signal_loses_no_notification() {
    model(None, || {
        let shared = Arc::new((Signal::new(), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let notifier = thread::spawn(move || {
            other.1.store(1, Ordering::Relaxed);
            other.0.notify();
        });
        shared.0.wait_until(|| (shared.1.load(Ordering::Relaxed) == 1).then_some(()));
        notifier.join().unwrap();
    });
}

#[test]
fn signal_loses_neither_of_two_notifications() {
    model(Some(4), || {
        let shared = Arc::new((Signal::new(), AtomicUsize::new(0)));
        let notifiers = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.fetch_add(1, Ordering::Relaxed);
                shared.0.notify();
            })
        });
        // Two waits: what a late notifier leaves behind must not harm the second.
        shared.0.wait_until(|| (shared.1.load(Ordering::Relaxed) >= 1).then_some(()));
        shared.0.wait_until(|| (shared.1.load(Ordering::Relaxed) == 2).then_some(()));
        notifiers.into_iter().for_each(|notifier| notifier.join().unwrap());
    });
}

#[test]
fn signal_may_run_out_of_time_and_be_waited_for_again() {
    model(None, || {
        let shared = Arc::new((Signal::new(), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let notifier = thread::spawn(move || {
            other.1.store(1, Ordering::Relaxed);
            other.0.notify();
        });
        let ready = || (shared.1.load(Ordering::Relaxed) == 1).then_some(());
        // Zero is over after one look.
        if shared.0.wait_until_timeout(Duration::ZERO, ready).is_none() {
            shared.0.wait_until(ready);
        }
        notifier.join().unwrap();
    });
}

#[test]
fn mailbox_wakes_its_receiver_for_every_message() {
    model(Some(3), || {
        let mailbox = Arc::new(Mailbox::new(2));
        let senders = [1, 2].map(|message| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.send(Box::new(message)).unwrap())
        });
        let received = [(); 2].map(|()| mailbox.recv_until(|| false).map_or(0, |message| *message));
        assert_eq!(received[0] + received[1], 3);
        assert!(mailbox.try_recv().is_none());
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn mailbox_gives_out_what_was_sent_before_the_stop() {
    model(None, || {
        let shared = Arc::new((Mailbox::new(2), AtomicUsize::new(0)));
        let other = Arc::clone(&shared);
        let sender = thread::spawn(move || {
            other.0.send(7).unwrap();
            other.1.store(1, Ordering::Release);
            other.0.wake();
        });
        let stop = || shared.1.load(Ordering::Acquire) == 1;
        assert_eq!(shared.0.recv_until(stop), Some(7));
        assert_eq!(shared.0.recv_until(stop), None);
        sender.join().unwrap();
    });
}

/// The arena is the real one: its own atomics are of the standard library, so loom switches threads around them but not
/// inside. Everything between the drop of a lease and the next lease of its slot is modelled.
#[test]
fn slot_that_returns_wakes_the_reader() {
    model(None, || {
        let ring = SlotRing::new(Arena::new(1, 64).unwrap());
        let mut lease = ring.try_take().unwrap();
        let rest = lease.split_off(32);
        let workers = [lease, rest].map(|part| thread::spawn(move || drop(part)));
        let again = ring.take(|| false).expect("nobody stops the reader");
        assert_eq!((again.slot(), again.len()), (0, 64));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        drop(again);
        assert_eq!(ring.empty_slots(), 1);
    });
}

#[test]
fn slot_ring_wakes_a_reader_that_is_to_stop() {
    model(None, || {
        let shared = Arc::new((SlotRing::new(Arena::new(1, 64).unwrap()), AtomicUsize::new(0)));
        let lease = shared.0.try_take();
        let other = Arc::clone(&shared);
        let stopper = thread::spawn(move || {
            other.1.store(1, Ordering::Relaxed);
            other.0.wake();
        });
        assert!(shared.0.take(|| shared.1.load(Ordering::Relaxed) == 1).is_none());
        stopper.join().unwrap();
        drop(lease);
    });
}

/// A thread of the crew for each that was asked for; the number of tasks done by all of them.
fn crew(most: usize) {
    let shared = Arc::new((Crew::new(2, most), AtomicUsize::new(0)));
    let add = |shared: &Arc<(Crew<Box<usize>>, AtomicUsize)>, task| {
        let asked = shared.0.push(Box::new(task)).expect("there is room for two");
        asked.then(|| {
            let shared = Arc::clone(shared);
            thread::spawn(move || {
                shared.0.work(|task| {
                    shared.1.fetch_add(*task, Ordering::Relaxed);
                });
            })
        })
    };
    let other = Arc::clone(&shared);
    let adder = thread::spawn(move || add(&other, 1));
    let mut threads = vec![add(&shared, 2)];
    threads.push(adder.join().unwrap());
    threads.into_iter().flatten().for_each(|thread| thread.join().unwrap());
    assert_eq!(shared.1.load(Ordering::Relaxed), 3, "each task is done exactly once");
}

#[test]
fn crew_of_one_leaves_no_task() {
    model(Some(3), || crew(1));
}

#[test]
fn crew_of_two_leaves_no_task() {
    model(Some(2), || crew(2));
}
