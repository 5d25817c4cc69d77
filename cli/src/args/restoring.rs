//! The flags of the commands that go through all of an archive: `unpack` and `verify`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use carrack_engine::ceiling::Ceiling;
use clap::ValueHint;

use super::StatsArgs;
use crate::{help, size};

/// How much an archive may come to.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct CeilingArgs {
    /// Refuse when the contents are more than this in all, holes included
    #[arg(long, value_name = "SIZE", value_parser = size::parse, help_heading = "Limits")]
    pub(crate) max_size: Option<u64>,

    /// Refuse when there are more entries than this
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_entries: Option<u64>,

    /// Refuse when the contents, or the blocks decoded, are more than so many times as long as the archive
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_ratio: Option<u64>,

    /// For archives of strangers: --max-ratio 200 and 64 MiB of memory, where nothing else is given
    #[arg(long, help_heading = "Limits")]
    pub(crate) untrusted: bool,
}

impl CeilingArgs {
    /// The memory limit: what was given, or what goes with archives of strangers.
    pub(crate) fn memory_limit(&self, given: Option<u64>) -> Option<u64> {
        given.or(self.untrusted.then_some(Ceiling::UNTRUSTED_MEMORY))
    }
}

impl From<CeilingArgs> for Ceiling {
    fn from(args: CeilingArgs) -> Self {
        let base = if args.untrusted { Self::UNTRUSTED } else { Self::default() };
        Self {
            size: args.max_size.or(base.size),
            entries: args.max_entries.or(base.entries),
            ratio: args.max_ratio.or(base.ratio),
        }
    }
}

/// Unpack an archive, all of it or some paths
#[derive(Debug, clap::Args)]
#[command(after_help = help::UNPACK)]
pub(crate) struct UnpackArgs {
    /// The archive
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) archive: PathBuf,

    /// What to unpack: paths, with all below them, and patterns [default: everything]
    #[arg(value_name = "PATH|GLOB")]
    pub(crate) patterns: Vec<OsString>,

    /// The folder to unpack into
    #[arg(short = 'C', long = "directory", value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) directory: PathBuf,

    /// Replace files that are there
    #[arg(short, long)]
    pub(crate) force: bool,

    /// Give files the owners that were packed, by name where there is one here [default for root]
    #[arg(long, overrides_with = "no_same_owner", help_heading = "Metadata")]
    pub(crate) same_owner: bool,

    /// Give files to whoever unpacks [default for others]
    #[arg(long, overrides_with = "same_owner", help_heading = "Metadata")]
    pub(crate) no_same_owner: bool,

    /// Owners and groups by number, whatever their names
    #[arg(long, help_heading = "Metadata")]
    pub(crate) numeric_owner: bool,

    /// Exact permissions, whatever the umask [default for root]
    #[arg(short = 'p', long, visible_alias = "preserve-permissions", overrides_with = "no_same_permissions")]
    #[arg(help_heading = "Metadata")]
    pub(crate) same_permissions: bool,

    /// Permissions that the umask leaves, without setuid, setgid and sticky [default for others]
    #[arg(long, overrides_with = "same_permissions", help_heading = "Metadata")]
    pub(crate) no_same_permissions: bool,

    /// Restore access control lists [default along with exact permissions]
    #[arg(long, overrides_with = "no_acls", help_heading = "Metadata")]
    pub(crate) acls: bool,

    /// Restore no access control lists
    #[arg(long, overrides_with = "acls", help_heading = "Metadata")]
    pub(crate) no_acls: bool,

    /// Restore extended attributes, as by default; capabilities and trusted.* go with the owner
    #[arg(long, overrides_with = "no_xattrs", help_heading = "Metadata")]
    pub(crate) xattrs: bool,

    /// Restore neither extended attributes nor capabilities
    #[arg(long, overrides_with = "xattrs", help_heading = "Metadata")]
    pub(crate) no_xattrs: bool,

    /// Restore the labels of SELinux, if they were packed
    #[arg(long, help_heading = "Metadata")]
    pub(crate) selinux: bool,

    /// Leave the times of last change: the present
    #[arg(short = 'm', long, help_heading = "Metadata")]
    pub(crate) touch: bool,

    /// Make named pipes, sockets and devices too (the default)
    #[arg(long, overrides_with = "no_specials", help_heading = "Metadata")]
    pub(crate) specials: bool,

    /// Make no named pipes, sockets and devices
    #[arg(long, overrides_with = "specials", help_heading = "Metadata")]
    pub(crate) no_specials: bool,

    /// Leave out so many folders in front of each path, after --transform
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Names")]
    pub(crate) strip_components: usize,

    /// Change paths as sed would: s/pattern/replacement/flags; may be given several times
    #[arg(long, visible_alias = "xform", value_name = "EXPRESSION", help_heading = "Names")]
    pub(crate) transform: Vec<String>,

    #[command(flatten)]
    pub(crate) ceiling: CeilingArgs,

    /// Begin even if the file system has less space free than what is to be written takes
    #[arg(long, help_heading = "Limits")]
    pub(crate) no_space_check: bool,

    /// Wait until everything is on the disk
    #[arg(long)]
    pub(crate) sync: bool,

    /// Ignore the settings that carrack tune found for this machine
    #[arg(long)]
    pub(crate) no_tune: bool,

    /// Threads that decode and check, at most one more than there are cores [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Memory to take at most: threads become fewer until it fits
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) memory_limit: Option<u64>,

    #[command(flatten)]
    pub(crate) stats: StatsArgs,
}

/// Prove that every byte of an archive is what was packed
#[derive(Debug, clap::Args)]
#[command(after_help = help::VERIFY)]
pub(crate) struct VerifyArgs {
    /// The archive
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) archive: PathBuf,

    /// Then compare it with this folder: contents by digest, and all metadata
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) against: Option<PathBuf>,

    /// What matches this in the folder of --against is left aside, as when it was packed; may be given several times
    #[arg(short = 'x', long, value_name = "GLOB", requires = "against")]
    pub(crate) exclude: Vec<OsString>,

    /// Do not compare extended attributes and capabilities
    #[arg(long, requires = "against")]
    pub(crate) no_xattrs: bool,

    /// Do not compare access control lists
    #[arg(long, requires = "against")]
    pub(crate) no_acls: bool,

    /// Threads that decode and check, at most one more than there are cores [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Memory to take at most: threads become fewer until it fits
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) memory_limit: Option<u64>,

    #[command(flatten)]
    pub(crate) ceiling: CeilingArgs,

    #[command(flatten)]
    pub(crate) stats: StatsArgs,
}
