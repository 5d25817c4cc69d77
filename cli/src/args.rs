//! The flags as they are typed. What flows in: arguments. What flows out: structs of raw values. What this module does
//! not know: what the values mean together; that is [`config`](crate::config)'s.

mod reading;
mod restoring;

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use carrack_backends::read::choose::IoChoice;
use carrack_engine::codec::FilterChoice;
use carrack_engine::pack::Dedup;
use carrack_engine::plan::Order;
use carrack_engine::profile::{DictionaryChoice, Profile};
use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use serde::{Deserialize, Serialize};

pub(crate) use reading::{CatArgs, InfoArgs, ListArgs};
pub(crate) use restoring::{CeilingArgs, UnpackArgs, VerifyArgs};

use crate::tune::args::TuneArgs;
use crate::{help, size};

/// Packs a directory tree into one file: fast, every file one seek away, every byte proved by BLAKE3
#[derive(Debug, Parser)]
#[command(name = "carrack", version, after_help = help::TOP, arg_required_else_help = true)]
#[command(propagate_version = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Neither progress nor summary; warnings and errors remain
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 900)]
    pub(crate) quiet: bool,

    /// Say more: the options in effect
    #[arg(short, long, global = true, display_order = 901)]
    pub(crate) verbose: bool,

    /// Colours: on a terminal unless NO_COLOR is set, always, or never
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto, display_order = 902)]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pack(PackArgs),
    Unpack(UnpackArgs),
    List(ListArgs),
    Cat(CatArgs),
    Verify(VerifyArgs),
    Salvage(SalvageArgs),
    Info(InfoArgs),
    Estimate(EstimateArgs),
    Tune(TuneArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Pack files and folders into an archive
#[derive(Debug, clap::Args)]
#[command(after_help = help::PACK)]
pub(crate) struct PackArgs {
    /// Files and folders to pack
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// The archive to write; - is standard output
    // Not `required`: its absence gets an answer that says what to type.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Look for the inputs in this folder
    #[arg(short = 'C', long = "directory", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,

    /// Replace the archive if there is one
    #[arg(short, long)]
    pub(crate) force: bool,

    /// What matters most: fast, balanced, small, smallest or random; what is set besides goes before it
    #[arg(long, value_name = "PROFILE", default_value_t = Profile::Balanced, help_heading = "Compression")]
    pub(crate) profile: Profile,

    /// Compressor of the blocks [default: zstd]
    #[arg(long, value_enum, value_name = "CODEC", help_heading = "Compression")]
    pub(crate) codec: Option<CodecName>,

    /// Level, higher is smaller: zstd -7 to 22 [default: 3, or the profile's], lzma 0 to 9 [default: 6]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Compression")]
    #[arg(value_parser = clap::value_parser!(i32).range(-7..=22))]
    pub(crate) level: Option<i32>,

    /// What is compressed, and decoded, as one: a power of two from 4KiB to 64MiB [default: 4MiB, below
    /// level 3 1MiB, from 12 on 8MiB, 16 on 16MiB, 20 on 32MiB; lzma 16MiB to 64MiB; or the profile's]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_u32, help_heading = "Compression")]
    pub(crate) block_size: Option<u32>,

    /// Reading one byte decodes no more than this: makes the blocks of the profile smaller where need be
    #[arg(long, value_name = "SIZE", value_parser = size::parse, help_heading = "Compression")]
    pub(crate) max_block_decode: Option<u64>,

    /// Whether blocks are filtered before they are compressed [default: auto]
    #[arg(long, value_enum, value_name = "WHETHER", help_heading = "Compression")]
    pub(crate) filter: Option<FilterName>,

    /// Store equal contents once [default: file, from level 6 on chunk, or the profile's]
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Compression")]
    pub(crate) dedup: Option<DedupName>,

    /// Mean length of the pieces that --dedup chunk cuts contents into: a power of two from 1KiB to 16MiB
    /// [default: 16KiB, more from 32GiB of contents on]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_u32, help_heading = "Compression")]
    pub(crate) chunk_size: Option<u32>,

    /// The same as --dedup none
    #[arg(long, conflicts_with = "dedup", help_heading = "Compression")]
    pub(crate) no_dedup: bool,

    /// Order in which contents are stored; what resembles its neighbours compresses better [default: path, or the
    /// profile's]
    #[arg(long, value_enum, value_name = "ORDER", help_heading = "Compression")]
    pub(crate) order: Option<OrderName>,

    /// Dictionaries that short blocks of one kind share: auto, off, or their length at most, from 4KiB to 2MiB [default: auto, which
    /// is 256KiB for blocks of at most 256KiB, with zstd]
    #[arg(long, value_name = "SIZE", value_parser = dictionary, help_heading = "Compression")]
    pub(crate) dict: Option<DictionaryChoice>,

    /// Leave out what matches these patterns; may be given several times
    // One pattern an occurrence: a list would swallow the inputs behind it.
    #[arg(short = 'x', long, value_name = "GLOB", help_heading = "Selection")]
    pub(crate) exclude: Vec<OsString>,

    /// Leave out what matches a line of this file; # begins a comment; - is standard input
    #[arg(short = 'X', long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Selection")]
    pub(crate) exclude_from: Vec<PathBuf>,

    /// Do not descend into other file systems
    #[arg(long, help_heading = "Selection")]
    pub(crate) one_file_system: bool,

    /// Store extended attributes and file capabilities (the default)
    #[arg(long, overrides_with = "no_xattrs", help_heading = "Metadata")]
    pub(crate) xattrs: bool,

    /// Store no extended attributes and no file capabilities
    #[arg(long, overrides_with = "xattrs", help_heading = "Metadata")]
    pub(crate) no_xattrs: bool,

    /// Store access control lists (the default)
    #[arg(long, overrides_with = "no_acls", help_heading = "Metadata")]
    pub(crate) acls: bool,

    /// Store no access control lists
    #[arg(long, overrides_with = "acls", help_heading = "Metadata")]
    pub(crate) no_acls: bool,

    /// Store the labels of SELinux too
    #[arg(long, help_heading = "Metadata")]
    pub(crate) selinux: bool,

    /// How files are read [default: auto]
    // Without a default of clap's: what carrack tune found stands in for what was not given.
    #[arg(long, value_enum, value_name = "BACKEND", help_heading = "Speed")]
    pub(crate) io: Option<IoName>,

    /// Threads that read, with --io pool
    #[arg(long, value_name = "N", help_heading = "Speed")]
    pub(crate) readers: Option<NonZeroUsize>,

    /// Reads in flight at once, with --io uring
    #[arg(long, value_name = "N", help_heading = "Speed")]
    pub(crate) depth: Option<NonZeroU32>,

    /// Bypass the page cache for files of at least this size; 1MiB if none is given
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "1MiB")]
    #[arg(value_parser = size::parse, help_heading = "Speed")]
    pub(crate) direct: Option<u64>,

    /// Number of read buffers [default: what suits the machine]
    #[arg(long, value_name = "N", help_heading = "Speed")]
    pub(crate) slots: Option<NonZeroU32>,

    /// Size of one read buffer, rounded up to whole blocks [default: what suits the machine]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_u32, help_heading = "Speed")]
    pub(crate) slot_size: Option<u32>,

    /// Threads that hash and compress, at most one more than there are cores [default: one a core]
    #[arg(long, value_name = "N", help_heading = "Speed")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Memory to take at most: buffers and threads become fewer until it fits [default: 256 MB, or 64 MB a core]
    // The default trims buffers only and fails for nothing: `carrack_engine::budget`.
    #[arg(long, value_name = "SIZE", value_parser = size::parse, help_heading = "Speed")]
    pub(crate) memory_limit: Option<u64>,

    /// Ignore the settings that carrack tune found for this machine
    #[arg(long, help_heading = "Speed")]
    pub(crate) no_tune: bool,

    /// Read the archive back from the disk, past the page cache, and prove every byte before it gets its name
    #[arg(long)]
    pub(crate) verify: bool,

    /// Do not wait until the archive is on the disk
    #[arg(long, help_heading = "Speed")]
    pub(crate) no_sync: bool,

    #[command(flatten)]
    pub(crate) stats: StatsArgs,
}

