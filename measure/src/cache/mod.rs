//! What is in memory when a run begins: made so, looked at before, and checked by what came from the disk after.
//!
//! What flows in: files that are going to be read, and the state they should be in. What flows out: the share of their
//! pages that is resident, and whether a run had what it should have had. What this module does not know: who reads.
//!
//! | state | contents | folders and inodes | programs |
//! |---|---|---|---|
//! | hot | in memory | in memory | in memory |
//! | data-cold | on the disk: `POSIX_FADV_DONTNEED`, file by file, after a sync | in memory | in memory |
//! | cold | on the disk: a sync, then `/proc/sys/vm/drop_caches` | on the disk | on the disk |

mod files;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod resident;

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use files::Files;

use crate::error::{Context, Result};
use crate::process::Usage;

/// What is in memory before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cache {
    /// Everything.
    Hot,
    /// Everything but the contents of files.
    DataCold,
    /// Nothing.
    Cold,
}

/// Of hot files at least this share must be resident, of cold ones at most the rest to 1.
const HOT: f64 = 0.99;
/// At least this share of what cold files occupy must come from the disk.
const FROM_DISK: f64 = 0.9;
/// Where the kernel is asked to forget.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";
/// Bytes of the file that `probe` tries it with.
const PROBE: usize = 1 << 20;

impl Cache {
    /// All of them, the one with most in memory first.
    pub const ALL: [Cache; 3] = [Cache::Hot, Cache::DataCold, Cache::Cold];

    /// Its name in tables, in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cache::Hot => "hot",
            Cache::DataCold => "data-cold",
            Cache::Cold => "cold",
        }
    }

    /// Brings the files into this state, and looks at them.
    ///
    /// # Errors
    /// When the kernel is not to be asked. A single file that cannot be opened is left out: whoever reads it next will
    /// say so.
    pub fn prepare(self, files: &Files) -> Result<State> {
        self.establish(files)?;
        let state = State::of(files);
        if self == Cache::Cold {
            // To look at a file is to bring its folder and its inode back.
            self.establish(files)?;
        }
        Ok(state)
    }

    /// Brings the files into this state.
    ///
    /// # Errors
    /// Those of [`prepare`](Self::prepare).
    pub fn establish(self, files: &Files) -> Result<()> {
        match self {
            Cache::Hot => files.warm(),
            Cache::DataCold => {
                rustix::fs::sync();
                evict(files);
            }
            Cache::Cold => {
                rustix::fs::sync();
                // 3: the page cache, and folders and inodes.
                let mut to = fs::File::options().write(true).open(DROP_CACHES).doing(format!("open {DROP_CACHES}"))?;
                to.write_all(b"3\n").doing(format!("write {DROP_CACHES}"))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Cache {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|cache| cache.name() == name.trim());
        found.ok_or_else(|| format!("unknown cache state {name:?}: expected one of {known}"))
    }
}

/// A state that this process cannot have, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The state.
    pub cache: Cache,
    /// Why.
    pub why: String,
}

/// Which states cannot be had for files on the file system of `folder`, where a small file is written to try it out.
#[must_use]
pub fn probe(folder: &Path) -> Vec<Refused> {
    let refused = |cache, result: Result<()>| Some(Refused { cache, why: result.err()?.to_string() });
    let cold = fs::File::options().write(true).open(DROP_CACHES).doing(format!("open {DROP_CACHES}")).map(|_| ());
    refused(Cache::DataCold, probe_evict(folder)).into_iter().chain(refused(Cache::Cold, cold)).collect()
}

fn probe_evict(folder: &Path) -> Result<()> {
    let file = tempfile::NamedTempFile::new_in(folder).at("make a file in", folder)?;
    file.as_file().write_all(&vec![1; PROBE]).and_then(|()| file.as_file().sync_all()).at("write a file in", folder)?;
    let files = Files::below(&[file.path()]);
    evict(&files);
    match resident(&files) {
        Some(share) if share <= 1.0 - HOT => Ok(()),
        Some(share) => Err(crate::error::Failure::new(format!(
            "{:.0}% of a file in {} stayed in memory after POSIX_FADV_DONTNEED",
            share * 100.0,
            folder.display()
        ))),
        None => Err(crate::error::Failure::new("this system does not say which pages are in memory")),
    }
}

/// Asks the kernel to forget the contents of these files. What was not written to the disk yet stays.
pub fn evict(files: &Files) {
    #[cfg(target_os = "linux")]
    files.each(|path, _| {
        if let Ok(file) = fs::File::open(path) {
            // A file system that cannot do it is noticed when pages are counted.
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
    });
    #[cfg(not(target_os = "linux"))]
    let _ = files;
}

/// Which share of the pages of these files is in memory, by `mincore`: of all files, or, where they are many, of an even
/// sample of some thousand and all large ones. `None` when there is nothing to ask about, or the kernel would not say.
#[must_use]
pub fn resident(files: &Files) -> Option<f64> {
    #[cfg(target_os = "linux")]
    {
        let mut sum = resident::Pages::default();
        for (path, len) in files.sample() {
            sum.add(resident::pages(path, len).unwrap_or_default());
        }
        sum.share()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = files;
        None
    }
}

/// What was found before a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that they occupy on the disk: less where there are holes.
    pub occupied_bytes: u64,
    /// The share of their pages that was in memory, where it could be found out.
    pub resident: Option<f64>,
}

impl State {
    /// Looks at the files.
    #[must_use]
    pub fn of(files: &Files) -> Self {
        let (bytes, occupied_bytes) = (files.bytes(), files.occupied_bytes());
        Self { files: files.count(), bytes, occupied_bytes, resident: resident(files) }
    }

    /// Whether a run that began in this state, and cost that, had what `cache` promises: by the pages that were resident
    /// before it, and by what it had to fetch from the disk.
    #[must_use]
    pub fn held(&self, cache: Cache, usage: &Usage) -> bool {
        match cache {
            Cache::Hot => self.resident.is_none_or(|share| share >= HOT) && !usage.is_cold(self.bytes),
            Cache::DataCold | Cache::Cold => {
                let from_disk = usage.disk_read_bytes as f64 >= self.occupied_bytes as f64 * FROM_DISK;
                self.resident.is_none_or(|share| share <= 1.0 - HOT) && from_disk
            }
        }
    }
}

#[cfg(test)]
mod tests;
