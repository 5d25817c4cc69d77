//! What the steps report: the raw numbers of the engine, and what it complained about.

use carrack_engine::control::Warning;
use carrack_engine::stages::Stages;
use serde::{Deserialize, Serialize};

/// How many complaints of one kind are kept; all are counted.
pub(super) const COMPLAINTS_MAX: usize = 1000;

/// The service times of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTimes {
    /// Its name.
    pub stage: String,
    /// Number of samples.
    pub count: u64,
    /// Median, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// Longest, ns.
    pub max_ns: u64,
    /// Sum over all threads, ns.
    pub total_ns: u64,
}

pub(super) fn stage_times(stages: &Stages) -> Vec<StageTimes> {
    let row = |row: &carrack_engine::stages::StageRow| StageTimes {
        stage: row.stage.to_owned(),
        count: row.count,
        p50_ns: row.p50_ns,
        p99_ns: row.p99_ns,
        max_ns: row.max_ns,
        total_ns: row.total_ns,
    };
    stages.rows.iter().map(row).collect()
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
    /// Service times.
    pub stages: Vec<StageTimes>,
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
    /// Service times.
    pub stages: Vec<StageTimes>,
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
    /// Service times.
    pub stages: Vec<StageTimes>,
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
