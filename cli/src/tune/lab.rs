//! One run at a time. What flows in: settings. What flows out: what a whole process with these settings cost. What this
//! module does not know: why these settings.
//!
//! A run is `carrack pack` or `carrack unpack` of this very binary. It does not wait for the disk at its end: how long
//! that takes says much about the disk and nothing about the settings. What it made is removed before the next run.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use carrack_engine::control::Cancel;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_fixtures::corpus::remove_tree;
use carrack_measure::cache::{Cache, Files, State};
use carrack_measure::process::{self, Stdout, Usage};
use carrack_measure::tune::ledger::{Cost, Subject, Trouble};

use super::args::Operation;
use super::progress::Show;
use super::sample::Sample;
use super::settings::Settings;

/// So many runs of the defaults may find contents on the disk that should be in memory.
const HOT_CHANCES: u32 = 4;

/// A folder of our own, removed with all that is in it.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes it inside `beside`.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn new(beside: &Path) -> std::io::Result<Self> {
        Ok(Self { path: tempfile::Builder::new().prefix(".carrack-tune-").tempdir_in(beside)?.keep() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            eprintln!("carrack: {error}");
        }
    }
}

/// Where runs take place, whatever they are of.
#[derive(Debug)]
pub(super) struct Lab<'a> {
    pub(super) program: PathBuf,
    pub(super) scratch: &'a Scratch,
    pub(super) cache: Cache,
    pub(super) cancel: Cancel,
    pub(super) began: Instant,
    pub(super) show: &'a Show,
}

/// Runs of one operation on one sample.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    lab: &'a Lab<'a>,
    operation: Operation,
    /// Arguments behind the flags.
    inputs: Vec<OsString>,
    /// What is read.
    files: Files,
    state: State,
    candidates: Vec<Settings>,
    /// Runs that did not have what the state of the cache promises.
    pub(super) not_held: u64,
    pub(super) runs: u64,
}

impl<'a> Bench<'a> {
    /// For packing a sample.
    pub(super) fn pack(lab: &'a Lab<'a>, sample: &Sample) -> Self {
        Self::new(lab, Operation::Pack, sample.args.clone(), &sample.roots)
    }

    /// For unpacking what [`make_archive`](Self::make_archive) has left.
    pub(super) fn unpack(lab: &'a Lab<'a>) -> Self {
        let archive = lab.archive();
        Self::new(lab, Operation::Unpack, vec![archive.clone().into_os_string()], &[archive])
    }

    fn new(lab: &'a Lab<'a>, operation: Operation, inputs: Vec<OsString>, roots: &[PathBuf]) -> Self {
        let files = Files::below(roots);
        let state = State::of(&files);
        Self { lab, operation, inputs, files, state, candidates: Vec::new(), not_held: 0, runs: 0 }
    }

    /// What the candidates are, by number.
    pub(super) fn set_candidates(&mut self, candidates: Vec<Settings>) {
        self.candidates = candidates;
    }

    /// Packs the sample to what [`unpack`](Self::unpack) reads.
    pub(super) fn make_archive(&self) -> std::result::Result<(), Trouble> {
        self.start(&Settings::default(), &self.lab.archive()).map(|_| ())
    }

    /// The defaults once without counting, and once more: how long that takes with all that belongs to it. Others may
    /// have emptied the page cache meanwhile, so what should be hot gets some more chances.
    ///
    /// # Errors
    /// When the defaults fail, somebody wants an end, or the state of the cache cannot be had.
    pub(super) fn calibrate(&mut self) -> Result<Duration> {
        let defaults = Settings::default();
        self.once(&defaults).map_err(|trouble| self.failed(trouble))?;
        let mut chances = HOT_CHANCES;
        loop {
            let begin = Instant::now();
            let usage = self.once(&defaults).map_err(|trouble| self.failed(trouble))?;
            let took = begin.elapsed();
            chances -= 1;
            match self.check_state(&usage) {
                Err(_) if chances > 0 && self.lab.cache == Cache::Hot => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(took),
            }
        }
    }

