//! Where the contenders run, and what belongs to their time.
//!
//! In: a row. Out: [`Run`]s. Before the clock starts, the file system is synced and what is going to be read is brought
//! into its cache state, in a process of its own (this one must stay small: a child begins with its peak of memory). While
//! it runs, one command or pipeline; before it stops, a sync for whoever does not sync by itself.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use carrack_fixtures::corpus::remove_tree;
use carrack_measure::cache::{Cache, Files, State};
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::process::{self, Ran, Stdout, Usage};
use carrack_measure::work::{Work, sync_filesystem};
use serde::Serialize;

use super::contenders::Contender;
use super::peers::{How, Pack, ending, stored};
use super::rows::{Input, Operation, Row};
use crate::child::{self, Compared, Sampled, Task};

/// What is made durable within the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Synced {
    /// Archives; unpacked trees are not
    Pack,
    /// Archives and unpacked trees
    All,
    /// Nothing
    None,
}

impl Synced {
    pub(super) fn covers(self, operation: Operation) -> bool {
        match operation {
            Operation::Pack => self != Synced::None,
            Operation::Unpack => self == Synced::All,
            Operation::Verify | Operation::Cat => false,
        }
    }
}

/// What was in memory when a run began, and whether that is what should have been.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Seen {
    pub(super) resident: Option<f64>,
    pub(super) held: bool,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// As somebody would type it.
    pub(super) command: String,
    pub(super) usage: Usage,
    /// For those that make an archive.
    pub(super) archive_bytes: Option<u64>,
    pub(super) cache: Seen,
}

/// When a row runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) round: u32,
    /// It does not count, and only brings the program into memory.
    pub(super) rehearsal: bool,
}

impl Turn {
    /// The run of a round that counts.
    pub(super) fn of(round: u32) -> Self {
        Self { round, rehearsal: false }
    }
}

/// How often the unplanted child runs to find out how long a planted delay must be; the first run does not count.
const CALIBRATIONS: usize = 4;

/// The folder where it all happens, and what the runs have in common.
pub(super) struct Place<'a> {
    pub(super) how: How,
    pub(super) inputs: &'a [Input],
    pub(super) synced: Synced,
    pub(super) work: &'a Work,
    /// Planted delays by input and cache state, ns.
    pub(super) delays: HashMap<(usize, Cache), u64>,
}

