//! Compares an archive with a tree on disk: the rows of both side by side, and the contents of files by digest.
//!
//! In: an open archive, a folder. Out: every difference, by path. The archive's own bytes are not proved here: that is
//! verifying. Contents of the archive are not decoded: what its index says of them is compared with what the tree holds.

mod difference;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use carrack_backends::path::PathId;
use carrack_backends::read::whole::{Stretch, read_whole};

pub use difference::{Difference, What};

use crate::archive::Archive;
use crate::budget::Restoring;
use crate::control::{Control, Progress, Stage};
use crate::digest::{Digest, Hasher};
use crate::entry::{Entries, Kind, Row, XattrChoice};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Batch, Scratch};
use crate::restore::Workers;
use crate::unpack::restore_error;
use crate::walk::{self, Input, WalkError, WalkOptions};

/// Bytes of a file that are read at once.
const BUFFER: usize = 256 << 10;

/// How to compare.
#[derive(Clone, Debug)]
pub struct AgainstOptions {
    /// Number of threads that read and hash; as many as there are cores when `None`.
    pub threads: Option<usize>,
    /// What of the tree is left aside, as when it was packed.
    pub exclude: Vec<String>,
    /// Which extended attributes are compared.
    pub xattrs: XattrChoice,
    /// Progress and cancellation.
    pub control: Control,
}

impl Default for AgainstOptions {
    /// Everything but labels of security modules.
    fn default() -> Self {
        Self { threads: None, exclude: Vec::new(), xattrs: XattrChoice::ALL, control: Control::default() }
    }
}

/// What was compared, and what is not the same.
#[derive(Clone, Debug)]
pub struct AgainstReport {
    /// Entries that both have.
    pub entries: u64,
    /// Files whose contents were read.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Every difference, in order of path; empty when archive and tree say the same.
    pub differences: Vec<Difference>,
}

impl Archive {
    /// Compares this archive with the folder `dir`, which stands for its root.
    ///
    /// # Errors
    /// When the folder cannot be walked, the index is damaged, or the run was cancelled. What cannot be read below the
    /// folder is a difference.
    pub fn against(&self, dir: impl AsRef<Path>, options: &AgainstOptions) -> Result<AgainstReport> {
        let threads = Restoring::plan(self, options.threads, None)?.threads;
        let workers = Workers::start(threads).map_err(|error| restore_error(self, error))?;
        let (entries, unread) = walk_tree(dir.as_ref(), options)?;
        let mut beside = Beside {
            archive: self,
            entries: &entries,
            choice: options.xattrs,
            next: 0,
            found: unread,
            both: 0,
            contents: Vec::new(),
        };
        let mut scratch = Scratch::default();
        let each = |batch: &Batch, at: usize| beside.row(&batch.row(at, &mut scratch));
        self.for_each_with(&workers, |_| (), each, Ok)?;
        beside.rest();
        let Beside { mut found, both, contents, .. } = beside;
        let bytes = AtomicU64::new(0);
        found.extend(compare_contents(&entries, &contents, &workers, options, &bytes)?);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(AgainstReport { entries: both, files: contents.len() as u64, bytes: bytes.into_inner(), differences: found })
    }
}

/// Everything in the tree, and what could not be looked at.
fn walk_tree(dir: &Path, options: &AgainstOptions) -> Result<(Entries, Vec<Difference>)> {
    // With a slash behind it, a link stands for the folder that it leads to.
    let path = PathBuf::from(dir).join("");
    let walk_options =
        WalkOptions { exclude: options.exclude.clone(), xattrs: options.xattrs, ..WalkOptions::default() };
    let stop = || options.control.cancel.is_cancelled();
    let progress = |entries| report(options, Stage::Walk, (0, 0), (entries, 0));
    let walked = walk::walk(&[Input { path }], &walk_options, &progress, &stop).map_err(|error| match error {
        WalkError::Stopped => cancelled(),
        WalkError::Exclude { .. } => Error::with(ErrorKind::Usage, "cannot walk the tree to compare with", error),
        error => Error::with(ErrorKind::Input, "cannot walk the tree to compare with", error),
    })?;
    if walked.entries.kinds.first() != Some(&Kind::Dir) || !walked.entries.paths.path(PathId(0)).is_empty() {
        let what = format!("{}: expected a folder to compare with", dir.display());
        return Err(Error::new(ErrorKind::Usage, what));
    }
    // What could not be stored as it is shows beside the archive like anything else.
    let is_known = |what: &walk::What| matches!(what, walk::What::LinkedOdd(_) | walk::What::Time { kept: true, .. });
    let problems = walked.problems.into_iter().filter(|problem| !is_known(&problem.what));
    let unread = |problem: walk::Problem| {
        let what = What::Unreadable(problem.what.to_string());
        Difference { path: problem.path, what }
    };
    Ok((walked.entries, problems.map(unread).collect()))
}

