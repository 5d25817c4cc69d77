//! Delivers decoded bytes: proves them against the digest of their file, and writes them where there is a tree.
//!
//! In: decoded blocks, by many workers at once, in any order. Out: complete files. Small files are proved and written
//! in one go. A large file is created by whichever of its extents comes first and finished by whichever comes last;
//! its digest is spliced from those of its extents, so no byte is read again, and none held back but less than 2 KiB
//! of an extent that begins or ends within a leaf of BLAKE3 and waits for what comes before it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carrack_backends::tree::{Attributes, FileWriter, TreeWriter, without_path};

use super::policy::{Meta, Policy};
use super::wanted::{FileTarget, LargeTarget, Use, Wanted};
use crate::control::Cancel;
use crate::digest::{self, Digest, Span, Splicer};
use crate::entry::Hole;

/// How many zeros of a hole are hashed between two looks at the cancel flag, bytes.
const HOLE_STEP: u64 = 1 << 30;

/// What became of the files so far.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Files whose content is damaged or missing, and why, by number.
    pub lost: BTreeMap<u32, String>,
    /// Those of them whose bytes are sound but not those of the file: no damaged block tells of them.
    pub mismatched: BTreeSet<u32>,
    /// Files that could not be written, while others could, and why, by number.
    pub unwritten: BTreeMap<u32, String>,
    /// What makes going on pointless, such as a full disk.
    pub fatal: Option<io::Error>,
}

/// A large file that is being put together.
#[derive(Default)]
struct Building {
    writer: Option<Arc<Box<dyn FileWriter>>>,
    /// The spans that wait for one before them, by the number of their extent.
    spans: BTreeMap<u32, Span>,
    /// What was spliced so far; nothing before the first span came.
    splicer: Option<Splicer>,
    /// How many spans were spliced.
    spliced: u32,
    done: usize,
    /// Damaged or unwritable: what comes later is left aside.
    given_up: bool,
}

pub(super) struct Files {
    wanted: Arc<Wanted>,
    tree: Option<Arc<dyn TreeWriter>>,
    policy: Policy,
    /// How many hash a long hole.
    threads: usize,
    building: Vec<Mutex<Building>>,
    losses: Mutex<Losses>,
    cancel: Cancel,
    /// Files whose contents all came: written, or proved where there is no tree. For progress alone.
    done: AtomicU64,
}

impl Files {
    pub(super) fn new(
        wanted: Arc<Wanted>,
        tree: Option<Arc<dyn TreeWriter>>,
        policy: Policy,
        threads: usize,
        cancel: Cancel,
    ) -> Self {
        let building = wanted.large().iter().map(|_| Mutex::default()).collect();
        Self { wanted, tree, policy, threads, building, losses: Mutex::default(), cancel, done: AtomicU64::new(0) }
    }

    /// Those of these files that have no extent: nothing will be delivered for them.
    pub(super) fn without_extents(&self, files: Range<u32>) {
        if self.is_fatal() {
            return;
        }
        for file in files {
            if self.is_cancelled() {
                return;
            }
            match self.wanted.large_number(file) {
                None if self.wanted.files()[file as usize].size == 0 => self.small(file, &[]),
                Some(large) if self.wanted.large()[large].parts.is_empty() => {
                    let mut building = lock(&self.building[large]);
                    self.create(file, large, &mut building);
                    self.finish(file, &self.wanted.large()[large], building);
                }
                _ => {}
            }
        }
    }

    /// Takes the bytes of one use.
    pub(super) fn deliver(&self, used: &Use, bytes: &[u8]) {
        match self.wanted.large_number(used.file) {
            None => self.small(used.file, bytes),
            Some(large) => self.part(used, large, bytes),
        }
    }