impl Place<'_> {
    /// The archive that a row reads.
    fn archive(&self, input: usize, contender: Contender) -> PathBuf {
        // The same program reads the same archive under its second name.
        let contender = if contender == Contender::Again { Contender::Carrack } else { contender };
        let name: String =
            contender.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.work.join(&format!("archive-{input}-{name}{}", ending(contender)))
    }

    /// Makes the archive that a row reads, if it is not there yet, and proves once that what comes out of it is what was
    /// packed: everything that Carrack keeps, of others the bytes of files.
    pub(super) fn prepare(&self, row: &Row) -> Result<()> {
        let archive = self.archive(row.input, row.contender);
        if row.operation == Operation::Pack || archive.exists() {
            return Ok(());
        }
        let made = self.make(row, &archive);
        if made.is_err() {
            remove(&archive)?;
        }
        made
    }

    fn make(&self, row: &Row, archive: &Path) -> Result<()> {
        self.pack(row, archive, false)?;
        let copy = self.work.join("proof");
        fs::create_dir(&copy).at("make the folder", &copy)?;
        let result = self.unpack(row, &copy, false).and_then(|_| {
            let contents = !row.contender.is_carrack();
            let a = self.inputs[row.input].path.clone();
            child::run::<Compared>(&Task::Compare { a, b: copy.clone(), contents })
        });
        remove(&copy)?;
        match result?.1.differences.first.first() {
            None => Ok(()),
            Some(difference) => {
                Err(Failure::new(format!("{} did not give back what it packed: {difference}", row.contender)))
            }
        }
    }

    /// Finds out how long a planted delay must be for this row: hundredths of a percent of the median of some runs
    /// without it.
    pub(super) fn calibrate(&mut self, row: &Row) -> Result<()> {
        let Contender::Planted(hundredths) = row.contender else { return Ok(()) };
        let unplanted = Row { contender: Contender::Unplanted, ..row.clone() };
        let mut walls = Vec::new();
        for _ in 0..CALIBRATIONS {
            self.work.check()?;
            walls.extend(self.run(&unplanted, Turn::of(0), &[])?.iter().map(|run| run.usage.wall_ns as f64));
        }
        let median = carrack_measure::stats::Summary::of(walls.into_iter().skip(1)).map_or(0.0, |walls| walls.median);
        let delay_ns = (median * f64::from(hundredths) / 10_000.0) as u64;
        self.delays.insert((row.input, row.cache), delay_ns);
        Ok(())
    }

    /// Files of an input, drawn at random.
    pub(super) fn draw(&self, input: usize, count: usize, seed: u64) -> Result<Vec<String>> {
        let tree = self.inputs[input].path.clone();
        Ok(child::run::<Sampled>(&Task::Sample { tree, count, seed })?.1.paths)
    }

    /// Runs a row once (`cat` once for each path). No row may run twice in the same turn.
    pub(super) fn run(&self, row: &Row, turn: Turn, paths: &[String]) -> Result<Vec<Run>> {
        let archive = self.archive(row.input, row.contender);
        let read = match row.operation {
            Operation::Pack => self.inputs[row.input].path.clone(),
            _ => stored(row.contender, &archive),
        };
        let out = self.work.join(&format!("packed{}", ending(row.contender)));
        let sync = self.synced.covers(row.operation);
        let dest = self.unpacked(row, turn);
        if row.operation == Operation::Unpack {
            fs::create_dir(&dest).at("make the folder", &dest)?;
        }
        self.work.settle()?;
        let (_, state) = child::run::<State>(&Task::Cache { paths: vec![read], state: row.cache })?;
        let runs = match row.operation {
            Operation::Pack => {
                let run = self.pack(row, &out, sync);
                remove(&out)?;
                vec![run?]
            }
            Operation::Unpack => vec![self.unpack(row, &dest, sync)?],
            Operation::Verify => vec![done(vec![self.how.verify(&archive)], Stdout::Null, |_| Ok(()))?],
            Operation::Cat => paths.iter().map(|path| self.cat(row, &archive, path)).collect::<Result<_>>()?,
        };
        let judged = |mut run: Run| {
            run.cache = Seen { resident: state.resident, held: state.held(row.cache, &run.usage) };
            run
        };
        Ok(runs.into_iter().map(judged).collect())
    }

    /// Where a row unpacks to.
    fn unpacked(&self, row: &Row, turn: Turn) -> PathBuf {
        let name: String = row.id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let rehearsal = if turn.rehearsal { "-rehearsal" } else { "" };
        self.work.join(&format!("unpacked-{}{rehearsal}-{name}", turn.round))
    }

    /// Removes what a round unpacked.
    pub(super) fn clear(&self, rows: &[Row], round: u32) -> Result<()> {
        rows.iter().filter(|row| row.operation == Operation::Unpack).try_for_each(|row| {
            self.work.check()?;
            [false, true].into_iter().try_for_each(|rehearsal| remove(&self.unpacked(row, Turn { round, rehearsal })))
        })
    }

    fn pack(&self, row: &Row, out: &Path, sync: bool) -> Result<Run> {
        let tree = &self.inputs[row.input].path;
        let delay_ns = self.delays.get(&(row.input, row.cache)).copied().unwrap_or(0);
        let Pack { before, commands, to_stdout, syncs } = self.how.pack(row.contender, tree, out, sync, delay_ns);
        for command in before {
            done(vec![command], Stdout::Null, |_| Ok(()))?;
        }
        let stdout = if to_stdout { Stdout::File(File::create_new(out).at("create", out)?) } else { Stdout::Null };
        let mut run =
            done(commands, stdout, |ran| ran.and(|| if sync && !syncs { make_durable(out) } else { Ok(()) }))?;
        run.archive_bytes = Some(Files::below(&[stored(row.contender, out)]).bytes());
        Ok(run)
    }

    fn unpack(&self, row: &Row, dest: &Path, sync: bool) -> Result<Run> {
        let archive = self.archive(row.input, row.contender);
        let unpack = self.how.unpack(row.contender, &archive, dest, sync);
        let (commands, syncs) = unpack.ok_or_else(|| Failure::new(format!("{} cannot unpack", row.contender)))?;
        done(commands, Stdout::Null, |ran| ran.and(|| if sync && !syncs { sync_filesystem(dest) } else { Ok(()) }))
    }

    /// What comes out is compared with the file.
    fn cat(&self, row: &Row, archive: &Path, path: &str) -> Result<Run> {
        let mut out = Vec::new();
        let run = done(vec![self.how.cat(archive, path)], Stdout::Capture, |ran| {
            out = std::mem::take(&mut ran.stdout);
            Ok(())
        })?;
        let file = self.inputs[row.input].path.join(path);
        if fs::read(&file).at("read", &file)? != out {
            return Err(Failure::new(format!("{path}: what came out is not what is in the file")));
        }
        Ok(run)
    }
}

/// Runs a pipeline, and what belongs to its time.
fn done(commands: Vec<Command>, stdout: Stdout, then: impl FnOnce(&mut Ran) -> io::Result<()>) -> Result<Run> {
    let command = process::shown(&commands);
    let mut ran = process::run(commands, stdout).doing(format!("run {command}"))?;
    if !ran.ok() {
        return Err(Failure::new(ran.ending()));
    }
    then(&mut ran).doing(format!("finish {command}"))?;
    let cache = Seen { resident: None, held: true };
    Ok(Run { command, usage: ran.usage, archive_bytes: None, cache })
}

/// What Carrack does to its archive: the file, and the folder that has its name. A repository is many files.
fn make_durable(out: &Path) -> io::Result<()> {
    if out.is_dir() {
        return sync_filesystem(out);
    }
    File::open(out)?.sync_all()?;
    match out.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes a file or a folder; fine when it is not there.
fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_dir() => fs::remove_file(path).at("remove", path),
        _ => remove_tree(path).map_err(|error| Failure::new(error.to_string())),
    }
}
