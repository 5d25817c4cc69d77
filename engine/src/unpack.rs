//! Unpacks an archive, or some of it: rows → folders → files → links → the folders' own metadata.

mod rename;
mod sed;
mod sieve;
mod wish;
mod writing;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use carrack_backends::tree::{self, Confined, DirTree, DirTreeOptions, TreeWriter};

use crate::archive::Archive;
use crate::budget::Restoring;
use crate::ceiling::{self, Ceiling};
use crate::control::{Control, Escaped, Warning};
use crate::entry::XattrChoice;
use crate::error::{Error, ErrorKind, Result};
use crate::restore::{self, Job, Policy, RestoreError, Workers};
use crate::stages::{Clock, Stages};
use rename::Renames;
pub use sed::{SedError, Transform};
use sieve::{Mesh, Tell};
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
    numeric_owner: bool,
    same_permissions: Option<bool>,
    acls: Option<bool>,
    xattrs: Option<bool>,
    selinux: bool,
    touch: bool,
    renames: Renames,
    specials: bool,
    sync: bool,
    stats: bool,
    threads: Option<usize>,
    memory_limit: Option<u64>,
    ceiling: Ceiling,
    space_check: bool,
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
    /// Whether the kernel kept everything that was written below the destination, as a second wall.
    pub confined: Confined,
    /// How long each stage took, and what the run waited for; empty without [`Unpacker::stats`].
    pub stages: Stages,
}

