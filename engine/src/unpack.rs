//! Unpacks an archive, or some of it: rows → folders → files → links → the folders' own metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use carrack_backends::tree::{DirTree, DirTreeOptions, SpecialKind, TreeWriter, without_path};

use crate::archive::Archive;
use crate::control::{Control, Escaped, Warning};
use crate::entry::{Device, Kind, Row};
use crate::error::{Error, ErrorKind, Result};
use crate::pack::threads;
use crate::restore::{self, Job, RestoreError, Wanted, attributes, is_about_one_path, not_written};
use crate::select::Selection;
use crate::stages::{Clock, Stages};

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
        let wish = self.wish()?;
        let tree = DirTree::open(dest, options)
            .map_err(|error| Error::with(ErrorKind::Output, "cannot unpack into the folder asked for", error))?;
        self.unpack_to(wish, Arc::new(tree))
    }

    /// Unpacks into a tree of the caller's own: for tests and measurements.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack).
    pub fn unpack_to_tree(&self, tree: Arc<dyn TreeWriter>) -> Result<UnpackReport> {
        self.unpack_to(self.wish()?, tree)
    }

    fn unpack_to(&self, wish: Wish, tree: Arc<dyn TreeWriter>) -> Result<UnpackReport> {
        let threads = threads(self.threads)?;
        let mut out = Writing { unpacker: self, tree: &*tree, warnings: Vec::new(), unmade: BTreeSet::new() };
        out.folders(&wish.folders)?;
        let wanted = Arc::new(wish.wanted);
        let job = Job {
            source: Arc::clone(self.archive.source()),
            index: Arc::clone(self.archive.index()),
            wanted: Arc::clone(&wanted),
            tree: Some(Arc::clone(&tree)),
            same_owner: self.same_owner,
            all_frames: false,
            threads,
            control: self.control.clone(),
            clock: Clock::new(self.stats),
        };
        let outcome = restore::run(&job).map_err(|error| restore_error(self.archive, error))?;
        let lost: Vec<Vec<u8>> = outcome.lost.iter().map(|(file, _)| wanted.path(*file).to_vec()).collect();
        let missing = outcome.lost.iter().chain(&outcome.unwritten);
        let missing: BTreeSet<&[u8]> = missing.map(|(file, _)| wanted.path(*file)).collect();
        out.warnings.extend(outcome.unwritten.iter().map(|(file, what)| Warning::new(wanted.path(*file), what)));
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
            warnings: out.warnings,
            stages: outcome.stages,
        })
    }

    /// Goes through the rows once and notes what is to be done.
    fn wish(&self) -> Result<Wish> {
        let mut selection = Selection::new(self.patterns.clone());
        let mut wish = Wish::default();
        // Folders on the way to the current row that nothing selected has needed so far.
        let mut on_the_way: Vec<Folder> = Vec::new();
        let mut promoted: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut selected_files = RowSet::default();
        self.archive.for_each(&mut |number, row| {
            // In byte order, `a.txt` stands between `a` and `a/b`: all of them begin with `a`, and nothing later does.
            on_the_way.retain(|folder| row.path.starts_with(&folder.path));
            let selected = selection.takes(row.path);
            if row.kind == Kind::Dir {
                on_the_way.push(Folder::of(row));
            }
            if !selected {
                return Ok(());
            }
            wish.entries += 1;
            let needed =
                on_the_way.extract_if(.., |folder| folder.path == row.path || is_below(row.path, &folder.path));
            wish.folders.extend(needed);
            match (row.kind, row.hardlink) {
                (Kind::Dir, _) => {}
                (Kind::File, _) => {
                    selected_files.insert(number);
                    wish.wanted.push(number, row).map_err(|what| self.archive.damaged(&what))?;
                }
                (Kind::Hardlink, Some(first)) => {
                    if selected_files.contains(first) {
                        let target = self.archive.row_path(first)?;
                        wish.others.push(Other::hardlink(row, target));
                    } else if let Some(target) = promoted.get(&first) {
                        wish.others.push(Other::hardlink(row, target.clone()));
                    } else {
                        // The name that carries the contents is not wanted: this one carries them instead.
                        let mut entry = self.archive.row(first)?;
                        entry.path = row.path.to_vec();
                        wish.wanted.push(first, &entry.row()).map_err(|what| self.archive.damaged(&what))?;
                        promoted.insert(first, row.path.to_vec());
                    }
                }
                _ => wish.others.push(Other::of(row)),
            }
            Ok(())
        })?;
        selection.check()?;
        wish.wanted.sort();
        Ok(wish)
    }
}

