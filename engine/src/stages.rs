//! How long each stage took: one histogram a stage, recorded by each thread for itself, merged at the end.

use hdrhistogram::Histogram;

/// A stage whose service time is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From handing a read to the kernel until it is found complete; one sample a request.
    Read,
    /// Hashing the chunks of one slot; one sample a slot.
    Digest,
    /// Compressing one block and its directory; one sample a block.
    Compress,
    /// Appending one frame to the sink; one sample a frame.
    Commit,
    /// Checking and decoding one frame; one sample a frame.
    Decode,
    /// Creating, writing and closing the files of one block; one sample a block.
    Write,
}

impl Step {
    /// Every step, in the order of the flow.
    pub const ALL: [Step; 6] = [Step::Read, Step::Digest, Step::Compress, Step::Commit, Step::Decode, Step::Write];

    /// Its name in tables and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::Read => "read",
            Step::Digest => "digest",
            Step::Compress => "compress",
            Step::Commit => "commit",
            Step::Decode => "decode",
            Step::Write => "write",
        }
    }
}

/// Longest time told apart, ns: one hour. Whatever takes longer counts as that long.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// One thread's samples. A histogram is only allocated (some 40 KB) for a step that this thread records.
#[derive(Debug, Default)]
pub struct Recorder {
    steps: [Option<Histogram<u64>>; Step::ALL.len()],
    totals_ns: [u64; Step::ALL.len()],
}

impl Recorder {
    /// Counts one sample.
    pub fn record(&mut self, step: Step, ns: u64) {
        let histogram = self.steps[step as usize].get_or_insert_with(empty);
        histogram.saturating_record(ns.clamp(1, LONGEST_NS));
        self.totals_ns[step as usize] += ns;
    }

    /// Adds the samples of another thread.
    pub fn merge(&mut self, other: &Recorder) {
        for (at, theirs) in other.steps.iter().enumerate() {
            let Some(theirs) = theirs else { continue };
            self.steps[at].get_or_insert_with(empty).add(theirs).expect("all histograms have the same bounds");
            self.totals_ns[at] += other.totals_ns[at];
        }
    }

    /// The figures of every step that has a sample.
    #[must_use]
    pub fn stages(&self) -> Stages {
        let rows = Step::ALL.into_iter().filter_map(|step| {
            let histogram = self.steps[step as usize].as_ref()?;
            Some(StageRow {
                stage: step.name(),
                count: histogram.len(),
                p50_ns: histogram.value_at_quantile(0.5),
                p99_ns: histogram.value_at_quantile(0.99),
                max_ns: histogram.max(),
                total_ns: self.totals_ns[step as usize],
            })
        });
        Stages { rows: rows.collect() }
    }
}

/// Two significant digits: a sample is kept within 1% of its value.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("the bounds are valid")
}

/// The service times of a run, one row a stage.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// In the order of the flow.
    pub rows: Vec<StageRow>,
}

/// The service times of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageRow {
    /// [`Step::name`].
    pub stage: &'static str,
    /// Number of samples.
    pub count: u64,
    /// Median, ns, within 1%.
    pub p50_ns: u64,
    /// 99th percentile, ns, within 1%.
    pub p99_ns: u64,
    /// Longest, ns, within 1%.
    pub max_ns: u64,
    /// Sum over all threads, ns.
    pub total_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_two_threads_add_up() {
        let (mut a, mut b) = (Recorder::default(), Recorder::default());
        for ns in 1..=99 {
            a.record(Step::Read, ns * 1000);
        }
        b.record(Step::Read, 1_000_000);
        b.record(Step::Commit, 0);
        a.merge(&b);
        let stages = a.stages();
        assert_eq!(stages.rows.iter().map(|row| row.stage).collect::<Vec<_>>(), ["read", "commit"]);
        let read = stages.rows[0];
        assert_eq!(read.count, 100);
        assert!((49_000..=51_000).contains(&read.p50_ns), "{}", read.p50_ns);
        assert!((990_000..=1_010_000).contains(&read.max_ns), "{}", read.max_ns);
        assert_eq!(read.total_ns, 4_950_000 + 1_000_000);
    }
}