impl<'a> Unpacker<'a> {
    /// Unpacks everything, overwrites nothing, creates no special files. For root it restores owners (by name where this
    /// machine knows it), exact permissions and access control lists; for others what the umask leaves, as tar does.
    #[must_use]
    pub fn new(archive: &'a Archive) -> Self {
        Self {
            archive,
            patterns: Vec::new(),
            force: false,
            same_owner: rustix::process::geteuid().is_root(),
            numeric_owner: false,
            same_permissions: None,
            acls: None,
            xattrs: None,
            selinux: false,
            touch: false,
            renames: Renames::default(),
            specials: false,
            sync: false,
            stats: true,
            threads: None,
            memory_limit: None,
            ceiling: Ceiling::default(),
            space_check: true,
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

    /// Gives entries their owner and group: by name where this machine knows the name, else by number. With the owner go
    /// setuid and setgid, capabilities, and attributes that only root may set. The default for root.
    #[must_use]
    pub fn same_owner(mut self, yes: bool) -> Self {
        self.same_owner = yes;
        self
    }

    /// Owners and groups by number alone, whatever their names.
    #[must_use]
    pub fn numeric_owner(mut self, yes: bool) -> Self {
        self.numeric_owner = yes;
        self
    }

    /// Exact permissions, whatever the umask. The default for root.
    #[must_use]
    pub fn same_permissions(mut self, yes: bool) -> Self {
        self.same_permissions = Some(yes);
        self
    }

    /// Restores access control lists, and takes away those that folders hand down. By default along with exact permissions.
    #[must_use]
    pub fn acls(mut self, yes: bool) -> Self {
        self.acls = Some(yes);
        self
    }

    /// Restores extended attributes and file capabilities (the default); those that give rights, along with the owner.
    #[must_use]
    pub fn xattrs(mut self, yes: bool) -> Self {
        self.xattrs = Some(yes);
        self
    }

    /// Restores the labels of SELinux, where they were stored.
    #[must_use]
    pub fn selinux(mut self, yes: bool) -> Self {
        self.selinux = yes;
        self
    }

    /// Leaves the times of what is unpacked: the present.
    #[must_use]
    pub fn touch(mut self, yes: bool) -> Self {
        self.touch = yes;
        self
    }

    /// Leaves out so many components in front of each path. What has no more of them is not unpacked.
    #[must_use]
    pub fn strip_components(mut self, count: usize) -> Self {
        self.renames.strip = count;
        self
    }

    /// Changes paths, and what symlinks lead to, before components are left out. Patterns of [`select`](Self::select) are
    /// about the paths of the archive. Of entries that get one path, the first has it, and the others are warned of.
    #[must_use]
    pub fn transform(mut self, transform: Transform) -> Self {
        self.renames.transform = transform;
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

    /// How much what is unpacked may come to; when it is more, nothing is written. No bounds by default.
    #[must_use]
    pub fn ceiling(mut self, ceiling: Ceiling) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Whether to ask, before anything is written, if it fits on the file system (the default).
    #[must_use]
    pub fn space_check(mut self, yes: bool) -> Self {
        self.space_check = yes;
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
    /// When a pattern matches nothing, the destination cannot be written or has no space for it, it comes to more than is
    /// allowed, the index is damaged, or the run was cancelled. Damage to single blocks and trouble with single paths are in the report.
    pub fn unpack(&self, dest: impl AsRef<Path>) -> Result<UnpackReport> {
        let options = DirTreeOptions { force: self.force, create: true };
        let dest = dest.as_ref();
        let (workers, wish) = self.gather()?;
        if self.space_check {
            let name = Escaped(dest.as_os_str().as_bytes()).to_string();
            ceiling::check_space(&name, wish.wanted.stored_bytes(), self.force, tree::space(dest))?;
        }
        let tree = DirTree::open(dest, options)
            .map_err(|error| Error::with(ErrorKind::Output, "cannot unpack into the folder asked for", error))?;
        let threads = workers.count();
        drop(workers);
        self.unpack_confined(threads, wish, tree)
    }

    /// Unpacks on a thread that the kernel confines to the destination, as it does those that the thread starts. A
    /// confined thread stays so: the caller's is left alone.
    fn unpack_confined(&self, threads: usize, wish: Wish, tree: DirTree) -> Result<UnpackReport> {
        let start = |error| restore_error(self.archive, RestoreError::Start(error));
        let work = || {
            let confined = tree.confine();
            let workers = Workers::start(threads).map_err(|error| restore_error(self.archive, error))?;
            let report = self.unpack_to(&workers, wish, Arc::new(tree))?;
            Ok(UnpackReport { confined, ..report })
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("unpack".to_owned());
            let thread = thread.spawn_scoped(scope, work).map_err(start)?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
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
        let budget = Restoring::plan(self.archive, self.threads, self.memory_limit)?;
        let workers = Workers::start(budget.threads).map_err(|error| restore_error(self.archive, error))?;
        let mesh = self.mesh();
        if self.patterns.is_empty() {
            self.ceiling.check_summary(self.archive)?;
        }
        let check = |entries, bytes, batch| {
            self.ceiling.check_entries(self.archive, entries)?;
            budget.check_tables(self.archive, bytes, batch)
        };
        let wish = Wish::gather(self.archive, &workers, self.patterns.clone(), &self.renames, mesh, &check)?;
        self.ceiling.check_size(self.archive, wish.wanted.bytes())?;
        self.ceiling.check_blocks(self.archive)?;
        Ok((workers, wish))
    }

    /// What of the metadata is restored.
    fn policy(&self) -> Policy {
        let permissions = self.permissions();
        Policy {
            owner: self.same_owner,
            umask: if permissions { 0 } else { tree::umask() },
            permissions,
            acls: self.acls.unwrap_or(permissions),
            mtime: !self.touch,
        }
    }

    fn permissions(&self) -> bool {
        self.same_permissions.unwrap_or_else(|| rustix::process::geteuid().is_root())
    }

    fn mesh(&self) -> Mesh {
        let policy = self.policy();
        Mesh {
            by_name: self.same_owner && !self.numeric_owner,
            setuid: policy.keeps_setuid(),
            xattrs: XattrChoice {
                acls: policy.acls,
                xattrs: self.xattrs.unwrap_or(true),
                selinux: self.selinux && self.same_owner,
            },
            privileged: self.same_owner,
            tell: Tell {
                permissions: self.same_permissions != Some(false),
                acls: self.acls.is_none() && self.same_permissions != Some(false),
                xattrs: self.xattrs != Some(false),
            },
        }
    }

    fn unpack_to(&self, workers: &Workers, wish: Wish, tree: Arc<dyn TreeWriter>) -> Result<UnpackReport> {
        let named = |error| restore_error(self.archive, error);
        let policy = self.policy();
        let mut out = Writing::new(&*tree, workers, policy, self.specials, &self.control.cancel);
        wish.warnings.iter().for_each(|warning| out.warn(&warning.path, &warning.what));
        out.folders(&wish.folders)?;
        let wanted = Arc::new(wish.wanted);
        let job = Job {
            source: Arc::clone(self.archive.source()),
            index: Arc::clone(self.archive.index()),
            wanted: Arc::clone(&wanted),
            tree: Some(Arc::clone(&tree)),
            policy,
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
            confined: Confined::No("the tree is the caller's own".to_owned()),
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
