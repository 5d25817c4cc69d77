//! The flags of the commands that look into an archive: `list`, `cat` and `info`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueHint;

use super::CeilingArgs;
use crate::help;

/// List what is in an archive
#[derive(Debug, clap::Args)]
#[command(after_help = help::LIST)]
pub(crate) struct ListArgs {
    /// The archive
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) archive: PathBuf,

    /// What to list: paths, with all below them, and patterns [default: everything]
    #[arg(value_name = "PATH|GLOB")]
    pub(crate) patterns: Vec<OsString>,

    /// Mode, owner and group, size, time, name, and where links lead
    #[arg(short, long, group = "form")]
    pub(crate) long: bool,

    /// One JSON object a line
    #[arg(long, group = "form")]
    pub(crate) json: bool,

    /// Raw names, each ended by a NUL byte
    #[arg(short = '0', long = "null", group = "form")]
    pub(crate) null: bool,

    #[command(flatten)]
    pub(crate) ceiling: CeilingArgs,
}

/// Write files of an archive to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = help::CAT)]
pub(crate) struct CatArgs {
    /// The archive
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) archive: PathBuf,

    /// Files in the archive
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,

    #[command(flatten)]
    pub(crate) ceiling: CeilingArgs,
}

/// Show what an archive is: counts, sizes, codecs, options
#[derive(Debug, clap::Args)]
#[command(after_help = help::INFO)]
pub(crate) struct InfoArgs {
    /// The archive
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) archive: PathBuf,

    /// As one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
