//! Reading with many threads, one `pread` after the other on each: the baseline that io_uring has to beat.
//!
//! What flows in: requests, queued under one lock. What flows out: completions, collected under another. What it does
//! not know: how a single request is carried out (`open`).
//!
//! Reader threads sleep on a condition variable while there is nothing to do. They take several small requests at a
//! time and hand finished ones back together, so that neither side is woken file by file when many are queued. What is
//! not in the page cache is asked for file by file before the first of them is waited for (`ahead`), so that a thread
//! has as many reads at the disk as it took requests.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::ahead::{Begun, Waiting, begin};
use super::direct::Direct;
use super::open::Fetch;
use super::pread::not_attached;
use super::ranges::{RangeFile, RangeFiles};
use super::{Caps, Completion, Op, ReadBackend, Request};
use crate::arena::Arena;
use crate::path::PathTable;

/// Requests held for each thread: enough that a thread never runs dry while the owner is busy elsewhere.
const DEPTH_PER_THREAD: usize = 32;
/// Bounds of the requests held altogether.
const DEPTH: std::ops::RangeInclusive<usize> = 64..=4096;
/// Requests that one thread takes at a time, at most.
const BATCH_MAX: usize = 16;
/// Bytes after which a thread takes no further request at a time: large reads are shared out one by one.
const BATCH_BYTES: usize = 256 << 10;
/// How long finished reads may be kept back for the sake of handing over several at once, nanoseconds.
const HOLD_NS: u64 = 100_000;

/// Reads with `pread` on a number of threads. See the [module](self).
#[derive(Debug)]
pub struct Pool {
    caps: Caps,
    threads: usize,
    direct: Direct,
    shared: Option<Arc<Shared>>,
    workers: Vec<JoinHandle<()>>,
    ranges: RangeFiles,
    in_flight: usize,
    /// Empty, kept for its capacity: changes places with the list of finished reads.
    spare: Vec<Completion>,
}

impl Pool {
    /// A backend with `threads` reader threads (one, if zero is asked for), which start when it is attached.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let threads = threads.max(1);
        let depth = threads.saturating_mul(DEPTH_PER_THREAD).clamp(*DEPTH.start(), *DEPTH.end());
        Self {
            caps: Caps { name: "pool", depth, degraded: Vec::new() },
            threads,
            direct: Direct::never(),
            shared: None,
            workers: Vec::new(),
            ranges: RangeFiles::default(),
            in_flight: 0,
            spare: Vec::with_capacity(depth),
        }
    }

    /// The same, but files of at least `threshold` bytes are read past the page cache where their file system allows
    /// it; where it does not, that is noted in `caps` once a file system.
    #[must_use]
    pub fn with_direct(threads: usize, threshold: u64) -> Self {
        let mut pool = Self::new(threads);
        pool.direct = Direct::from(threshold);
        pool
    }
}

impl ReadBackend for Pool {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn attach(&mut self, _arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()> {
        let shared = Arc::new(Shared::new(Arc::clone(paths), self.threads, self.caps.depth));
        for number in 0..self.threads {
            let worker = Arc::clone(&shared);
            let direct = self.direct.clone();
            let builder = std::thread::Builder::new().name(format!("carrack-read-{number}"));
            match builder.spawn(move || worker.work(direct)) {
                Ok(handle) => self.workers.push(handle),
                Err(error) if number == 0 => return Err(error),
                Err(error) => {
                    let text = format!("only {number} of {} reader threads could be started: {error}", self.threads);
                    self.caps.degraded.push(text);
                    break;
                }
            }
        }
        self.shared = Some(shared);
        Ok(())
    }

    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize> {
        let shared = self.shared.as_ref().ok_or_else(not_attached)?;
        let taken = queue.len().min(self.caps.depth - self.in_flight);
        if taken == 0 {
            return Ok(0);
        }
        let ranges = &mut self.ranges;
        let jobs = queue.drain(..taken).map(|request| {
            let file = match request.op {
                Op::Range { path, last, .. } => Some(ranges.enter(path, last)),
                Op::Whole { .. } => None,
            };
            Job { request, file }
        });
        shared.put(jobs);
        self.in_flight += taken;
        Ok(taken)
    }

    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize> {
        let shared = self.shared.as_ref().ok_or_else(not_attached)?;
        shared.collect(min.min(self.in_flight), timeout, &mut self.spare)?;
        let added = self.spare.len();
        self.in_flight -= added;
        for mut completion in self.spare.drain(..) {
            // Counted out here, in the order of handing out, so that the witness is always on the last one.
            if let Op::Range { path, .. } = completion.op {
                completion.witness = self.ranges.leave(path);
            }
            out.push(completion);
        }
        self.caps.degraded.append(&mut self.direct.take_notes());
        Ok(added)
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }
}

impl Drop for Pool {
    /// Waits for the reads that threads are in the middle of; those not yet begun are dropped.
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.stop();
        }
        for worker in self.workers.drain(..) {
            // A panic in a reader thread was already reported by `reap`.
            let _ = worker.join();
        }
    }
}

