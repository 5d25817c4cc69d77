//! Reading on the thread that asks: one `pread` after the other, nothing registered, nothing that can be refused.
//!
//! What flows in: requests, held until somebody reaps. What flows out: completions in the order of the requests.
//! What it does not know: how the bytes of one request are got; that is the `Serve` it is built over.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::direct::Direct;
use super::open::perform;
use super::ranges::RangeFiles;
use super::{Caps, Completion, Op, ReadBackend, Request};
use crate::arena::Arena;
use crate::path::PathTable;

/// Requests held at once. More would only keep buffers from being used elsewhere: nothing overlaps here.
const DEPTH: usize = 64;

/// Carries out single requests, for [`Serial`].
pub(crate) trait Serve: Send {
    /// Makes ready; what cannot be had is described in the returned sentences.
    fn attach(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Carries out one request. They come in the order in which they were submitted.
    fn serve(&mut self, paths: &PathTable, request: Request) -> Completion;

    /// What turned out not to be had since the last call, one sentence each.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// A backend that holds requests and carries them out while somebody reaps.
///
/// `reap` carries out at least one request if there is any, even with a `min` of zero: else a caller that only polls
/// would never get anywhere.
#[derive(Debug)]
pub(crate) struct Serial<S> {
    caps: Caps,
    paths: Option<Arc<PathTable>>,
    waiting: VecDeque<Request>,
    serve: S,
}

impl<S: Serve> Serial<S> {
    pub(crate) fn new(name: &'static str, serve: S) -> Self {
        let caps = Caps { name, depth: DEPTH, degraded: Vec::new() };
        Self { caps, paths: None, waiting: VecDeque::with_capacity(DEPTH), serve }
    }
}

impl<S: Serve> ReadBackend for Serial<S> {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn attach(&mut self, _arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()> {
        self.paths = Some(Arc::clone(paths));
        self.caps.degraded = self.serve.attach();
        Ok(())
    }

    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize> {
        let taken = queue.len().min(self.caps.depth - self.waiting.len());
        self.waiting.extend(queue.drain(..taken));
        Ok(taken)
    }

    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize> {
        let paths = self.paths.as_ref().ok_or_else(not_attached)?;
        // A deadline beyond what the clock can say is no deadline.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut added = 0;
        while let Some(request) = self.waiting.pop_front() {
            out.push(self.serve.serve(paths, request));
            added += 1;
            if added >= min || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
        }
        self.caps.degraded.append(&mut self.serve.take_notes());
        Ok(added)
    }

    fn in_flight(&self) -> usize {
        self.waiting.len()
    }
}

/// The error of a backend that is used before `attach`.
#[cold]
pub(crate) fn not_attached() -> io::Error {
    io::Error::other("a read backend was used before it was attached to an arena")
}

/// Reads with `pread` on the calling thread, one request after the other. See the [module](self).
#[derive(Debug)]
pub struct Pread(Serial<Files<Direct>>);

impl Pread {
    /// A backend that needs nothing but files.
    #[must_use]
    pub fn new() -> Self {
        Self(Serial::new("pread", Files::new(Direct::never())))
    }

    /// The same, but files of at least `threshold` bytes are read past the page cache where their file system allows
    /// it; where it does not, that is noted in `caps` once a file system.
    #[must_use]
    pub fn with_direct(threshold: u64) -> Self {
        Self(Serial::new("pread", Files::new(Direct::from(threshold))))
    }
}

impl Default for Pread {
    fn default() -> Self {
        Self::new()
    }
}

/// Serves requests from the file system, by one way of fetching bytes.
#[derive(Debug)]
pub(crate) struct Files<F> {
    fetch: F,
    ranges: RangeFiles,
}

impl<F> Files<F> {
    pub(crate) fn new(fetch: F) -> Self {
        Self { fetch, ranges: RangeFiles::default() }
    }
}

impl<F: super::open::Fetch> Serve for Files<F> {
    fn attach(&mut self) -> Vec<String> {
        self.fetch.attach()
    }

    fn serve(&mut self, paths: &PathTable, request: Request) -> Completion {
        let Op::Range { path, last, .. } = request.op else {
            return perform(&mut self.fetch, paths, None, request);
        };
        let file = self.ranges.enter(path, last);
        let mut completion = perform(&mut self.fetch, paths, Some(&file), request);
        completion.witness = self.ranges.leave(path);
        completion
    }

    fn take_notes(&mut self) -> Vec<String> {
        self.fetch.take_notes()
    }
}

/// Passes the contract through to the [`Serial`] inside a named backend.
macro_rules! delegate {
    ($backend:ty) => {
        const _: () = {
            use std::collections::VecDeque;
            use std::sync::Arc;
            use std::time::Duration;
            use $crate::read::{Caps, Completion, ReadBackend, Request};

            impl ReadBackend for $backend {
                fn caps(&self) -> &Caps {
                    self.0.caps()
                }

                fn attach(
                    &mut self,
                    arena: &Arc<$crate::arena::Arena>,
                    paths: &Arc<$crate::path::PathTable>,
                ) -> std::io::Result<()> {
                    self.0.attach(arena, paths)
                }

                fn submit(&mut self, queue: &mut VecDeque<Request>) -> std::io::Result<usize> {
                    self.0.submit(queue)
                }

                fn reap(
                    &mut self,
                    min: usize,
                    timeout: Option<Duration>,
                    out: &mut Vec<Completion>,
                ) -> std::io::Result<usize> {
                    self.0.reap(min, timeout, out)
                }

                fn in_flight(&self) -> usize {
                    self.0.in_flight()
                }
            }
        };
    };
}
pub(crate) use delegate;

delegate!(Pread);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::conformance;

    #[test]
    fn conforms() {
        conformance::run(&mut |_| Box::new(Pread::new()));
    }

    #[test]
    fn conforms_reading_directly() {
        conformance::run(&mut |_| Box::new(Pread::with_direct(1)));
    }

    #[test]
    fn using_it_before_attach_is_an_error() {
        assert!(Pread::new().reap(0, None, &mut Vec::new()).is_err());
    }
}
