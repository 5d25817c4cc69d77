//! `carrack-bench floors`: Carrack, `tar` and `zstd`, and the naive contender, side by side in randomised interleaved
//! rounds.
//!
//! What flows in: a tree, the corpus `tiny`, the number of rounds. What flows out: two tables, `floors.json`. In each
//! round every job runs once, in an order drawn anew, so that whatever disturbs the machine disturbs all alike; ratios
//! are taken within a round.

mod document;
mod job;
mod judge;
mod table;

use std::path::{Path, PathBuf};

use carrack_fixtures::rng::Rng;

use crate::child::{self, Sampled, Task};
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::host::Host;
use carrack_measure::process::{self, Stdout};
use carrack_measure::progress::Progress;
use carrack_measure::stats::shuffle;
use carrack_measure::units::{megabytes, time};
use carrack_measure::work::Work;
use document::{Document, Inputs, Outcome, Peers, Sample};
use job::{Arena, Job};

/// Arguments of `carrack-bench floors`.
#[derive(Clone, Debug, clap::Args)]
pub struct FloorsArgs {
    /// Folder with the corpora source and tiny
    #[arg(long, value_name = "DIR", default_value = "corpus")]
    pub corpus: PathBuf,
    /// Where floors.json goes; archives and unpacked trees are here for a while too
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// Rounds that count; one more is run before them
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Pack and unpack this tree instead of the corpus source
    #[arg(long, value_name = "PATH")]
    pub tree: Option<PathBuf>,
    /// Level of zstd, for everybody
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub level: i32,
    /// Whose output must be on the disk before the clock stops, for all contenders alike
    #[arg(long, value_enum, default_value_t = Synced::Pack)]
    pub synced: Synced,
    /// Seed of the order of jobs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// What is made durable within the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Synced {
    /// Archives; unpacked trees are not
    Pack,
    /// Archives and unpacked trees
    All,
    /// Nothing
    None,
}

/// How many files `cat` reads in a round, each with a process of its own.
const CATS: usize = 5;

/// Runs it all. False when a job failed: it has been said then. A floor that is missed is no failure.
///
/// # Errors
/// When nothing can be measured: a tree or a program is missing, the disk is too full, or somebody stopped it.
pub fn run(args: &FloorsArgs) -> Result<bool> {
    let tree = args.tree.clone().unwrap_or_else(|| args.corpus.join("source"));
    let tiny = args.corpus.join("tiny");
    let inputs = Inputs { tree: look(&tree, 0)?, tiny: tiny.is_dir().then(|| look(&tiny, 0)).transpose()? };
    let work = Work::new(&args.results)?;
    room(&inputs, args.rounds, work.path())?;
    let carrack = carrack()?;
    let peers = peers();
    let mut jobs: Vec<Job> = Job::ALL.to_vec();
    jobs.retain(|job| (peers.missing.is_none() || !job.is_peer()) && (inputs.tiny.is_some() || !job.is_about_tiny()));
    let host = Host::look(&tree, work.path());
    let arena = Arena { carrack, tree, tiny, level: args.level, synced: args.synced, work: &work };
    let (outcome, rounds) = contest(&arena, &jobs, args)?;
    let document = Document::new(args, host, inputs, peers, outcome, rounds);
    let place = document.save(&args.results)?;
    print!("{}", table::text(&document));
    println!("\nAll numbers: {}", place.display());
    for (job, failure) in &document.outcome.failures {
        eprintln!("carrack-bench: {job}: {failure}");
    }
    Ok(document.outcome.failures.is_empty())
}

