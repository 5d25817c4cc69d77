//! One run at a time. What flows in: settings. What flows out: what a whole process with these settings cost. What this
//! module does not know: why these settings.
//!
//! A run is `carrack pack` or `carrack unpack` of this very binary. It does not wait for the disk at its end: how long
//! that takes says much about the disk and nothing about the settings. What it made is removed before the next run.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use carrack_engine::control::{Cancel, Escaped};
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_fixtures::corpus::remove_tree;
use carrack_measure::cache::{Cache, Files, State};
use carrack_measure::process::{self, Stdout, Usage};
use carrack_measure::tune::ledger::{Cost, Subject, Trouble};

use super::args::Operation;
use super::progress::Show;
use super::sample::Sample;
use super::settings::Settings;

/// So often is read and looked at what should be in memory before it is said not to stay there.
const HOT_CHANCES: u32 = 4;

/// This share of all pages is enough then: on a busy machine some are always on their way out.
const HOT_ENOUGH: f64 = 0.9;

/// A folder of our own, removed with all that is in it.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes it in `work` if that was asked for; otherwise beside the tree where that can be written to, or where
    /// temporary files go.
    ///
    /// # Errors
    /// Of kind `Output`.
    pub(super) fn find(work: Option<&Path>, tree: Option<&Path>) -> Result<Self> {
        let beside = tree.and_then(|tree| tree.canonicalize().ok()).and_then(|tree| tree.parent().map(Path::to_owned));
        if let (None, Some(scratch)) = (work, beside.and_then(|beside| Self::new(&beside).ok())) {
            return Ok(scratch);
        }
        let place = work.map_or_else(std::env::temp_dir, Path::to_owned);
        fs::create_dir_all(&place).and_then(|()| Self::new(&place)).map_err(|error| {
            let place = Escaped(place.as_os_str().as_bytes()).to_string();
            Error::with(ErrorKind::Output, format!("{place}: cannot make a folder to work in"), error)
        })
    }

    fn new(beside: &Path) -> std::io::Result<Self> {
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
    /// Whether the last run found everything in memory.
    is_hot: bool,
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
        Self { lab, operation, inputs, files, state, candidates: Vec::new(), is_hot: false, not_held: 0, runs: 0 }
    }

    /// What the candidates are, by number.
    pub(super) fn set_candidates(&mut self, candidates: Vec<Settings>) {
        self.candidates = candidates;
    }

    /// Packs the sample to what [`unpack`](Self::unpack) reads.
    pub(super) fn make_archive(&self) -> std::result::Result<(), Trouble> {
        self.start(&Settings::default(), &self.lab.archive()).map(|_| ())
    }

    /// The defaults once without counting, and once more: how long that takes with all that belongs to it.
    ///
    /// # Errors
    /// When the defaults fail, somebody wants an end, or the state of the cache cannot be had.
    pub(super) fn calibrate(&mut self) -> Result<Duration> {
        let defaults = Settings::default();
        self.once(&defaults).map_err(|trouble| self.failed(trouble))?;
        let begin = Instant::now();
        let usage = self.once(&defaults).map_err(|trouble| self.failed(trouble))?;
        let took = begin.elapsed();
        self.check_state(&usage)?;
        Ok(took)
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

    /// Whether the state of the cache can be had at all, after a run that cost `usage`.
    fn check_state(&self, usage: &Usage) -> Result<()> {
        let cache = self.lab.cache;
        let (from_disk, occupied) = (usage.disk_read_bytes, self.state.occupied_bytes);
        let what = match cache {
            // Others may push something out at any time: what must be possible is that it comes in and stays for a while.
            Cache::Hot if !self.stays() => "contents that were just read do not stay in memory".to_owned(),
            // Half is enough to see that it works at all: equal parts of files may lie in the same blocks.
            Cache::DataCold | Cache::Cold if from_disk < occupied / 2 => format!(
                "only {from_disk} of {occupied} bytes came from the disk: this file system keeps them in memory, or does \
                 not count them"
            ),
            Cache::Hot | Cache::DataCold | Cache::Cold => return Ok(()),
        };
        Err(Error::new(ErrorKind::Input, format!("--cache {cache} cannot be had here: {what}")))
    }

    /// Whether what is read is in memory right after it was read. Looked at some times over.
    fn stays(&self) -> bool {
        (0..HOT_CHANCES).any(|_| {
            let hot = self.lab.cache.establish(&self.files).is_ok();
            hot && State::of(&self.files).resident.is_none_or(|share| share >= HOT_ENOUGH)
        })
    }

    fn once(&mut self, settings: &Settings) -> std::result::Result<Usage, Trouble> {
        let out = self.lab.scratch.path().join("out");
        if self.lab.cache != Cache::Hot || !self.is_hot {
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
        let usage = removed.map_err(Trouble::Failed).and(ran)?;
        // What comes from the disk now may do so again: somebody pushes it out.
        self.is_hot = !usage.is_cold(self.state.bytes);
        Ok(usage)
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
