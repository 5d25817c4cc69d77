//! The reader thread: owns the backend, fills slots, hands full loads on.
//!
//! In: the plan and empty slots. Out: loads, each exactly once, in whatever order their last read completes. It
//! compares what `stat` says after a file was read with what the walk saw, and reads a changed file again a bounded
//! number of times. It does not know what the bytes are for.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use carrack_backends::arena::Lease;
use carrack_backends::path::PathId;
use carrack_backends::read::{Completion, Op, ReadBackend, Request};
use carrack_backends::witness::Witness;

use super::Job;
use super::load::{Load, Note};
use super::roads::Roads;
use super::shared::Shared;
use super::tasks::Task;
use crate::plan::ChunkKind;
use crate::ring::{Queue, SlotRing};
use crate::stages::{Recorder, Step};

/// How often a file that changed while it was read is read again before it is stored as read and flagged.
const RETRIES: u32 = 3;
/// How long to wait for a completion before looking whether the run was stopped.
const GLANCE: Duration = Duration::from_millis(50);

/// A load that is being filled, and how many of its buffers are in flight.
struct Filling {
    load: Box<Load>,
    pending: usize,
}

/// A file that is being read again.
struct Retry {
    times: u32,
    expected: Witness,
    /// When its first read was queued, ns of the run's clock.
    queued_ns: u64,
}

/// What a reader leaves behind.
pub(super) struct ReaderEnd {
    pub recorder: Recorder,
    /// How long it had reads to make or to wait for, ns.
    pub busy_ns: u64,
    /// What the backend had to do without.
    pub degraded: Vec<String>,
}

pub(super) struct Reader {
    job: Arc<Job>,
    shared: Arc<Shared>,
    backend: Box<dyn ReadBackend>,
    ring: Arc<SlotRing>,
    spare: Arc<Queue<Box<Load>>>,
    queue: VecDeque<Request>,
    /// Loads being filled; a request's tag names its place here and the chunk within the load.
    filling: Vec<Option<Filling>>,
    retries: HashMap<u64, Retry>,
    next_load: usize,
    loads: usize,
    recorder: Recorder,
    /// Since when there is no empty slot for the next load, ns of the run's clock.
    wanted_ns: Option<u64>,
    /// Files of several reads that are under way.
    roads: Roads,
}

impl Reader {
    pub(super) fn new(
        job: Arc<Job>,
        shared: Arc<Shared>,
        backend: Box<dyn ReadBackend>,
        ring: Arc<SlotRing>,
        spare: Arc<Queue<Box<Load>>>,
    ) -> Self {
        let loads = job.plan.blocks().div_ceil(job.blocks_per_slot());
        let recorder = Recorder::new(job.clock);
        Self {
            job,
            shared,
            backend,
            ring,
            spare,
            queue: VecDeque::new(),
            filling: Vec::new(),
            retries: HashMap::new(),
            next_load: 0,
            loads,
            recorder,
            wanted_ns: None,
            roads: Roads::default(),
        }
    }

    /// Reads everything, or until the run is stopped. What cannot be read is noted in its load; an error here means
    /// that the backend as a whole is broken. `begun_ns` is when its thread began, by the run's clock.
    pub(super) fn run(mut self, begun_ns: u64) -> io::Result<ReaderEnd> {
        let clock = self.recorder.clock();
        let mut completions = Vec::new();
        let mut idle_ns = 0;
        while !self.shared.is_stopped() {
            self.open_loads();
            if self.queue.is_empty() && self.backend.in_flight() == 0 {
                if self.next_load == self.loads {
                    break;
                }
                // Everything read so far is with the workers: only they can give a slot back.
                let shared = Arc::clone(&self.shared);
                let waiting_ns = clock.now_ns();
                let slot = self.ring.take(|| shared.is_stopped());
                idle_ns += clock.now_ns() - waiting_ns;
                if let Some(slot) = slot {
                    self.open_load(slot);
                }
                continue;
            }
            self.backend.submit(&mut self.queue)?;
            self.backend.reap(1, Some(GLANCE), &mut completions)?;
            for completion in completions.drain(..) {
                self.complete(completion);
            }
        }
        let busy_ns = clock.now_ns() - begun_ns - idle_ns;
        Ok(ReaderEnd { recorder: self.recorder, busy_ns, degraded: self.backend.caps().degraded.clone() })
    }

    /// Opens loads as long as there are empty slots and the backend could take more requests.
    fn open_loads(&mut self) {
        let depth = self.backend.caps().depth;
        while self.next_load < self.loads && self.queue.len() < depth {
            let Some(slot) = self.ring.try_take() else {
                let clock = self.recorder.clock();
                self.wanted_ns.get_or_insert_with(|| clock.now_ns());
                return;
            };
            self.open_load(slot);
        }
    }