fn report(options: &AgainstOptions, stage: Stage, (bytes, bytes_total): (u64, u64), (entries, total): (u64, u64)) {
    options.control.report(&Progress { stage, bytes, bytes_total, entries, entries_total: total, stored: 0 });
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped before the end")
}

/// Goes through the rows of the archive beside those of the tree; both ascend by path.
struct Beside<'a> {
    archive: &'a Archive,
    entries: &'a Entries,
    choice: XattrChoice,
    /// The next row of the tree.
    next: u32,
    found: Vec<Difference>,
    both: u64,
    /// Files of the tree whose contents are to be read, and the digest that they have in the archive.
    contents: Vec<(u32, Digest)>,
}

impl Beside<'_> {
    fn note(&mut self, path: &[u8], what: What) {
        self.found.push(Difference { path: path.to_vec(), what });
    }

    fn tree_path(&self, row: u32) -> &[u8] {
        self.entries.paths.path(PathId(row))
    }

    /// Takes the next row of the archive.
    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        while (self.next as usize) < self.entries.len() && self.tree_path(self.next) < row.path {
            self.only_in_tree();
        }
        if (self.next as usize) >= self.entries.len() || self.tree_path(self.next) != row.path {
            self.note(row.path, What::OnlyInArchive);
            return Ok(());
        }
        let tree = self.next;
        self.next += 1;
        self.both += 1;
        let is_file = |kind| matches!(kind, Kind::File | Kind::Hardlink);
        let kind = self.entries.kinds[tree as usize];
        if kind != row.kind && !(is_file(kind) && is_file(row.kind)) {
            self.note(row.path, What::Kind { archive: row.kind, tree: kind });
            return Ok(());
        }
        let links = self.links(row, tree)?;
        self.metadata(row, tree);
        match (row.kind, links) {
            (Kind::File, _) => self.file(row.path, row.size, row.digest, tree),
            // Tied to the same file in both: its contents are compared there.
            (Kind::Hardlink, true) => {}
            (Kind::Hardlink, false) => {
                let Some(first) = row.hardlink else { return Ok(()) };
                let first = self.archive.row(first)?;
                self.file(row.path, first.size, first.digest, tree);
            }
            _ => {}
        }
        Ok(())
    }

    /// What is left of the tree.
    fn rest(&mut self) {
        while (self.next as usize) < self.entries.len() {
            self.only_in_tree();
        }
    }

    fn only_in_tree(&mut self) {
        let path = self.tree_path(self.next).to_vec();
        self.next += 1;
        // An archive of several inputs has no row for the folder that they are compared in.
        if !path.is_empty() {
            self.note(&path, What::OnlyInTree);
        }
    }

    /// Compares which earlier name each is one more name of; true when it is the same one.
    fn links(&mut self, row: &Row<'_>, tree: u32) -> Result<bool> {
        let in_archive = row.hardlink.map(|first| self.archive.row_path(first)).transpose()?;
        let in_tree = self.entries.hardlinks.get(tree).map(|&first| self.tree_path(first).to_vec());
        let same = in_archive == in_tree;
        if !same {
            self.note(row.path, What::Hardlink { archive: in_archive, tree: in_tree });
        }
        Ok(same)
    }

    fn metadata(&mut self, row: &Row<'_>, tree: u32) {
        let entries = self.entries;
        let at = tree as usize;
        // Those of a further name are in the row of the first.
        let first = entries.hardlinks.get(tree).copied().unwrap_or(tree);
        let mut found = Vec::new();
        let mode = entries.modes.get(at);
        if row.kind != Kind::Symlink && row.mode != mode {
            found.push(What::Mode { archive: row.mode, tree: mode });
        }
        found.extend(self.owner(row, at));
        let time = entries.witnesses.get(at).mtime;
        let ns = i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
        if ns != i128::from(row.mtime_ns) {
            found.push(What::Mtime { archive: row.mtime_ns, tree: ns });
        }
        let target = entries.link_targets.get(tree).map(|target| &target[..]);
        if row.link_target != target {
            let bytes = |target: Option<&[u8]>| target.unwrap_or_default().to_vec();
            found.push(What::Target { archive: bytes(row.link_target), tree: bytes(target) });
        }
        let device = entries.devices.get(tree).copied();
        if row.device != device {
            found.push(What::Device { archive: row.device, tree: device });
        }
        if row.kind != Kind::Hardlink {
            found.extend(difference::xattrs(row.xattrs, entries.xattrs.get(first), self.choice));
        }
        found.into_iter().for_each(|what| self.note(row.path, what));
    }

    /// Owners are the same when their names are; where a side has no name, when their numbers are.
    fn owner(&self, row: &Row<'_>, at: usize) -> Option<What> {
        let (uid, gid) = (self.entries.uids.get(at), self.entries.gids.get(at));
        let names = (self.entries.owners.get(uid), self.entries.groups.get(gid));
        let same = |name: Option<&str>, other: Option<&String>, numbers: bool| match (name, other) {
            (Some(name), Some(other)) => name == other,
            _ => numbers,
        };
        let is_same = same(row.owner, names.0, row.uid == uid) && same(row.group, names.1, row.gid == gid);
        (!is_same).then_some(What::Owner { archive: (row.uid, row.gid), tree: (uid, gid) })
    }

    fn file(&mut self, path: &[u8], size: u64, digest: Option<Digest>, tree: u32) {
        let in_tree = self.entries.witnesses.size(tree as usize);
        match digest {
            _ if size != in_tree => self.note(path, What::Size { archive: size, tree: in_tree }),
            Some(digest) if size > 0 => self.contents.push((tree, digest)),
            _ => {}
        }
    }
}

