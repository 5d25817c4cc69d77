//! Why a run of the pipeline failed as a whole.

use std::error::Error;
use std::fmt;
use std::io;

use crate::codec::CodecError;
use crate::index::IndexError;

/// Why a run of the pipeline failed as a whole. What concerns one file alone is a warning instead.
#[derive(Debug)]
pub enum PipelineError {
    /// The settings do not fit together.
    Settings(String),
    /// No memory, threads or rings could be had.
    Start(&'static str, io::Error),
    /// The read backend broke.
    Backend(io::Error),
    /// The archive could not be appended to.
    Sink(io::Error),
    /// A block could not be compressed.
    Codec {
        /// Which block.
        block: u64,
        /// What the codec said.
        error: CodecError,
    },
    /// A row or a table is beyond what the format can hold.
    Index(IndexError),
    /// The caller stopped the run.
    Cancelled,
    /// A task panicked while doing this: a programming error.
    Panicked(&'static str),
}

impl fmt::Display for PipelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(what) => f.write_str(what),
            Self::Start(what, _) => write!(f, "cannot get {what}"),
            Self::Backend(_) => f.write_str("reading failed as a whole"),
            Self::Sink(_) => f.write_str("writing the archive failed"),
            Self::Codec { block, .. } => write!(f, "compressing block {block} failed"),
            Self::Index(_) => f.write_str("the index cannot hold this"),
            Self::Cancelled => f.write_str("stopped before the end"),
            Self::Panicked(doing) => write!(f, "internal error: a task panicked while {doing}"),
        }
    }
}

impl Error for PipelineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start(_, error) | Self::Backend(error) | Self::Sink(error) => Some(error),
            Self::Codec { error, .. } => Some(error),
            Self::Index(error) => Some(error),
            Self::Settings(_) | Self::Cancelled | Self::Panicked(_) => None,
        }
    }
}
