//! Writes everything but the contents of files.
//!
//! In: folders, links and special files, a tree to write them to. Out: what went wrong with single paths, as warnings.
//! What it does not know: archives, blocks.
//!
//! Folders are the many among them: they are made, and given their metadata, level by level with all workers at once,
//! since none depends on another of its own level.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use carrack_backends::tree::{Refusal, SpecialKind, TreeWriter, without_path};

use super::sieve::counted;
use super::wish::{Folder, Other};
use crate::control::{Cancel, Escaped, Warning};
use crate::entry::Kind;
use crate::error::{Error, ErrorKind, Result};
use crate::restore::{Policy, Workers, is_about_one_path, not_written};

/// Writes to a tree, and notes what could not be written.
pub(super) struct Writing<'a> {
    tree: &'a dyn TreeWriter,
    workers: &'a Workers,
    policy: Policy,
    specials: bool,
    cancel: &'a Cancel,
    warnings: Vec<Warning>,
    /// Folders that could not be made: one warning each is enough.
    unmade: HashSet<&'a [u8]>,
}

/// What could not be done to a folder.
type Failure<'a> = (&'a Folder, io::Error);

impl<'a> Writing<'a> {
    /// Nothing written yet. `specials`: whether to make pipes, sockets and devices.
    pub(super) fn new(
        tree: &'a dyn TreeWriter,
        workers: &'a Workers,
        policy: Policy,
        specials: bool,
        cancel: &'a Cancel,
    ) -> Self {
        Self { tree, workers, policy, specials, cancel, warnings: Vec::new(), unmade: HashSet::new() }
    }

    /// One more thing that went wrong.
    pub(super) fn warn(&mut self, path: &[u8], what: &str) {
        self.warnings.push(Warning::new(path, what));
    }

    /// What went wrong: with single paths, then with metadata, each kind of it once.
    pub(super) fn into_warnings(self) -> Vec<Warning> {
        let mut warnings = self.warnings;
        warnings.extend(self.tree.refusals().into_iter().map(|Refusal { what, why, count, path }| {
            Warning::new(&path, counted(&format!("{what} not restored: {why}"), count))
        }));
        warnings
    }

    /// Makes folders, parents first.
    pub(super) fn folders(&mut self, folders: &'a [Folder]) -> Result<()> {
        let mut failures = Vec::new();
        for level in levels(folders) {
            self.glance()?;
            let make = |folder: &Folder| match folder.path.is_empty() || self.cancel.is_cancelled() {
                true => Ok(()),
                false => self.tree.make_folder(&folder.path),
            };
            failures.extend(self.each(&level, make)?);
        }
        self.glance()?;
        self.unmade = failures.iter().map(|(folder, _)| &folder.path[..]).collect();
        self.judge_all(failures, not_written)
    }

    /// Children first: a folder's time and permissions are set when nothing is written into it any more.
    pub(super) fn folder_attributes(&mut self, folders: &'a [Folder]) -> Result<()> {
        let mut failures = Vec::new();
        for level in levels(folders).into_iter().rev() {
            let set = |folder: &Folder| {
                if self.unmade.contains(&folder.path[..]) {
                    return Ok(());
                }
                self.tree.set_folder(&folder.path, &folder.attributes(&self.policy))
            };
            failures.extend(self.each(&level, set)?);
        }
        self.judge_all(failures, |error| {
            format!("made, but its owner, mode and time were not all set: {}", without_path(error))
        })
    }