/// Get back what is left of a broken archive
#[derive(Debug, clap::Args)]
#[command(after_help = help::SALVAGE)]
pub(crate) struct SalvageArgs {
    /// What is left of an archive
    #[arg(value_name = "BROKEN", value_hint = ValueHint::FilePath)]
    pub(crate) archive: PathBuf,

    /// Write what is left as a new archive
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Unpack what is left into this folder
    #[arg(short = 'C', long = "directory", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,

    /// Of several archives in it, such as one packed into another, the one of this id
    #[arg(long, value_name = "ID")]
    pub(crate) archive_id: Option<String>,

    /// Replace the new archive if there is one, and files in the folder
    #[arg(short, long)]
    pub(crate) force: bool,
}

/// What is told of how long each stage took.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct StatsArgs {
    /// Show how long each stage took and what the run waited for, on standard error
    #[arg(long, help_heading = "Statistics")]
    pub(crate) stats: bool,

    /// Write the same, with all percentiles, as JSON and as an HdrHistogram log into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Statistics")]
    pub(crate) stats_out: Option<PathBuf>,
}

/// Say how large and how quickly made an archive would be with each profile, from a sample
#[derive(Debug, clap::Args)]
#[command(after_help = help::ESTIMATE)]
pub(crate) struct EstimateArgs {
    /// Files and folders that would be packed
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// Look for the inputs in this folder
    #[arg(short = 'C', long = "directory", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,

    /// What matters most: fast, balanced, small, smallest or random; may be given several times [default: all]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Vec<Profile>,