    /// A trouble with the defaults as the end of it all.
    pub(super) fn failed(&self, trouble: Trouble) -> Error {
        match trouble {
            Trouble::Stopped => Error::new(ErrorKind::Cancelled, "stopped before the end"),
            Trouble::Failed(why) => {
                let message = format!("carrack {} with default settings failed: {why}", self.operation.name());
                Error::new(ErrorKind::Input, message)
            }
        }
    }

    fn check_state(&self, usage: &Usage) -> Result<()> {
        let cache = self.lab.cache;
        let from_disk = usage.disk_read_bytes;
        let (bytes, occupied) = (self.state.bytes, self.state.occupied_bytes);
        let what = match cache {
            Cache::Hot if usage.is_cold(bytes) => {
                format!("{from_disk} of {bytes} bytes came from the disk, run after run: they do not stay in memory")
            }
            // Half is enough to see that it works at all: equal parts of files may lie in the same blocks.
            Cache::DataCold | Cache::Cold if from_disk < occupied / 2 => format!(
                "only {from_disk} of {occupied} bytes came from the disk: this file system keeps them in memory, or does \
                 not count them"
            ),
            Cache::Hot | Cache::DataCold | Cache::Cold => return Ok(()),
        };
        Err(Error::new(ErrorKind::Input, format!("--cache {cache} cannot be had here: {what}")))
    }

    fn once(&mut self, settings: &Settings) -> std::result::Result<Usage, Trouble> {
        let out = self.lab.scratch.path().join("out");
        if self.lab.cache != Cache::Hot {
            let made = self.lab.cache.establish(&self.files);
            made.map_err(|error| Trouble::Failed(format!("--cache {}: {error}", self.lab.cache)))?;
        }
        let ran = self.start(settings, &out);
        let removed = match self.operation {
            Operation::Pack => match fs::remove_file(&out) {
                Err(error) if ran.is_ok() => Err(format!("{}: {error}", out.display())),
                _ => Ok(()),
            },
            Operation::Unpack => remove_tree(&out).map_err(|error| error.to_string()),
        };
        removed.map_err(Trouble::Failed).and(ran)
    }

    fn start(&self, settings: &Settings, out: &Path) -> std::result::Result<Usage, Trouble> {
        if self.lab.cancel.is_cancelled() {
            return Err(Trouble::Stopped);
        }
        let mut command = Command::new(&self.lab.program);
        command.args([self.operation.name(), "--quiet", "--no-tune"]).args(settings.flags());
        match self.operation {
            Operation::Pack => command.args(["--no-sync", "--force", "--output"]).arg(out),
            Operation::Unpack => command.arg("--directory").arg(out),
        };
        command.arg("--").args(&self.inputs);
        let ran = process::run(vec![command], Stdout::Null).map_err(|error| Trouble::Failed(error.to_string()))?;
        // A file that cannot be read, or is not made, is a warning in every run alike.
        let done = ran.statuses.iter().all(|status| matches!(status.code(), Some(0 | 1)));
        match done {
            true => Ok(ran.usage),
            false if self.lab.cancel.is_cancelled() => Err(Trouble::Stopped),
            false => Err(Trouble::Failed(ran.ending())),
        }
    }
}

impl Lab<'_> {
    fn archive(&self) -> PathBuf {
        self.scratch.path().join("sample.crk")
    }

    /// Since the command began, ns.
    pub(super) fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Subject for Bench<'_> {
    fn run(&mut self, candidate: usize) -> std::result::Result<Cost, Trouble> {
        let settings = self.candidates[candidate].clone();
        self.lab.show.run(self.operation, &settings);
        let usage = self.once(&settings)?;
        self.runs += 1;
        let state = State { resident: None, ..self.state };
        self.not_held += u64::from(!state.held(self.lab.cache, &usage));
        Ok(Cost { wall_ns: usage.wall_ns.max(1), peak_bytes: usage.peak_bytes })
    }

    fn now_ns(&self) -> u64 {
        self.lab.elapsed_ns()
    }
}