/// A request on its way to a thread, with the file if it is a range.
#[derive(Debug)]
struct Job {
    request: Request,
    file: Option<Arc<RangeFile>>,
}

/// What the owner and the threads share.
#[derive(Debug)]
struct Shared {
    paths: Arc<PathTable>,
    threads: usize,
    /// How many files one thread holds open while their bytes are on their way.
    waits_max: usize,
    todo: Mutex<Todo>,
    /// Told when there is something to do, or an end of it.
    work: Condvar,
    done: Mutex<Done>,
    /// Told when as many reads are finished as the owner waits for.
    ready: Condvar,
}

#[derive(Debug)]
struct Todo {
    jobs: VecDeque<Job>,
    /// Threads asleep.
    idle: usize,
    stop: bool,
}

#[derive(Debug)]
struct Done {
    completions: Vec<Completion>,
    /// How many the owner is waiting for, while it is.
    wanted: Option<usize>,
    /// A thread panicked, and with it its requests are lost.
    broken: bool,
}

/// How many files each of so many threads may hold open at once where the process may have `limit` descriptors: half of
/// them all together, and at least the one that it reads.
fn waits_max(limit: Option<u64>, threads: usize) -> usize {
    let share = limit.map_or(u64::MAX, |limit| limit / 2 / threads as u64);
    usize::try_from(share).unwrap_or(usize::MAX).clamp(1, BATCH_MAX)
}

