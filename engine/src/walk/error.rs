//! What can go wrong: with one entry ([`Problem`]) or with the walk as a whole ([`WalkError`]).

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::limits;

/// One entry that is missing or incomplete.
#[derive(Debug)]
pub struct Problem {
    /// Archive path of the entry; empty for the root folder itself.
    pub path: Vec<u8>,
    /// What happened.
    pub what: What,
}

/// What is wrong with an entry.
#[derive(Debug)]
pub enum What {
    /// A system call failed. For a folder that cannot be opened or listed, the folder itself is kept.
    Io {
        /// What was tried.
        call: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// An extended attribute cannot be read; the entry is kept without it.
    Xattr {
        /// Its full name.
        name: Vec<u8>,
        /// What the system said.
        error: io::Error,
    },
    /// A symlink or special file with several names: only names of one file are stored as such.
    LinkedOdd(u64),
    /// A folder was replaced by another one between being found and being opened; what is below is missing.
    Replaced,
    /// Neither file, folder, symlink, FIFO, socket nor device: the type bits of its mode.
    UnknownType(u32),
    /// A name that no path component can have: empty, or with a `/` in it.
    BadName,
    /// The name is too long for an archive: its length in bytes.
    NameTooLong(usize),
    /// The path is too long for an archive: its length in bytes.
    PathTooLong(usize),
    /// The target of the symlink is too long for an archive: at least so many bytes.
    TargetTooLong(usize),
    /// The time of the last change, in seconds since 1970, does not fit in 64 bits of nanoseconds.
    Time {
        /// Seconds since 1970-01-01 UTC.
        sec: i64,
        /// Whether the entry is stored with the nearest time that fits; a file is left out instead, since it
        /// would seem to have changed.
        kept: bool,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { b"." } else { &self.path[..] };
        write!(f, "{}: {}", String::from_utf8_lossy(path).escape_debug(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Io { call, error } => write!(f, "{call}: {error}"),
            What::Xattr { name, error } => {
                write!(f, "stored without its extended attribute {}: {error}", name.escape_ascii())
            }
            What::LinkedOdd(names) => {
                write!(f, "is one of {names} names of one thing that is no file: stored as a thing of its own")
            }
            What::Replaced => f.write_str("the folder was replaced by another one during the walk"),
            What::UnknownType(bits) => write!(f, "unknown type of file {bits:#o}"),
            What::BadName => f.write_str("the file system gives a name that is empty or contains a slash"),
            What::NameTooLong(len) => {
                write!(f, "the name has {len} bytes: expected at most {}", limits::NAME_LEN_MAX)
            }
            What::PathTooLong(len) => {
                write!(f, "the path has {len} bytes: expected at most {}", limits::PATH_LEN_MAX)
            }
            What::TargetTooLong(len) => write!(
                f,
                "the target of the symlink has at least {len} bytes: expected at most {}",
                limits::LINK_TARGET_LEN_MAX
            ),
            What::Time { sec, kept } => write!(
                f,
                "the modification time {sec} s since 1970 does not fit in 64 bits of nanoseconds: {}",
                if *kept { "stored as the nearest one that does" } else { "left out" }
            ),
        }
    }
}

/// Why there is nothing to pack.
#[derive(Debug)]
pub enum WalkError {
    /// No input was given.
    NoInput,
    /// An input is missing or cannot be looked at.
    Input {
        /// The input.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// One of several inputs has no name to be stored under (it is `/`).
    NoName(PathBuf),
    /// Two inputs would be stored under the same name.
    SameName {
        /// The first.
        first: PathBuf,
        /// The second.
        second: PathBuf,
    },
    /// A pattern to exclude is malformed.
    Exclude {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are more entries than an archive holds.
    TooManyEntries,
    /// The caller wanted the walk to stop.
    Stopped,
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalkError::NoInput => f.write_str("nothing to pack: expected at least one file or folder"),
            WalkError::Input { path, error } => write!(f, "{}: {error}", path.display()),
            WalkError::NoName(path) => write!(
                f,
                "{}: has no name to be stored under beside other inputs; pack it alone, or name what is in it",
                path.display()
            ),
            WalkError::SameName { first, second } => write!(
                f,
                "{} and {} would be stored under the same name; pack them apart, or a folder that holds both",
                first.display(),
                second.display()
            ),
            WalkError::Exclude { pattern, reason } => write!(f, "exclude pattern '{pattern}': {reason}"),
            WalkError::TooManyEntries => write!(f, "more than {} entries", limits::ROWS_MAX),
            WalkError::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for WalkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            WalkError::Input { error, .. } => Some(error),
            _ => None,
        }
    }
}
