//! What the threads of one run share: the way to the coordinator, the workers' contexts, and the reason to stop.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use super::Job;
use super::load::Load;
use super::reader::ReaderEnd;
use super::tasks::{Frame, Task, Worker, encode};
use super::threads::{AtomicBool, AtomicUsize, Mutex, Ordering, Pool};
use crate::control::Cancel;
use crate::index::{EncodedEntries, IndexError, PlainBatch};
use crate::ring::{Crew, Mailbox, Queue, SlotRing};
use crate::stages::{Clock, Recorder};

/// What the coordinator is told.
pub(super) enum Event {
    /// A load was hashed.
    Digested(Box<Load>),
    /// A block was compressed (or could not be).
    Compressed(Box<Frame>),
    /// A batch of rows was encoded: its number, and what came of it.
    Encoded(usize, Result<EncodedEntries, IndexError>),
    /// The reader has read everything, or was stopped, or its backend broke.
    ReaderDone(io::Result<ReaderEnd>),
    /// A task panicked: a programming error, told instead of hanging.
    Panicked(&'static str),
}

pub(super) struct Shared {
    /// To the coordinator. It holds more events than can ever be under way.
    pub events: Mailbox<Event>,
    /// One a rayon worker, by its number: never contended.
    pub workers: Vec<Mutex<Worker>>,
    pool: Pool,
    /// What the workers are to do. There is room for every task that can be under way.
    crew: Crew<Task>,
    /// Batches of rows to encode, each with a [`Task::Encode`] in the crew. They are taken before any other task: the last one
    /// would otherwise be begun when all blocks are, and a worker would have nothing to do meanwhile.
    batches: Queue<(usize, PlainBatch)>,
    job: Arc<Job>,
    /// Tasks spawned so far; each sends exactly one event.
    spawned: AtomicUsize,
    ring: Arc<SlotRing>,
    stop: AtomicBool,
    cancel: Cancel,
    /// The clock of the stages' times.
    pub clock: Clock,
}

impl Shared {
    pub(super) fn new(job: &Arc<Job>, events: usize, workers: Vec<Worker>, pool: Pool, ring: Arc<SlotRing>) -> Self {
        Self {
            events: Mailbox::new(events),
            crew: Crew::new(events, workers.len()),
            batches: Queue::new(events),
            workers: workers.into_iter().map(Mutex::new).collect(),
            pool,
            spawned: AtomicUsize::new(0),
            ring,
            stop: AtomicBool::new(false),
            cancel: job.control.cancel.clone(),
            clock: job.clock,
            job: Arc::clone(job),
        }
    }

    /// Gives a batch of rows to the workers, to be encoded before everything else that waits.
    pub(super) fn encode(self: &Arc<Self>, number: usize, batch: PlainBatch) {
        assert!(self.batches.push((number, batch)).is_ok(), "there is room for every batch that can be under way");
        self.spawn(Task::Encode);
    }

    /// Gives a task to the workers, first come, first served.
    pub(super) fn spawn(self: &Arc<Self>, task: Task) {
        self.spawned.fetch_add(1, Ordering::Release);
        match self.crew.push(task) {
            Ok(false) => {}
            Ok(true) => {
                let shared = Arc::clone(self);
                self.pool.spawn(move || shared.crew.work(|task| shared.perform(task)));
            }
            Err(_) => unreachable!("there is room for every task that can be under way"),
        }
    }

    /// Does one batch of rows if there is one, and the task. For each batch there is a task that does no more than that: so
    /// each is encoded once, by the thread that comes to it first.
    fn perform(&self, task: Task) {
        if let Some((number, batch)) = self.batches.pop() {
            self.tell("encoding rows", || Some(encode(self, number, batch)));
        }
        self.tell(task.doing(), || task.run(&self.job, self));
    }

    /// Sends what `work` says. A panic in it must become an error, not a coordinator that waits for ever.
    fn tell(&self, doing: &'static str, work: impl FnOnce() -> Option<Event>) {
        if let Some(event) = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Some(Event::Panicked(doing))) {
            self.send(event);
        }
    }

    /// How many tasks were spawned so far.
    pub(super) fn spawned(&self) -> usize {
        self.spawned.load(Ordering::Acquire)
    }

    /// Makes every thread wind down.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.ring.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire) || self.cancel.is_cancelled()
    }

    /// Tells the coordinator.
    pub(super) fn send(&self, event: Event) {
        assert!(self.events.send(event).is_ok(), "the coordinator's mailbox holds every event that can be under way");
    }

    /// Runs `task` with the context of the rayon worker that this is called on.
    pub(super) fn with_worker<R>(&self, task: impl FnOnce(&mut Worker) -> R) -> R {
        let number = self.pool.number().expect("tasks run on the pool's own threads");
        // A poisoned context belongs to a task that panicked; that was told and the run is being stopped.
        task(&mut self.workers[number].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `task` with the recorder of the rayon worker that this is called on, unless nothing is recorded.
    pub(super) fn with_recorder(&self, task: impl FnOnce(&mut Recorder)) {
        if self.clock.is_on() {
            self.with_worker(|worker| task(&mut worker.recorder));
        }
    }
}