/// A panic elsewhere does not make the lists wrong: they are changed by single calls that do not panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(paths: Arc<PathTable>, threads: usize, depth: usize) -> Self {
        Self {
            paths,
            threads,
            waits_max: waits_max(getrlimit(Resource::Nofile).current, threads),
            todo: Mutex::new(Todo { jobs: VecDeque::with_capacity(depth), idle: 0, stop: false }),
            work: Condvar::new(),
            done: Mutex::new(Done { completions: Vec::with_capacity(depth), wanted: None, broken: false }),
            ready: Condvar::new(),
        }
    }

    /// Queues jobs and wakes as many sleeping threads as there are jobs; threads that are awake find them anyway.
    fn put(&self, jobs: impl ExactSizeIterator<Item = Job>) {
        let count = jobs.len();
        let mut todo = lock(&self.todo);
        todo.jobs.extend(jobs);
        let wake = todo.idle.min(count);
        drop(todo);
        for _ in 0..wake {
            self.work.notify_one();
        }
    }

    /// Waits for jobs and moves some into `batch`: fewer as the queue runs low, so that all threads end together.
    /// `false` means that there will be no more.
    fn take(&self, batch: &mut Vec<Job>) -> bool {
        let mut todo = lock(&self.todo);
        while todo.jobs.is_empty() && !todo.stop {
            todo.idle += 1;
            todo = self.work.wait(todo).unwrap_or_else(PoisonError::into_inner);
            todo.idle -= 1;
        }
        if todo.stop {
            return false;
        }
        let count = (todo.jobs.len() / (2 * self.threads)).clamp(1, BATCH_MAX);
        let mut bytes = 0;
        while batch.len() < count && bytes < BATCH_BYTES {
            let Some(job) = todo.jobs.pop_front() else { break };
            bytes += job.request.buf.len();
            batch.push(job);
        }
        true
    }

    /// What a reader thread does all its life.
    fn work(&self, mut fetch: impl Fetch) {
        let _alarm = Alarm(self);
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut finished = Finished { shared: self, held: Vec::with_capacity(BATCH_MAX), oldest_ns: None };
        let mut waiting = Vec::new();
        while self.take(&mut batch) {
            for Job { request, file } in batch.drain(..) {
                match begin(&mut fetch, &self.paths, file.as_ref(), request) {
                    Begun::Done(completion) => finished.push(completion),
                    Begun::Waiting(request) => waiting.push(request),
                }
                if waiting.len() >= self.waits_max {
                    waiting.drain(..).for_each(|request: Box<Waiting>| finished.push(request.finish(&mut fetch)));
                }
            }
            if !waiting.is_empty() {
                // What is here already need not wait for the disk.
                finished.hand_over();
                waiting.drain(..).for_each(|request: Box<Waiting>| finished.push(request.finish(&mut fetch)));
            }
            finished.hand_over();
        }
    }

    fn hand_over(&self, finished: &mut Vec<Completion>) {
        if finished.is_empty() {
            return;
        }
        let mut done = lock(&self.done);
        done.completions.append(finished);
        let enough = done.wanted.is_some_and(|wanted| done.completions.len() >= wanted);
        drop(done);
        if enough {
            self.ready.notify_one();
        }
    }

    /// Waits until `wanted` reads are finished or `timeout` has passed, and puts all that are finished into `into`,
    /// which must be empty.
    fn collect(&self, wanted: usize, timeout: Option<Duration>, into: &mut Vec<Completion>) -> io::Result<()> {
        debug_assert!(into.is_empty());
        // A deadline beyond what the clock can say is no deadline.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut done = lock(&self.done);
        while done.completions.len() < wanted && !done.broken {
            done.wanted = Some(wanted);
            let Some(deadline) = deadline else {
                done = self.ready.wait(done).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            done = self.ready.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        done.wanted = None;
        if done.broken {
            return Err(io::Error::other("a reader thread panicked; its requests are lost"));
        }
        std::mem::swap(&mut done.completions, into);
        Ok(())
    }

    fn stop(&self) {
        let mut todo = lock(&self.todo);
        todo.stop = true;
        let unread = std::mem::take(&mut todo.jobs);
        drop(todo);
        self.work.notify_all();
        // Outside the lock: dropping a buffer may run the arena's callback.
        drop(unread);
    }
}

/// Reads that one thread has finished and not yet handed over.
struct Finished<'s> {
    shared: &'s Shared,
    held: Vec<Completion>,
    /// When the first of them was complete.
    oldest_ns: Option<u64>,
}

impl Finished<'_> {
    /// Keeps a finished read, but not for long.
    fn push(&mut self, completion: Completion) {
        let now_ns = completion.stamps.completed_ns;
        self.held.push(completion);
        if now_ns - *self.oldest_ns.get_or_insert(now_ns) >= HOLD_NS {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.shared.hand_over(&mut self.held);
        self.oldest_ns = None;
    }
}

