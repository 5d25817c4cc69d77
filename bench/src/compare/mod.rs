//! `carrack-bench compare`: Carrack, other archivers and the naive contender, side by side in randomised interleaved
//! rounds; `carrack-bench aa`: Carrack against itself, again and again.
//!
//! What flows in: trees, who takes part, cache states, the number of rounds. What flows out: tables, `compare.json`,
//! `aa.json`. In each round every row (input × cache state × operation × contender) runs once, in an order drawn anew;
//! ratios are taken within a round.
//!
//! | module | what it holds |
//! |---|---|
//! | `contenders`, `peers` | who takes part and what is here of them; how each is called |
//! | `rows` | what is measured, and what each row is compared with |
//! | `place`, `rounds` | one run, and what belongs to its time; all of them, in order |
//! | `judge`, `floors` | from samples to ratios and verdicts |
//! | `document`, `table` | for programs, for people |
//! | [`aa`] | how often an interval of the same thing twice holds 1 |

pub mod aa;
mod args;
mod contenders;
mod document;
mod floors;
mod judge;
mod peers;
mod place;
mod rounds;
mod rows;
mod table;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use carrack_measure::cache::{self, Cache, Refused};
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::host::Host;
use carrack_measure::progress::Progress;
use carrack_measure::units::megabytes;
use carrack_measure::work::Work;

pub use args::CompareArgs;
pub use place::Synced;

use crate::child::{self, CODECS, Sampled, Task};
use crate::roofline::{RooflineTask, Rooflines};
use contenders::{Contender, Found};
use document::{Document, Facts, Roofline, Settings};
use peers::How;
use place::Place;
use rounds::Rounds;
use rows::{Choice, Input, Operation, Row};

/// How often each roofline is measured.
const ROOFLINES: u32 = 3;

/// Runs it all. False when something asked for was not measured: it has been said then. A floor that is missed is no
/// failure.
///
/// # Errors
/// When nothing can be measured: a tree or the program is missing, the disk is too full. After a signal, when what there
/// is has been saved.
pub fn run(args: &CompareArgs) -> Result<bool> {
    let work = Work::new(&args.results)?;
    let inputs = args.inputs()?.into_iter().map(|(name, path)| look(name, path)).collect::<Result<Vec<_>>>()?;
    let how = how(args.carrack.clone(), args.level, args.threads)?;
    let mut host = host(&inputs, work.path());
    let named = !args.contenders.is_empty();
    let mut wanted = if named { args.contenders.clone() } else { Contender::all() };
    if args.front {
        wanted.extend(Contender::front());
    }
    if wanted.iter().any(|contender| contender.is_carrack()) {
        is_there(&how.carrack)?;
    }
    let contenders: Vec<Found> = wanted.iter().map(|contender| contender.find(&how.carrack, &host)).collect();
    let others = contenders.iter().filter(|found| {
        !matches!(found.contender, Contender::CarrackIo(_) | Contender::CarrackAt(_) | Contender::PeerAt(..))
    });
    let versions = others.filter_map(|found| Some((found.contender.to_string(), found.version.clone()?)));
    host.versions.extend(versions);
    let base = base(args, &contenders)?;
    let caches_refused = refused(args, work.path());
    let caches: Vec<Cache> =
        args.caches.iter().copied().filter(|cache| caches_refused.iter().all(|r| r.cache != *cache)).collect();
    let choice = Choice {
        inputs: &inputs,
        caches: &caches,
        operations: &args.operations,
        contenders: &contenders,
        named,
        base,
        unpacks_very_many: args.only.iter().any(|name| name == rows::VERY_MANY),
        plant: args.plant,
    };
    let rows = rows::rows(&choice);
    if rows.is_empty() {
        return Err(nothing(&contenders, &caches_refused));
    }
    let clear = !room(&inputs, &rows, args.rounds(), &work)?;
    let progress = Progress::new(rounds::steps(&rows, args.rounds()));
    let rooflines = rooflines(args, &inputs, &rows, &work, &progress)?;
    let mut place = Place { how, inputs: &inputs, synced: args.synced, work: &work, delays: HashMap::new() };
    let rounds = Rounds { count: args.rounds(), seed: args.seed, clear };
    let outcome = rounds::contest(&mut place, &rows, rounds, &progress)?;
    drop(progress);
    let (level, synced, threads) = (args.level, args.synced, args.threads);
    let settings = Settings { rounds: rounds.count, level, synced, caches, threads, removed_each_round: clear };
    let facts =
        Facts { host, inputs: inputs.clone(), contenders, settings, caches_refused, rooflines, seed: args.seed };
    let document = Document::new(facts, &rows, &outcome);
    let saved = crate::run::save(&document, &args.results, "compare.json")?;
    print!("{}", table::text(&document));
    println!("\nAll numbers: {}", saved.display());
    match outcome.stopped {
        Some(signal) => {
            eprintln!("carrack-bench: what was measured until then is in {}", saved.display());
            Err(Failure::stopped(signal))
        }
        None => Ok(complete(&document)),
    }
}

/// Says what was asked for and not measured; true when nothing was.
fn complete(document: &Document) -> bool {
    for row in &document.rows {
        if let Some(failed) = &row.failed {
            eprintln!("carrack-bench: {}: {failed}", row.id);
        }
    }
    for Refused { cache, why } in &document.caches_refused {
        eprintln!("carrack-bench: cache state {cache}: {why}");
    }
    document.caches_refused.is_empty() && document.rows.iter().all(|row| row.failed.is_none())
}

