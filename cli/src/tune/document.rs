//! `tune.json`: every run, for the report. `docs/results.md` gives its fields.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_measure::host::Host;
use carrack_measure::stats::{Ratio, Summary};
use carrack_measure::tune::choose::Finalist;
use carrack_measure::tune::grid::DEFAULT;
use serde::Serialize;

use super::args::Operation;
use super::outcome::Outcome;
use super::space::Numbers;
use super::store::Method;

/// Name and version of the document.
const SCHEMA: &str = "carrack.tune/1";

/// All about the search for one operation.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: &'static str,
    command: Vec<String>,
    host: &'a Host,
    seed: u64,
    input: Input,
    cache: &'static str,
    operation: Operation,
    method: Method,
    budget_ns: Option<u64>,
    /// Runs that did not have what the state of the cache promises.
    not_held: u64,
    trials: Vec<Trial>,
    confirmed: Vec<Confirmed>,
    chosen: Option<Chosen>,
    verdict: String,
}

#[derive(Serialize)]
struct Input {
    paths: Vec<String>,
    files: u64,
    bytes: u64,
    sampled: bool,
}

/// One candidate of the search.
#[derive(Serialize)]
struct Trial {
    settings: Numbers,
    default: bool,
    rung: u32,
    walls_ns: Vec<u64>,
    median_ns: Option<u64>,
    memory_bytes: Option<u64>,
    to_default: Option<Ratio>,
    failed: Option<String>,
}

#[derive(Serialize)]
struct Confirmed {
    settings: Numbers,
    to_default: Ratio,
    memory_bytes: u64,
}

#[derive(Serialize)]
struct Chosen {
    settings: Numbers,
}

impl<'a> Document<'a> {
    /// Of what came out.
    pub(super) fn new(outcome: &Outcome, host: &'a Host, seed: u64, budget_ns: Option<u64>) -> Self {
        let trials = (0..outcome.space.grid.len()).filter_map(|candidate| trial(outcome, candidate, seed)).collect();
        let confirmed = |finalist: &Finalist| Confirmed {
            settings: outcome.space.numbers(finalist.candidate),
            to_default: finalist.to_default.clone(),
            memory_bytes: finalist.memory_bytes,
        };
        Self {
            schema: SCHEMA,
            command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            host,
            seed,
            input: Input {
                paths: outcome.input.paths.clone(),
                files: outcome.input.amount.files,
                bytes: outcome.input.amount.bytes,
                sampled: outcome.input.sampled,
            },
            cache: outcome.cache.name(),
            operation: outcome.operation,
            method: outcome.method,
            budget_ns,
            not_held: outcome.not_held,
            trials,
            confirmed: outcome.finalists.iter().map(confirmed).collect(),
            chosen: outcome.chosen().map(|candidate| Chosen { settings: outcome.space.numbers(candidate) }),
            verdict: outcome.words(),
        }
    }

    /// Writes it into a folder, as a whole.
    ///
    /// # Errors
    /// Of kind `Output`.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let name = match self.operation {
            Operation::Pack => "tune.json",
            Operation::Unpack => "tune-unpack.json",
        };
        let path = folder.join(name);
        let write = || {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            // A temporary file is its owner's alone; a result is for everybody whom the folder lets in.
            rustix::fs::fchmod(file.as_file(), rustix::fs::Mode::from_raw_mode(0o644))?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok::<_, std::io::Error>(())
        };
        write().map_err(|error| {
            let path = Escaped(path.as_os_str().as_bytes()).to_string();
            Error::with(ErrorKind::Output, format!("{path}: cannot be written"), error)
        })
    }
}

fn trial(outcome: &Outcome, candidate: usize, seed: u64) -> Option<Trial> {
    let ledger = &outcome.search;
    let walls_ns: Vec<u64> = ledger.walls_ns(candidate).collect();
    Some(Trial {
        settings: outcome.space.numbers(candidate),
        default: candidate == DEFAULT,
        rung: ledger.rung(candidate)?,
        median_ns: Summary::of(walls_ns.iter().map(|&wall| wall as f64)).map(|walls| walls.median as u64),
        walls_ns,
        memory_bytes: ledger.memory_bytes(candidate),
        to_default: ledger.ratio(candidate, seed),
        failed: ledger.failed(candidate).map(ToOwned::to_owned),
    })
}