    /// The block of this use is lost.
    pub(super) fn lose(&self, file: u32, why: &str) {
        if let Some(large) = self.wanted.large_number(file) {
            let mut building = lock(&self.building[large]);
            building.given_up = true;
            // Dropped unfinished, which removes what was written of it.
            building.writer = None;
        }
        lock(&self.losses).lost.entry(file).or_insert_with(|| why.to_owned());
    }

    /// The block is sound, but this file is lost.
    pub(super) fn lose_alone(&self, file: u32, why: &str) {
        self.lose(file, why);
        lock(&self.losses).mismatched.insert(file);
    }

    /// How many files' contents have all come.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Whether the run is to stop. A block may hold thousands of files, so this is asked before each of them.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Whether going on is pointless.
    pub(super) fn is_fatal(&self) -> bool {
        lock(&self.losses).fatal.is_some()
    }

    pub(super) fn into_losses(self) -> Losses {
        self.losses.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn small(&self, file: u32, bytes: &[u8]) {
        let target = &self.wanted.files()[file as usize];
        self.done.fetch_add(1, Ordering::Relaxed);
        let found = Digest::of(bytes);
        if found != target.digest {
            self.lose_alone(file, &mismatch(target, &found));
        } else if let Some(tree) = &self.tree {
            let attributes = self.attributes(file, target);
            if let Err(error) = tree.write_file(self.wanted.path(file), bytes, &attributes) {
                self.cannot_write(file, error);
            }
        }
    }

    fn part(&self, used: &Use, large: usize, bytes: &[u8]) {
        let target = &self.wanted.large()[large];
        let (offset, _) = target.parts[used.part as usize];
        // Hashed before it is written, and outside the lock: several workers serve one file.
        let size = self.wanted.files()[used.file as usize].size;
        let span = digest::span(bytes, offset, size);
        let writer = {
            let mut building = lock(&self.building[large]);
            if !building.given_up && building.writer.is_none() {
                self.create(used.file, large, &mut building);
            }
            building.writer.clone()
        };
        if let Some(writer) = writer
            && let Err(error) = writer.write_at(bytes, offset)
        {
            drop(writer);
            self.give_up(used.file, large, error);
        }
        let mut building = lock(&self.building[large]);
        if building.given_up {
            return;
        }
        building.spans.insert(used.part, span);
        building.splice(target, size);
        building.done += 1;
        if building.done == target.parts.len() {
            self.finish(used.file, target, building);
        }
    }

    /// Creates a large file, once, where there is a tree.
    fn create(&self, file: u32, large: usize, building: &mut Building) {
        let Some(tree) = &self.tree else { return };
        let target = &self.wanted.files()[file as usize];
        match tree.create(self.wanted.path(file), target.size) {
            Ok(writer) => building.writer = Some(Arc::new(writer)),
            Err(error) => {
                debug_assert_eq!(self.wanted.large_number(file), Some(large));
                building.given_up = true;
                self.cannot_write(file, error);
            }
        }
    }

    /// Proves a large file whose parts are all there, and gives it its attributes.
    fn finish(&self, file: u32, large: &LargeTarget, mut building: MutexGuard<'_, Building>) {
        if building.given_up {
            return;
        }
        let target = &self.wanted.files()[file as usize];
        let writer = building.writer.take();
        let spans = std::mem::take(&mut building.spans);
        let splicer = building.splicer.take().unwrap_or_else(|| Splicer::new(target.size));
        building.given_up = true;
        drop(building);
        self.done.fetch_add(1, Ordering::Relaxed);
        // When it is cancelled here, the run fails as a whole.
        let Some(found) = splice(splicer, large, spans, self.threads, &self.cancel) else { return };
        if found != target.digest {
            drop(writer);
            self.lose_alone(file, &mismatch(target, &found));
        } else if let Some(writer) = writer {
            // Every worker gave its clone up before it counted its part.
            let writer = Arc::into_inner(writer).expect("the last part holds the last clone");
            if let Err(error) = writer.finish(target.size, &self.attributes(file, target)) {
                self.cannot_write(file, error);
            }
        }
    }

    fn give_up(&self, file: u32, large: usize, error: io::Error) {
        let mut building = lock(&self.building[large]);
        building.given_up = true;
        building.writer = None;
        drop(building);
        self.cannot_write(file, error);
    }

    fn cannot_write(&self, file: u32, error: io::Error) {
        let mut losses = lock(&self.losses);
        if is_about_one_path(&error) {
            losses.unwritten.entry(file).or_insert_with(|| not_written(&error));
        } else if losses.fatal.is_none() {
            losses.fatal = Some(error);
        }
    }

    fn attributes(&self, file: u32, target: &FileTarget) -> Attributes<'_> {
        let &FileTarget { mode, uid, gid, mtime_ns, .. } = target;
        let xattrs = self.wanted.xattrs(file);
        self.policy.attributes(&Meta { mode, owner: (uid, gid), mtime_ns: Some(mtime_ns), xattrs })
    }
}

