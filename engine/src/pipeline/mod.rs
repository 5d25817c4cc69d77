//! The pipeline: read → digest → place → compress → commit.
//!
//! In: the entries of a walk, a plan, a read backend, a sink. Out: frames in the sink, and the rows of the index. It
//! does not know how the backend reads, what the sink is, or how tables are laid out.
//!
//! ```text
//! reader thread            rayon workers            the caller's thread
//! ─────────────            ─────────────            ───────────────────
//! empty slot → requests
//! completions → load ────► hash every chunk ──────► place in sequence: dedup, blocks, rows
//!                          compress a block ◄────── sealed block, when there is a frame for it
//!    ▲                        │        └──────────► commit in sequence: append to the sink
//!    └── the slot is empty ◄──┘
//! ```
//!
//! Waiting happens in two places only: the reader waits for empty slots and completions, the coordinator for events.
//! Memory is bounded by the slots, the frames (as many as [`Job::frames`] says, one block each), one codec context a
//! worker, and the tables.

mod commit;
mod coordinator;
mod dictionary;
mod error;
mod load;
mod pending;
mod place;
mod reader;
mod roads;
mod rows;
mod shared;
mod tasks;
mod threads;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use carrack_backends::arena::Arena;
use carrack_backends::read::ReadBackend;
use carrack_backends::sink::AppendSink;

use serde_json::{Map, Value};

pub use error::PipelineError;
pub use pending::{bytes_for as pending_bytes, extents_most};

use crate::codec::{Codec, FilterChoice};
use crate::container::id::ArchiveId;
use crate::control::{Control, Warning};
use crate::dedup::PieceSizes;
use crate::dictionaries::Dictionaries;
use crate::entry::Entries;
use crate::index::IndexWriter;
use crate::plan::Plan;
use crate::ring::{Queue, SlotRing};
use crate::stages::{Busy, Clock, SinkTime, Stages, Step};
use coordinator::{Coordinator, Done};
use reader::Reader;
use shared::{Event, Shared};
use tasks::Worker;
use threads::{Builder, JoinHandle, Pool};

/// What is to be done, and with what.
#[derive(Debug)]
pub struct Job {
    /// What the walk found.
    pub entries: Arc<Entries>,
    /// What to read, in which order.
    pub plan: Plan,
    /// How blocks are compressed.
    pub codec: Codec,
    /// Whether they are filtered before.
    pub filter: FilterChoice,
    /// What blocks of one kind have in common.
    pub dictionaries: Option<Dictionaries>,
    /// Uncompressed size of a block at most, bytes.
    pub block_size: u32,
    /// Number of slots.
    pub slots: u32,
    /// Bytes in a slot: a multiple of `block_size`.
    pub slot_size: usize,
    /// How many blocks can be under compression or wait for their turn to be committed, at least 1.
    pub frames: usize,
    /// Number of rayon workers.
    pub threads: usize,
    /// Whether equal chunks are stored once.
    pub dedup: bool,
    /// The pieces that chunks are cut into for that; `None` leaves chunks as they are.
    pub pieces: Option<PieceSizes>,
    /// Stands in every frame.
    pub archive_id: ArchiveId,
    /// Stand in the manifest.
    pub options: Map<String, Value>,
    /// Progress and cancellation.
    pub control: Control,
    /// The clock of the stages' times: off when nobody wants them.
    pub clock: Clock,
}

impl Job {
    fn blocks_per_slot(&self) -> usize {
        self.slot_size / self.block_size as usize
    }

    fn loads(&self) -> usize {
        self.plan.blocks().div_ceil(self.blocks_per_slot())
    }

    fn check(&self) -> Result<(), PipelineError> {
        let settings = |what: String| Err(PipelineError::Settings(what));
        if self.slots < 2 {
            return settings(format!("{} slots: reading and compressing need one each, so at least 2", self.slots));
        }
        if self.slot_size == 0 || !self.slot_size.is_multiple_of(self.block_size as usize) {
            return settings(format!(
                "a slot of {} bytes does not hold whole blocks of {} bytes",
                self.slot_size, self.block_size
            ));
        }
        if self.threads == 0 {
            return settings("0 threads: at least one is needed".to_owned());
        }
        if self.frames == 0 {
            return settings("0 frames: at least one is needed".to_owned());
        }
        Ok(())
    }
}

/// [`Job::frames`] where memory is no concern: two a worker and two more, or 8 MiB of them where blocks (of so many
/// bytes) are small.
#[must_use]
pub fn frames_default(threads: usize, block_size: u32) -> usize {
    let small = (8 << 20) / block_size.max(1) as usize;
    threads.saturating_mul(2).saturating_add(2).max(small.min(256))
}

