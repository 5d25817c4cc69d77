//! Messages from many threads to the one that waits for them.

use std::time::Duration;

use super::{Queue, Signal};

/// A bounded mailbox: any number of senders, who never wait, and one receiver, who may.
///
/// The capacity is known by construction: there are never more messages under way than there are slots, blocks or
/// tasks to send them. Nothing is lost when the receiver goes away first: what is inside is dropped with the mailbox.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: Queue<T>,
    signal: Signal,
}

impl<T> Mailbox<T> {
    /// An empty mailbox for at least `capacity` messages.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { queue: Queue::new(capacity), signal: Signal::new() }
    }

    /// How many messages fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Puts a message behind all others and wakes the receiver. Never waits.
    ///
    /// # Errors
    /// Gives the message back when the mailbox is full: more are under way than it was made for.
    pub fn send(&self, message: T) -> Result<(), T> {
        let sent = self.queue.push(message);
        // Also when it was full: a receiver should then be anything but asleep.
        self.signal.notify();
        sent
    }

    /// The next message, if there is one now.
    pub fn try_recv(&self) -> Option<T> {
        self.queue.pop()
    }

    /// Waits for the next message. `None` when `stop` says so and nothing is inside: whatever was sent before `stop`
    /// became true is still received. After making `stop` true, call [`wake`](Self::wake).
    ///
    /// # Panics
    /// When another thread is receiving.
    pub fn recv_until(&self, mut stop: impl FnMut() -> bool) -> Option<T> {
        self.signal.wait_until(|| self.look(&mut stop))
    }

    /// Like [`recv_until`](Self::recv_until), but also says `None` when `timeout` has passed.
    ///
    /// # Panics
    /// When another thread is receiving.
    pub fn recv_until_timeout(&self, timeout: Duration, mut stop: impl FnMut() -> bool) -> Option<T> {
        self.signal.wait_until_timeout(timeout, || self.look(&mut stop)).flatten()
    }

    /// Makes the receiver look again whether it should stop.
    pub fn wake(&self) {
        self.signal.notify();
    }

    fn look(&self, stop: &mut impl FnMut() -> bool) -> Option<Option<T>> {
        // In this order: what was sent before `stop` became true must be found.
        let stopped = stop();
        match self.queue.pop() {
            Some(message) => Some(Some(message)),
            None => stopped.then_some(None),
        }
    }
}

#[cfg(all(test, not(any(loom, feature = "shuttle"))))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn all_messages_of_all_senders_arrive_once() {
        const SENDERS: usize = 7;
        const EACH: usize = if cfg!(miri) { 20 } else { 15_000 };
        let mailbox = Mailbox::new(16);
        let running = AtomicUsize::new(SENDERS);
        let mut seen = vec![0u8; SENDERS * EACH];
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let (mailbox, running) = (&mailbox, &running);
                scope.spawn(move || {
                    for i in 0..EACH {
                        let mut message = Box::new(sender * EACH + i);
                        while let Err(back) = mailbox.send(message) {
                            message = back;
                            thread::yield_now();
                        }
                    }
                    running.fetch_sub(1, Ordering::Release);
                    mailbox.wake();
                });
            }
            while let Some(message) = mailbox.recv_until(|| running.load(Ordering::Acquire) == 0) {
                seen[*message] += 1;
            }
        });
        assert!(seen.iter().all(|&n| n == 1));
        assert!(mailbox.try_recv().is_none());
    }

    #[test]
    fn what_was_sent_before_the_stop_is_received() {
        let mailbox = Mailbox::new(2);
        mailbox.send(1).unwrap();
        // The stop comes with the last message, between two looks of the receiver.
        let stop = || mailbox.send(2).is_ok() || mailbox.queue.len() == 2;
        assert_eq!(mailbox.recv_until(stop), Some(1));
        assert_eq!(mailbox.recv_until(|| true), Some(2));
        assert_eq!(mailbox.recv_until(|| true), None);
    }

    #[test]
    fn a_receiver_is_woken_to_stop() {
        let mailbox = Mailbox::<u8>::new(2);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let receiver = scope.spawn(|| mailbox.recv_until(|| stop.load(Ordering::Relaxed)));
            stop.store(true, Ordering::Relaxed);
            mailbox.wake();
            assert_eq!(receiver.join().unwrap(), None);
        });
    }

    #[test]
    fn a_full_mailbox_gives_the_message_back_and_time_runs_out_on_an_empty_one() {
        let mailbox = Mailbox::new(2);
        assert_eq!(mailbox.capacity(), 2);
        assert_eq!([mailbox.send(1), mailbox.send(2), mailbox.send(3)], [Ok(()), Ok(()), Err(3)]);
        let soon = Duration::from_millis(2);
        let all: Vec<_> = (0..3).map(|_| mailbox.recv_until_timeout(soon, || false)).collect();
        assert_eq!(all, [Some(1), Some(2), None]);
        assert_eq!(mailbox.recv_until_timeout(soon, || true), None);
    }
}
