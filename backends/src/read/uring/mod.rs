//! io_uring: deep queues over many files, a few system calls a batch.
//!
//! What flows in: requests. What flows out: completions, in the order in which the kernel finishes.
//! What it does not know: threads (its owner may use it from any one at a time), blocks, archives.
//!
//! | request | way | system calls |
//! |---|---|---|
//! | whole file | linked open → read → close on a direct descriptor | a share of the batch's one, and a `statx` |
//! | whole file, no direct descriptors, or to be read directly | open and `fstat`, read by the ring, `fstat`, close | four, and a share |
//! | range | file held open, each range a read by the ring | a share |
//!
//! Reads go into registered buffers where the kernel registers the arena, otherwise into plain ones. Each of these
//! modes passes the same conformance tests; what had to be left out stands in [`Caps::degraded`] with its reason.
//!
//! **Invariant.** A buffer belongs to its `Job` until the kernel's last completion entry for that job. On
//! drop the ring cancels and waits; should the ring itself be broken, the buffers are leaked, not freed.

mod chain;
mod held;
mod job;
mod probe;
mod ring;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::opcode;
use rustix::process::{Resource, getrlimit};

use self::held::{File, Next, OpenFile};
use self::job::{HeldRead, Job, Jobs, Step, Work, ignored, step_of, user_data};
use self::probe::{Probed, chain_entries, memlock, probe};
use self::ring::{Ring, read_entry};
use super::direct::Direct;
use super::open::{Source, not_regular};
use super::pread::not_attached;
use super::ranges::RangeFiles;
use super::{Caps, Completion, Op, ReadBackend, Request};
use crate::arena::Arena;
use crate::clock::now_ns;
use crate::path::{PathId, PathTable};
use crate::witness::Witness;

pub use self::probe::ProbeError;

/// Requests in flight at once, unless asked otherwise.
pub const DEPTH: u32 = 128;

/// More requests in flight than this, no ring has room for.
const DEPTH_MAX: u32 = 8192;

/// After this time without an answer a whole-file read is cancelled and read again in the plain way, which opens only
/// regular files: a FIFO that took the place of a file since the walk would keep the chain waiting for ever.
const PATROL: Duration = Duration::from_secs(1);

/// How long a dropped backend waits before it cancels once more what is still in flight.
const DRAIN_ROUND: Duration = Duration::from_millis(100);

/// What is wanted of the io_uring backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UringOptions {
    /// Requests in flight at once, 1..=8192 (what lies outside is brought to the nearest end).
    pub depth: u32,
    /// Read files of at least this many bytes past the page cache.
    pub direct: Option<u64>,
    /// Register the arena with the kernel, where that is allowed.
    pub registered_buffers: bool,
    /// Read small files by linked chains on direct descriptors, where the kernel can.
    pub chains: bool,
}

impl Default for UringOptions {
    fn default() -> Self {
        Self { depth: DEPTH, direct: None, registered_buffers: true, chains: true }
    }
}

/// Reads through io_uring. See the [module](self).
pub struct Uring {
    caps: Caps,
    options: UringOptions,
    ring: Ring,
    read_fixed: bool,
    chains: bool,
    direct: Direct,
    paths: Option<Arc<PathTable>>,
    jobs: Jobs,
    ranges: RangeFiles,
    /// Finished and not yet handed out.
    ready: Vec<Completion>,
    /// Completion entries of one harvest; kept for its memory.
    entries: Vec<(u64, i32)>,
    next_patrol: Instant,
}

