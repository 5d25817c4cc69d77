//! The rows of the index, emitted in order as soon as all is known of each, and the records of the same rows for the
//! directory of the block they start in.
//!
//! A file that could not be read has no row; nor have hard links to it. Each is named in a warning.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use carrack_backends::path::PathId;
use carrack_backends::witness::Witness;

use super::Job;
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
    next: u32,
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
            job,
            next: 0,
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

    /// The first row that was not emitted yet.
    pub(super) fn next(&self) -> u32 {
        self.next
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

    /// Emits the next row, which has no contents: anything but a file, or an empty file.
    pub(super) fn without_contents(&mut self) {
        let row = self.next;
        if self.job.entries.kinds[row as usize] == Kind::File {
            self.begin(row);
            self.end(row, &Body { digest: Digest::of(&[]), extents: &[], size: 0 });
            return;
        }
        let hardlink = self.job.entries.hardlinks.get(row).copied();
        if hardlink.is_some_and(|first| self.dropped.binary_search(&first).is_ok()) {
            self.warn(row, "left out: it is one more name of a file that cannot be read");
            self.drop_row(row);
            return;
        }
        let job = Arc::clone(&self.job);
        let mut walked = Row { hardlink, ..self.walked(&job, row) };
        if let Some(first) = hardlink {
            walked.size = job.entries.size(first);
            if let Ok(at) = self.revised.binary_search_by_key(&first, |revised| revised.0) {
                (_, walked.size, walked.mtime_ns) = self.revised[at];
            }
        }
        self.directory.entry(row, &walked);
        self.push(&Row { hardlink: hardlink.map(|first| self.index_row(first)), ..walked });
    }

    /// The first chunk of a file is about to be placed: its record goes into the directory of the block.
    pub(super) fn begin(&mut self, row: u32) {
        debug_assert_eq!(row, self.next, "rows are emitted in order");
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

    /// All chunks of the file are placed: its row is emitted.
    pub(super) fn end(&mut self, row: u32, body: &Body<'_>) {
        debug_assert_eq!(row, self.next, "rows are emitted in order");
        if self.failed.remove(&row) {
            self.drop_row(row);
            return;
        }
        let job = Arc::clone(&self.job);
        let walked = self.walked(&job, row);
        if (walked.size, walked.mtime_ns) != (body.size, ns(&job.entries.witnesses.get(row as usize))) {
            self.revised.push((row, body.size, walked.mtime_ns));
        }
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

    /// Whether a batch of rows waits to be encoded.
    pub(super) fn has_batch(&self) -> bool {
        !self.batches.is_empty()
    }

    /// The next batch of rows to encode.
    pub(super) fn next_batch(&mut self) -> Option<PlainBatch> {
        self.batches.pop_front()
    }

    /// After the last row: what is left of a batch.
    pub(super) fn finish(&mut self) {
        let rest = std::mem::take(&mut self.index).finish();
        self.batches.extend(rest);
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