/// Reads the files on all workers, and compares the digest of each.
fn compare_contents(
    entries: &Entries,
    contents: &[(u32, Digest)],
    workers: &Workers,
    options: &AgainstOptions,
    bytes: &AtomicU64,
) -> Result<Vec<Difference>> {
    thread_local!(static READ: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    let total = contents.iter().map(|&(row, _)| entries.witnesses.size(row as usize)).sum();
    let found = Mutex::new(Vec::new());
    let done = AtomicU64::new(0);
    workers.for_each(contents, |(row, expected)| {
        let what = READ.with_borrow_mut(|buffer| {
            buffer.resize(BUFFER, 0);
            let mut hasher = Hasher::new();
            let read = read_whole(&entries.paths, PathId(*row), buffer, |stretch| {
                let before = hasher.count();
                match stretch {
                    Stretch::Bytes(some) => hasher.update(some),
                    Stretch::Zeros(len) => hasher.update_zeros(len),
                };
                bytes.fetch_add(hasher.count() - before, Ordering::Relaxed);
                !options.control.cancel.is_cancelled()
            });
            match read {
                Ok(()) if hasher.digest() == *expected => None,
                Ok(()) => Some(What::Content { archive: *expected, tree: hasher.digest() }),
                Err(error) => Some(What::Unreadable(error.to_string())),
            }
        });
        if let Some(what) = what {
            let path = entries.paths.path(PathId(*row)).to_vec();
            found.lock().unwrap_or_else(PoisonError::into_inner).push(Difference { path, what });
        }
        let files = done.fetch_add(1, Ordering::Relaxed) + 1;
        report(options, Stage::Verify, (bytes.load(Ordering::Relaxed), total), (files, contents.len() as u64));
    });
    if options.control.cancel.is_cancelled() {
        return Err(cancelled());
    }
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}
