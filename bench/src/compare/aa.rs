//! `carrack-bench aa`: the same pack twice, in many small comparisons: how many of their 95% intervals hold 1?
//!
//! If the method is right, 19 of 20 do. Fewer mean that something tells the two apart that should not: an order, a cache,
//! a disk that fills up.

use std::collections::HashMap;
use std::path::PathBuf;

use carrack_fixtures::rng::Rng;
use carrack_measure::cache::Cache;
use carrack_measure::error::{Failure, Result};
use carrack_measure::host::{self, Host};
use carrack_measure::progress::Progress;
use carrack_measure::stats::{Ratio, shuffle};
use carrack_measure::work::Work;
use serde::Serialize;

use super::args::last_name;
use super::contenders::Contender;
use super::place::{Place, Synced, Turn};
use super::rows::{Input, Operation, Row};
use super::{host, how, is_there, look, table};

/// Name and version of the schema: another version means that a reader has to look again.
const SCHEMA: &str = "carrack.aa/1";
/// The least share of intervals that should hold 1: 36 of 40. With a true share of 0.95 one run in twenty falls below.
const FLOOR: f64 = 0.9;

/// Arguments of `carrack-bench aa`.
#[derive(Clone, Debug, clap::Args)]
pub struct AaArgs {
    /// Folder with the corpus source
    #[arg(long, value_name = "DIR", default_value = "corpus")]
    pub corpus: PathBuf,
    /// Where aa.json goes; archives are here for a while too
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// A tree of your own [default: the corpus source]
    #[arg(long, value_name = "PATH")]
    pub tree: Option<PathBuf>,
    /// How many comparisons
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub repeats: u32,
    /// Rounds of each comparison
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub rounds: u32,
    /// Level of zstd
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub level: i32,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = super::args::parse_threads)]
    pub threads: Option<usize>,
    /// Whether archives are on the disk before the clock stops: pack or none
    #[arg(long, value_enum, default_value_t = Synced::Pack)]
    pub synced: Synced,
    /// Seed of the order of runs, and of intervals
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The program carrack [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub carrack: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Settings {
    repeats: u32,
    rounds: u32,
    level: i32,
    synced: Synced,
    cache: Cache,
    threads: Option<usize>,
}

/// One comparison.
#[derive(Debug, Serialize)]
struct Comparison {
    ratio: Ratio,
    /// Whether its interval holds 1.
    holds_one: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    command: Vec<String>,
    host: Host,
    load_at_end: String,
    seed: u64,
    stopped: Option<String>,
    input: &'a Input,
    settings: Settings,
    comparisons: &'a [Comparison],
    /// How many intervals hold 1.
    held: usize,
    /// The least share that should.
    floor: f64,
    /// Whether that many do.
    floor_held: bool,
    /// Runs that were not hot.
    not_held: usize,
}

/// Runs it all. False when fewer intervals hold 1 than should.
///
/// # Errors
/// When a pack fails, or nothing can be measured. After a signal, when what there is has been saved.
pub fn run(args: &AaArgs) -> Result<bool> {
    let work = Work::new(&args.results)?;
    let tree = args.tree.clone().unwrap_or_else(|| args.corpus.join("source"));
    let inputs = [look(last_name(&tree), tree)?];
    let how = how(args.carrack.clone(), args.level, args.threads)?;
    is_there(&how.carrack)?;
    let host = host(&inputs, work.path());
    let place = Place { how, inputs: &inputs, synced: args.synced, work: &work, delays: HashMap::new() };
    let progress = Progress::new(u64::from(args.repeats));
    let (mut comparisons, mut not_held) = (Vec::new(), 0);
    let result = compare(&place, args, &progress, &mut comparisons, &mut not_held);
    drop(progress);
    let signal = match &result {
        Err(failure) if failure.signal().is_some() && !comparisons.is_empty() => failure.signal(),
        _ => None,
    };
    if signal.is_none() {
        result?;
    }
    let held = comparisons.iter().filter(|comparison| comparison.holds_one).count();
    let floor_held = held as f64 >= FLOOR * comparisons.len() as f64;
    let count = comparisons.len();
    let document = Document {
        schema: SCHEMA,
        command: std::env::args().collect(),
        host,
        load_at_end: host::load(),
        seed: args.seed,
        stopped: signal
            .map(|signal| format!("stopped by signal {signal} after {count} of {} comparisons", args.repeats)),
        input: &inputs[0],
        settings: Settings {
            repeats: args.repeats,
            rounds: args.rounds,
            level: args.level,
            synced: args.synced,
            cache: Cache::Hot,
            threads: args.threads,
        },
        comparisons: &comparisons,
        held,
        floor: FLOOR,
        floor_held,
        not_held,
    };
    let saved = crate::run::save(&document, &args.results, "aa.json")?;
    println!("{}", document.host.line());
    let verdict = if floor_held { "PASS" } else { "MISS" };
    println!("{held} of {count} intervals hold 1.0 (at least {:.0}% should)  {verdict}", FLOOR * 100.0);
    if not_held > 0 {
        println!("{not_held} runs were not {}", Cache::Hot);
    }
    println!("\nAll numbers: {}", saved.display());
    match signal {
        Some(signal) => Err(Failure::stopped(signal)),
        None => Ok(floor_held),
    }
}

fn compare(
    place: &Place<'_>,
    args: &AaArgs,
    progress: &Progress,
    comparisons: &mut Vec<Comparison>,
    not_held: &mut usize,
) -> Result<()> {
    let row = |contender: Contender| Row {
        id: format!("{}/hot/pack/{contender}", place.inputs[0].name),
        input: 0,
        cache: Cache::Hot,
        operation: Operation::Pack,
        contender,
        base: None,
        missing: None,
    };
    let rows = [row(Contender::Carrack), row(Contender::Again)];
    let mut rng = Rng::new(args.seed);
    for row in &rows {
        place.run(row, Turn::of(0), &[])?; // does not count
    }
    for repeat in 1..=args.repeats {
        let mut pairs = Vec::new();
        for round in 1..=args.rounds {
            place.work.check()?;
            progress.begin(&format!("comparison {repeat} of {}, round {round} of {}", args.repeats, args.rounds));
            let mut order = [0, 1];
            shuffle(&mut order, &mut rng);
            let mut walls = [0.0; 2];
            for at in order {
                let ran = place.run(&rows[at], Turn::of(round), &[]);
                place.work.check()?;
                for run in ran? {
                    walls[at] = run.usage.wall_ns as f64;
                    *not_held += usize::from(!run.cache.held);
                }
            }
            pairs.push((walls[0], walls[1]));
        }
        let seed = args.seed.wrapping_add(u64::from(repeat));
        let ratio = Ratio::of(&pairs, seed).ok_or_else(|| Failure::new("a comparison needs two rounds"))?;
        let holds_one = ratio.holds(1.0);
        progress.plain(&format!(
            "comparison {repeat}: {}{}",
            table::interval(&ratio),
            if holds_one { "" } else { " *" }
        ));
        comparisons.push(Comparison { ratio, holds_one });
        progress.done(1);
    }
    Ok(())
}
