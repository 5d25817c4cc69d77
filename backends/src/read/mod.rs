//! The read contract, and every backend that fulfils it.
//!
//! A backend is owned by one reader thread. It takes [`Request`]s with the buffers to fill and gives back
//! [`Completion`]s with the same buffers. Whatever the backend:
//!
//! - A buffer moves in with its request and moves back with its completion. Every request that `submit` took is
//!   completed exactly once, in any order, error or not.
//! - `Ok(n)` means: the first `n` bytes of the buffer are the file's bytes at the requested place, and `n` falls short
//!   of the buffer only where the file ended. Short reads and EINTR are the backend's business.
//! - The bytes behind `n` are unspecified, and so is the whole buffer after an error.
//! - Files are opened read-only, close-on-exec, non-blocking, and never through a symlink in the last component.
//! - What is no regular file (any more) is an error of kind `InvalidInput`, not a hang on a FIFO.
//! - After the last bytes of a file have been read, `stat` is asked once more: [`Completion::witness`].
//! - Dropping a backend waits for what the kernel still has in hand before any buffer goes away.

mod ahead;
pub mod choose;
mod direct;
pub mod head;
mod open;
mod ranges;
pub mod whole;

#[cfg(test)]
pub(crate) mod conformance;

pub mod fault;
pub mod memory;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub mod mmap;
pub mod pool;
pub mod pread;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub mod uring;

pub use self::direct::DIRECT_THRESHOLD;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::arena::{Arena, Lease};
use crate::path::{PathId, PathTable};
use crate::witness::Witness;

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A whole file from its first byte: open, read until the buffer is full or the file ends, `stat`, close.
    Whole {
        /// The file.
        path: PathId,
    },
    /// Part of a file that takes several requests. The backend opens the file at its first range and keeps it open
    /// until the range marked `last` and all ranges before it are complete.
    Range {
        /// The file.
        path: PathId,
        /// Offset in the file of the first byte to read.
        offset: u64,
        /// No more ranges of this file will be submitted.
        last: bool,
    },
}

impl Op {
    /// The file this is about.
    #[must_use]
    pub fn path(&self) -> PathId {
        match *self {
            Op::Whole { path } | Op::Range { path, .. } => path,
        }
    }
}

/// One read, with the buffer that it fills: as many bytes are wanted as the buffer holds (never zero).
#[derive(Debug)]
pub struct Request {
    /// The caller's own number, handed back untouched.
    pub tag: u64,
    /// What to read.
    pub op: Op,
    /// Where to put it.
    pub buf: Lease,
    /// When the caller made the request, [`crate::clock::now_ns`].
    pub queued_ns: u64,
}

/// One finished read.
#[derive(Debug)]
pub struct Completion {
    /// The request's number.
    pub tag: u64,
    /// What was asked for.
    pub op: Op,
    /// The request's buffer, back again.
    pub buf: Lease,
    /// How many bytes at the start of the buffer were filled.
    pub result: io::Result<u32>,
    /// What `stat` said after the last byte of the file was read: present on the completion of an [`Op::Whole`] and
    /// on exactly one range of a file (the one handed out last), unless the file could not be opened or `stat` itself
    /// failed (`None`; the caller must then take the file for changed).
    pub witness: Option<Witness>,
    /// When it happened.
    pub stamps: Stamps,
}

/// When a request was made, handed to the kernel, and found complete. Nanoseconds of [`crate::clock::now_ns`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Made by the caller ([`Request::queued_ns`]).
    pub queued_ns: u64,
    /// Handed to the kernel (for a synchronous backend: its first system call begins).
    pub submitted_ns: u64,
    /// Found complete.
    pub completed_ns: u64,
}

/// What a backend can do on this machine, and what it had to do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Name as the user gives it: `uring`, `pool`, `pread`, `mmap`, …
    pub name: &'static str,
    /// How many requests it holds at once; `submit` takes no more.
    pub depth: usize,
    /// Each thing that was asked for or hoped for and is not to be had, with the reason: one sentence each.
    pub degraded: Vec<String>,
}

/// A way of reading files. See the [module](self) for what every implementation promises.
pub trait ReadBackend: Send {
    /// What it can do, and what was degraded and why (complete after [`attach`](Self::attach), but for direct reads,
    /// which file systems refuse one by one as their files come).
    fn caps(&self) -> &Caps;

    /// Says which arena the buffers come from (to register it where that helps) and which table the paths are in.
    /// Called once, before the first `submit`. What cannot be had is degraded and noted in `caps`.
    ///
    /// # Errors
    /// Only when the backend cannot work at all.
    fn attach(&mut self, arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()>;

    /// Takes requests from the front of `queue` until the backend is full or the queue is empty; says how many.
    /// Never waits for a read to finish.
    ///
    /// # Errors
    /// Only when the backend as a whole is broken; what fails for one request comes back as its completion.
    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize>;

    /// Appends finished reads to `out`, waiting until there are at least `min` new ones, nothing is in flight any
    /// more, or `timeout` has passed; says how many were added. More than `min` may come.
    ///
    /// With a `min` of zero it only looks. A backend that reads on the calling thread then carries out one request, so
    /// that polling gets somewhere with every backend.
    ///
    /// # Errors
    /// Only when the backend as a whole is broken.
    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize>;

    /// How many requests were taken and are not yet reaped.
    fn in_flight(&self) -> usize;
}

impl fmt::Debug for dyn ReadBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBackend").field("caps", self.caps()).field("in_flight", &self.in_flight()).finish()
    }
}
