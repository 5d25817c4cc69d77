//! The requests that the kernel has in hand, by number.
//!
//! What flows in: requests with their buffers, completion entries with their user data. What flows out: the job that
//! an entry belongs to. What it does not know: how a job is carried out.
//!
//! **Invariant.** A job, and with it its buffer, stays in the table until the last completion entry that the kernel
//! owes for it has been seen (`pending` is zero): until then the kernel may write into the buffer.

use io_uring::squeue::Entry;

use super::held::File;
use crate::arena::Lease;
use crate::read::{Completion, Op, Request, Stamps};
use crate::witness::Witness;

/// Which step of a job a completion entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open,
    Read,
    Close,
}

/// User data of entries whose completion says nothing that is needed (cancellations).
const IGNORED: u64 = u64::MAX;

/// Packs a job's number and a step into the user data of an entry.
pub(super) fn user_data(job: u32, step: Step) -> u64 {
    u64::from(job) << 2 | step as u64
}

/// Marks an entry whose completion is to be ignored.
pub(super) fn ignored(entry: Entry) -> Entry {
    entry.user_data(IGNORED)
}

/// The opposite of [`user_data`]; `None` for entries made by [`ignored`].
pub(super) fn step_of(user_data: u64) -> Option<(u32, Step)> {
    let job = u32::try_from(user_data >> 2).ok()?;
    let step = match user_data & 3 {
        0 => Step::Open,
        1 => Step::Read,
        2 => Step::Close,
        _ => return None,
    };
    Some((job, step))
}

/// How a job is carried out, and how far it has come.
#[derive(Debug)]
pub(super) enum Work {
    /// Linked open → read → close on a direct descriptor; what each step returned (bytes or negative errno).
    Chain { open: i32, read: i32, close: i32 },
    /// Reads of a file that is held open.
    Held(HeldRead),
}

/// One request on a file that is held open.
#[derive(Debug)]
pub(super) struct HeldRead {
    /// The file; open as long as this job lives.
    pub(super) file: File,
    /// Bytes at the start of the buffer that are filled.
    pub(super) filled: usize,
    /// Bytes asked for by the read that is in flight.
    pub(super) want: usize,
    /// Whether the read that is in flight bypasses the page cache.
    pub(super) direct: bool,
    /// Whether the reads to come may do so.
    pub(super) may_direct: bool,
    /// How often the same read was interrupted.
    pub(super) interrupted: u32,
}

/// One request in the kernel's hands.
#[derive(Debug)]
pub(super) struct Job {
    tag: u64,
    pub(super) op: Op,
    pub(super) buf: Lease,
    queued_ns: u64,
    pub(super) submitted_ns: u64,
    /// Completion entries that the kernel still owes.
    pub(super) pending: u32,
    pub(super) work: Work,
}

impl Job {
    pub(super) fn new(request: Request, submitted_ns: u64, work: Work) -> Self {
        let Request { tag, op, buf, queued_ns } = request;
        Self { tag, op, buf, queued_ns, submitted_ns, pending: 0, work }
    }

    /// Ends the job and gives the buffer back.
    pub(super) fn complete(
        self,
        result: std::io::Result<u32>,
        witness: Option<Witness>,
        completed_ns: u64,
    ) -> Completion {
        debug_assert_eq!(self.pending, 0, "a buffer was given back while the kernel had it");
        let stamps = Stamps { queued_ns: self.queued_ns, submitted_ns: self.submitted_ns, completed_ns };
        Completion { tag: self.tag, op: self.op, buf: self.buf, result, witness, stamps }
    }
}

/// A fixed number of places for jobs. The number of a place is also that of its direct descriptor.
#[derive(Debug)]
pub(super) struct Jobs {
    places: Vec<Option<Job>>,
    free: Vec<u32>,
}

impl Jobs {
    pub(super) fn new(depth: u32) -> Self {
        Self { places: (0..depth).map(|_| None).collect(), free: (0..depth).rev().collect() }
    }

    /// How many jobs there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Puts a job in a free place.
    ///
    /// # Panics
    /// When all places are taken: the caller counts them.
    pub(super) fn insert(&mut self, job: Job) -> u32 {
        let number = self.free.pop().expect("no more jobs are started than there are places");
        self.places[number as usize] = Some(job);
        number
    }

    /// The job of that number.
    ///
    /// # Panics
    /// When there is none: the kernel never answers for a job that it does not have.
    pub(super) fn get(&mut self, number: u32) -> &mut Job {
        self.places[number as usize].as_mut().expect("an entry completed for a job that does not exist")
    }

    /// Takes a job out, whose last completion entry has been seen.
    pub(super) fn remove(&mut self, number: u32) -> Job {
        let job = self.places[number as usize].take().expect("only a present job is removed");
        assert_eq!(job.pending, 0, "a job was removed that the kernel still works on");
        self.free.push(number);
        job
    }

    /// All jobs with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Job)> {
        (0..).zip(&self.places).filter_map(|(number, job)| job.as_ref().map(|job| (number, job)))
    }

    /// The least number of completion entries that can complete `wanted` jobs: waiting for more might wait too long.
    pub(super) fn fewest_entries(&self, wanted: usize) -> usize {
        let mut owing = [0_usize; 4];
        for (_, job) in self.iter() {
            owing[(job.pending as usize).min(3)] += 1;
        }
        let mut left = wanted;
        let mut entries = 0;
        for (pending, &jobs) in owing.iter().enumerate() {
            let taken = jobs.min(left);
            entries += pending * taken;
            left -= taken;
        }
        entries.max(1)
    }

    /// Gives up all jobs without giving their buffers back.
    pub(super) fn leak(&mut self) {
        self.places.drain(..).for_each(std::mem::forget);
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::path::PathId;

    #[test]
    fn user_data_comes_back_as_it_went() {
        for job in [0, 1, 127, u32::MAX] {
            for step in [Step::Open, Step::Read, Step::Close] {
                assert_eq!(step_of(user_data(job, step)), Some((job, step)));
            }
        }
        assert_eq!(step_of(IGNORED), None);
    }

    #[test]
    fn a_wait_asks_for_no_more_entries_than_the_nearest_jobs_owe() {
        let arena = Arena::new(4, 64).unwrap();
        let mut jobs = Jobs::new(4);
        assert_eq!(jobs.fewest_entries(1), 1, "a wait for nothing would not wait");
        for (slot, pending) in [3, 1, 2, 3].into_iter().enumerate() {
            let buf = arena.lease(slot as u32).unwrap();
            let request = Request { tag: 0, op: Op::Whole { path: PathId(0) }, buf, queued_ns: 0 };
            let number = jobs.insert(Job::new(request, 0, Work::Chain { open: 0, read: 0, close: 0 }));
            jobs.get(number).pending = pending;
        }
        assert_eq!([1, 2, 3, 4, 9].map(|wanted| jobs.fewest_entries(wanted)), [1, 3, 6, 9, 9]);
    }
}
