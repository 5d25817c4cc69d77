//! `carrack-bench run`: every corpus × contender is packed, verified, unpacked and compared with the original.
//!
//! What flows in: a folder of corpora, settings. What flows out: a table, `run.json`, and whether all was right. Each
//! step runs as a process of its own; at any time there is one archive and one unpacked tree on the disk.

mod document;
mod row;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use carrack_fixtures::Kind;

use crate::child::{self, Settings, Task};
use crate::contender::Contender;
use crate::roofline::{RooflineTask, Rooflines};
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::host::Host;
use carrack_measure::progress::Progress;
use carrack_measure::work::Work;
use document::Document;
pub(crate) use document::save;
use row::{Measured, Row};

/// Arguments of `carrack-bench run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Folder with the corpora: each folder in it is one
    #[arg(long, value_name = "DIR", default_value = "corpus")]
    pub corpus: PathBuf,
    /// Where run.json goes; archives and unpacked trees are here for a while too
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// Only these: auto, uring, pool, pread, mmap, naive [default: all but auto]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub io: Vec<Contender>,
    /// Only these corpora
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Do not wait until archives are on the disk
    #[arg(long)]
    pub no_sync: bool,
    #[command(flatten)]
    /// How to pack
    pub settings: Settings,
}

/// How often the roofline of a corpus is measured.
const ROOFLINES: u32 = 3;
/// Steps of one corpus × contender, as the progress bar counts them.
const STEPS: u64 = 4;

/// Runs it all. False when something was not right: it has been said then.
///
/// # Errors
/// When nothing can be measured: no corpus, no folder for the results, or somebody stopped it.
pub fn run(args: &RunArgs) -> Result<bool> {
    let corpora = corpora(&args.corpus, &args.only)?;
    let work = Work::new(&args.results)?;
    let host = Host::look(&args.corpus, work.path());
    let contenders = if args.io.is_empty() { Contender::ALL.to_vec() } else { args.io.clone() };
    let progress = Progress::new((corpora.len() * contenders.len()) as u64 * STEPS);
    let mut rows: Vec<Row> = Vec::new();
    for name in &corpora {
        let tree = args.corpus.join(name);
        progress.begin(&format!("{name}: digests and codec alone"));
        let codec_ns = match codec_alone(args, &work, &tree) {
            Err(failure) if failure.signal().is_none() => {
                progress.line(&format!("{name}: no efficiency: {failure}"));
                None
            }
            found => found?,
        };
        let (work, host, progress) = (&work, &host, &progress);
        let measured = Measured { work, host, args, progress, corpus: name, tree: &tree, codec_ns };
        for &contender in &contenders {
            work.check()?;
            rows.push(measured.row(contender));
            work.check()?;
            progress.plain(&rows.last().map(Row::line).unwrap_or_default());
        }
        same_bytes(&mut rows, name);
    }
    drop(progress);
    let document = Document::new(args, host, rows);
    let place = document.save(&args.results)?;
    print!("{}", table::text(&document));
    println!("\nAll numbers: {}", place.display());
    Ok(verdict(&document.rows))
}

/// The corpora that are there, those of the generator first and in its order.
fn corpora(folder: &Path, only: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).at("list the corpora in", folder)? {
        let entry = entry.at("list the corpora in", folder)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !name.starts_with('.') {
            found.push(name);
        }
    }
    let place = |name: &str| Kind::ALL.iter().position(|kind| kind.name() == name).unwrap_or(Kind::ALL.len());
    found.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
    for wanted in only {
        if !found.contains(wanted) {
            let there = found.join(", ");
            return Err(Failure::new(format!("no corpus {wanted:?} in {}; there are: {there}", folder.display())));
        }
    }
    found.retain(|name| only.is_empty() || only.contains(name));
    if found.is_empty() {
        return Err(Failure::new(format!("no corpus in {}: carrack-corpus makes them", folder.display())));
    }
    Ok(found)
}

/// What digests and codec alone would take on the blocks of a tree, ns: the median of some repeats. `None` for a tree
/// without contents.
fn codec_alone(args: &RunArgs, work: &Work, tree: &Path) -> Result<Option<u64>> {
    let task = RooflineTask {
        tree: tree.to_owned(),
        out: work.join("roofline"),
        codec: args.settings.codec.clone(),
        level: args.settings.level,
        threads: args.settings.threads,
        repeats: ROOFLINES,
        sync: false,
    };
    let (_, Rooflines { mut codec_ns, blocks, .. }) = child::run::<Rooflines>(&Task::Roofline(task))?;
    codec_ns.sort_unstable();
    Ok(if blocks == 0 { None } else { codec_ns.get(codec_ns.len() / 2).copied() })
}

/// The same tree and the same options must give the same bytes, whoever read.
fn same_bytes(rows: &mut [Row], corpus: &str) {
    let mut first: Option<(Contender, String)> = None;
    for row in rows.iter_mut().filter(|row| row.corpus == corpus && row.contender != Contender::Naive) {
        let Some(digest) = row.archive_digest.clone() else { continue };
        match &first {
            None => first = Some((row.contender, digest)),
            Some((_, expected)) if *expected == digest => {}
            Some((other, expected)) => {
                row.fail(format!("other archive bytes than with {other}: digest {digest}, expected {expected}"));
            }
        }
    }
}

/// Says what was wrong; true when nothing was.
fn verdict(rows: &[Row]) -> bool {
    let mut right = true;
    for row in rows {
        for failure in &row.failures {
            right = false;
            eprintln!("carrack-bench: {} {}: {failure}", row.corpus, row.contender);
        }
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpora_come_in_the_generators_order_and_unknown_ones_are_named() {
        let place = tempfile::tempdir().unwrap();
        for name in ["zoo", "tiny", "source", ".bench-x", "mine"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        fs::write(place.path().join("source.b3"), "").unwrap();
        let names =
            |only: &[&str]| corpora(place.path(), &only.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&[]).unwrap(), ["source", "tiny", "mine", "zoo"]);
        assert_eq!(names(&["zoo", "source"]).unwrap(), ["source", "zoo"]);
        let error = names(&["huge"]).unwrap_err().to_string();
        assert!(error.contains("\"huge\"") && error.contains("source, tiny, mine, zoo"), "{error}");
        assert!(corpora(&place.path().join("zoo"), &[]).is_err());
    }

    #[test]
    fn archives_that_differ_are_a_failure_of_the_later_one() {
        let row = |contender: &str, digest: &str| {
            let mut row = Row::new("source", contender.parse().unwrap());
            row.archive_digest = Some(digest.to_owned());
            row
        };
        let mut rows = [row("uring", "aa"), row("naive", "cc"), row("pool", "aa"), row("mmap", "bb")];
        same_bytes(&mut rows, "source");
        let failures: Vec<usize> = rows.iter().map(|row| row.failures.len()).collect();
        assert_eq!(failures, [0, 0, 0, 1]);
        assert!(rows[3].failures[0].contains("uring"), "{:?}", rows[3].failures);
        assert!(!verdict(&rows) && verdict(&rows[..3]));
    }
}
