//! The road back: frames → check → decode → prove → files.
//!
//! In: an open index, a source of bytes, what is wanted; a tree to write to, or none to check only. Out: files, and a
//! list of what is lost. A damaged block costs the files that need it and no others.
//!
//! The caller's thread reads frames into a fixed number of buffers, from several stretches of the archive in turn where
//! there is a tree to write (see `order`); rayon workers check, decode and deliver them. Memory is bounded by those buffers (one frame each), one decoded block a worker, and what is wanted.

pub mod dictionaries;
mod files;
pub mod frames;
mod order;
mod policy;
pub mod rows;
mod wanted;
mod workers;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use carrack_backends::tree::TreeWriter;

pub use policy::{Meta, Policy, SharedXattrs};
pub use wanted::{FileTarget, LargeTarget, Use, Wanted};
pub use workers::Workers;

use crate::codec::{Decoder, DecoderDictionary};
use crate::container::directory::DirectoryReader;
use crate::container::error::ContainerError;
use crate::container::frame::FrameKind;
use crate::container::id::ArchiveId;
use crate::container::source::Source;
use crate::control::{Control, Escaped, Progress, Stage};
use crate::index::{BlockRow, Index, IndexError};
use crate::ring::{Crew, Mailbox};
use crate::stages::{Busy, Clock, Recorder, SinkTime, Stages, Step};
use dictionaries::Dictionaries;
use files::Files;
use frames::{FrameBytes, FrameError};
use order::Need;

pub(crate) use files::{is_about_one_path, not_written};

/// Time between two progress reports.
const TICK: Duration = Duration::from_millis(100);

/// How many files one task looks through for those that have no bytes.
const EMPTIES: u32 = 1024;

/// What is to be restored, and with what.
pub struct Job<'a> {
    /// Where the archive's bytes come from.
    pub source: Arc<dyn Source>,
    /// Its index.
    pub index: Arc<Index>,
    /// The files.
    pub wanted: Arc<Wanted>,
    /// Where to write them; `None` checks only.
    pub tree: Option<Arc<dyn TreeWriter>>,
    /// What of their metadata files are given.
    pub policy: Policy,
    /// Whether to check every frame, with its directory, also those that nothing wanted needs.
    pub all_frames: bool,
    /// Who does it.
    pub workers: &'a Workers,
    /// Progress and cancellation.
    pub control: Control,
    /// The clock of the stages' times: off when nobody wants them.
    pub clock: Clock,
}

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong with the archive: one sentence each, with the place, what was expected and what was found.
    pub damage: Vec<String>,
    /// Files that could not be restored because of that, by number, and why.
    pub lost: Vec<(u32, String)>,
    /// Files that could not be written, by number, and why. A file may be lost as well.
    pub unwritten: Vec<(u32, String)>,
    /// Frames that were checked.
    pub frames: u64,
    /// How long each stage took, and what the run waited for.
    pub stages: Stages,
}

/// Why restoring failed as a whole.
#[derive(Debug)]
pub enum RestoreError {
    /// No threads could be had.
    Start(io::Error),
    /// The archive could not be read.
    Read(io::Error),
    /// The blocks table is unreadable.
    Index(IndexError),
    /// The tree could not be written any further.
    Write(io::Error),
    /// The caller stopped the run.
    Cancelled,
    /// A task panicked: a programming error.
    Panicked,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start(_) => "cannot get the worker threads",
            Self::Read(_) => "the archive cannot be read",
            Self::Index(_) => "the table of blocks cannot be used",
            Self::Write(_) => "writing failed",
            Self::Cancelled => "stopped before the end",
            Self::Panicked => "internal error: a task panicked while decoding",
        })
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) | Self::Read(error) | Self::Write(error) => Some(error),
            Self::Index(error) => Some(error),
            Self::Cancelled | Self::Panicked => None,
        }
    }
}

/// What one rayon worker keeps from task to task.
struct Worker {
    decoder: Decoder,
    block: Vec<u8>,
    directory: Vec<u8>,
    recorder: Recorder,
}

