//! The rows of the index, emitted in order as soon as all is known of each, and the records of the same rows for the
//! directory of the block they start in.
//!
//! Where files come in the order of rows, each row is emitted on the spot. Where they come in another order, what becomes
//! of each is kept (`pending`), and rows are emitted when all files are placed; records still go into directories
//! as their files come: those of entries without contents with the file that follows them by path, those of hard links at
//! the end, when it is known what became of the files that they name.
//!
//! A file that could not be read has no row; nor have hard links to it. Each is named in a warning.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use carrack_backends::path::PathId;
use carrack_backends::witness::Witness;

use super::Job;
use super::pending::Pending;
use crate::container::directory::{Chunk, DirectoryWriter};
use crate::control::Warning;
use crate::digest::Digest;
use crate::entry::{Extent, Hole, Kind, Row, flags};
use crate::index::{EntriesWriter, IndexError, PlainBatch};

/// How many batches wait for a worker as they are; what waits beyond them is encoded before.
const BATCHES_PLAIN: usize = 4;

/// What the place stage found out about the contents of a file.
pub(super) struct Body<'a> {
    pub digest: Digest,
    pub extents: &'a [Extent],
    /// Bytes that were read, holes included.
    pub size: u64,
}

pub(super) struct Rows {
    job: Arc<Job>,
    /// The first row that was not emitted yet.
    next: u32,
    /// Rows without contents that had their turn, and files whose chunks are placed.
    done: u32,
    /// What is known of files, where they do not come in the order of rows.
    pending: Option<Pending>,
    /// Every row had its turn: those that are pending can be emitted.
    is_complete: bool,
    /// The last batch was made.
    is_finished: bool,
    index: EntriesWriter,
    /// Full batches of rows, to be encoded by the workers.
    batches: VecDeque<PlainBatch>,
    directory: DirectoryWriter,
    /// Rows of the walk that have no row in the index, ascending.
    dropped: Vec<u32>,
    /// Rows still to come of which something is known already. Very many files may fail or change.
    failed: HashSet<u32>,
    changed: HashSet<u32>,
    settled: HashMap<u32, Witness>,
    /// Size and mtime in ns of files that are not stored as the walk saw them, ascending: their hard links need them.
    revised: Vec<(u32, u64, i64)>,
    warnings: Vec<Warning>,
    /// A row that the index refused.
    broken: Option<IndexError>,
}

impl Rows {
    pub(super) fn new(job: Arc<Job>) -> Self {
        Self {
            pending: (!job.plan.is_by_row()).then(|| Pending::new(&job)),
            job,
            next: 0,
            done: 0,
            is_complete: false,
            is_finished: false,
            index: EntriesWriter::new(),
            batches: VecDeque::new(),
            directory: DirectoryWriter::new(),
            dropped: Vec::new(),
            failed: HashSet::new(),
            changed: HashSet::new(),
            settled: HashMap::new(),
            revised: Vec::new(),
            warnings: Vec::new(),
            broken: None,
        }
    }

    /// How many rows had their turn.
    pub(super) fn done(&self) -> u32 {
        self.done
    }

    /// The rows without contents whose turn it is before this one (or before the end): those between the file before it
    /// by path and itself.
    pub(super) fn without_contents_before(&self, row: u32) -> Range<u32> {
        let start = match self.pending {
            None => self.next,
            Some(_) => (0..row).rev().find(|&before| self.job.entries.size(before) > 0).map_or(0, |before| before + 1),
        };
        start..row
    }

    /// The file changed before it was read; what was read is one consistent state.
    pub(super) fn settle(&mut self, row: u32, witness: Witness) {
        self.settled.entry(row).or_insert(witness);
    }

    /// The file changed while it was read.
    pub(super) fn flag(&mut self, row: u32) {
        if self.changed.insert(row) {
            self.warn(row, "changed while it was read: stored as read, and flagged");
        }
    }

    /// The file could not be read.
    pub(super) fn fail(&mut self, row: u32, error: &std::io::Error) {
        if self.failed.insert(row) {
            self.warn(row, &format!("cannot be read, left out: {error}"));
        }
    }

    pub(super) fn is_failed(&self, row: u32) -> bool {
        self.failed.contains(&row)
    }

    fn warn(&mut self, row: u32, what: &str) {
        self.warnings.push(Warning::new(self.job.entries.paths.path(PathId(row)), what));
    }

