//! A read backend that begins late, so that a run takes a known time longer: is a slow-down of that size found?
//!
//! What flows in: a backend and a delay. What flows out: the same reads, the first one later. The delay lies before the
//! first read because there it hides behind nothing: workers have nothing to do before the first bytes are there, so the
//! whole run takes exactly that much longer, whichever stage bounds it later. A delay spread over the reads would vanish
//! where workers are the bottleneck.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carrack_backends::arena::Arena;
use carrack_backends::path::PathTable;
use carrack_backends::read::{Caps, Completion, ReadBackend, Request};

/// How much earlier than wanted the thread is woken, to spin for the rest: timers are late by some 50 µs.
const EARLY: Duration = Duration::from_micros(300);

/// Wraps a backend and waits once, before the first requests go in. See the [module](self).
#[derive(Debug)]
pub struct Slowed {
    inner: Box<dyn ReadBackend>,
    delay: Option<Duration>,
}

impl Slowed {
    /// Around `inner`, which must not be attached yet. A delay of zero changes nothing.
    #[must_use]
    pub fn new(inner: Box<dyn ReadBackend>, delay: Duration) -> Self {
        Self { inner, delay: Some(delay) }
    }
}

/// Sleeps for most of the time and spins for the rest.
fn wait(delay: Duration) {
    let begun = Instant::now();
    if delay > EARLY {
        std::thread::sleep(delay - EARLY);
    }
    while begun.elapsed() < delay {
        std::hint::spin_loop();
    }
}

impl ReadBackend for Slowed {
    fn caps(&self) -> &Caps {
        self.inner.caps()
    }

    fn attach(&mut self, arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()> {
        self.inner.attach(arena, paths)
    }

    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize> {
        if let Some(delay) = self.delay.take() {
            wait(delay);
        }
        self.inner.submit(queue)
    }

    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize> {
        self.inner.reap(min, timeout, out)
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carrack_backends::read::pread::Pread;
    use carrack_engine::pack::Packer;

    #[test]
    fn the_first_read_waits_once_and_the_bytes_are_the_same() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        for number in 0..100 {
            std::fs::write(tree.join(number.to_string()), vec![number; 3000]).unwrap();
        }
        let pack = |delay_ms| {
            let backend = Slowed::new(Box::new(Pread::new()), Duration::from_millis(delay_ms));
            let (sink, _) = carrack_backends::sink::MemorySink::new();
            let begun = Instant::now();
            let report = Packer::new().input(&tree).pack_with(Box::new(backend), Vec::new(), Box::new(sink)).unwrap();
            (report.root, begun.elapsed())
        };
        let (plain, _) = pack(0);
        let (delayed, took) = pack(150);
        assert_eq!(plain, delayed);
        assert!(took >= Duration::from_millis(150), "{took:?}");
    }
}