impl Worker {
    fn new(clock: Clock) -> Self {
        Self { decoder: Decoder::default(), block: Vec::new(), directory: Vec::new(), recorder: Recorder::new(clock) }
    }
}

/// A frame in a buffer, on its way to a worker.
struct Task {
    block: BlockRow,
    /// What its block is used for, or a share of it.
    need: Need,
    frame: FrameBytes,
    /// The dictionary of the block.
    dictionary: Option<Arc<DecoderDictionary>>,
    /// When its read began, ns of the run's clock.
    begun_ns: u64,
    /// When it was there, likewise.
    ended_ns: u64,
}

/// What the tasks share.
struct Shared {
    wanted: Arc<Wanted>,
    files: Files,
    archive_id: ArchiveId,
    all_frames: bool,
    /// What delivering a block's bytes comes to: writing them, or proving them alone.
    deliver: Step,
    workers: Vec<Mutex<Worker>>,
    /// What the workers are to do: no more tasks than buffers.
    crew: Crew<Task>,
    /// Buffers to fill again; the reading thread waits for one.
    spare: Mailbox<FrameBytes>,
    damage: Mutex<Vec<(u64, String)>>,
    panics: AtomicUsize,
    bytes: AtomicU64,
    frames: AtomicU64,
}

/// Restores everything that is wanted.
///
/// # Errors
/// What made going on pointless. Damage to single blocks is no error here: see [`Outcome::damage`].
pub fn run(job: &Job<'_>) -> Result<Outcome, RestoreError> {
    let threads = job.workers.count();
    let buffers = 2 * threads + 1;
    let shared = Shared {
        wanted: Arc::clone(&job.wanted),
        files: Files::new(Arc::clone(&job.wanted), job.tree.clone(), job.policy, threads, job.control.cancel.clone()),
        archive_id: job.index.archive_id(),
        all_frames: job.all_frames,
        deliver: if job.tree.is_some() { Step::Write } else { Step::Prove },
        workers: (0..threads).map(|_| Mutex::new(Worker::new(job.clock))).collect(),
        crew: Crew::new(buffers, threads),
        spare: Mailbox::new(buffers),
        damage: Mutex::default(),
        panics: AtomicUsize::new(0),
        bytes: AtomicU64::new(0),
        frames: AtomicU64::new(0),
    };
    for _ in 0..buffers {
        shared.give_back(FrameBytes::default());
    }
    let began = job.clock.is_on().then(SystemTime::now);
    let begun_ns = job.clock.now_ns();
    let mut recorder = Recorder::new(job.clock);
    // Returns when every task is done.
    let (read, read_ns) = job.workers.pool().in_place_scope_fifo(|scope| {
        shared.empties(scope);
        let read = read_frames(job, &shared, scope, &mut recorder);
        (read, job.clock.now_ns() - begun_ns)
    });
    let wall_ns = job.clock.now_ns() - begun_ns;
    let reader_ns = read_ns.saturating_sub(recorder.total_ns(Step::BufferWait));
    report(job, &shared);
    read?;
    if job.control.cancel.is_cancelled() {
        return Err(RestoreError::Cancelled);
    }
    for worker in &shared.workers {
        recorder.merge(&worker.lock().unwrap_or_else(PoisonError::into_inner).recorder);
    }
    let stages = Stages::new(&recorder, &busy(&recorder, wall_ns, threads, reader_ns), began);
    finish(shared, stages)
}

/// Who was busy how long, from the samples of all threads.
fn busy(recorder: &Recorder, wall_ns: u64, threads: usize, reader_ns: u64) -> Busy {
    Busy {
        wall_ns,
        threads,
        reader_ns,
        codec_ns: recorder.total_ns(Step::Decode).saturating_add(recorder.total_ns(Step::Prove)),
        sink: SinkTime::Workers { write_ns: recorder.total_ns(Step::Write) },
        backlog_ns: recorder.total_ns(Step::DecodeWait),
    }
}

