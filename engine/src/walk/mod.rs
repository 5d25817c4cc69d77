//! The walk: finds everything below the inputs and what it is.
//!
//! In: paths of files and folders, patterns to leave out. Out: [`Entries`], one row a path in strictly ascending byte
//! order of the archive path; what could not be read, by name; how much was left out on request. It reads names,
//! metadata, extended attributes, targets of symlinks and maps of holes, never contents, and knows neither blocks nor digests.
//!
//! Threads share two stacks of work (`queue`): folders to list and, first, parts of large folders to look at. Each
//! finished folder is a sorted listing (`item`), packed together (`sealed`); `merge` strings them together. Folders are opened by their path
//! from an input and closed as soon as they are listed, so the walk holds few descriptors however deep and wide the
//! tree is.

mod attributes;
mod error;
mod exclude;
mod holes;
mod inputs;
mod inspect;
mod item;
mod merge;
mod names;
mod open;
mod owners;
mod queue;
mod sealed;
mod worker;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

pub use error::{Problem, WalkError, What};

use crate::entry::{Entries, XattrChoice};
use crate::limits;
use worker::{Found, Shared, Worker};

/// Something to pack, as the user named it. A symlink stands for itself unless its path ends with `/` (or `/.`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Absolute, or relative to [`WalkOptions::base`].
    pub path: PathBuf,
}

/// How to walk.
#[derive(Clone, Debug, Default)]
pub struct WalkOptions {
    /// Where relative inputs start; the current folder when `None`.
    pub base: Option<PathBuf>,
    /// How many threads; four a core, at most 16, when `None`. Fewer are used when the process may not open
    /// enough files.
    pub threads: Option<NonZeroUsize>,
    /// Patterns of entries to leave out. Without a `/` a pattern matches a name anywhere, with one the path from the
    /// archive's root (`**` crosses folders, `*` and `?` do not). One that ends with `/` matches only folders.
    /// What lies below a folder that is left out is left out too.
    pub exclude: Vec<String>,
    /// Keep mount points as empty folders instead of walking into other file systems.
    pub one_file_system: bool,
    /// Device and inode of files that are the output: left out wherever they turn up.
    pub leave_out: Vec<(u64, u64)>,
    /// Which extended attributes to ask for; none by default.
    pub xattrs: XattrChoice,
    /// Give up when there are more entries than this; what the format can hold when `None`.
    pub entries_max: Option<u64>,
}

/// How many entries were left out on purpose (a folder counts once, with all that lies below it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// They matched an exclude pattern.
    pub excluded: u64,
    /// They are the output.
    pub output: u64,
    /// Folders on other file systems: they are kept, what lies below them is not.
    pub other_file_systems: u64,
}

/// What a walk found.
#[derive(Debug)]
pub struct Walked {
    /// One row an entry.
    pub entries: Entries,
    /// What is missing or incomplete, in order of path.
    pub problems: Vec<Problem>,
    /// What was left out on purpose.
    pub left_out: LeftOut,
    /// Labels of security modules that were not asked for, by name, and how many entries have them.
    pub labels: BTreeMap<Vec<u8>, u64>,
}

/// Walks the inputs.
///
/// A single folder becomes the root of the archive, with the empty path as its own row. Several inputs, or a single one
/// that is no folder, are stored under their last names. The first path of a file with several names (in the order of
/// the rows) is the file, each later one a hard link to it.
///
/// `progress` is told the number of entries so far, from any thread. The walk ends soon after `stop` returns true.
///
/// # Errors
/// When an input does not exist, two inputs have the same name or one has none, a pattern is malformed, there are too
/// many entries, or `stop` said so. What is unreadable further down is no error but a [`Problem`].
pub fn walk(
    inputs: &[Input],
    options: &WalkOptions,
    progress: &(dyn Fn(u64) + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Walked, WalkError> {
    let exclude = exclude::Exclude::new(&options.exclude)?;
    let roots = inputs::resolve(inputs, options.base.as_deref())?;
    let shared = Shared::new(options, exclude, &roots.roots, progress, stop);
    let top = shared.start(&roots);

    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads(options.threads, cores, open::descriptors_max());
    let found = thread::scope(|scope| {
        // A thread that the system refuses is done without: this one alone can walk everything.
        let more = |_| thread::Builder::new().spawn_scoped(scope, || Worker::new(&shared).run()).ok();
        let others: Vec<_> = (1..threads).map_while(more).collect();
        let mut found = vec![Worker::new(&shared).run()];
        for other in others {
            match other.join() {
                Ok(more) => found.push(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    if shared.too_many() {
        return Err(WalkError::TooManyEntries);
    }
    if stop() || shared.stopped() {
        return Err(WalkError::Stopped);
    }
    let (mut problems, mut left_out, mut labels) = (top.problems, top.left_out, top.labels);
    let mut listings = Vec::with_capacity(found.len());
    for Found { listings: more, store, problems: trouble, left_out: out, labels: aside } in found {
        listings.push((more, store));
        problems.extend(trouble);
        left_out = left_out + out;
        aside.into_iter().for_each(|(name, count)| *labels.entry(name).or_default() += count);
    }
    let mut entries = merge::merge(&roots, top.listing, listings, shared.entries(), stop)?;
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    (entries.owners, entries.groups) = owners::names(entries.uids.iter(), entries.gids.iter());
    debug_assert!(entries.len() as u64 <= limits::ROWS_MAX);
    Ok(Walked { entries, problems, left_out, labels })
}

impl std::ops::Add for LeftOut {
    type Output = LeftOut;
    fn add(self, other: LeftOut) -> LeftOut {
        LeftOut {
            excluded: self.excluded + other.excluded,
            output: self.output + other.output,
            other_file_systems: self.other_file_systems + other.other_file_systems,
        }
    }
}

/// How many threads to use: each needs up to four descriptors at a time, and sixteen stay free for the rest.
fn threads(wanted: Option<NonZeroUsize>, cores: usize, descriptors_max: usize) -> usize {
    let wanted = wanted.map_or((cores * 4).min(16), NonZeroUsize::get);
    wanted.min(descriptors_max.saturating_sub(16) / 4).max(1)
}

#[cfg(test)]
mod tests;