/// Why an entry was not written, without its path.
pub(crate) fn not_written(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return "not written: already exists; it is replaced only when forced".to_owned();
    }
    format!("not written: {}", without_path(error))
}

/// Whether the next path may well succeed where this one failed.
pub(crate) fn is_about_one_path(error: &io::Error) -> bool {
    use io::ErrorKind::{
        AlreadyExists, DirectoryNotEmpty, ExecutableFileBusy, FileTooLarge, InvalidFilename, InvalidInput,
        IsADirectory, NotADirectory, NotFound, PermissionDenied, ResourceBusy, TooManyLinks, Unsupported,
    };
    matches!(
        error.kind(),
        AlreadyExists
            | DirectoryNotEmpty
            | ExecutableFileBusy
            | FileTooLarge
            | InvalidFilename
            | InvalidInput
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | ResourceBusy
            | TooManyLinks
            | Unsupported
    )
}

impl Building {
    /// Splices the spans whose turn has come. What stands behind a hole waits for the end: holes may take long to hash, and
    /// this is done under a lock.
    fn splice(&mut self, large: &LargeTarget, size: u64) {
        let Self { spans, splicer, spliced, .. } = self;
        let splicer = splicer.get_or_insert_with(|| Splicer::new(size));
        while large.parts.get(*spliced as usize).is_some_and(|part| part.0 == splicer.len())
            && let Some(span) = spans.remove(spliced)
        {
            splicer.push(span);
            *spliced += 1;
        }
    }
}

/// The digest of a large file from what was spliced of it, the spans that still wait, and its holes; `None` when it was
/// cancelled: holes take time to hash and no room in an archive, so there may be any number of bytes of them.
fn splice(
    mut splicer: Splicer,
    large: &LargeTarget,
    spans: BTreeMap<u32, Span>,
    threads: usize,
    cancel: &Cancel,
) -> Option<Digest> {
    let spliced = splicer.len();
    let mut holes = large.holes.iter().skip_while(|hole| hole.offset < spliced).peekable();
    for (part, span) in spans {
        let (offset, _) = large.parts[part as usize];
        while let Some(hole) = holes.next_if(|hole| hole.offset < offset) {
            splice_hole(&mut splicer, hole, threads, cancel)?;
        }
        splicer.push(span);
    }
    for hole in holes {
        splice_hole(&mut splicer, hole, threads, cancel)?;
    }
    Some(splicer.finish())
}

fn splice_hole(splicer: &mut Splicer, hole: &Hole, threads: usize, cancel: &Cancel) -> Option<()> {
    let mut done = 0;
    while done < hole.len {
        if cancel.is_cancelled() {
            return None;
        }
        let len = HOLE_STEP.min(hole.len - done);
        splicer.push_zeros_with(len, threads);
        done += len;
    }
    Some(())
}

#[cold]
fn mismatch(target: &FileTarget, found: &Digest) -> String {
    format!("its content has the digest {found}, not {}", target.digest)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