    /// Leave out what matches these patterns; may be given several times
    #[arg(short = 'x', long, value_name = "GLOB")]
    pub(crate) exclude: Vec<OsString>,

    /// Contents to look at for each profile
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "64MiB")]
    pub(crate) sample: u64,

    /// Time to take for all profiles together; a few blocks are always looked at
    #[arg(long, value_name = "TIME", value_parser = crate::tune::args::duration, default_value = "20s")]
    pub(crate) budget: Duration,

    /// Threads that packing would use [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// As one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Write completions for a shell to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = help::COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Write manual pages
#[derive(Debug, clap::Args)]
#[command(after_help = help::MAN)]
pub(crate) struct ManArgs {
    /// The command whose page goes to standard output [default: the overview]
    #[arg(conflicts_with = "out")]
    pub(crate) command: Option<String>,

    /// Write the pages of all commands into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
}

/// Names of the codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecName {
    /// Small, and fast enough for most disks
    Zstd,
    /// Larger, and very fast to read back
    Lz4,
    /// No compression
    Store,
    /// Smallest, slow to pack and to read back
    Lzma,
}

/// Names of the ways to filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FilterName {
    /// Machine code and arrays of numbers, with lzma and from zstd level 5 on
    Auto,
    /// Nothing
    Off,
}

impl From<FilterName> for FilterChoice {
    fn from(name: FilterName) -> Self {
        match name {
            FilterName::Auto => FilterChoice::Auto,
            FilterName::Off => FilterChoice::Off,
        }
    }
}

/// Names of the ways to deduplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DedupName {
    /// Store everything
    None,
    /// Store equal files once
    File,
    /// Store equal pieces of files once: for trees with near-copies
    Chunk,
}

impl From<DedupName> for Dedup {
    fn from(name: DedupName) -> Self {
        match name {
            DedupName::None => Dedup::None,
            DedupName::File => Dedup::File,
            DedupName::Chunk => Dedup::Chunk,
        }
    }
}

/// `auto`, `off` or a size.
fn dictionary(text: &str) -> Result<DictionaryChoice, String> {
    match text {
        "auto" => Ok(DictionaryChoice::Auto),
        "off" => Ok(DictionaryChoice::Off),
        size => size::parse_u32(size)
            .map(DictionaryChoice::Len)
            .map_err(|why| format!("expected auto, off or a size: {why}")),
    }
}

/// Names of the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderName {
    /// By path
    Path,
    /// By kind of file as the name tells it, namesakes together, then by path
    Type,
    /// Files with passages in common together: each is looked at once more before packing begins
    Similar,
}

impl From<OrderName> for Order {
    fn from(name: OrderName) -> Self {
        match name {
            OrderName::Path => Order::Path,
            OrderName::Type => Order::Type,
            OrderName::Similar => Order::Similar,
        }
    }
}

/// Names of the ways to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IoName {
    /// The best that the machine allows
    Auto,
    /// io_uring; fails where the kernel refuses it
    Uring,
    /// A pool of reading threads
    Pool,
    /// One reading thread
    Pread,
    /// Memory-mapped files
    Mmap,
}

impl From<IoName> for IoChoice {
    fn from(name: IoName) -> Self {
        match name {
            IoName::Auto => IoChoice::Auto,
            IoName::Uring => IoChoice::Uring,
            IoName::Pool => IoChoice::Pool,
            IoName::Pread => IoChoice::Pread,
            IoName::Mmap => IoChoice::Mmap,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_example() {
        for command in Args::command().get_subcommands() {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.starts_with("Examples:\n"), "{}", command.get_name());
            assert!(examples.contains(&format!("carrack {}", command.get_name())), "{}", command.get_name());
        }
    }

    #[test]
    fn every_backend_has_its_name() {
        for name in IoName::value_variants() {
            let value = name.to_possible_value().expect("no variant is hidden");
            assert_eq!(IoChoice::from(*name).to_string(), value.get_name());
        }
    }

    #[test]
    fn every_order_has_its_name() {
        let names = OrderName::value_variants();
        assert_eq!(names.iter().map(|&name| Order::from(name)).collect::<Vec<_>>(), Order::ALL);
        for &name in names {
            let value = name.to_possible_value().expect("no variant is hidden");
            assert_eq!(Order::from(name).name(), value.get_name());
        }
    }

    #[test]
    fn direct_takes_its_size_with_an_equals_sign_only() {
        let direct = |args: &[&str]| match Args::parse_from(args).command {
            Command::Pack(pack) => (pack.direct, pack.inputs),
            other => panic!("{other:?}"),
        };
        assert_eq!(direct(&["carrack", "pack", "--direct", "src"]), (Some(1 << 20), vec!["src".into()]));
        assert_eq!(direct(&["carrack", "pack", "--direct=64k", "src"]), (Some(64 << 10), vec!["src".into()]));
        assert_eq!(direct(&["carrack", "pack", "src"]).0, None);
    }
}
