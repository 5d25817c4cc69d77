//! `carrack estimate`.

use std::io::Write;
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use carrack_engine::control::Warning;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_engine::estimate::{self, Estimate, Interval, Settings};
use carrack_engine::pack::Dedup;
use carrack_engine::plan::{Plan, PlanOptions};
use carrack_engine::profile::{Choice, Dials, Profile};
use carrack_engine::walk::{self, Input, WalkError, WalkOptions, Walked};
use serde::Serialize;

use super::count;
use crate::args::EstimateArgs;
use crate::config;
use crate::exit::Exit;
use crate::output::{Ui, finish, stdout_error};
use crate::size::{Both, Human};
use crate::time::Took;

/// What a profile would come to.
#[derive(Serialize)]
struct Row {
    profile: &'static str,
    codec: String,
    block_size: u32,
    dedup: &'static str,
    archive_bytes: Range,
    seconds: Range,
    /// Share of the content, 0 to 1.
    duplicates: f64,
    sample_bytes: u64,
    sample_blocks: usize,
    blocks: usize,
}

/// An interval that holds the truth in 95 of 100 samples.
#[derive(Serialize)]
struct Range {
    value: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize)]
struct Document<'a> {
    entries: u64,
    bytes: u64,
    threads: usize,
    profiles: &'a [Row],
}

pub(crate) fn run(args: &EstimateArgs, ui: &Ui) -> Result<Exit> {
    let cancel = ui.watch_signals()?;
    let begun = Instant::now();
    let Walked { entries, problems, .. } = walk(args, &|| cancel.is_cancelled())?;
    let walked = begun.elapsed();
    let warnings: Vec<Warning> =
        problems.iter().map(|problem| Warning::new(&problem.path, problem.what.to_string())).collect();
    ui.warnings(&warnings);
    let threads = args.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let profiles = if args.profile.is_empty() { &Profile::ALL[..] } else { &args.profile };
    let (mut rows, mut bytes) = (Vec::with_capacity(profiles.len()), 0);
    for &profile in profiles {
        if cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "stopped before the end"));
        }
        let dials = Choice { profile, ..Choice::default() }.dials()?;
        // By path even where the profile has another order: that takes a look at every file, and makes it smaller.
        let plan = Plan::new(&entries, &PlanOptions { block_size: dials.block_size })
            .map_err(|error| Error::with(ErrorKind::Input, "cannot plan an archive", error))?;
        bytes = plan.total_bytes();
        let settings = Settings {
            codec: dials.codec,
            filter: dials.filter,
            dictionary: dials.dictionary,
            dedup: dials.dedup != Dedup::None,
            threads,
            sample: args.sample,
            time: args.budget / u32::try_from(profiles.len()).unwrap_or(u32::MAX),
        };
        let found = estimate::estimate(&entries, &plan, &settings, walked)
            .map_err(|error| Error::with(ErrorKind::Usage, "cannot compress a sample", error))?;
        rows.push(Row::new(profile, &dials, &found));
    }
    let document = Document { entries: entries.len() as u64, bytes, threads, profiles: &rows };
    let mut out = ui.buffered_stdout()?;
    if args.json {
        serde_json::to_writer(&mut out, &document).map_err(|error| stdout_error(error.into()))?;
        out.write_all(b"\n").map_err(stdout_error)?;
    } else {
        out.write_all(text(&document).as_bytes()).map_err(stdout_error)?;
    }
    finish(&mut out)?;
    Ok(Exit::of_report(0, warnings.len()))
}