    /// It is the turn of a row without contents: anything but a file, or an empty file.
    pub(super) fn without_contents(&mut self, row: u32) {
        self.done += 1;
        let job = Arc::clone(&self.job);
        if !job.plan.is_by_row() {
            // Of a hard link there is a record when it is known what became of the file.
            if job.entries.kinds[row as usize] != Kind::Hardlink {
                self.directory.entry(row, &self.bare(&job, row));
            }
        } else if self.is_lost_link(row) {
            self.drop_row(row);
        } else {
            self.directory.entry(row, &self.bare(&job, row));
            self.emit_bare(row);
        }
    }

    /// Whether the row is a hard link to a file that has no row. This is told in a warning.
    fn is_lost_link(&mut self, row: u32) -> bool {
        let first = self.job.entries.hardlinks.get(row);
        let is_lost = first.is_some_and(|first| self.dropped.binary_search(first).is_ok());
        if is_lost {
            self.warn(row, "left out: it is one more name of a file that cannot be read");
        }
        is_lost
    }

    /// A row without contents, its hard link by the number of the walk.
    fn bare<'a>(&self, job: &'a Job, row: u32) -> Row<'a> {
        let mut bare = self.walked(job, row);
        bare.hardlink = job.entries.hardlinks.get(row).copied();
        if let Some(first) = bare.hardlink {
            bare.size = job.entries.size(first);
            if let Ok(at) = self.revised.binary_search_by_key(&first, |revised| revised.0) {
                (_, bare.size, bare.mtime_ns) = self.revised[at];
            }
        }
        bare
    }

    fn emit_bare(&mut self, row: u32) {
        let job = Arc::clone(&self.job);
        let bare = self.bare(&job, row);
        let digest = (bare.kind == Kind::File).then(|| Digest::of(&[]));
        self.push(&Row { digest, hardlink: bare.hardlink.map(|first| self.index_row(first)), ..bare });
    }

    /// The first chunk of a file is about to be placed: its record goes into the directory of the block.
    pub(super) fn begin(&mut self, row: u32) {
        if !self.is_failed(row) {
            let job = Arc::clone(&self.job);
            let walked = self.walked(&job, row);
            self.directory.entry(row, &walked);
        }
    }

    /// A chunk of the file was placed.
    pub(super) fn chunk(&mut self, row: u32, file_offset: u64, extent: Extent) {
        let Extent { block, offset, len } = extent;
        self.directory.chunk(&Chunk { row, file_offset, block, offset, len });
    }

    /// All chunks of the file are placed: its row is emitted, now or when those before it are known.
    pub(super) fn end(&mut self, row: u32, body: &Body<'_>) {
        self.done += 1;
        let is_failed = self.failed.remove(&row);
        match &mut self.pending {
            Some(_) if is_failed => {}
            Some(pending) => pending.push(row, body),
            None if is_failed => self.drop_row(row),
            None => {
                self.revise(row, body.size);
                self.emit(row, body);
            }
        }
    }

    /// Remembers what was stored of a file, where the walk saw something else: hard links to it need that.
    fn revise(&mut self, row: u32, size: u64) {
        let seen = ns(&self.job.entries.witnesses.get(row as usize));
        let mtime_ns = self.settled.get(&row).map_or(seen, ns);
        if (self.job.entries.size(row), seen) != (size, mtime_ns) {
            self.revised.push((row, size, mtime_ns));
        }
    }

    fn emit(&mut self, row: u32, body: &Body<'_>) {
        let job = Arc::clone(&self.job);
        let walked = self.walked(&job, row);
        let holes = clip(walked.holes, body.size);
        let flags = if self.changed.remove(&row) { flags::CHANGED } else { 0 };
        self.settled.remove(&row);
        self.push(&Row {
            size: body.size,
            digest: Some(body.digest),
            extents: body.extents,
            holes: &holes,
            flags,
            ..walked
        });
    }

    /// Every row had its turn. Where rows are pending, it is now known which of them there will be.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
        let Some(mut pending) = self.pending.take() else { return };
        pending.sort();
        for row in 0..self.job.entries.len() as u32 {
            if self.job.entries.size(row) == 0 {
                if self.is_lost_link(row) {
                    self.dropped.push(row);
                }
            } else if let Some(body) = pending.get(row) {
                self.revise(row, body.size);
            } else {
                self.dropped.push(row);
            }
        }
        self.pending = Some(pending);
    }

    /// The hard links whose records were put off until rows were complete.
    pub(super) fn late_links(&self) -> Vec<u32> {
        if self.pending.is_none() {
            return Vec::new();
        }
        let links = self.job.entries.hardlinks.iter().map(|(row, _)| row);
        links.filter(|row| self.dropped.binary_search(row).is_err()).collect()
    }

    /// The record of a hard link that was put off.
    pub(super) fn late_link(&mut self, row: u32) {
        let job = Arc::clone(&self.job);
        self.directory.entry(row, &self.bare(&job, row));
    }

    /// Emits pending rows until a batch is full, or all of them and what is left of a batch.
    fn emit_pending(&mut self) {
        if let Some(pending) = self.pending.take() {
            while self.batches.is_empty() && (self.next as usize) < self.job.entries.len() {
                let row = self.next;
                if self.dropped.binary_search(&row).is_ok() {
                    self.next += 1;
                } else if let Some(body) = pending.get(row) {
                    self.emit(row, &body);
                } else {
                    self.emit_bare(row);
                }
            }
            self.pending = Some(pending);
        }
        if self.next as usize == self.job.entries.len() {
            self.is_finished = true;
            let rest = std::mem::take(&mut self.index).finish();
            self.batches.extend(rest);
        }
    }

    fn push(&mut self, row: &Row<'_>) {
        match self.index.push(row) {
            Ok(batch) => self.wait(batch),
            Err(error) => self.broken = self.broken.take().or(Some(error)),
        }
        self.next += 1;
    }

    /// Keeps a batch until a worker encodes it. Where very many rows without contents come in one go, this thread does so
    /// with what waits too long: a batch takes four times its encoded length.
    fn wait(&mut self, batch: Option<PlainBatch>) {
        let Some(batch) = batch else { return };
        self.batches.push_back(batch);
        let Some(last) = self.batches.len().checked_sub(BATCHES_PLAIN + 1) else { return };
        if let Err(error) = self.batches[last].encode_now() {
            self.broken = self.broken.take().or(Some(error));
        }
    }

    fn drop_row(&mut self, row: u32) {
        self.dropped.push(row);
        self.next += 1;
    }

    /// The row in the index of a row of the walk.
    fn index_row(&self, row: u32) -> u32 {
        row - self.dropped.partition_point(|&dropped| dropped < row) as u32
    }

    /// What the walk (or a later, settled look) knows of a row.
    fn walked<'a>(&self, job: &'a Job, row: u32) -> Row<'a> {
        let entries = &job.entries;
        let at = row as usize;
        let witness = self.settled.get(&row).copied().unwrap_or_else(|| entries.witnesses.get(at));
        let (uid, gid) = (entries.uids.get(at), entries.gids.get(at));
        Row {
            size: entries.size(row),
            mode: entries.modes.get(at),
            uid,
            gid,
            owner: entries.owners.get(uid).map(String::as_str),
            group: entries.groups.get(gid).map(String::as_str),
            mtime_ns: ns(&witness),
            link_target: entries.link_targets.get(row).map(|target| &target[..]),
            device: entries.devices.get(row).copied(),
            holes: entries.holes.get(row).map_or(&[], |holes| &holes[..]),
            xattrs: entries.xattrs.get(row),
            ..Row::new(entries.paths.path(PathId(row)), entries.kinds[at])
        }
    }

    pub(super) fn directory_len(&self) -> usize {
        self.directory.bytes().len()
    }

    /// Takes the directory gathered so far and goes on with the given buffer.
    pub(super) fn take_directory(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.directory.replace(spare)
    }

    /// Whether a batch of rows waits to be encoded, or will.
    pub(super) fn has_batch(&self) -> bool {
        !self.batches.is_empty() || (self.is_complete && !self.is_finished)
    }

    /// The next batch of rows to encode.
    pub(super) fn next_batch(&mut self) -> Option<PlainBatch> {
        if self.batches.is_empty() && self.is_complete && !self.is_finished {
            self.emit_pending();
        }
        self.batches.pop_front()
    }

    /// The first row that the index refused, if any.
    pub(super) fn take_broken(&mut self) -> Option<IndexError> {
        self.broken.take()
    }

    /// What went wrong with single files.
    pub(super) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }
}

/// The walk leaves out entries whose time does not fit.
fn ns(witness: &Witness) -> i64 {
    witness.mtime.sec.saturating_mul(1_000_000_000).saturating_add(i64::from(witness.mtime.nsec))
}

/// Holes of a file that ended earlier than the walk saw.
fn clip(holes: &[Hole], size: u64) -> Vec<Hole> {
    let inside = holes.iter().filter(|hole| hole.offset < size);
    inside.map(|hole| Hole { len: hole.len.min(size - hole.offset), ..*hole }).collect()
}