/// What is to be done, but for the contents of files, in the order of the rows.
#[derive(Default)]
struct Wish {
    entries: u64,
    folders: Vec<Folder>,
    wanted: Wanted,
    others: Vec<Other>,
}

struct Folder {
    path: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    mtime_ns: i64,
}

impl Folder {
    fn of(row: &Row<'_>) -> Self {
        Self { path: row.path.to_vec(), mode: row.mode, owner: (row.uid, row.gid), mtime_ns: row.mtime_ns }
    }
}

/// A link or a special file.
struct Other {
    path: Vec<u8>,
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    mtime_ns: i64,
    target: Vec<u8>,
    device: Option<Device>,
}

impl Other {
    fn of(row: &Row<'_>) -> Self {
        Self {
            path: row.path.to_vec(),
            kind: row.kind,
            mode: row.mode,
            owner: (row.uid, row.gid),
            mtime_ns: row.mtime_ns,
            target: row.link_target.unwrap_or_default().to_vec(),
            device: row.device,
        }
    }

    fn hardlink(row: &Row<'_>, target: Vec<u8>) -> Self {
        Self { target, ..Self::of(row) }
    }
}

/// A set of row numbers, one bit each.
#[derive(Default)]
struct RowSet(Vec<u64>);

impl RowSet {
    fn insert(&mut self, row: u32) {
        let word = row as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (row % 64);
    }

    fn contains(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || (path.starts_with(folder) && path.get(folder.len()) == Some(&b'/'))
}

/// Writes everything but the contents of files.
struct Writing<'a> {
    unpacker: &'a Unpacker<'a>,
    tree: &'a dyn TreeWriter,
    warnings: Vec<Warning>,
    /// Folders that could not be made: one warning each is enough.
    unmade: BTreeSet<Vec<u8>>,
}

impl Writing<'_> {
    fn folders(&mut self, folders: &[Folder]) -> Result<()> {
        for folder in folders.iter().filter(|folder| !folder.path.is_empty()) {
            self.glance()?;
            let made = self.tree.make_folder(&folder.path);
            if made.is_err() {
                self.unmade.insert(folder.path.clone());
            }
            self.one(&folder.path, made)?;
        }
        Ok(())
    }

    /// Hard links, then symlinks and specials: nothing is ever created through one of them. What has the name of a file
    /// that is `missing` is something else, and gets no further name.
    fn others(&mut self, others: &[Other], missing: &BTreeSet<&[u8]>) -> Result<u64> {
        let mut skipped = 0;
        let hardlinks = others.iter().filter(|other| other.kind == Kind::Hardlink);
        for other in hardlinks.chain(others.iter().filter(|other| other.kind != Kind::Hardlink)) {
            self.glance()?;
            let owner = self.unpacker.same_owner.then_some(other.owner);
            let attributes = attributes(other.mode, owner, other.mtime_ns);
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
            if !self.unpacker.specials {
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

    /// Children first: a folder's time and permissions are set when nothing is written into it any more.
    fn folder_attributes(&mut self, folders: &[Folder]) -> Result<()> {
        for folder in folders.iter().rev() {
            if self.unmade.contains(&folder.path) {
                continue;
            }
            let owner = self.unpacker.same_owner.then_some(folder.owner);
            let attributes = attributes(folder.mode, owner, folder.mtime_ns);
            let set = self.tree.set_folder(&folder.path, &attributes);
            self.judge(&folder.path, set, |error| {
                format!("made, but its owner, mode and time were not all set: {}", without_path(error))
            })?;
        }
        Ok(())
    }

    /// Judges the result for one path: a warning, or the end.
    fn one(&mut self, path: &[u8], result: std::io::Result<()>) -> Result<()> {
        self.judge(path, result, not_written)
    }

    fn judge(
        &mut self,
        path: &[u8],
        result: std::io::Result<()>,
        what: impl FnOnce(&std::io::Error) -> String,
    ) -> Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if is_about_one_path(&error) => {
                self.warnings.push(Warning::new(path, what(&error)));
                Ok(())
            }
            Err(error) => Err(Error::with(ErrorKind::Output, "cannot write the tree", error)),
        }
    }

    fn glance(&self) -> Result<()> {
        if self.unpacker.control.cancel.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "stopped before the end; what was unpacked so far is whole"));
        }
        Ok(())
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