fn nothing(contenders: &[Found], refused: &[Refused]) -> Failure {
    let missing =
        contenders.iter().filter_map(|found| Some(format!("{}: {}", found.contender, found.missing.as_ref()?)));
    let refused = refused.iter().map(|refused| format!("cache state {}: {}", refused.cache, refused.why));
    let why: Vec<String> = missing.chain(refused).collect();
    let why = if why.is_empty() { "the operations fit none of the contenders".to_owned() } else { why.join("; ") };
    Failure::new(format!("there is nothing to measure: {why}"))
}

/// Whom the others are compared with.
fn base(args: &CompareArgs, contenders: &[Found]) -> Result<Contender> {
    match args.base {
        None => Ok(rows::default_base(contenders)),
        Some(base) if contenders.iter().any(|found| found.contender == base) => Ok(base),
        Some(base) => {
            let there: Vec<String> = contenders.iter().map(|found| found.contender.to_string()).collect();
            Err(Failure::new(format!("--base {base}: it does not take part; there are: {}", there.join(", "))))
        }
    }
}

/// Which of the states that were asked for cannot be had.
fn refused(args: &CompareArgs, work: &Path) -> Vec<Refused> {
    let mut refused = cache::probe(work);
    refused.retain(|refused| args.caches.contains(&refused.cache));
    refused
}

/// Facts about the machine, with the version of the compressor inside.
fn host(inputs: &[Input], work: &Path) -> Host {
    let mut host = Host::look(inputs.first().map_or(work, |input| &input.path), work);
    host.versions.insert("zstd library".to_owned(), zstd::zstd_safe::version_string().to_owned());
    host
}

/// Reads a tree once and counts it.
fn look(name: String, path: PathBuf) -> Result<Input> {
    // Contenders that work in the folder of the tree need to know where they come from, too.
    let path = std::path::absolute(&path).at("find", &path)?;
    if !std::fs::metadata(&path).at("look at", &path)?.is_dir() {
        return Err(Failure::new(format!("{} is no folder", path.display())));
    }
    let (_, sampled) = child::run::<Sampled>(&Task::Sample { tree: path.clone(), count: 0, seed: 0 })?;
    Ok(Input { name, path, files: sampled.files, bytes: sampled.bytes })
}

/// Unpacked trees stay until the end, because removing one slows what comes next. Whether there is room for that: they
/// may take a quarter of what is free.
///
/// # Errors
/// When there is no room for those of one round.
fn room(inputs: &[Input], rows: &[Row], rounds: u32, work: &Work) -> Result<bool> {
    let free = work.free()?;
    // A block of 4 KiB a file is lost to rounding. An archive takes less than its tree.
    let tree = |row: &Row| inputs[row.input].bytes + 4096 * inputs[row.input].files;
    let of_round: u64 = rows.iter().filter(|row| row.operation == Operation::Unpack).map(tree).sum();
    // Cold runs make others unpack twice.
    let of_round = if rows.iter().any(|row| row.cache == Cache::Cold) { of_round.saturating_mul(2) } else { of_round };
    let largest = rows.iter().map(tree).max().unwrap_or(0);
    let needed = of_round.saturating_mul(2) + largest.saturating_mul(2);
    if needed > free {
        return Err(Failure::new(format!(
            "{}: {} MB are needed, {} MB are free: choose fewer contenders or operations",
            work.path().display(),
            megabytes(needed),
            megabytes(free)
        )));
    }
    Ok(of_round.saturating_mul(u64::from(rounds) + 1) <= free / 4)
}

/// How fast each part of packing could be alone, for the inputs that Carrack or the naive contender pack.
fn rooflines(
    args: &CompareArgs,
    inputs: &[Input],
    rows: &[Row],
    work: &Work,
    progress: &Progress,
) -> Result<Vec<Roofline>> {
    let mut found = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        let needs = |row: &Row| row.input == at && row.operation == Operation::Pack && row.contender.has_roofline();
        if !rows.iter().any(needs) {
            continue;
        }
        work.check()?;
        progress.begin(&format!("roofline of {}", input.name));
        let task = RooflineTask {
            tree: input.path.clone(),
            out: work.join("roofline"),
            codec: CODECS[0].to_owned(),
            level: args.level,
            threads: args.threads,
            repeats: if args.quick { 1 } else { ROOFLINES },
            sync: args.synced.covers(Operation::Pack),
        };
        let (_, rooflines) = child::run::<Rooflines>(&Task::Roofline(task))?;
        found.extend(Roofline::of(input, args.level, &rooflines));
    }
    Ok(found)
}

/// The program `carrack`: the one given, or the one beside this program.
fn how(carrack: Option<PathBuf>, level: i32, threads: Option<usize>) -> Result<How> {
    let own = std::env::current_exe().doing("find this program")?;
    let carrack = match carrack {
        Some(given) => std::path::absolute(&given).at("find", &given)?,
        None => own.with_file_name("carrack"),
    };
    Ok(How { carrack, own, level, threads })
}

fn is_there(carrack: &Path) -> Result<()> {
    if carrack.is_file() {
        return Ok(());
    }
    Err(Failure::new(format!("{} is missing: cargo build --release --workspace --bins makes it", carrack.display())))
}
