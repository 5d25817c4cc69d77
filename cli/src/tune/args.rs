//! The flags of `carrack tune`, as they are typed.

use std::path::PathBuf;
use std::time::Duration;

use carrack_measure::cache::Cache;
use clap::{ValueEnum, ValueHint};
use serde::{Deserialize, Serialize};

use crate::help;

/// Find the settings that suit this machine, and remember them
#[derive(Debug, clap::Args)]
#[command(after_help = help::TUNE)]
pub(crate) struct TuneArgs {
    /// Files and folders like those that will be packed [default: a generated folder]
    #[arg(value_name = "DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// What to tune
    #[arg(long = "for", value_enum, default_value_t = For::Both, value_name = "OPERATION")]
    pub(crate) operations: For,

    /// What is in memory when a run begins: hot (everything), data-cold (all but contents), cold (nothing; as root)
    #[arg(long, default_value_t = Cache::Hot, value_name = "STATE")]
    pub(crate) cache: Cache,

    /// Time for all of it, such as 30s or 5m
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = duration)]
    pub(crate) budget: Duration,

    /// Search only these, everything else stays as it is by default
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub(crate) only: Vec<Knob>,

    /// Run all settings of the grid, so many times each, however long it takes
    #[arg(long, value_name = "ROUNDS", conflicts_with = "budget", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) exhaustive: Option<u32>,

    /// Write every run as JSON into this folder: tune.json for pack, tune-unpack.json for unpack
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) results: Option<PathBuf>,

    /// Where archives and unpacked trees come and go meanwhile [default: beside DIR]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) work: Option<PathBuf>,

    /// Seed of the sample and of the order of runs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Show what is remembered; nothing is run
    #[arg(long, conflicts_with_all = SEARCHING, help_heading = "What is remembered")]
    pub(crate) show: bool,

    /// With --show: as one JSON object
    #[arg(long, requires = "show", help_heading = "What is remembered")]
    pub(crate) json: bool,

    /// Forget what is remembered of this machine; nothing is run
    #[arg(long, conflicts_with_all = SEARCHING, conflicts_with = "show", help_heading = "What is remembered")]
    pub(crate) forget: bool,

    /// With --forget: of all machines
    #[arg(long, requires = "forget", help_heading = "What is remembered")]
    pub(crate) all: bool,
}

/// What makes no sense where nothing is run.
const SEARCHING: [&str; 9] =
    ["inputs", "operations", "cache", "budget", "only", "exhaustive", "results", "work", "seed"];

/// What can be tuned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum For {
    Pack,
    Unpack,
    Both,
}

impl For {
    /// One or both.
    pub(crate) fn operations(self) -> &'static [Operation] {
        match self {
            For::Pack => &[Operation::Pack],
            For::Unpack => &[Operation::Unpack],
            For::Both => &[Operation::Pack, Operation::Unpack],
        }
    }
}

/// What settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Pack,
    Unpack,
}

impl Operation {
    /// Its command.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Pack => "pack",
            Operation::Unpack => "unpack",
        }
    }
}

/// What can be turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Knob {
    /// --io, without the numbers of its own
    Io,
    /// --slots and --slot-size
    Slots,
    /// --readers, with --io pool
    Readers,
    /// --depth, with --io uring
    Depth,
    /// --threads
    Threads,
    /// --direct
    Direct,
}

/// Less than this and not even the defaults run often enough.
const BUDGET_MIN: Duration = Duration::from_secs(1);

/// Reads `500ms`, `30s`, `5m`, `2h`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let what = "a whole number and a unit, as in 30s, 5m or 1h";
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is no time: write {what}"))?;
    let ms: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "" => return Err(format!("{text:?} has no unit: write {what}")),
        _ => return Err(format!("{unit:?} is no unit of time: write {what}")),
    };
    let time = number.checked_mul(ms).map(Duration::from_millis);
    let time = time.ok_or_else(|| format!("{text:?} is longer than any time can be"))?;
    if time < BUDGET_MIN {
        return Err(format!("{text:?} is too short to tell settings apart: 1s is the least, and a minute is better"));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, ms) in [("1s", 1000), ("1500ms", 1500), ("60s", 60_000), ("5m", 300_000), ("2h", 7_200_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_how_to_be_one() {
        let table = [
            ("", "no time"),
            ("soon", "no time"),
            ("-5s", "no time"),
            ("60", "no unit"),
            ("60 s", "no unit of time"),
            ("1.5m", "no unit of time"),
            ("0s", "too short"),
            ("999ms", "too short"),
            ("99999999999999999999s", "no time"),
            ("9999999999999999999h", "longer than any"),
        ];
        for (text, part) in table {
            assert!(duration(text).is_err_and(|error| error.contains(part)), "{text}: {:?}", duration(text));
        }
    }
}