/// What a run left behind besides the frames in the sink.
pub struct Outcome {
    /// Both tables, ready to be written behind the last frame.
    pub index: IndexWriter,
    /// Content bytes that were found to be stored already.
    pub duplicate_bytes: u64,
    /// What went wrong with single files.
    pub warnings: Vec<Warning>,
    /// What the backend had to do without.
    pub notes: Vec<String>,
    /// How long each stage took, and what the run waited for.
    pub stages: Stages,
}

/// Runs a job to its end.
///
/// # Errors
/// The first thing that went wrong as a whole. By then every thread has ended and every buffer is back; what the sink
/// received is the caller's to throw away.
pub fn run(job: Job, backend: Box<dyn ReadBackend>, sink: &mut dyn AppendSink) -> Result<Outcome, PipelineError> {
    job.check()?;
    let job = Arc::new(job);
    let began = job.clock.is_on().then(SystemTime::now);
    let begun_ns = job.clock.now_ns();
    let arena = Arena::new(job.slots, job.slot_size).map_err(|error| PipelineError::Start("the arena", error))?;
    let ring = Arc::new(SlotRing::new(Arc::clone(&arena)));
    let shared = Arc::new(start_workers(&job, &ring)?);
    let spare_loads = Arc::new(Queue::new(job.slots as usize));

    let reader = start_reader(&job, &shared, backend, &arena, &ring, &spare_loads)?;
    let reader = Running { reader: Some(reader), shared: Arc::clone(&shared) };
    let coordinator = Coordinator::new(Arc::clone(&job), Arc::clone(&shared), sink, spare_loads);
    let done = coordinator.run();
    drop(reader);
    let Done { placer, index, mut recorder, busy_ns, reader_ns, notes } = done?;

    let wall_ns = job.clock.now_ns() - begun_ns;
    for worker in &shared.workers {
        let worker = worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        recorder.merge(&worker.recorder);
    }
    let total = |steps: &[Step]| steps.iter().map(|&step| recorder.total_ns(step)).fold(0, u64::saturating_add);
    let busy = Busy {
        wall_ns,
        threads: job.threads,
        reader_ns,
        codec_ns: total(&[Step::Digest, Step::Compress, Step::Encode]),
        sink: SinkTime::Coordinator { busy_ns, commit_ns: total(&[Step::Commit]) },
        backlog_ns: total(&[Step::DigestWait, Step::CompressWait]),
    };
    let stages = Stages::new(&recorder, &busy, began);
    let duplicate_bytes = placer.duplicate_bytes;
    let warnings = placer.into_rows().into_warnings();
    Ok(Outcome { index, duplicate_bytes, warnings, notes, stages })
}

/// The reader thread. Whatever happens, be it a panic of the caller's sink or callback, it has ended when this is gone:
/// nothing goes on behind the caller's back.
struct Running {
    reader: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn start_workers(job: &Arc<Job>, ring: &Arc<SlotRing>) -> Result<Shared, PipelineError> {
    let pool = Pool::start(job.threads).map_err(|error| PipelineError::Start("the worker threads", error))?;
    let workers = (0..job.threads).map(|_| Worker::new(job.codec, job.filter, job.clock));
    let workers = workers.collect::<Result<Vec<_>, _>>();
    let workers = workers.map_err(|error| PipelineError::Settings(error.to_string()))?;
    // Every load, every frame, as many batches of rows, the reader's end.
    let events = job.slots as usize + 2 * job.frames + 2;
    Ok(Shared::new(job, events, workers, pool, Arc::clone(ring)))
}

fn start_reader(
    job: &Arc<Job>,
    shared: &Arc<Shared>,
    mut backend: Box<dyn ReadBackend>,
    arena: &Arc<Arena>,
    ring: &Arc<SlotRing>,
    spare_loads: &Arc<Queue<Box<load::Load>>>,
) -> Result<JoinHandle<()>, PipelineError> {
    let (job, shared, arena) = (Arc::clone(job), Arc::clone(shared), Arc::clone(arena));
    let (ring, spare_loads) = (Arc::clone(ring), Arc::clone(spare_loads));
    let body = move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let begun_ns = job.clock.now_ns();
            backend.attach(&arena, &job.entries.paths)?;
            Reader::new(job, Arc::clone(&shared), backend, ring, spare_loads).run(begun_ns)
        }));
        // A coordinator must never wait for a dead reader.
        let result = result.unwrap_or_else(|_| Err(io::Error::other("the reader thread panicked")));
        shared.send(Event::ReaderDone(result));
    };
    Builder::new()
        .name("carrack-read".to_owned())
        .spawn(body)
        .map_err(|error| PipelineError::Start("the reader thread", error))
}