fn finish(shared: Shared, stages: Stages) -> Result<Outcome, RestoreError> {
    if shared.panics.into_inner() > 0 {
        return Err(RestoreError::Panicked);
    }
    let losses = shared.files.into_losses();
    if let Some(error) = losses.fatal {
        return Err(RestoreError::Write(error));
    }
    let mut damage = shared.damage.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Each share of a frame that is used very often tells the same.
    damage.sort();
    damage.dedup();
    let mut damage: Vec<String> = damage.into_iter().map(|(_, what)| what).collect();
    damage.extend(losses.mismatched.iter().map(|file| {
        let path = Escaped(shared.wanted.path(*file));
        format!("{path}: {}", losses.lost[file])
    }));
    Ok(Outcome {
        damage,
        lost: losses.lost.into_iter().collect(),
        unwritten: losses.unwritten.into_iter().collect(),
        frames: shared.frames.into_inner(),
        stages,
    })
}

/// Reads every frame that is needed, and gives each to the workers.
fn read_frames<'scope>(
    job: &Job<'_>,
    shared: &'scope Shared,
    scope: &rayon::ScopeFifo<'scope>,
    recorder: &mut Recorder,
) -> Result<(), RestoreError> {
    let dictionaries = Dictionaries::default();
    let lanes = if job.tree.is_some() { job.workers.count() } else { 1 };
    let mut needed = order::needed(job);
    let mut blocks = job.index.blocks(&*job.source);
    let mut window: Vec<(BlockRow, Need)> = Vec::new();
    let mut last_report = Instant::now();
    loop {
        window.clear();
        for need in needed.by_ref().take(order::window(lanes)) {
            window.push((blocks.get(need.seq).map_err(RestoreError::Index)?, need));
        }
        if window.is_empty() {
            return Ok(());
        }
        for turn in order::turns(window.len(), lanes) {
            if job.control.cancel.is_cancelled() {
                return Err(RestoreError::Cancelled);
            }
            if shared.files.is_fatal() || shared.panics.load(Ordering::Relaxed) > 0 {
                return Ok(());
            }
            let (block, need) = window[turn].clone();
            match dictionary(job, &dictionaries, &block, &need) {
                Ok(dictionary) => read_frame(job, shared, scope, recorder, (block, need, dictionary))?,
                Err(error) => lose(shared, &block, need, error)?,
            }
            if last_report.elapsed() >= TICK {
                last_report = Instant::now();
                report(job, shared);
            }
        }
    }
}

/// The dictionary of a block that is used for contents, which it can be only if it is one.
fn dictionary(
    job: &Job<'_>,
    dictionaries: &Dictionaries,
    block: &BlockRow,
    need: &Need,
) -> Result<Option<Arc<DecoderDictionary>>, FrameError> {
    if block.kind != FrameKind::Block && !need.uses.is_empty() {
        let error = ContainerError::damaged("frame", block.offset, "a block of contents", block.kind.name());
        return Err(FrameError::Container(error));
    }
    let row = |seq| job.index.block(&*job.source, seq);
    dictionaries.of(block, &*job.source, job.index.archive_id(), &row)
}

/// Reads one frame and gives it to the workers. A frame that is not all there is lost, which is no error here.
fn read_frame<'scope>(
    job: &Job<'_>,
    shared: &'scope Shared,
    scope: &rayon::ScopeFifo<'scope>,
    recorder: &mut Recorder,
    (block, need, dictionary): (BlockRow, Need, Option<Arc<DecoderDictionary>>),
) -> Result<(), RestoreError> {
    let wanted_ns = job.clock.now_ns();
    let mut frame = shared.buffer();
    let begun_ns = recorder.since(Step::BufferWait, wanted_ns);
    let read = frame.read(&*job.source, &block);
    let ended_ns = recorder.since(Step::Read, begun_ns);
    let Err(error) = read else {
        match shared.crew.push(Task { block, need, frame, dictionary, begun_ns, ended_ns }) {
            Ok(false) => {}
            Ok(true) => scope.spawn_fifo(|_| shared.crew.work(|task| shared.perform(task))),
            Err(_) => unreachable!("each task holds a buffer, and there is room for as many"),
        }
        return Ok(());
    };
    shared.give_back(frame);
    lose(shared, &block, need, error)
}

