//! `floors.json`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::FloorsArgs;
use super::Synced;
use super::job::{Job, Run};
use super::judge::{Floor, JobSummary, floors, summaries};
use carrack_measure::error::Result;
use carrack_measure::host::{self, Host};

/// Name and version of the schema: another version means that a reader has to look again.
const SCHEMA: &str = "carrack.floors/1";

/// A tree that was packed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    /// Regular files.
    pub(super) files: u64,
    /// Bytes of their content.
    pub(super) bytes: u64,
}

/// The trees that were packed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Inputs {
    pub(super) tree: Input,
    pub(super) tiny: Option<Input>,
}

/// The programs that Carrack is compared with.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Peers {
    /// What `tar` and `zstd` call themselves.
    pub(super) versions: Vec<String>,
    /// Which of them is missing, so that neither was measured.
    pub(super) missing: Option<String>,
}

/// A run, and when it was.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    pub(super) round: u32,
    /// How many jobs ran before it in this round.
    pub(super) place: usize,
    pub(super) job: Job,
    #[serde(flatten)]
    pub(super) run: Run,
}

/// Everything that was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Outcome {
    pub(super) samples: Vec<Sample>,
    /// Jobs that failed, and why.
    pub(super) failures: Vec<(Job, String)>,
}

impl Outcome {
    pub(super) fn of(&self, job: Job) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.job == job)
    }
}

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    schema: &'static str,
    /// The arguments of this program.
    command: Vec<String>,
    pub(super) host: Host,
    load_at_end: String,
    pub(super) inputs: Inputs,
    pub(super) peers: Peers,
    pub(super) rounds: u32,
    seed: u64,
    pub(super) level: i32,
    pub(super) synced: Synced,
    /// What the page cache held.
    cache: &'static str,
    pub(super) summaries: Vec<JobSummary>,
    pub(super) floors: Vec<Floor>,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

impl Document {
    pub(super) fn new(
        args: &FloorsArgs,
        host: Host,
        inputs: Inputs,
        peers: Peers,
        outcome: Outcome,
        rounds: u32,
    ) -> Self {
        let summaries = summaries(&outcome, &inputs, args.seed);
        let floors = floors(&outcome, &inputs, &summaries, args.seed);
        Self {
            schema: SCHEMA,
            command: std::env::args().collect(),
            host,
            load_at_end: host::load(),
            inputs,
            peers,
            rounds,
            seed: args.seed,
            level: args.level,
            synced: args.synced,
            cache: "warm: what a job reads is read just before it",
            summaries,
            floors,
            outcome,
        }
    }

    /// Writes it, whole or not at all.
    pub(super) fn save(&self, results: &Path) -> Result<PathBuf> {
        crate::run::save(self, results, "floors.json")
    }
}
