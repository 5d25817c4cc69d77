//! What the steps report: the raw numbers of the engine, and what it complained about.

use carrack_engine::control::Warning;
use carrack_engine::stages::{CurvePoint, StageRow, Stages, Verdict};
use serde::{Deserialize, Serialize};

/// How many complaints of one kind are kept; all are counted.
pub(super) const COMPLAINTS_MAX: usize = 1000;

/// How long the stages of a step took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// One a stage that has a sample, in the order of the flow.
    pub stages: Vec<StageTimes>,
    /// How long the stages ran, ns.
    pub stages_wall_ns: u64,
    /// What the step waited for; `None` for the naive contender, which does not look.
    pub verdict: Option<VerdictTimes>,
}

/// The times of one stage: a row of `carrack.stages/1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Its name.
    pub stage: String,
    /// `service`, `wait` or `road`.
    pub kind: String,
    /// What one sample is about.
    pub unit: String,
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
    /// Sum over all threads, ns.
    pub total_ns: u64,
    /// Of the time of all services, 0 to 1.
    pub share: Option<f64>,
    /// The percentile curve.
    pub curve: Vec<Point>,
}

/// One point of a percentile curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// From 0 to 1.
    pub quantile: f64,
    /// Ns.
    pub ns: u64,
}

/// What a step waited for: the verdict of `carrack.stages/1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictTimes {
    /// `reader-bound`, `codec-bound`, `sink-bound` or `balanced`.
    pub bound: String,
    /// Busy share of the reader, 0 to 1 as all shares.
    pub reader_share: f64,
    /// Mean busy share of the workers.
    pub workers_share: f64,
    /// Their share of computing.
    pub codec_share: f64,
    /// Share of writing.
    pub sink_share: f64,
    /// Busy share of the coordinator, where there is one.
    pub coordinator_share: Option<f64>,
    /// Tasks that waited for a worker, on average.
    pub backlog: f64,
}

impl Times {
    pub(super) fn of(stages: &Stages) -> Self {
        Self {
            stages: stages.rows.iter().map(StageTimes::of).collect(),
            stages_wall_ns: stages.wall_ns,
            verdict: stages.verdict.as_ref().map(VerdictTimes::of),
        }
    }
}

impl StageTimes {
    fn of(row: &StageRow) -> Self {
        let point = |point: &CurvePoint| Point { quantile: point.quantile, ns: point.ns };
        Self {
            stage: row.stage.to_owned(),
            kind: row.kind.name().to_owned(),
            unit: row.unit.name().to_owned(),
            count: row.count,
            p50_ns: row.p50_ns,
            p90_ns: row.p90_ns,
            p99_ns: row.p99_ns,
            p999_ns: row.p999_ns,
            max_ns: row.max_ns,
            total_ns: row.total_ns,
            share: row.share,
            curve: row.curve.iter().map(point).collect(),
        }
    }
}

impl VerdictTimes {
    fn of(verdict: &Verdict) -> Self {
        Self {
            bound: verdict.bound.name().to_owned(),
            reader_share: verdict.reader_share,
            workers_share: verdict.workers_share,
            codec_share: verdict.codec_share,
            sink_share: verdict.sink_share,
            coordinator_share: verdict.coordinator_share,
            backlog: verdict.backlog,
        }
    }
}

/// Complaints about paths, the first ones in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// How many there are.
    pub count: u64,
    /// The first thousand.
    pub first: Vec<Complaint>,
}

/// A complaint about one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    /// The path, with what no terminal should see escaped; empty where it is about no path.
    pub path: String,
    /// What happened, as one clause.
    pub what: String,
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.what),
            path => write!(f, "{path}: {}", self.what),
        }
    }
}

impl Counted {
    pub(super) fn of<T>(all: &[T], words: impl Fn(&T) -> Complaint) -> Self {
        Self { count: all.len() as u64, first: all.iter().take(COMPLAINTS_MAX).map(words).collect() }
    }

    pub(super) fn warnings(all: &[Warning]) -> Self {
        let words = |warning: &Warning| Complaint {
            path: carrack_engine::control::Escaped(&warning.path).to_string(),
            what: warning.what.clone(),
        };
        Self::of(all, words)
    }

    pub(super) fn sentences(all: &[String]) -> Self {
        Self::of(all, |what| Complaint { path: String::new(), what: what.clone() })
    }
}

/// What packing reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Packed {
    /// Rows of the archive; 0 for the naive contender, which has none.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Bytes of content of all files.
    pub bytes: u64,
    /// Bytes of the archive.
    pub archive_bytes: u64,
    /// Frames.
    pub blocks: u64,
    /// Bytes of content that were stored already.
    pub duplicate_bytes: u64,
    /// Who read: the backend in fact, where `auto` was asked for.
    pub backend: String,
    /// What the backend had to do without.
    pub notes: Vec<String>,
    /// What went wrong with single paths.
    pub warnings: Counted,
    /// The root digest; empty for the naive contender.
    pub root: String,
    /// How long the stages took.
    #[serde(flatten)]
    pub times: Times,
}

/// What verifying reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verified {
    /// Files whose content was proved.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that are right.
    pub blocks: u64,
    /// What is wrong.
    pub damage: Counted,
    /// How long the stages took.
    #[serde(flatten)]
    pub times: Times,
}

/// What unpacking reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unpacked {
    /// Files that were written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong with the archive.
    pub damage: Counted,
    /// What could not be written.
    pub warnings: Counted,
    /// How long the stages took.
    #[serde(flatten)]
    pub times: Times,
}

/// What comparing reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// What differs.
    pub differences: Counted,
}

/// What a look through a folder reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sampled {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Some of them, drawn at random, relative to the folder.
    pub paths: Vec<String>,
}

#[cfg(test)]
mod tests {
    use carrack_engine::stages::{Busy, Clock, Recorder, SinkTime, Step};

    use super::*;

    #[test]
    fn rows_and_verdict_have_the_engines_own_fields() {
        let mut recorder = Recorder::new(Clock::new(true));
        recorder.record(Step::Read, 1234);
        recorder.record(Step::QueueWait, 99);
        let sink = SinkTime::Coordinator { busy_ns: 400, commit_ns: 300 };
        let busy = Busy { wall_ns: 5000, threads: 2, reader_ns: 3000, codec_ns: 700, sink, backlog_ns: 10 };
        let stages = Stages::new(&recorder, &busy, None);
        let times = Times::of(&stages);
        let json = serde_json::to_value(&times).unwrap();
        assert_eq!(json["stages"], serde_json::to_value(&stages.rows).unwrap());
        assert_eq!(json["verdict"], serde_json::to_value(stages.verdict).unwrap());
        assert_eq!((&json["verdict"]["bound"], &json["stages_wall_ns"]), (&"reader-bound".into(), &5000.into()));
        assert_eq!(serde_json::from_value::<Times>(json).unwrap(), times);
    }
}