impl Uring {
    /// Sets up a ring and tries out what this machine allows.
    ///
    /// # Errors
    /// When io_uring cannot be used at all: which step was refused, and where to look.
    pub fn new(options: UringOptions) -> Result<Self, ProbeError> {
        let wanted = options.depth.clamp(1, DEPTH_MAX);
        let depth = wanted.min(files_at_once(getrlimit(Resource::Nofile).current));
        let Probed { ring, chains, read_fixed } = probe(depth, options.chains)?;
        let mut degraded = Vec::new();
        if depth < wanted {
            degraded.push(format!(
                "uring: {depth} files at once instead of {wanted}: too few may be open; raise RLIMIT_NOFILE (`ulimit -n`)"
            ));
        }
        if let (Err(reason), true) = (&chains, options.chains) {
            degraded.push(format!("uring: files are opened and closed by system calls of their own: {reason}"));
        }
        Ok(Self {
            caps: Caps { name: "uring", depth: depth as usize, degraded },
            options,
            ring,
            read_fixed,
            chains: chains.is_ok(),
            direct: options.direct.map_or_else(Direct::never, Direct::from),
            paths: None,
            jobs: Jobs::new(depth),
            ranges: RangeFiles::default(),
            ready: Vec::new(),
            entries: Vec::new(),
            next_patrol: Instant::now(),
        })
    }

    /// Starts a request. What fails at once becomes a completion; an error means that the ring is broken.
    fn start(&mut self, paths: &PathTable, request: Request, now: u64) -> io::Result<()> {
        if u32::try_from(request.buf.len()).is_err() {
            let text = format!("expected a buffer of less than 4 GiB, found {} bytes to fill", request.buf.len());
            self.refuse(request, io::Error::new(io::ErrorKind::InvalidInput, text), None, now);
            return Ok(());
        }
        match request.op {
            Op::Whole { path } if paths.source(path).1.is_empty() => {
                self.refuse(request, not_regular("a folder"), None, now);
            }
            Op::Whole { path } if self.chainable(request.buf.len()) => {
                return self.start_chain(paths, path, request, now);
            }
            Op::Whole { path } => match Source::open(paths, path) {
                Ok(source) => return self.start_held(paths, File::Whole(Box::new(source)), request, now),
                Err(error) => self.refuse(request, error, None, now),
            },
            Op::Range { path, last, .. } => {
                let file = self.ranges.enter(path, last);
                if let Err(error) = file.source(paths, path) {
                    let witness = self.ranges.leave(path);
                    self.refuse(request, error, witness, now);
                } else {
                    return self.start_held(paths, File::Range(file), request, now);
                }
            }
        }
        Ok(())
    }

    /// Whether a whole file of that many bytes goes by a chain.
    fn chainable(&self, len: usize) -> bool {
        self.chains && len <= held::READ_MAX && (len as u64) < self.direct.threshold()
    }

    fn refuse(&mut self, request: Request, error: io::Error, witness: Option<Witness>, now: u64) {
        let job = Job::new(request, now, Work::Chain { open: 0, read: 0, close: 0 });
        self.ready.push(job.complete(Err(error), witness, now_ns()));
    }

    fn start_chain(&mut self, paths: &PathTable, path: PathId, request: Request, now: u64) -> io::Result<()> {
        let number = self.jobs.insert(Job::new(request, now, Work::Chain { open: 0, read: 0, close: 0 }));
        let job = self.jobs.get(number);
        let (folder, name) = paths.source(path);
        let len = u32::try_from(job.buf.len()).expect("checked before");
        let buffer = self.ring.buffer_of(&job.buf);
        let folder = Some(folder.as_raw_fd());
        let [open, read, close] = chain_entries(folder, name, number, job.buf.as_mut_ptr(), len, buffer);
        let entries = [
            open.user_data(user_data(number, Step::Open)),
            read.user_data(user_data(number, Step::Read)),
            close.user_data(user_data(number, Step::Close)),
        ];
        // SAFETY: the folder and the name live in the path table, which `self.paths` holds; the buffer belongs to the
        // job, which stays in the table until all three entries have completed (the module's invariant).
        unsafe { self.ring.push(&entries) }?;
        job.pending = 3;
        Ok(())
    }

    fn start_held(&mut self, paths: &PathTable, file: File, request: Request, now: u64) -> io::Result<()> {
        let number = self.jobs.insert(Job::new(request, now, Work::Held(HeldRead::new(file))));
        self.read_on(paths, number)
    }

