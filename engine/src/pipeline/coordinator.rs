//! The coordinator: the caller's thread. It places loads and commits frames, each in sequence, and hands blocks to
//! the workers. It alone waits for events; nobody ever waits for it but the reader, for empty slots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carrack_backends::sink::AppendSink;

use super::commit::Committer;
use super::load::Load;
use super::place::{Placer, Sealed};
use super::shared::{Event, Shared};
use super::tasks::{Frame, Task};
use super::{Job, PipelineError, dictionary};
use crate::control::{Progress, Stage};
use crate::index::IndexWriter;
use crate::ring::Queue;
use crate::stages::{Recorder, Step};

/// Time between two progress reports, and between two looks at the cancel flag.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Coordinator<'a> {
    job: Arc<Job>,
    shared: Arc<Shared>,
    placer: Placer,
    committer: Committer<'a>,
    /// Loads whose turn has not come.
    waiting: BTreeMap<usize, Box<Load>>,
    next_load: usize,
    /// Loads to fill again.
    spare_loads: Arc<Queue<Box<Load>>>,
    /// Frames to use again. A sealed block waits until there is one.
    #[expect(clippy::vec_box, reason = "the boxes travel to the workers and back")]
    spare_frames: Vec<Box<Frame>>,
    /// Batches of rows given to the workers so far.
    batches: usize,
    /// Those of them that have not come back.
    encoding: usize,
    /// Events of tasks received so far.
    received: usize,
    reader_done: bool,
    placed_all: bool,
    failure: Option<PipelineError>,
    last_report: Instant,
    recorder: Recorder,
    /// How long the reader was busy, ns.
    reader_ns: u64,
    notes: Vec<String>,
}

/// What is left when everything is committed.
pub(super) struct Done {
    pub placer: Placer,
    pub index: IndexWriter,
    pub recorder: Recorder,
    /// How long the coordinator did not wait for events, ns.
    pub busy_ns: u64,
    /// How long the reader was busy, ns.
    pub reader_ns: u64,
    pub notes: Vec<String>,
}

impl<'a> Coordinator<'a> {
    pub(super) fn new(
        job: Arc<Job>,
        shared: Arc<Shared>,
        sink: &'a mut dyn AppendSink,
        spare_loads: Arc<Queue<Box<Load>>>,
    ) -> Self {
        let frames = job.frames;
        Self {
            placer: Placer::new(Arc::clone(&job)),
            committer: Committer::new(sink, IndexWriter::new(job.archive_id, job.options.clone())),
            waiting: BTreeMap::new(),
            next_load: 0,
            spare_loads,
            spare_frames: (0..frames).map(|_| Box::new(Frame::new(job.block_size as usize))).collect(),
            batches: 0,
            encoding: 0,
            received: 0,
            reader_done: false,
            placed_all: false,
            failure: None,
            last_report: Instant::now(),
            recorder: Recorder::new(job.clock),
            reader_ns: 0,
            notes: Vec::new(),
            job,
            shared,
        }
    }

