//! Unpacks an archive, or some of it: rows → folders → files → links → the folders' own metadata.

mod wish;
mod writing;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use carrack_backends::tree::{DirTree, DirTreeOptions, TreeWriter};

use crate::archive::Archive;
use crate::budget::restore_threads;
use crate::control::{Control, Warning};
use crate::error::{Error, ErrorKind, Result};
use crate::restore::{self, Job, RestoreError, Workers};
use crate::stages::{Clock, Stages};
use wish::Wish;
use writing::Writing;

/// Unpacks an archive into a folder.
///
/// ```
/// use carrack_engine::archive::Archive;
/// use carrack_engine::pack::Packer;
/// use carrack_engine::unpack::Unpacker;
///
/// let place = tempfile::tempdir()?;
/// std::fs::create_dir(place.path().join("tree"))?;
/// std::fs::write(place.path().join("tree/hello.txt"), "hello")?;
/// Packer::new().input(place.path().join("tree")).pack(place.path().join("tree.crk"))?;
///
/// let archive = Archive::open(place.path().join("tree.crk"))?;
/// let report = Unpacker::new(&archive).select(["*.txt".to_owned()]).unpack(place.path().join("copy"))?;
/// assert_eq!(report.files, 1);
/// assert_eq!(std::fs::read(place.path().join("copy/hello.txt"))?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Unpacker<'a> {
    archive: &'a Archive,
    patterns: Vec<String>,
    force: bool,
    same_owner: bool,
    specials: bool,
    sync: bool,
    stats: bool,
    threads: Option<usize>,
    memory_limit: Option<u64>,
    control: Control,
}

/// What was unpacked, and what was not.
#[derive(Clone, Debug)]
pub struct UnpackReport {
    /// Entries that were wanted.
    pub entries: u64,
    /// Files that were written.
    pub files: u64,
    /// Bytes of content of all wanted files.
    pub bytes: u64,
    /// Pipes, sockets and devices that were left aside because nobody asked for them.
    pub skipped_specials: u64,
    /// What is wrong with the archive.
    pub damage: Vec<String>,
    /// Paths of files that are lost because of it.
    pub lost: Vec<Vec<u8>>,
    /// What could not be written, while the rest was.
    pub warnings: Vec<Warning>,
    /// How long each stage took, and what the run waited for; empty without [`Unpacker::stats`].
    pub stages: Stages,
}

impl<'a> Unpacker<'a> {
    /// Unpacks everything, overwrites nothing, restores owners only for root, creates no special files.
    #[must_use]
    pub fn new(archive: &'a Archive) -> Self {
        Self {
            archive,
            patterns: Vec::new(),
            force: false,
            same_owner: rustix::process::geteuid().is_root(),
            specials: false,
            sync: false,
            stats: true,
            threads: None,
            memory_limit: None,
            control: Control::default(),
        }
    }

    /// Only these paths, with all that is below them, and what these globs match.
    #[must_use]
    pub fn select(mut self, patterns: impl IntoIterator<Item = String>) -> Self {
        self.patterns.extend(patterns);
        self
    }

    /// Replaces what is in the way, except folders.
    #[must_use]
    pub fn force(mut self, yes: bool) -> Self {
        self.force = yes;
        self
    }

    /// Gives entries their owner and group, by number.
    #[must_use]
    pub fn same_owner(mut self, yes: bool) -> Self {
        self.same_owner = yes;
        self
    }

    /// Creates pipes, sockets and devices too.
    #[must_use]
    pub fn specials(mut self, yes: bool) -> Self {
        self.specials = yes;
        self
    }

    /// Makes everything durable before returning.
    #[must_use]
    pub fn sync(mut self, yes: bool) -> Self {
        self.sync = yes;
        self
    }