/// Tells the owner when the thread that holds it panics, lest the owner wait for ever.
struct Alarm<'s>(&'s Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.done).broken = true;
            self.0.ready.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::PathId;
    use crate::read::conformance;
    use crate::read::open::Source;

    #[test]
    fn conforms_with_one_thread() {
        conformance::run(&mut |_| Box::new(Pool::new(1)));
    }

    #[test]
    fn conforms_with_two_threads() {
        conformance::run(&mut |_| Box::new(Pool::new(2)));
    }

    #[test]
    fn conforms_reading_directly() {
        conformance::run(&mut |_| Box::new(Pool::with_direct(2, 1)));
    }

    #[test]
    fn conforms_with_eight_threads() {
        conformance::run(&mut |_| Box::new(Pool::new(8)));
    }

    fn jobs(arena: &Arc<Arena>, count: usize, len: usize) -> Vec<Job> {
        let mut rest = arena.lease(0).unwrap();
        let next = |_| {
            let tail = rest.split_off(len);
            let buf = std::mem::replace(&mut rest, tail);
            Job { request: Request { tag: 0, op: Op::Whole { path: PathId(0) }, buf, queued_ns: 0 }, file: None }
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn small_requests_are_taken_together_and_large_ones_apart() {
        let arena = Arena::new(1, 8 << 20).unwrap();
        let shared = Shared::new(Arc::new(PathTable::new()), 4, 64);
        for (queued, len, batch) in [(1, 100, 1), (64, 100, 8), (300, 100, BATCH_MAX), (16, BATCH_BYTES, 1)] {
            shared.put(jobs(&arena, queued, len).into_iter());
            let mut taken = Vec::new();
            assert!(shared.take(&mut taken));
            assert_eq!(taken.len(), batch, "{queued} requests of {len} bytes queued");
            drop(taken);
            lock(&shared.todo).jobs.clear();
        }
        shared.stop();
        assert!(!shared.take(&mut Vec::new()));
    }

    #[test]
    fn waiting_files_leave_half_of_the_descriptors_to_others() {
        let limits = [(None, 8), (Some(1024), 8), (Some(256), 16), (Some(64), 8), (Some(10), 16)];
        assert_eq!(limits.map(|(limit, threads)| waits_max(limit, threads)), [BATCH_MAX, BATCH_MAX, 8, 4, 1]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn every_file_is_read_once_whether_it_waits_or_not() {
        use crate::read::ahead::Cached;
        use crate::read::open::read_full;
        use std::os::fd::AsFd;

        /// Every other file must be waited for.
        struct Every2nd(Arc<Mutex<Vec<u64>>>);
        impl Fetch for Every2nd {
            fn fetch(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
                lock(&self.0).push(file.size());
                read_full(file.as_fd(), offset, buf, file.size())
            }
            fn fetch_cached(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<Cached> {
                if file.size().is_multiple_of(2) {
                    return Ok(Cached::Part(0));
                }
                self.fetch(file, offset, buf).map(Cached::All)
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let mut paths = PathTable::new();
        let base = Arc::new(std::fs::File::open(folder.path()).unwrap().into());
        let base = paths.push_base(crate::path::Base { folder: base, skip: 0 });
        let count = 200;
        let mut jobs = jobs(&Arena::new(1, 1 << 20).unwrap(), count, 1000);
        for (number, job) in jobs.iter_mut().enumerate() {
            std::fs::write(folder.path().join(format!("{number}")), vec![number as u8; number + 1]).unwrap();
            let path = paths.push(base, format!("{number}").as_bytes());
            job.request.tag = number as u64;
            job.request.op = Op::Whole { path };
        }
        let shared = Shared::new(Arc::new(paths), 3, 256);
        let read = Arc::default();
        let mut done = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| shared.work(Every2nd(Arc::clone(&read))));
            }
            shared.put(jobs.into_iter());
            while done.len() < count {
                let mut some = Vec::new();
                shared.collect(1, None, &mut some).unwrap();
                done.append(&mut some);
            }
            shared.stop();
        });
        done.sort_by_key(|completion| completion.tag);
        for (number, completion) in done.iter().enumerate() {
            assert_eq!((completion.tag, *completion.result.as_ref().unwrap()), (number as u64, number as u32 + 1));
            assert!(completion.buf[..=number].iter().all(|&byte| byte == number as u8));
            assert_eq!(completion.witness.unwrap().size, number as u64 + 1);
        }
        let mut sizes = std::mem::take(&mut *lock(&read));
        sizes.sort_unstable();
        assert!(sizes.into_iter().eq(1..=count as u64), "each file is read exactly once");
    }

    #[test]
    fn a_thread_that_panics_is_reported_and_not_waited_for() {
        struct Fails;
        impl Fetch for Fails {
            fn fetch(&mut self, _: &Source, _: u64, _: &mut [u8]) -> io::Result<usize> {
                panic!("on purpose")
            }
        }
        let arena = Arena::new(1, 4096).unwrap();
        let mut paths = PathTable::new();
        let folder = std::fs::File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
        let base = paths.push_base(crate::path::Base { folder: Arc::new(folder.into()), skip: 0 });
        paths.push(base, b"Cargo.toml");
        let shared = Arc::new(Shared::new(Arc::new(paths), 1, 64));
        shared.put(jobs(&arena, 1, 100).into_iter());
        let worker = Arc::clone(&shared);
        let thread = std::thread::spawn(move || worker.work(Fails));
        assert!(shared.collect(1, None, &mut Vec::new()).is_err());
        assert!(thread.join().is_err());
        assert!(arena.lease(0).is_some(), "its buffer is back");
    }
}