    /// Runs until everything is committed, or something failed and every task has ended.
    pub(super) fn run(mut self) -> Result<Done, PipelineError> {
        let clock = self.recorder.clock();
        let begun_ns = clock.now_ns();
        if let Err(failure) = dictionary::append_all(&self.job, &mut self.committer) {
            self.fail(failure);
        }
        let mut idle_ns = clock.now_ns();
        while !self.is_done() {
            let event = self.shared.events.recv_until_timeout(TICK, || false);
            // A wait that a tick interrupts goes on behind it.
            let waited = event.is_some();
            if waited {
                self.recorder.since(Step::EventWait, idle_ns);
            }
            if let Some(event) = event
                && let Err(failure) = self.handle(event)
            {
                self.fail(failure);
            }
            // Before what was placed is looked at: what came behind the cancellation was not placed at all, and rows that lack
            // their contents are no error of the index.
            self.glance();
            self.dispatch();
            self.tick();
            if waited {
                idle_ns = clock.now_ns();
            }
        }
        let busy_ns = (clock.now_ns() - begun_ns).saturating_sub(self.recorder.total_ns(Step::EventWait));
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(Done {
                placer: self.placer,
                index: self.committer.finish(),
                recorder: self.recorder,
                busy_ns,
                reader_ns: self.reader_ns,
                notes: self.notes,
            }),
        }
    }

    /// Once the reader has ended and every task has reported back, nothing touches the run any more.
    fn is_done(&self) -> bool {
        let idle = self.reader_done && self.received == self.shared.spawned();
        let waits = self.placer.has_sealed() || self.placer.rows().has_batch();
        let all = self.placed_all && !waits && self.committer.committed() == self.placer.frames();
        idle && (all || self.failure.is_some())
    }

    fn handle(&mut self, event: Event) -> Result<(), PipelineError> {
        match event {
            Event::Digested(load) => {
                self.received += 1;
                if self.failure.is_none() {
                    self.waiting.insert(load.seq, load);
                    self.place();
                }
            }
            Event::Compressed(mut frame) => {
                self.received += 1;
                if let Some(error) = frame.error.take() {
                    return Err(PipelineError::Codec { block: frame.seq, error });
                }
                if frame.header.is_none() || self.failure.is_some() {
                    // Compressed after the run was stopped: nothing is written any more.
                    return Ok(());
                }
                let (placer, spare) = (&mut self.placer, &mut self.spare_frames);
                self.committer.commit(frame, &mut self.recorder, |mut frame| {
                    placer.recycle(std::mem::take(&mut frame.directory));
                    spare.push(frame);
                })?;
            }
            Event::Encoded(number, batch) => {
                self.received += 1;
                self.encoding -= 1;
                self.committer.batch(number, batch.map_err(PipelineError::Index)?);
            }
            Event::ReaderDone(result) => {
                self.reader_done = true;
                let end = result.map_err(PipelineError::Backend)?;
                self.recorder.merge(&end.recorder);
                self.reader_ns = end.busy_ns;
                self.notes = end.degraded;
            }
            Event::Panicked(doing) => {
                self.received += 1;
                return Err(PipelineError::Panicked(doing));
            }
        }
        Ok(())
    }

    /// Places every load whose turn it is.
    fn place(&mut self) {
        while let Some(mut load) = self.waiting.remove(&self.next_load) {
            if self.failure.is_none() && !self.shared.is_stopped() {
                let begun_ns = self.recorder.since(Step::PlaceWait, load.hashed_ns);
                self.placer.place(&mut load);
                self.recorder.since(Step::Place, begun_ns);
            }
            self.next_load += 1;
            load.regions.clear();
            // The queue holds every load there is; a box that did not fit would only be made anew.
            let _ = self.spare_loads.push(load);
        }
    }

    /// Hands sealed blocks to the workers, as many as there are frames to put them in.
    fn dispatch(&mut self) {
        if self.failure.is_some() {
            return;
        }
        if !self.placed_all && self.next_load == self.job.loads() {
            self.placer.finish();
            self.placed_all = true;
        }
        while self.encoding < self.job.frames {
            let Some(batch) = self.placer.rows_mut().next_batch() else { break };
            self.shared.encode(self.batches, batch);
            self.batches += 1;
            self.encoding += 1;
        }
        if let Some(error) = self.placer.rows_mut().take_broken() {
            self.fail(PipelineError::Index(error));
            return;
        }
        while !self.spare_frames.is_empty() {
            let Some(sealed) = self.placer.next_sealed() else { return };
            let Sealed { seq, lease, raw_len, dictionary, directory, born_ns, sealed_ns } = sealed;
            let mut frame = self.spare_frames.pop().expect("just seen");
            frame.seq = seq;
            frame.lease = lease;
            frame.raw_len = raw_len;
            frame.dictionary = dictionary;
            frame.directory = directory;
            frame.header = None;
            frame.born_ns = born_ns;
            frame.given_ns = self.recorder.since(Step::FrameWait, sealed_ns);
            self.shared.spawn(Task::Compress(frame));
        }
    }

    fn glance(&mut self) {
        if self.failure.is_none() && self.job.control.cancel.is_cancelled() {
            self.fail(PipelineError::Cancelled);
        }
    }

    fn tick(&mut self) {
        if self.last_report.elapsed() >= TICK {
            self.last_report = Instant::now();
            self.job.control.report(&Progress {
                stage: Stage::Pack,
                bytes: self.placer.bytes,
                bytes_total: self.job.plan.total_bytes(),
                entries: u64::from(self.placer.rows().done()),
                entries_total: self.job.entries.len() as u64,
                stored: self.committer.written(),
            });
        }
    }

    /// The first failure wins; everything winds down.
    fn fail(&mut self, failure: PipelineError) {
        self.shared.stop();
        if self.failure.is_none() {
            self.failure = Some(failure);
        }
        // Their slots go back, so that a reader that waits for one wakes and sees the stop.
        self.waiting.clear();
        while self.placer.next_sealed().is_some() {}
    }
}