    /// Does `work` for each of these folders, on all workers. Stops at an error that is not about one path alone.
    fn each(&self, level: &[&'a Folder], work: impl Fn(&Folder) -> io::Result<()> + Sync) -> Result<Vec<Failure<'a>>> {
        let failures: Mutex<(Vec<Failure<'a>>, Option<io::Error>)> = Mutex::default();
        let kept = || failures.lock().unwrap_or_else(PoisonError::into_inner);
        let stop = AtomicBool::new(false);
        self.workers.for_each(level, |folder| {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            match work(folder) {
                Ok(()) => {}
                Err(error) if is_about_one_path(&error) => kept().0.push((*folder, error)),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    kept().1.get_or_insert(error);
                }
            }
        });
        match failures.into_inner().unwrap_or_else(PoisonError::into_inner) {
            (_, Some(error)) => Err(cannot_write(error)),
            (failures, None) => Ok(failures),
        }
    }

    /// Warns of each failure, in the order of the paths.
    fn judge_all(&mut self, mut failures: Vec<Failure<'a>>, what: impl Fn(&io::Error) -> String) -> Result<()> {
        failures.sort_unstable_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        failures.into_iter().try_for_each(|(folder, error)| self.judge(&folder.path, Err(error), &what))
    }

    /// Hard links, then symlinks and specials: nothing is ever created through one of them. What has the name of a file
    /// that is `missing` is something else, and gets no further name.
    pub(super) fn others(&mut self, others: &[Other], missing: &BTreeSet<&[u8]>) -> Result<u64> {
        let mut skipped = 0;
        let hardlinks = others.iter().filter(|other| other.kind == Kind::Hardlink);
        for other in hardlinks.chain(others.iter().filter(|other| other.kind != Kind::Hardlink)) {
            self.glance()?;
            let attributes = other.attributes(&self.policy);
            let special = match other.kind {
                Kind::Hardlink if missing.contains(&other.target[..]) => {
                    let what = format!("not written: it is one more name of {}, which was not", Escaped(&other.target));
                    self.warnings.push(Warning::new(&other.path, what));
                    continue;
                }
                Kind::Hardlink => {
                    let made = self.tree.hardlink(&other.target, &other.path);
                    self.one(&other.path, made)?;
                    continue;
                }
                Kind::Symlink => {
                    let made = self.tree.symlink(&other.path, &other.target, &attributes);
                    self.one(&other.path, made)?;
                    continue;
                }
                Kind::Fifo => SpecialKind::Fifo,
                Kind::Socket => SpecialKind::Socket,
                Kind::CharDevice => SpecialKind::Char,
                Kind::BlockDevice => SpecialKind::Block,
                Kind::File | Kind::Dir => continue,
            };
            if !self.specials {
                skipped += 1;
                let what = format!("not created: a {} is created only when asked for", other.kind.name());
                self.warnings.push(Warning::new(&other.path, what));
                continue;
            }
            let device = other.device.map_or((0, 0), |device| (device.major, device.minor));
            let made = self.tree.special(&other.path, special, device, &attributes);
            self.one(&other.path, made)?;
        }
        Ok(skipped)
    }

    /// Judges the result for one path: a warning, or the end.
    fn one(&mut self, path: &[u8], result: io::Result<()>) -> Result<()> {
        self.judge(path, result, not_written)
    }

    fn judge(&mut self, path: &[u8], result: io::Result<()>, what: impl FnOnce(&io::Error) -> String) -> Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if is_about_one_path(&error) => {
                self.warnings.push(Warning::new(path, what(&error)));
                Ok(())
            }
            Err(error) => Err(cannot_write(error)),
        }
    }

    fn glance(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "stopped before the end; what was unpacked so far is whole"));
        }
        Ok(())
    }
}

#[cold]
fn cannot_write(error: io::Error) -> Error {
    Error::with(ErrorKind::Output, "cannot write the tree", error)
}

/// The folders of each level beneath the destination, the highest first; each level in the order of the rows.
fn levels(folders: &[Folder]) -> Vec<Vec<&Folder>> {
    let mut levels: Vec<Vec<&Folder>> = Vec::new();
    for folder in folders {
        let depth = match folder.path.is_empty() {
            true => 0,
            false => 1 + folder.path.iter().filter(|&&byte| byte == b'/').count(),
        };
        if levels.len() <= depth {
            levels.resize_with(depth + 1, Vec::new);
        }
        levels[depth].push(folder);
    }
    levels
}