/// The archives to unpack, one round that does not count, then those that do.
fn contest(arena: &Arena<'_>, jobs: &[Job], args: &FloorsArgs) -> Result<(Outcome, u32)> {
    let progress = Progress::new(u64::from(args.rounds + 1) * jobs.len() as u64);
    let mut rng = Rng::new(args.seed);
    let mut outcome = Outcome::default();
    progress.begin("archives to unpack");
    arena.prepare(jobs)?;
    for round in 0..=args.rounds {
        let mut order = jobs.to_vec();
        shuffle(&mut order, &mut rng);
        let paths = arena.draw(CATS, rng.bits())?;
        for (place, job) in order.into_iter().enumerate() {
            arena.work.check()?;
            progress.begin(&format!("round {round} of {}: {job}", args.rounds));
            if !outcome.failures.iter().any(|(failed, _)| *failed == job) {
                match arena.run(job, round, &paths) {
                    Ok(runs) => {
                        let runs = runs.into_iter().map(|run| Sample { round, place, job, run });
                        outcome.samples.extend(runs.filter(|sample| sample.round > 0));
                    }
                    Err(failure) => {
                        arena.work.check()?;
                        progress.line(&format!("{job}: {failure}"));
                        outcome.failures.push((job, failure.to_string()));
                    }
                }
            }
            progress.done(1);
        }
        progress.plain(&line(&outcome, round));
    }
    Ok((outcome, args.rounds))
}

fn line(outcome: &Outcome, round: u32) -> String {
    if round == 0 {
        return "round 0 done: it does not count".to_owned();
    }
    let ours = outcome.samples.iter().filter(|sample| sample.round == round);
    let walls = ours.map(|sample| format!("{} {}", sample.job, time(sample.run.usage.wall_ns)));
    format!("round {round}: {}", walls.collect::<Vec<_>>().join(", "))
}

/// Reads a tree once and counts it.
fn look(tree: &Path, count: usize) -> Result<document::Input> {
    let about = std::fs::metadata(tree).at("look at", tree)?;
    if !about.is_dir() {
        return Err(Failure::new(format!("{} is no folder", tree.display())));
    }
    let (_, sampled) = child::run::<Sampled>(&Task::Sample { tree: tree.to_owned(), count, seed: 0 })?;
    Ok(document::Input { path: tree.to_owned(), files: sampled.files, bytes: sampled.bytes })
}

/// Unpacked trees stay until the end, because removing one slows what comes next: there must be room for all of them.
fn room(inputs: &Inputs, rounds: u32, work: &Path) -> Result<()> {
    let stat = rustix::fs::statvfs(work).at("ask how much room there is in", work)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // A block of 4 KiB a file is lost to rounding; archives take less than the rest.
    let tree = inputs.tree.bytes + 4096 * inputs.tree.files;
    let needed = tree.saturating_mul(u64::from(rounds + 1) * 2 + 4);
    if needed > free {
        let (needed, free) = (megabytes(needed), megabytes(free));
        return Err(Failure::new(format!(
            "{}: {needed} MB are needed for {rounds} rounds, {free} MB are free",
            work.display()
        )));
    }
    Ok(())
}

/// The program `carrack` beside this one.
fn carrack() -> Result<PathBuf> {
    let own = std::env::current_exe().doing("find this program")?;
    let carrack = own.with_file_name("carrack");
    if carrack.is_file() {
        return Ok(carrack);
    }
    Err(Failure::new(format!("{} is missing: cargo build --release --workspace --bins makes it", carrack.display())))
}

/// Asks the peers for their versions.
fn peers() -> Peers {
    let mut peers = Peers::default();
    for program in ["tar", "zstd"] {
        let mut command = std::process::Command::new(program);
        command.arg("--version");
        match process::run(vec![command], Stdout::Capture) {
            Ok(ran) if ran.ok() => {
                let words = String::from_utf8_lossy(&ran.stdout);
                peers.versions.push(words.lines().next().unwrap_or_default().trim_matches(['*', ' ']).to_owned());
            }
            Ok(ran) => peers.missing = Some(format!("{program} --version: {}", ran.ending())),
            Err(error) => peers.missing = Some(error.to_string()),
        }
    }
    peers
}
