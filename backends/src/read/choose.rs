//! Which backend reads, as asked for or as this machine allows.
//!
//! What flows in: the user's choice. What flows out: a backend, and what had to be said about it.
//! What it does not know: how any of them works.

use std::fmt;
use std::str::FromStr;

use super::ReadBackend;
use super::pool::Pool;
use super::pread::Pread;

/// A way of reading, as the user names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoChoice {
    /// The best that works here: io_uring, else the pool.
    #[default]
    Auto,
    /// io_uring, or an error that says why not.
    Uring,
    /// A pool of reader threads.
    Pool,
    /// One thread, one `pread` after the other.
    Pread,
    /// Mappings.
    Mmap,
}

impl IoChoice {
    /// Every choice, in the order in which they are listed to users.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Uring, Self::Pool, Self::Pread, Self::Mmap];

    /// The name that [`FromStr`] understands.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Pool => "pool",
            Self::Pread => "pread",
            Self::Mmap => "mmap",
        }
    }
}

impl fmt::Display for IoChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for IoChoice {
    type Err = UnknownIo;

    fn from_str(name: &str) -> Result<Self, UnknownIo> {
        Self::ALL.into_iter().find(|choice| choice.name() == name).ok_or_else(|| UnknownIo(name.to_owned()))
    }
}

/// No way of reading has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownIo(String);

impl fmt::Display for UnknownIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = IoChoice::ALL.map(IoChoice::name).join(", ");
        write!(f, "unknown I/O backend {:?}: expected one of {names}", self.0)
    }
}

impl std::error::Error for UnknownIo {}

/// How to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Which backend.
    pub choice: IoChoice,
    /// Reader threads of the pool.
    pub threads: usize,
    /// Requests that io_uring has in flight at once.
    pub depth: u32,
    /// Read files of at least this many bytes past the page cache, where their file system allows it.
    pub direct: Option<u64>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { choice: IoChoice::Auto, threads: default_threads(), depth: DEPTH, direct: None }
    }
}

#[cfg(target_os = "linux")]
use super::uring::DEPTH;
/// Without meaning where there is no io_uring.
#[cfg(not(target_os = "linux"))]
const DEPTH: u32 = 128;

/// Reader threads for this machine. They mostly wait for the disk, so there are several for each core.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| (cores.get() * 4).clamp(4, 16))
}

/// Why the backend that was asked for by name cannot be had.
#[derive(Debug)]
pub struct OpenError {
    choice: IoChoice,
    reason: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the I/O backend {} was asked for: {}", self.choice, self.reason)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}

/// A backend, and what was chosen other than hoped for: one sentence each.
pub type Opened = (Box<dyn ReadBackend>, Vec<String>);

/// Opens the backend that was asked for.
///
/// # Errors
/// When a backend was asked for by name and this machine does not have it. [`IoChoice::Auto`] never fails.
pub fn open_backend(options: &ReadOptions) -> Result<Opened, OpenError> {
    let refused = |reason| OpenError { choice: options.choice, reason };
    match options.choice {
        IoChoice::Auto => Ok(match uring(options) {
            Ok(backend) => (backend, Vec::new()),
            Err(reason) => (pool(options), vec![format!("{reason}; reading with {} threads instead", options.threads)]),
        }),
        IoChoice::Uring => Ok((uring(options).map_err(refused)?, Vec::new())),
        IoChoice::Pool => Ok((pool(options), Vec::new())),
        IoChoice::Pread => {
            let backend = options.direct.map_or_else(Pread::new, Pread::with_direct);
            Ok((Box::new(backend), Vec::new()))
        }
        IoChoice::Mmap => {
            let note = options.direct.map(|_| "direct reads: mappings always go through the page cache".to_owned());
            Ok((mmap().map_err(refused)?, note.into_iter().collect()))
        }
    }
}

type Attempt = Result<Box<dyn ReadBackend>, Box<dyn std::error::Error + Send + Sync>>;

fn pool(options: &ReadOptions) -> Box<dyn ReadBackend> {
    Box::new(match options.direct {
        Some(threshold) => Pool::with_direct(options.threads, threshold),
        None => Pool::new(options.threads),
    })
}

#[cfg(target_os = "linux")]
fn uring(options: &ReadOptions) -> Attempt {
    use super::uring::{Uring, UringOptions};

    let wanted = UringOptions { depth: options.depth, direct: options.direct, ..UringOptions::default() };
    Ok(Box::new(Uring::new(wanted)?))
}

#[cfg(not(target_os = "linux"))]
fn uring(_: &ReadOptions) -> Attempt {
    Err("io_uring exists on Linux only".into())
}

#[cfg(target_os = "linux")]
fn mmap() -> Attempt {
    Ok(Box::new(super::mmap::Mmap::new()))
}

#[cfg(not(target_os = "linux"))]
fn mmap() -> Attempt {
    Err("reading through mappings is safe on Linux only".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for choice in IoChoice::ALL {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!(format!("[{:>6}]", IoChoice::Pool), "[  pool]");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "iouring".parse::<IoChoice>().unwrap_err().to_string();
        assert_eq!(error, r#"unknown I/O backend "iouring": expected one of auto, uring, pool, pread, mmap"#);
        assert!("".parse::<IoChoice>().is_err() && "Auto".parse::<IoChoice>().is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_asked_for_is_opened() {
        for direct in [None, Some(super::super::DIRECT_THRESHOLD)] {
            for (choice, name) in [
                (IoChoice::Auto, "uring"),
                (IoChoice::Uring, "uring"),
                (IoChoice::Pool, "pool"),
                (IoChoice::Pread, "pread"),
                (IoChoice::Mmap, "mmap"),
            ] {
                let options = ReadOptions { choice, direct, depth: 7, ..ReadOptions::default() };
                let (backend, notes) = open_backend(&options).unwrap();
                assert_eq!(backend.caps().name, name);
                assert_eq!(notes.len(), usize::from(choice == IoChoice::Mmap && direct.is_some()), "{notes:?}");
                assert!(name != "uring" || backend.caps().depth == 7);
            }
        }
    }

    #[test]
    fn a_refusal_names_the_choice_and_the_reason() {
        let error = OpenError { choice: IoChoice::Uring, reason: "no such thing".into() };
        assert_eq!(error.to_string(), "the I/O backend uring was asked for: no such thing");
    }
}