fn walk(args: &EstimateArgs, stop: &(dyn Fn() -> bool + Sync)) -> Result<Walked> {
    let inputs: Vec<Input> = args.inputs.iter().map(|path| Input { path: path.clone() }).collect();
    let exclude = args.exclude.iter().map(|pattern| config::glob(pattern, "--exclude"));
    let options = WalkOptions {
        base: args.directory.clone(),
        exclude: exclude.collect::<Result<_>>()?,
        ..WalkOptions::default()
    };
    walk::walk(&inputs, &options, &|_| {}, stop).map_err(|error| match error {
        WalkError::Stopped => Error::new(ErrorKind::Cancelled, "stopped before the end"),
        WalkError::Exclude { .. } => Error::with(ErrorKind::Usage, "cannot walk the inputs", error),
        error => Error::with(ErrorKind::Input, "cannot walk the inputs", error),
    })
}

impl Row {
    fn new(profile: Profile, dials: &Dials, found: &Estimate) -> Self {
        Self {
            profile: profile.name(),
            codec: dials.codec.to_string(),
            block_size: dials.block_size,
            dedup: dials.dedup.name(),
            archive_bytes: found.archive_bytes.into(),
            seconds: found.seconds.into(),
            duplicates: found.duplicates,
            sample_bytes: found.sample_bytes,
            sample_blocks: found.sample_blocks,
            blocks: found.blocks,
        }
    }
}

impl From<Interval> for Range {
    fn from(Interval { value, low, high }: Interval) -> Self {
        Self { value, low, high }
    }
}

fn text(document: &Document<'_>) -> String {
    let Document { entries, bytes, threads, profiles } = document;
    let mut text = format!(
        "{} in {}, {}\n\n",
        Both(*bytes),
        count(*entries, "entry", "entries"),
        count(*threads as u64, "thread", "threads")
    );
    let line = |cells: [&str; 6]| {
        let [profile, archive, between, ratio, time, sample] = cells;
        format!("{profile:<9} {archive:>9}  {between:<21} {ratio:>6}  {time:<26} {sample}\n")
    };
    text += &line(["profile", "archive", "between", "ratio", "time", "sample"]);
    for row in *profiles {
        let size = |value: f64| Human(value as u64).to_string();
        let took = |seconds: f64| Took(Duration::try_from_secs_f64(seconds).unwrap_or_default()).to_string();
        let Row { archive_bytes, seconds, .. } = row;
        let ratio = super::ratio(archive_bytes.value as u64, *bytes).map_or_else(String::new, |r| format!("{r:.3}"));
        text += &line([
            row.profile,
            &size(archive_bytes.value),
            &format!("{} - {}", size(archive_bytes.low), size(archive_bytes.high)),
            &ratio,
            &format!("{} ({} - {})", took(seconds.value), took(seconds.low), took(seconds.high)),
            &format!("{} of {}", row.sample_blocks, count(row.blocks as u64, "block", "blocks")),
        ]);
    }
    let most = profiles.iter().map(|row| row.duplicates).fold(0.0, f64::max);
    text += &format!(
        "\n95% intervals from a sample. Times are those of a tree that lies in memory. {:.1}% of the content is there more\n\
         than once as whole files. Equal pieces of files (--dedup chunk) and another order (--order) make archives smaller than this.\n",
        most * 100.0
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_a_line_with_its_figures() {
        let found = Estimate {
            archive_bytes: Interval { value: 2e6, low: 1.9e6, high: 2.2e6 },
            seconds: Interval { value: 1.5, low: 1.25, high: 2.0 },
            duplicates: 0.125,
            sample_bytes: 1 << 20,
            sample_blocks: 8,
            blocks: 80,
        };
        let dials = Choice { profile: Profile::Small, ..Choice::default() }.dials().unwrap();
        let rows = [Row::new(Profile::Small, &dials, &found)];
        let text = text(&Document { entries: 3, bytes: 10_000_000, threads: 2, profiles: &rows });
        let line = text.lines().find(|line| line.starts_with("small")).unwrap();
        for part in ["1.91 MiB", "1.81 MiB - 2.10 MiB", "0.200", "1.50 s (1.25 s - 2.00 s)", "8 of 80 blocks"] {
            assert!(line.contains(part), "{part:?} in {line:?}");
        }
        assert!(text.contains("12.5% of the content"));
    }
}
