//! Recording samples: one recorder a thread, merged at the end.

use carrack_backends::clock;
use hdrhistogram::Histogram;

use super::Step;

/// Longest time told apart, ns: one hour. Whatever takes longer counts as that long in its histogram (not in totals).
const LONGEST_NS: u64 = 3_600_000_000_000;

/// The clock of stamps, which can be switched off: then it is never read and says 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(bool);

impl Clock {
    /// A clock that runs, or one that does not.
    #[must_use]
    pub const fn new(on: bool) -> Self {
        Self(on)
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.0
    }

    /// Ns of [`carrack_backends::clock::now_ns`], 0 when it is off.
    #[must_use]
    pub fn now_ns(self) -> u64 {
        if self.0 { clock::now_ns() } else { 0 }
    }
}

/// The samples of one stage.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    pub histogram: Histogram<u64>,
    /// Exact, while the histogram is within 1%.
    pub total_ns: u64,
}

impl Samples {
    /// Two significant digits: a sample is kept within 1% of its value.
    fn empty() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("the bounds are valid");
        Self { histogram, total_ns: 0 }
    }
}

/// One thread's samples. A histogram is only allocated (some 40 KB) for a step that this thread records.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    /// By [`Step`]; none at all when the clock is off.
    samples: Box<[Option<Samples>]>,
}

impl Recorder {
    /// Without samples. With a clock that is off it never has any, whatever it is told.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let steps = if clock.is_on() { Step::ALL.len() } else { 0 };
        Self { clock, samples: (0..steps).map(|_| None).collect() }
    }

    /// The clock that its samples are taken with.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Counts one sample.
    pub fn record(&mut self, step: Step, ns: u64) {
        // There is no place for it when the clock is off.
        let Some(place) = self.samples.get_mut(step as usize) else { return };
        let samples = place.get_or_insert_with(Samples::empty);
        samples.histogram.saturating_record(ns);
        samples.total_ns = samples.total_ns.saturating_add(ns);
    }

    /// Counts the time between two stamps; none when they are out of order.
    pub fn between(&mut self, step: Step, begun_ns: u64, ended_ns: u64) {
        self.record(step, ended_ns.saturating_sub(begun_ns));
    }

    /// Counts the time from a stamp until now; gives now.
    pub fn since(&mut self, step: Step, begun_ns: u64) -> u64 {
        let now_ns = self.clock.now_ns();
        self.between(step, begun_ns, now_ns);
        now_ns
    }

    /// Sum of all samples of a step, ns.
    #[must_use]
    pub fn total_ns(&self, step: Step) -> u64 {
        self.samples_of(step).map_or(0, |samples| samples.total_ns)
    }

    /// Adds the samples of another thread of the same run.
    pub fn merge(&mut self, other: &Recorder) {
        for (ours, theirs) in self.samples.iter_mut().zip(&other.samples) {
            let Some(theirs) = theirs else { continue };
            let ours = ours.get_or_insert_with(Samples::empty);
            ours.histogram.add(&theirs.histogram).expect("all histograms have the same bounds");
            ours.total_ns = ours.total_ns.saturating_add(theirs.total_ns);
        }
    }

    pub(super) fn samples_of(&self, step: Step) -> Option<&Samples> {
        self.samples.get(step as usize)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_two_threads_add_up() {
        let clock = Clock::new(true);
        let (mut a, mut b) = (Recorder::new(clock), Recorder::new(clock));
        a.record(Step::Read, 1000);
        b.record(Step::Read, 3000);
        b.record(Step::Commit, 0);
        a.merge(&b);
        let count = |step| a.samples_of(step).map(|samples| (samples.histogram.len(), samples.total_ns));
        assert_eq!(count(Step::Read), Some((2, 4000)));
        assert_eq!(count(Step::Commit), Some((1, 0)));
        assert_eq!(count(Step::Write), None);
        assert_eq!((a.total_ns(Step::Read), a.total_ns(Step::Write)), (4000, 0));
    }

    #[test]
    fn what_takes_longer_than_an_hour_still_counts() {
        let mut recorder = Recorder::new(Clock::new(true));
        recorder.record(Step::Commit, u64::MAX);
        recorder.between(Step::Commit, 10, 4);
        let samples = recorder.samples_of(Step::Commit).unwrap();
        assert_eq!((samples.histogram.len(), samples.total_ns, samples.histogram.min()), (2, u64::MAX, 0));
        assert!(samples.histogram.max() >= LONGEST_NS);
    }

    #[test]
    fn a_recorder_that_is_off_reads_no_clock_and_keeps_nothing() {
        let clock = Clock::new(false);
        let mut off = Recorder::new(clock);
        off.record(Step::Read, 5);
        assert_eq!((off.since(Step::Read, 0), clock.now_ns(), off.samples.len()), (0, 0, 0));
        let mut on = Recorder::new(Clock::new(true));
        on.record(Step::Read, 7);
        off.merge(&on);
        assert_eq!(off.total_ns(Step::Read), 0);
    }
}
