//! Reads of single files, each timed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use carrack_engine::archive::Archive;
use carrack_engine::entry::Kind;
use carrack_engine::profile::{Choice, Profile};
use carrack_fixtures::rng::Rng;
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::work::Work;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Where the curve of percentiles has its points.
pub(super) const QUANTILES: [f64; 12] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];
/// Longest time told apart, ns.
const LONGEST_NS: u64 = 60_000_000_000;
/// For so many reads or look-ups that count, one is made before.
const WARM_UP: u64 = 4;

/// After so many reads it is looked whether somebody wants an end.
const GLANCE: u64 = 4096;

/// What is done with each archive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) reads: u64,
    pub(super) seed: u64,
    pub(super) keep_rows: Option<usize>,
}

/// What came of one archive.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    archive: PathBuf,
    /// Bytes in a block at most, where the manifest says so.
    pub(super) block_size: Option<u64>,
    /// Whether its blocks are those of the profile that promises something.
    pub(super) is_floor: bool,
    pub(super) files: u64,
    pub(super) content_bytes: u64,
    pub(super) archive_bytes: u64,
    /// Opening it, once, ns.
    pub(super) open_ns: u64,
    /// Reading the first file of all, which decodes a batch of rows, ns.
    first_read_ns: u64,
    /// Looking one path up, reading all of the file and proving it, from the second file on.
    fresh: Times,
    /// Looking one path up, when many were before.
    pub(super) find: Times,
    /// Looking one path up, reading all of the file and proving it, when many were before.
    pub(super) read: Times,
    /// Bytes that the process took at its peak so far, the lists of this program included.
    peak_bytes: Option<u64>,
}

/// What a histogram says, within a hundredth.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    pub(super) count: u64,
    mean_ns: f64,
    pub(super) p50_ns: u64,
    p90_ns: u64,
    pub(super) p99_ns: u64,
    pub(super) p999_ns: u64,
    pub(super) max_ns: u64,
    curve: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    quantile: f64,
    ns: u64,
}

impl Times {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            mean_ns: histogram.mean(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: histogram.max(),
            curve: QUANTILES.map(|quantile| Point { quantile, ns: at(quantile) }).into(),
        }
    }
}

/// Opens an archive, puts all of it into the page cache, and reads files that are drawn at random.
///
/// # Errors
/// What the archive says; that there is no file in it; that somebody wants an end.
pub(super) fn measure(file: &Path, plan: &Plan, work: &Work) -> Result<Row> {
    std::io::copy(&mut File::open(file).at("open", file)?, &mut std::io::sink()).at("read", file)?;
    let begun = Instant::now();
    let archive = Archive::open(file).at("open", file)?;
    let open_ns = nanos(begun);
    let archive = match plan.keep_rows {
        Some(bytes) => archive.keep_rows(bytes),
        None => archive,
    };
    let paths = paths(&archive).at("read the rows of", file)?;
    if paths.is_empty() {
        return Err(Failure::new(format!("{}: there is no file in it", file.display())));
    }
    let mut rng = Rng::new(plan.seed);
    let mut draw = || &paths[rng.below(paths.len() as u64) as usize];
    let begun = Instant::now();
    archive.read(draw()).at("read from", file)?;
    let first_read_ns = nanos(begun);
    let find = |path: &[u8]| archive.find(path).map(drop).at("look up in", file);
    let read = |path: &[u8]| archive.read(path).map(drop).at("read from", file);
    let check = || work.check();
    // Reads first: in an archive that was just opened they also pay for decoding the rows that are then kept.
    let fresh = timed(plan.reads, 0, &mut draw, read, check)?;
    let warm_up = plan.reads.div_ceil(WARM_UP);
    let find = timed(plan.reads, warm_up, &mut draw, find, check)?;
    let read = timed(plan.reads, warm_up, &mut draw, read, check)?;
    let summary = archive.summary();
    let block_size = summary.options.get("block_size").and_then(serde_json::Value::as_u64);
    let dials = Choice { profile: Profile::Random, ..Choice::default() }.dials().doing("read the profile")?;
    Ok(Row {
        archive: file.to_owned(),
        block_size,
        is_floor: block_size == Some(dials.block_size.into()),
        files: summary.files,
        content_bytes: summary.bytes,
        archive_bytes: summary.archive_bytes,
        open_ns,
        first_read_ns,
        fresh,
        find,
        read,
        peak_bytes: peak_bytes(),
    })
}

/// Does `work` with so many files, each timed, after `warm_up` that do not count; now and then `check` says whether to go on.
fn timed<'a>(
    count: u64,
    warm_up: u64,
    draw: &mut impl FnMut() -> &'a Vec<u8>,
    work: impl Fn(&[u8]) -> Result<()>,
    check: impl Fn() -> Result<()>,
) -> Result<Times> {
    let mut histogram = Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("the bounds are valid");
    for n in 0..warm_up + count {
        if n % GLANCE == 0 {
            check()?;
        }
        let path = draw();
        let begun = Instant::now();
        work(path)?;
        let ns = nanos(begun);
        if n >= warm_up {
            histogram.saturating_record(ns);
        }
    }
    Ok(Times::of(&histogram))
}

fn nanos(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Paths of all files that have contents.
fn paths(archive: &Archive) -> carrack_engine::error::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    archive.for_each(&mut |_, row| {
        if row.kind == Kind::File && row.size > 0 {
            paths.push(row.path.to_vec());
        }
        Ok(())
    })?;
    Ok(paths)
}

/// What the kernel says about this process's memory at its peak, bytes; nothing where it says nothing.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}
