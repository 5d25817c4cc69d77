//! What a run's samples come to: a row a stage, with its percentiles, its curve and its histogram.

use std::fmt;
use std::time::SystemTime;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::recorder::Samples;
use super::{Busy, Kind, Recorder, Step, Unit, Verdict, verdict};

/// The quantiles of [`StageRow::curve`].
pub const QUANTILES: [f64; 13] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0];

/// The times of a run. Empty when nothing was recorded.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// One row a stage that has a sample, in the order of the flow.
    pub rows: Vec<StageRow>,
    /// What the run waited for; `None` when nothing was recorded.
    pub verdict: Option<Verdict>,
    /// How long the stages ran, ns: from the start of their threads until everything was committed or delivered.
    pub wall_ns: u64,
    /// When they began, by the clock on the wall; `None` when nothing was recorded.
    pub began: Option<SystemTime>,
}

impl Stages {
    /// What a recorder holds in which the samples of all threads are merged. Empty when its clock is off.
    #[must_use]
    pub fn new(recorder: &Recorder, busy: &Busy, began: Option<SystemTime>) -> Self {
        if !recorder.clock().is_on() {
            return Self::default();
        }
        let samples = || Step::ALL.into_iter().filter_map(|step| Some((step, recorder.samples_of(step)?)));
        let services = samples().filter(|(step, _)| step.kind() == Kind::Service);
        let all_ns = services.map(|(_, samples)| samples.total_ns).fold(0, u64::saturating_add);
        let rows = samples().map(|(step, samples)| StageRow::new(step, samples, all_ns));
        Self { rows: rows.collect(), verdict: Some(verdict(busy)), wall_ns: busy.wall_ns, began }
    }

    /// The row of a step, if it has samples.
    #[must_use]
    pub fn row(&self, step: Step) -> Option<&StageRow> {
        self.rows.iter().find(|row| row.stage == step.name())
    }
}

/// The times of one stage. Percentiles are kept within 1%.
#[derive(Clone, Serialize)]
pub struct StageRow {
    /// [`Step::name`].
    pub stage: &'static str,
    /// What kind of time it is.
    pub kind: Kind,
    /// What one sample is about.
    pub unit: Unit,
    /// Number of samples.
    pub count: u64,
    /// Median, ns.
    pub p50_ns: u64,
    /// 90th percentile, ns.
    pub p90_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// 99.9th percentile, ns.
    pub p999_ns: u64,
    /// Longest, ns.
    pub max_ns: u64,
    /// Sum over all threads, ns, exact.
    pub total_ns: u64,
    /// `total_ns` of a service divided by that of all services, 0 to 1; `None` for waits and roads.
    pub share: Option<f64>,
    /// The percentile curve, at [`QUANTILES`].
    pub curve: [CurvePoint; QUANTILES.len()],
    #[serde(skip)]
    histogram: Histogram<u64>,
}

/// One point of a percentile curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// From 0 to 1.
    pub quantile: f64,
    /// This share of all samples took so long at most, ns.
    pub ns: u64,
}

impl StageRow {
    fn new(step: Step, samples: &Samples, all_services_ns: u64) -> Self {
        let Samples { histogram, total_ns } = samples;
        let at = |quantile| histogram.value_at_quantile(quantile);
        let share = *total_ns as f64 / all_services_ns.max(1) as f64;
        Self {
            stage: step.name(),
            kind: step.kind(),
            unit: step.unit(),
            count: histogram.len(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: histogram.max(),
            total_ns: *total_ns,
            share: (step.kind() == Kind::Service).then_some(share),
            curve: QUANTILES.map(|quantile| CurvePoint { quantile, ns: at(quantile) }),
            histogram: histogram.clone(),
        }
    }

    /// All its samples.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

impl fmt::Debug for StageRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The thousands of buckets of the histogram would hide everything else.
        let Self { stage, count, p50_ns, p99_ns, max_ns, total_ns, .. } = self;
        write!(f, "{stage}: {count} × {p50_ns}/{p99_ns}/{max_ns} ns, {total_ns} ns in all")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clock, SinkTime};
    use super::*;

    fn stages(recorder: &Recorder) -> Stages {
        let sink = SinkTime::Workers { write_ns: 0 };
        let busy = Busy { wall_ns: 9, threads: 1, reader_ns: 0, codec_ns: 0, sink, backlog_ns: 0 };
        Stages::new(recorder, &busy, None)
    }

    #[test]
    fn percentiles_are_within_a_hundredth() {
        let mut recorder = Recorder::new(Clock::new(true));
        for ns in 1..=1000 {
            recorder.record(Step::Read, ns * 1000);
        }
        let stages = stages(&recorder);
        let read = stages.row(Step::Read).unwrap();
        assert_eq!((read.count, read.total_ns), (1000, 500_500_000));
        for (found, exact) in [
            (read.p50_ns, 500_000),
            (read.p90_ns, 900_000),
            (read.p99_ns, 990_000),
            (read.p999_ns, 999_000),
            (read.max_ns, 1_000_000),
            (read.curve[1].ns, 100_000),
        ] {
            assert!(found.abs_diff(exact) <= exact / 100, "{found} is not {exact}");
        }
    }

    #[test]
    fn curves_rise_from_the_shortest_to_the_longest_however_few_the_samples() {
        let mut recorder = Recorder::new(Clock::new(true));
        for ns in [70, 20, 40] {
            recorder.record(Step::Commit, ns);
        }
        let stages = stages(&recorder);
        let curve = stages.rows[0].curve;
        assert_eq!((curve[0].ns, curve[3].ns, curve[12].ns), (20, 40, 70));
        assert!(curve.is_sorted_by_key(|point| point.ns) && curve.is_sorted_by(|a, b| a.quantile < b.quantile));
    }

    #[test]
    fn shares_are_of_services_alone_and_add_up_to_one() {
        let mut recorder = Recorder::new(Clock::new(true));
        recorder.record(Step::Compress, 600);
        recorder.record(Step::Digest, 200);
        recorder.record(Step::Block, 5000);
        recorder.record(Step::QueueWait, 7000);
        let found = stages(&recorder);
        let shares: Vec<_> = found.rows.iter().map(|row| (row.stage, row.share)).collect();
        let expected = [("queue_wait", None), ("digest", Some(0.25)), ("compress", Some(0.75)), ("block", None)];
        assert_eq!(shares, expected);
        let json = serde_json::to_value(&found.rows[2]).unwrap();
        assert_eq!((&json["kind"], &json["unit"], &json["share"]), (&"service".into(), &"block".into(), &0.75.into()));
        assert_eq!(json["curve"].as_array().unwrap().len(), QUANTILES.len());
    }

    #[test]
    fn nothing_recorded_makes_no_rows_and_no_verdict() {
        let off = stages(&Recorder::new(Clock::new(false)));
        assert!(off.rows.is_empty() && off.verdict.is_none());
    }
}