    /// Cuts a slot into the regions of the next load's blocks, and these into the buffers of its chunks.
    fn open_load(&mut self, slot: Lease) {
        let job = Arc::clone(&self.job);
        let per_slot = job.blocks_per_slot();
        let first = self.next_load * per_slot;
        let blocks = first..(first + per_slot).min(job.plan.blocks());
        let mut load = self.spare.pop().unwrap_or_default();
        load.reset(self.next_load, blocks.clone(), &job.plan);
        self.next_load += 1;

        let at = self.filling.iter().position(Option::is_none).unwrap_or_else(|| {
            self.filling.push(None);
            self.filling.len() - 1
        });
        let queued_ns = self.recorder.clock().now_ns();
        self.recorder.between(Step::SlotWait, self.wanted_ns.take().unwrap_or(queued_ns), queued_ns);
        load.queued_ns = queued_ns;
        let first_chunk = load.chunks(&job.plan).start;
        let mut pending = 0;
        let mut rest_of_slot = slot;
        for block in blocks {
            let behind = rest_of_slot.split_off(job.block_size as usize);
            let mut region = std::mem::replace(&mut rest_of_slot, behind);
            for index in job.plan.block(block) {
                let chunk = &job.plan.chunks()[index];
                let within = index - first_chunk;
                if chunk.kind() == ChunkKind::Hole {
                    load.got[within] = chunk.len();
                    continue;
                }
                let rest = region.split_off(chunk.len() as usize);
                let buf = std::mem::replace(&mut region, rest);
                let tag = (at as u64) << 32 | within as u64;
                let op = op(&job, index);
                if job.clock.is_on() {
                    self.roads.queued(&op, queued_ns);
                }
                self.queue.push_back(Request { tag, op, buf, queued_ns });
                pending += 1;
            }
            load.rests.push(region);
        }
        self.filling[at] = Some(Filling { load, pending });
        if pending == 0 {
            self.hand_on(at);
        }
    }

    fn complete(&mut self, completion: Completion) {
        let at = (completion.tag >> 32) as usize;
        let within = (completion.tag & u64::from(u32::MAX)) as usize;
        let stamps = completion.stamps;
        self.recorder.between(Step::QueueWait, stamps.queued_ns, stamps.submitted_ns);
        self.recorder.between(Step::Read, stamps.submitted_ns, stamps.completed_ns);
        let Some(completion) = self.settle(at, within, completion) else { return };
        let filling = self.filling[at].as_mut().expect("a completion belongs to a load being filled");
        filling.load.parts[within] = Some(completion.buf);
        filling.pending -= 1;
        if filling.pending == 0 {
            self.hand_on(at);
        }
    }

    /// Judges what was read. Gives the completion back when that is final, or queues the file once more.
    fn settle(&mut self, at: usize, within: usize, completion: Completion) -> Option<Completion> {
        let row = completion.op.path().0;
        let walked = self.job.entries.witnesses.get(row as usize);
        let retry = self.retries.remove(&completion.tag);
        let verdict = judge(&completion, &walked, retry.as_ref());
        let load = &mut self.filling[at].as_mut().expect("a completion belongs to a load being filled").load;
        load.got[within] = *completion.result.as_ref().unwrap_or(&0);
        if completion.witness.is_some() && matches!(completion.op, Op::Range { .. }) {
            load.notes.push((row, Note::Witnessed));
        }
        let first_ns = retry.as_ref().map_or(completion.stamps.queued_ns, |retry| retry.queued_ns);
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Noted(note) => load.notes.push((row, note)),
            Verdict::Again(expected) => {
                let times = retry.map_or(1, |retry| retry.times + 1);
                self.retries.insert(completion.tag, Retry { times, expected, queued_ns: first_ns });
                let Completion { tag, op, buf, .. } = completion;
                let queued_ns = self.recorder.clock().now_ns();
                self.queue.push_back(Request { tag, op, buf, queued_ns });
                return None;
            }
        }
        if self.recorder.clock().is_on()
            && let Some(first_ns) = self.roads.completed(&completion.op, first_ns)
        {
            self.recorder.between(Step::File, first_ns, completion.stamps.completed_ns);
        }
        Some(completion)
    }

    /// Gives a load whose last buffer is back to the workers.
    fn hand_on(&mut self, at: usize) {
        let Filling { mut load, .. } = self.filling[at].take().expect("the load is being filled");
        load.join_regions(&self.job.plan);
        load.filled_ns = self.recorder.clock().now_ns();
        self.shared.spawn(Task::Digest(load));
    }
}

fn op(job: &Job, index: usize) -> Op {
    let chunk = &job.plan.chunks()[index];
    let path = PathId(chunk.row());
    if chunk.is_whole() {
        Op::Whole { path }
    } else {
        Op::Range { path, offset: chunk.offset(), last: chunk.is_last_data() }
    }
}

/// What is to be made of one read.
enum Verdict {
    /// The file is as the walk saw it.
    Unchanged,
    /// It is not, and this is final.
    Noted(Note),
    /// It changed; read it again and expect this.
    Again(Witness),
}

fn judge(completion: &Completion, walked: &Witness, retry: Option<&Retry>) -> Verdict {
    let got = match &completion.result {
        Ok(got) => *got,
        Err(error) => return Verdict::Noted(Note::Failed(io::Error::new(error.kind(), error.to_string()))),
    };
    let buffer = completion.buf.len() as u64;
    let is_whole = matches!(completion.op, Op::Whole { .. });
    match completion.witness {
        // Earlier chunks of a large file may be compressed already: reading it again is no longer possible.
        Some(now) if !is_whole && now != *walked => Verdict::Noted(Note::Changed),
        _ if !is_whole => {
            if u64::from(got) < buffer {
                Verdict::Noted(Note::Changed)
            } else {
                Verdict::Unchanged
            }
        }
        Some(now) if now == *retry.map_or(walked, |retry| &retry.expected) && now.size == u64::from(got) => match retry
        {
            None => Verdict::Unchanged,
            Some(_) if (now.dev, now.ino) == (walked.dev, walked.ino) => Verdict::Noted(Note::Settled(now)),
            Some(_) => Verdict::Noted(Note::Changed),
        },
        Some(now) if now.size <= buffer && retry.is_none_or(|retry| retry.times < RETRIES) => Verdict::Again(now),
        _ => Verdict::Noted(Note::Changed),
    }
}