/// A frame, or the dictionary it needs, is not all there: it is lost. An error of the source ends everything.
fn lose(shared: &Shared, block: &BlockRow, need: Need, error: FrameError) -> Result<(), RestoreError> {
    match error.io() {
        Ok(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(RestoreError::Read(error)),
        Ok(error) => shared.lose(block, need, &error),
        Err(error) => shared.lose(block, need, &error),
    }
    Ok(())
}

fn report(job: &Job<'_>, shared: &Shared) {
    job.control.report(&Progress {
        stage: if job.tree.is_some() { Stage::Unpack } else { Stage::Verify },
        bytes: shared.bytes.load(Ordering::Relaxed),
        bytes_total: job.wanted.bytes(),
        entries: shared.files.done(),
        entries_total: job.wanted.files().len() as u64,
        stored: 0,
    });
}

impl Shared {
    /// Waits until a buffer is back: a task always gives its own back.
    fn buffer(&self) -> FrameBytes {
        self.spare.recv_until(|| false).expect("nothing stops the wait")
    }

    fn give_back(&self, frame: FrameBytes) {
        assert!(self.spare.send(frame).is_ok(), "the mailbox holds every buffer there is");
    }

    /// Spawns the tasks that restore files without any bytes.
    fn empties<'scope>(&'scope self, scope: &rayon::ScopeFifo<'scope>) {
        let files = self.wanted.files().len() as u32;
        for first in (0..files).step_by(EMPTIES as usize) {
            let last = files.min(first.saturating_add(EMPTIES));
            scope.spawn_fifo(move |_| self.guarded(|| self.files.without_extents(first..last)));
        }
    }

    /// Counts a panic instead of passing it on.
    fn guarded(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a rayon worker does with one frame.
    fn perform(&self, task: Task) {
        let number = rayon::current_thread_index().expect("tasks run on the pool's own threads");
        self.guarded(|| {
            let mut worker = self.workers[number].lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.decode(&mut worker, &task) {
                self.lose(&task.block, task.need.clone(), &error);
            }
        });
        self.give_back(task.frame);
    }

    fn decode(&self, worker: &mut Worker, task: &Task) -> Result<(), FrameError> {
        let Worker { decoder, block: buffer, directory, recorder } = worker;
        let Task { block, need, .. } = task;
        let begun_ns = recorder.since(Step::DecodeWait, task.ended_ns);
        let proved = task.frame.check(block, self.archive_id)?;
        if self.all_frames && need.is_first {
            let records = proved.directory(decoder, directory)?;
            let mut records = DirectoryReader::new(records);
            while let Some(record) = records.next() {
                record.map_err(FrameError::Container)?;
            }
        }
        let bytes = proved.block(task.dictionary.as_deref(), decoder, buffer)?;
        let decoded_ns = recorder.since(Step::Decode, begun_ns);
        for used in self.wanted.uses(need.uses.clone()).iter().take_while(|_| !self.files.is_cancelled()) {
            let end = u64::from(used.offset) + u64::from(used.len);
            match bytes.get(used.offset as usize..end as usize) {
                Some(bytes) => self.files.deliver(used, bytes),
                None => self.files.lose_alone(used.file, &format!("block {} ends before byte {end}", block.seq)),
            }
            self.bytes.fetch_add(u64::from(used.len), Ordering::Relaxed);
        }
        let delivered_ns = recorder.since(self.deliver, decoded_ns);
        recorder.between(Step::Block, task.begun_ns, delivered_ns);
        self.frames.fetch_add(u64::from(need.is_first), Ordering::Relaxed);
        Ok(())
    }

    /// A frame is damaged: everything that needs it is lost, and nothing else.
    fn lose(&self, block: &BlockRow, need: Need, why: &dyn fmt::Display) {
        let what = format!("block {}: {why}", block.seq);
        for used in self.wanted.uses(need.uses) {
            self.files.lose(used.file, &what);
        }
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).push((block.seq, what));
    }
}
