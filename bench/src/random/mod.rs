//! `carrack-bench random`: how long one small file takes to be read, again and again, from an archive that is open.
//!
//! What flows in: archives, or the size of a tree that is made and packed with `--profile random` in blocks of several sizes.
//! What flows out: a table, `random.json` with the percentiles of a histogram, and whether the floor holds. One process, one
//! thread, everything in the page cache: what is measured is the engine, not the disk.

mod made;
mod reads;

use std::path::PathBuf;

use carrack_engine::profile::Profile;
use carrack_measure::error::{Failure, Result};
use carrack_measure::host::Host;
use carrack_measure::table::{Align, Grid};
use carrack_measure::units::{megabytes, parse_size, time};
use carrack_measure::work::Work;
use serde::Serialize;

use made::Shape;
use reads::{Plan, Row};

/// Name and version of the schema.
const SCHEMA: &str = "carrack.random/1";
/// What the 99th percentile of a read may come to with the blocks of `--profile random`, ns.
const FLOOR_NS: u64 = 300_000;

/// Arguments of `carrack-bench random`.
#[derive(Clone, Debug, clap::Args)]
pub struct RandomArgs {
    /// An archive to read from; may be given several times [default: make them]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "size", "block_sizes"])]
    archive: Vec<PathBuf>,
    /// Files in the tree that is made
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    files: u64,
    /// Bytes in each of them
    #[arg(long, value_name = "SIZE", default_value = "4KiB", value_parser = parse_size)]
    size: u32,
    /// Sizes of blocks, each an archive of its own
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "16KiB,64KiB,128KiB,1MiB", value_parser = parse_size)]
    block_sizes: Vec<u32>,
    /// Reads that count, of each archive
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    reads: u64,
    /// Bytes of decoded rows that the archive keeps at most [default: what it keeps by itself]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    keep_rows: Option<u32>,
    /// Where random.json goes; the tree and archives that are made are here for a while too
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Seed of the files that are made, and of which are read
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// The whole document.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    /// The arguments of this program.
    command: Vec<String>,
    host: Host,
    seed: u64,
    floor_ns: u64,
    rows: Vec<Row>,
}

/// Runs it all. A floor that is missed is said, and is no failure.
///
/// # Errors
/// When an archive cannot be made or read, or holds no file; after a signal.
pub fn run(args: &RandomArgs) -> Result<bool> {
    let work = Work::new(&args.results)?;
    let host = Host::look(work.path(), work.path());
    let plan = Plan { reads: args.reads, seed: args.seed, keep_rows: args.keep_rows.map(|bytes| bytes as usize) };
    let mut rows = Vec::new();
    if args.archive.is_empty() {
        let shape = Shape { files: args.files, size: args.size, seed: args.seed };
        let tree = work.join("tree");
        made::tree(shape, &tree)?;
        for &block_size in &args.block_sizes {
            work.check()?;
            let archive = work.join("random.crk");
            made::pack(&tree, &archive, block_size)?;
            rows.push(reads::measure(&archive, &plan, &work)?);
        }
    }
    for archive in &args.archive {
        work.check()?;
        rows.push(reads::measure(archive, &plan, &work)?);
    }
    if rows.is_empty() {
        return Err(Failure::new("there is nothing to measure: no archive and no block size"));
    }
    let document = Document {
        schema: SCHEMA,
        command: std::env::args().collect(),
        host,
        seed: args.seed,
        floor_ns: FLOOR_NS,
        rows,
    };
    let saved = crate::run::save(&document, &args.results, "random.json")?;
    print!("{}", text(&document));
    println!("\nAll numbers: {}", saved.display());
    Ok(true)
}

/// For people.
fn text(document: &Document) -> String {
    const COLUMNS: [&str; 11] = [
        "block",
        "files",
        "content MB",
        "archive MB",
        "open",
        "reads",
        "p50",
        "p99",
        "p99.9",
        "max",
        "look-up p50/p99",
    ];
    let mut grid = Grid::new(&COLUMNS.map(|name| (name, Align::Right)));
    for row in &document.rows {
        let read = &row.read;
        let block = row.block_size.map_or_else(|| "?".to_owned(), |bytes| format!("{} KiB", bytes >> 10));
        let counts = [block, row.files.to_string(), megabytes(row.content_bytes), megabytes(row.archive_bytes)];
        let times =
            [time(row.open_ns), read.count.to_string(), time(read.p50_ns), time(read.p99_ns), time(read.p999_ns)];
        let last = [time(read.max_ns), format!("{} / {}", time(row.find.p50_ns), time(row.find.p99_ns))];
        grid.row(counts.into_iter().chain(times).chain(last));
    }
    let mut text = grid.text();
    let name = Profile::Random.name();
    for row in document.rows.iter().filter(|row| row.is_floor) {
        let verdict = if row.read.p99_ns < document.floor_ns { "PASS" } else { "MISS" };
        let (found, limit) = (time(row.read.p99_ns), time(document.floor_ns));
        text +=
            &format!("\np99 of reading one file, blocks of --profile {name}: {found}, at most {limit}: {verdict}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole way, with a small tree.
    #[test]
    fn a_tree_is_made_packed_and_read() {
        let place = tempfile::tempdir().unwrap();
        let args = RandomArgs {
            archive: Vec::new(),
            files: 300,
            size: 4096,
            block_sizes: vec![16 << 10, 64 << 10],
            reads: 500,
            keep_rows: Some(1 << 20),
            results: place.path().to_owned(),
            seed: 7,
        };
        assert!(run(&args).unwrap());
        let saved = std::fs::read(place.path().join("random.json")).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&saved).unwrap();
        assert_eq!(document["schema"], SCHEMA);
        let rows = document["rows"].as_array().unwrap();
        let blocks: Vec<_> = rows.iter().map(|row| (row["block_size"].as_u64(), row["is_floor"].as_bool())).collect();
        assert_eq!(blocks, [(Some(16 << 10), Some(false)), (Some(64 << 10), Some(true))]);
        for row in rows {
            assert_eq!((row["files"].as_u64(), row["content_bytes"].as_u64()), (Some(300), Some(300 * 4096)));
            let read = |key: &str| row["read"][key].as_u64().unwrap();
            assert_eq!(read("count"), 500);
            assert!(0 < read("p50_ns") && read("p50_ns") <= read("p99_ns") && read("p999_ns") <= read("max_ns"));
            assert_eq!(row["read"]["curve"].as_array().unwrap().len(), reads::QUANTILES.len());
            assert!(row["find"]["p50_ns"].as_u64() <= row["read"]["p99_ns"].as_u64());
        }
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["random.json"]);
    }

    #[test]
    fn an_archive_that_is_not_there_is_named() {
        let plan = Plan { reads: 1, seed: 1, keep_rows: None };
        let place = tempfile::tempdir().unwrap();
        let work = Work::new(place.path()).unwrap();
        let failure = reads::measure(std::path::Path::new("/no/such.crk"), &plan, &work).unwrap_err();
        assert!(failure.to_string().contains("/no/such.crk"), "{failure}");
    }
}