    /// Submits the next read of a job on a held file.
    fn read_on(&mut self, paths: &PathTable, number: u32) -> io::Result<()> {
        let job = self.jobs.get(number);
        let buffer = self.ring.buffer_of(&job.buf);
        let Work::Held(held) = &mut job.work else { unreachable!("only jobs on held files read on") };
        let offset = if let Op::Range { offset, .. } = job.op { offset } else { 0 };
        let file = OpenFile { paths, path: job.op.path(), direct: &self.direct };
        let read = held.next(file, offset, &mut job.buf)?;
        let entry = read_entry(read.target, read.at, read.len, read.offset, buffer);
        let entry = entry.user_data(user_data(number, Step::Read));
        // SAFETY: descriptor and buffer belong to the job, which stays in the table until the entry has completed (the
        // module's invariant); what is read to lies within the buffer.
        unsafe { self.ring.push(&[entry]) }?;
        job.pending = 1;
        Ok(())
    }

    /// Takes in the completion entries that are there, and starts the reads that follow from them.
    fn collect(&mut self, paths: &PathTable) -> io::Result<()> {
        let mut entries = std::mem::take(&mut self.entries);
        self.ring.harvest(&mut entries);
        let mut done = Ok(());
        for (data, result) in entries.drain(..) {
            let Some((number, step)) = step_of(data) else { continue };
            // Every entry is counted, even when the ring breaks half-way: `drain` relies on it.
            done = self.step(paths, number, step, result).and(done);
        }
        self.entries = entries;
        done
    }

    /// Takes in one completion entry.
    fn step(&mut self, paths: &PathTable, number: u32, step: Step, result: i32) -> io::Result<()> {
        let job = self.jobs.get(number);
        job.pending -= 1;
        match &mut job.work {
            Work::Chain { open, read, close } => {
                match step {
                    Step::Open => *open = result,
                    Step::Read => *read = result,
                    Step::Close => *close = result,
                }
                if job.pending == 0 {
                    self.finish_chain(paths, number);
                }
            }
            Work::Held(held) => {
                let file = OpenFile { paths, path: job.op.path(), direct: &self.direct };
                match held.after(file, result, job.buf.len()) {
                    Next::Read => self.read_on(paths, number)?,
                    Next::Done(result) => self.finish_held(number, result),
                }
            }
        }
        Ok(())
    }

    fn finish_chain(&mut self, paths: &PathTable, number: u32) {
        let mut job = self.jobs.remove(number);
        let Work::Chain { open, read, close } = job.work else { unreachable!("called for chains only") };
        if chain::left_open(open, close) {
            self.ring.clear_place(number);
        }
        let (result, witness) = chain::outcome(paths, job.op.path(), open, read, &mut job.buf);
        self.ready.push(job.complete(result, witness, now_ns()));
    }

    fn finish_held(&mut self, number: u32, result: io::Result<u32>) {
        let job = self.jobs.remove(number);
        let witness = match (&job.op, &job.work) {
            (Op::Range { path, .. }, _) => self.ranges.leave(*path),
            (Op::Whole { .. }, Work::Held(HeldRead { file: File::Whole(source), .. })) => source.witness(),
            (Op::Whole { .. }, _) => None,
        };
        self.ready.push(job.complete(result, witness, now_ns()));
    }

    /// Cancels the reads of chains that have waited for long. Those that the kernel cannot cancel are not harmed.
    fn patrol(&mut self) -> io::Result<()> {
        if Instant::now() < self.next_patrol {
            return Ok(());
        }
        self.next_patrol = Instant::now() + PATROL;
        let now = now_ns();
        let patience = u64::try_from(PATROL.as_nanos()).unwrap_or(u64::MAX);
        self.cancel(|job| matches!(job.work, Work::Chain { .. }) && now - job.submitted_ns >= patience)
    }