    /// Number of threads that decode and write.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Bytes of memory that the process may take at its peak, the program itself included: threads become fewer until
    /// everything fits, unless they were asked for. No limit by default.
    #[must_use]
    pub fn memory_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.memory_limit = bytes.into();
        self
    }

    /// Whether to record how long each stage takes (the default): [`UnpackReport::stages`]. Without, no clock is read for
    /// it.
    #[must_use]
    pub fn stats(mut self, yes: bool) -> Self {
        self.stats = yes;
        self
    }

    /// Progress and cancellation.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// Unpacks into the folder `dest`, which is made if it is missing.
    ///
    /// # Errors
    /// When a pattern matches nothing, the destination cannot be written, the index is damaged, or the run was
    /// cancelled. Damage to single blocks and trouble with single paths are in the report.
    pub fn unpack(&self, dest: impl AsRef<Path>) -> Result<UnpackReport> {
        let options = DirTreeOptions { force: self.force, create: true };
        let dest = dest.as_ref();
        let (workers, wish) = self.gather()?;
        let tree = DirTree::open(dest, options)
            .map_err(|error| Error::with(ErrorKind::Output, "cannot unpack into the folder asked for", error))?;
        self.unpack_to(&workers, wish, Arc::new(tree))
    }

    /// Unpacks into a tree of the caller's own: for tests and measurements.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack).
    pub fn unpack_to_tree(&self, tree: Arc<dyn TreeWriter>) -> Result<UnpackReport> {
        let (workers, wish) = self.gather()?;
        self.unpack_to(&workers, wish, tree)
    }

    /// Starts the workers and has them find out what is wanted.
    fn gather(&self) -> Result<(Workers, Wish)> {
        let threads = restore_threads(self.archive, self.threads, self.memory_limit)?;
        let workers = Workers::start(threads).map_err(|error| restore_error(self.archive, error))?;
        let wish = Wish::gather(self.archive, &workers, self.patterns.clone())?;
        Ok((workers, wish))
    }

    fn unpack_to(&self, workers: &Workers, wish: Wish, tree: Arc<dyn TreeWriter>) -> Result<UnpackReport> {
        let named = |error| restore_error(self.archive, error);
        let mut out = Writing::new(&*tree, workers, self.same_owner, self.specials, &self.control.cancel);
        out.folders(&wish.folders)?;
        let wanted = Arc::new(wish.wanted);
        let job = Job {
            source: Arc::clone(self.archive.source()),
            index: Arc::clone(self.archive.index()),
            wanted: Arc::clone(&wanted),
            tree: Some(Arc::clone(&tree)),
            same_owner: self.same_owner,
            all_frames: false,
            workers,
            control: self.control.clone(),
            clock: Clock::new(self.stats),
        };
        let outcome = restore::run(&job).map_err(named)?;
        let lost: Vec<Vec<u8>> = outcome.lost.iter().map(|(file, _)| wanted.path(*file).to_vec()).collect();
        let missing = outcome.lost.iter().chain(&outcome.unwritten);
        let missing: BTreeSet<&[u8]> = missing.map(|(file, _)| wanted.path(*file)).collect();
        for (file, what) in &outcome.unwritten {
            out.warn(wanted.path(*file), what);
        }
        let skipped_specials = out.others(&wish.others, &missing)?;
        out.folder_attributes(&wish.folders)?;
        if self.sync {
            tree.sync().map_err(|error| Error::with(ErrorKind::Output, "cannot make the tree durable", error))?;
        }
        Ok(UnpackReport {
            entries: wish.entries,
            files: (wanted.files().len() - missing.len()) as u64,
            bytes: wanted.bytes(),
            skipped_specials,
            damage: self.archive.name_each(outcome.damage),
            lost,
            warnings: out.into_warnings(),
            stages: outcome.stages,
        })
    }
}

#[cold]
pub(crate) fn restore_error(archive: &Archive, error: RestoreError) -> Error {
    match error {
        RestoreError::Cancelled => {
            Error::new(ErrorKind::Cancelled, "stopped before the end; what was unpacked so far is whole")
        }
        RestoreError::Write(error) => Error::with(ErrorKind::Output, "cannot write the tree", error),
        RestoreError::Index(error) => archive.error(error),
        error => Error::with(ErrorKind::Input, format!("cannot read {}", archive.name()), error),
    }
}