    /// Asks the kernel to give up the reads of those jobs. They still complete, one way or the other.
    fn cancel(&mut self, which: impl Fn(&Job) -> bool) -> io::Result<()> {
        for (number, _) in self.jobs.iter().filter(|(_, job)| which(job)) {
            let entry = opcode::AsyncCancel::new(user_data(number, Step::Read)).build();
            // SAFETY: the entry points to nothing.
            unsafe { self.ring.push(&[ignored(entry)]) }?;
        }
        Ok(())
    }

    /// Cancels what is in flight and waits until the kernel has let go of every buffer.
    fn drain(&mut self) -> io::Result<()> {
        let mut entries = Vec::new();
        let mut next_cancel = Instant::now();
        loop {
            self.ring.harvest(&mut entries);
            for (number, _) in entries.drain(..).filter_map(|(data, _)| step_of(data)) {
                self.jobs.get(number).pending -= 1;
            }
            let owed: usize = self.jobs.iter().map(|(_, job)| job.pending as usize).sum();
            if owed == 0 {
                return Ok(());
            }
            if Instant::now() >= next_cancel {
                // A read that has not begun cannot be cancelled: hence again and again.
                self.cancel(|job| job.pending > 0)?;
                next_cancel = Instant::now() + DRAIN_ROUND;
            }
            self.ring.wait(owed, DRAIN_ROUND)?;
        }
    }
}

impl ReadBackend for Uring {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn attach(&mut self, arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()> {
        self.paths = Some(Arc::clone(paths));
        if !self.options.registered_buffers {
            return Ok(());
        }
        let refused = if self.read_fixed {
            self.ring.register_arena(arena).err().map(|error| format!("{error}; {}", memlock()))
        } else {
            Some("this kernel lacks the operation".into())
        };
        if let Some(reason) = refused {
            self.caps.degraded.push(format!("uring: buffers are not registered with the kernel: {reason}"));
        }
        Ok(())
    }

    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize> {
        let paths = Arc::clone(self.paths.as_ref().ok_or_else(not_attached)?);
        let now = now_ns();
        let mut taken = 0;
        while self.in_flight() < self.caps.depth {
            let Some(request) = queue.pop_front() else { break };
            taken += 1;
            self.start(&paths, request, now)?;
        }
        if taken > 0 {
            self.ring.submit()?;
        }
        Ok(taken)
    }

    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize> {
        let paths = Arc::clone(self.paths.as_ref().ok_or_else(not_attached)?);
        // A deadline beyond what the clock can say is no deadline.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let had = out.len();
        loop {
            self.collect(&paths)?;
            if self.ring.wants_entry() {
                self.ring.submit()?;
                self.collect(&paths)?;
            }
            let idle = self.ready.is_empty();
            out.append(&mut self.ready);
            let added = out.len() - had;
            if idle {
                self.patrol()?;
            }
            let left = deadline.map_or(PATROL, |deadline| deadline.saturating_duration_since(Instant::now()));
            if added >= min || self.jobs.len() == 0 || left.is_zero() {
                break;
            }
            self.ring.wait(self.jobs.fewest_entries(min - added), left.min(PATROL))?;
        }
        if self.ring.wants_entry() {
            self.ring.submit()?;
        }
        self.caps.degraded.append(&mut self.direct.take_notes());
        Ok(out.len() - had)
    }

    fn in_flight(&self) -> usize {
        self.jobs.len() + self.ready.len()
    }
}

/// How many files may be open for reading where the process may have `limit` descriptors: every request in flight can
/// hold one. A quarter of them may serve deep paths, and a few are in use for the rest of the program.
fn files_at_once(limit: Option<u64>) -> u32 {
    limit.map_or(u32::MAX, |limit| u32::try_from((limit / 2).saturating_sub(8)).unwrap_or(u32::MAX)).max(1)
}

impl Drop for Uring {
    fn drop(&mut self) {
        if self.drain().is_err() {
            // The ring is broken and the kernel may write to the buffers at any time, so nobody may have them again.
            self.jobs.leak();
            self.ring.abandon();
        }
    }
}

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uring").field("caps", &self.caps).field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}
