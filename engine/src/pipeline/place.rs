//! The place stage: in plan order, every new chunk gets its place in a block and every duplicate becomes a reference.
//!
//! In: hashed loads, in sequence. Out: sealed blocks, in sequence, and the rows of the index. One thread runs it; it
//! does no I/O and waits for nothing.
//!
//! A block is built where its first chunk was read: the region that chunk lies in becomes the block's home. Later
//! chunks of the same region are moved down over the gaps that duplicates left; chunks of later regions are copied
//! behind them, which frees their regions. So a block is always one slice, an open block holds exactly one region
//! however many duplicates lie between its chunks, and where there are no duplicates no byte moves at all. A block that
//! is closed early, for the length of its directory, leaves the rest of its region to the next one.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use carrack_backends::arena::Lease;

use super::Job;
use super::load::{Content, Load, Note, Piece};
use super::rows::{Body, Rows};
use crate::dedup;
use crate::digest::{Digest, Joiner, Part};
use crate::entry::Extent;
use crate::plan::{BlockFiller, Chunk, ChunkKind, Tally};

/// A directory longer than this many bytes is stored even though its block is not full: it bounds the memory of trees
/// with very many entries that have no contents.
const DIRECTORY_FULL: usize = 1 << 20;

/// A block that will not change any more, on its way to be compressed.
pub(super) struct Sealed {
    pub seq: u64,
    /// The block lies at the start of this region; `None` for a directory alone.
    pub lease: Option<Lease>,
    pub raw_len: usize,
    /// The number of the dictionary that suits most of its bytes.
    pub dictionary: Option<usize>,
    /// Records of the entries that start here.
    pub directory: Vec<u8>,
    /// When the first of its reads was queued, ns of the run's clock; for a directory alone, when it was sealed.
    pub born_ns: u64,
    /// When it was sealed, likewise.
    pub sealed_ns: u64,
}

/// The block being built.
struct Open {
    seq: u32,
    home: Lease,
    born_ns: u64,
}

/// What is left of the region whose chunks are being placed.
struct Region {
    /// `None` once it is home to the open block.
    lease: Option<Lease>,
    /// Where it begins in the region as it was read, bytes.
    start: usize,
}

/// What the digest stage made of a load's chunks, and was not taken yet.
struct Hashes<'a> {
    parts: std::vec::Drain<'a, Part>,
    pieces: &'a [Piece],
}

impl<'a> Hashes<'a> {
    fn take(&mut self, pieces: u32) -> &'a [Piece] {
        let (taken, rest) = self.pieces.split_at(pieces as usize);
        self.pieces = rest;
        taken
    }
}

/// The bytes of a chunk: so many at this place of a region.
struct Place<'a> {
    region: &'a mut Region,
    at: usize,
    len: u32,
}

/// A file of several chunks whose last one has not come yet.
struct Large {
    row: u32,
    joiner: Joiner,
    extents: Vec<Extent>,
    size: u64,
    /// It has chunks that are read, not holes alone.
    is_read: bool,
    /// A chunk came short: the file ended there, whatever came later.
    ended: bool,
}

pub(super) struct Placer {
    job: Arc<Job>,
    known: Option<dedup::Table>,
    filler: BlockFiller,
    open: Option<Open>,
    next_seq: u64,
    large: Option<Large>,
    /// Files of several chunks that were looked at once more after their last byte was read.
    witnessed: HashSet<u32>,
    rows: Rows,
    sealed: VecDeque<Sealed>,
    /// Which groups of files the bytes of the open block belong to, where there are dictionaries for some.
    tally: Tally,
    /// The group of the file whose chunk is being placed.
    group: Option<usize>,
    /// Where the bytes of the chunk being placed are kept.
    extents: Vec<Extent>,
    /// When the reads of the load being placed were queued, ns of the run's clock.
    queued_ns: u64,
    spare_directories: Vec<Vec<u8>>,
    /// Content bytes placed so far, duplicates and holes included.
    pub bytes: u64,
    /// Those of them that were duplicates.
    pub duplicate_bytes: u64,
}

impl Placer {
    pub(super) fn new(job: Arc<Job>) -> Self {
        Self {
            known: job.dedup.then(dedup::Table::new),
            filler: BlockFiller::new(job.block_size),
            open: None,
            next_seq: job.dictionaries.as_ref().map_or(0, |dictionaries| dictionaries.all().len() as u64),
            large: None,
            witnessed: HashSet::new(),
            rows: Rows::new(Arc::clone(&job)),
            sealed: VecDeque::new(),
            tally: Tally::default(),
            group: None,
            extents: Vec::new(),
            queued_ns: 0,
            spare_directories: Vec::new(),
            bytes: 0,
            duplicate_bytes: 0,
            job,
        }
    }

    /// Places all chunks of a load. Its regions are taken out; the load can be filled again.
    pub(super) fn place(&mut self, load: &mut Load) {
        for (row, note) in load.notes.drain(..) {
            self.note(row, note);
        }
        self.queued_ns = load.queued_ns;
        let job = Arc::clone(&self.job);
        let first_chunk = load.chunks(&job.plan).start;
        let mut contents = load.contents.drain(..);
        let mut hashes = Hashes { parts: load.digests.drain(..), pieces: &load.pieces };
        for (block, region) in load.blocks.clone().zip(load.regions.drain(..)) {
            let mut region = Region { lease: Some(region), start: 0 };
            let mut at = 0;
            let duplicates_before = self.duplicate_bytes;
            for index in job.plan.block(block) {
                let content = contents.next().expect("the digest stage made one content a chunk");
                self.chunk(index, load.got[index - first_chunk], content, &mut hashes, &mut region, at);
                at += job.plan.chunks()[index].data_len() as usize;
                self.flush_directory(Some((&mut region, at)));
            }
            // What was left of a region has no room for a whole block.
            let is_cut = self.open.as_ref().is_some_and(|open| open.home.len() < job.block_size as usize);
            let duplicates = self.duplicate_bytes - duplicates_before;
            if is_cut {
                let raw_len = self.filler.close();
                self.seal(raw_len);
            } else if duplicates * 2 <= at as u64
                // Where most is known already, little is copied, and full blocks are worth more than being in step.
                && let Some(raw_len) = self.filler.end_of_planned()
            {
                self.seal(raw_len);
            }
        }
    }

    fn note(&mut self, row: u32, note: Note) {
        match note {
            Note::Witnessed => {
                self.witnessed.insert(row);
            }
            Note::Settled(witness) => self.rows.settle(row, witness),
            Note::Changed => self.rows.flag(row),
            Note::Failed(error) => self.rows.fail(row, &error),
        }
    }

    /// One chunk, whose bytes lie at `at` of the region (or of the open block's home, when that is this region).
    fn chunk(
        &mut self,
        index: usize,
        got: u32,
        content: Content,
        hashes: &mut Hashes<'_>,
        region: &mut Region,
        at: usize,
    ) {
        let chunk = self.job.plan.chunks()[index];
        let row = chunk.row();
        if chunk.is_first() {
            self.rows_before(row, Some((&mut *region, at)));
        }
        self.make_room(chunk, &content, got, hashes);
        if chunk.is_first() {
            // Behind the seal, if there was one: the record of a file stands with its first bytes, so that they are lost together.
            self.rows.begin(row);
        }
        self.bytes += u64::from(chunk.len());
        self.group = self.job.dictionaries.as_ref().and_then(|dictionaries| dictionaries.group(row));
        match content {
            Content::Whole(digest, pieces) => {
                let pieces = hashes.take(pieces);
                if !self.rows.is_failed(row) {
                    let place = Place { region, at, len: got };
                    let extents = self.keep_chunk(index, &digest, pieces, place);
                    self.rows.end(row, &Body { digest, extents: &extents, size: u64::from(got) });
                    self.extents = extents;
                }
            }
            _ if chunk.is_whole() => {
                let body = Body { digest: Digest::of(&[]), extents: &[], size: 0 };
                self.rows.end(row, &body);
            }
            Content::Part(key, pieces) => {
                let part = hashes.parts.next().map(|part| (part, key.unwrap_or_default()));
                let pieces = hashes.take(pieces);
                self.part(index, part, pieces, Place { region, at, len: got });
            }
            Content::Nothing => self.part(index, None, &[], Place { region, at, len: got }),
        }
    }

    /// One chunk of a file of several, with the identity of its bytes; without a part, nothing of it was read.
    fn part(&mut self, index: usize, part: Option<(Part, Digest)>, pieces: &[Piece], place: Place<'_>) {
        let chunk = self.job.plan.chunks()[index];
        let got = place.len;
        let row = chunk.row();
        let mut large = self.large.take().filter(|large| large.row == row).unwrap_or_else(|| Large {
            row,
            joiner: Joiner::new(),
            extents: Vec::new(),
            size: 0,
            is_read: false,
            ended: false,
        });
        large.is_read |= chunk.kind() == ChunkKind::Data;
        if let (Some((part, key)), false, false) = (part, large.ended, self.rows.is_failed(row)) {
            if chunk.kind() == ChunkKind::Data {
                let extents = self.keep_chunk(index, &key, pieces, place);
                large.extents.extend_from_slice(&extents);
                self.extents = extents;
            }
            large.joiner.push(part);
            large.size += u64::from(got);
        }
        large.ended |= got < chunk.len();
        if chunk.is_last() {
            let is_witnessed = self.witnessed.remove(&row);
            if large.is_read && !is_witnessed && !self.rows.is_failed(row) {
                self.rows.flag(row);
            }
            let body = Body { digest: large.joiner.finish(), extents: &large.extents, size: large.size };
            self.rows.end(row, &body);
        } else {
            self.large = Some(large);
        }
    }

    /// Where the bytes of a chunk are kept, in as few extents as possible; `key` tells what they are unless there are
    /// `pieces`. The caller gives the vector back.
    fn keep_chunk(&mut self, index: usize, key: &Digest, pieces: &[Piece], place: Place<'_>) -> Vec<Extent> {
        let chunk = self.job.plan.chunks()[index];
        let Place { region, mut at, len } = place;
        let mut extents = std::mem::take(&mut self.extents);
        extents.clear();
        if pieces.is_empty() {
            extents.push(self.keep(key, len, region, at));
        }
        for piece in pieces {
            let extent = self.keep(&piece.key, piece.len, region, at);
            at += piece.len as usize;
            match extents.last_mut() {
                Some(last) if (last.block, last.offset + last.len) == (extent.block, extent.offset) => {
                    last.len += extent.len;
                }
                _ => extents.push(extent),
            }
        }
        let mut file_offset = chunk.offset();
        for &extent in &extents {
            self.rows.chunk(chunk.row(), file_offset, extent);
            file_offset += u64::from(extent.len);
        }
        extents
    }

    /// Seals the open block when what is new of a chunk, of which so many bytes were read, does not fit: so its new bytes lie in one
    /// block.
    fn make_room(&mut self, chunk: Chunk, content: &Content, len: u32, hashes: &Hashes<'_>) {
        if chunk.kind() == ChunkKind::Hole || self.filler.fits(len) {
            return;
        }
        let new = |key: &Digest, len: u32| match &self.known {
            Some(known) if known.contains(key, len) => 0,
            _ => len,
        };
        let new: u32 = match content {
            Content::Nothing => 0,
            Content::Whole(digest, 0) => new(digest, len),
            Content::Part(key, 0) => key.map_or(len, |key| new(&key, len)),
            &Content::Whole(_, pieces) | &Content::Part(_, pieces) => {
                hashes.pieces[..pieces as usize].iter().map(|piece| new(&piece.key, piece.len)).sum()
            }
        };
        if !self.filler.fits(new) {
            let raw_len = self.filler.close();
            self.seal(raw_len);
        }
    }

    /// Where these bytes are kept: where equal ones lie already, or at the end of the open block.
    fn keep(&mut self, key: &Digest, len: u32, region: &mut Region, at: usize) -> Extent {
        let Some(mut known) = self.known.take() else { return self.append(len, region, at) };
        let mut new = None;
        let found = known.find_or_insert(key, len, || *new.insert(self.append(len, region, at)));
        self.known = Some(known);
        match (found, new) {
            (Some(extent), _) => {
                self.duplicate_bytes += u64::from(len);
                extent
            }
            (None, new) => new.expect("what is not found is appended"),
        }
    }

    fn append(&mut self, len: u32, region: &mut Region, at: usize) -> Extent {
        if !self.filler.fits(len) {
            let raw_len = self.filler.close();
            self.seal(raw_len);
        }
        let offset = self.filler.put(len).offset;
        self.tally.add(self.group, len);
        let (from, to, bytes) = (at - region.start, offset as usize, len as usize);
        match (&mut self.open, &region.lease) {
            (Some(open), Some(region)) => open.home[to..to + bytes].copy_from_slice(&region[from..from + bytes]),
            (Some(open), None) => {
                if from != to {
                    open.home.copy_within(from..from + bytes, to);
                }
            }
            (open @ None, _) => {
                let mut home = region.lease.take().expect("a region is home to one block at most");
                if from != to {
                    home.copy_within(from..from + bytes, to);
                }
                let seq = u32::try_from(self.next_seq).expect("the number of frames is bounded by the plan");
                self.next_seq += 1;
                *open = Some(Open { seq, home, born_ns: self.queued_ns });
            }
        }
        let seq = self.open.as_ref().expect("a block is open now").seq;
        Extent { block: seq, offset, len }
    }

    /// Rows without contents that stand before this one. `within`: see [`flush_directory`](Self::flush_directory).
    fn rows_before(&mut self, row: u32, mut within: Option<(&mut Region, usize)>) {
        for bare in self.rows.without_contents_before(row) {
            self.rows.without_contents(bare);
            self.flush_directory(within.as_mut().map(|(region, next)| (&mut **region, *next)));
        }
    }

    /// Seals the open block when there is much in its directory. `within` is the region being placed, and where in it,
    /// as it was read, the next chunk lies: when the open block is built in that region, the rest of it is cut off.
    fn flush_directory(&mut self, within: Option<(&mut Region, usize)>) {
        if self.rows.directory_len() <= DIRECTORY_FULL {
            return;
        }
        if let (Some(open), Some((region @ Region { lease: None, .. }, next))) = (&mut self.open, within) {
            region.lease = Some(open.home.split_off(next - region.start));
            region.start = next;
        }
        let raw_len = self.filler.close();
        self.seal(raw_len);
    }

    /// Seals the open block with the directory gathered since the last one; without an open block, the directory.
    fn seal(&mut self, raw_len: u32) {
        let sealed_ns = self.job.clock.now_ns();
        let (seq, lease, born_ns) = match self.open.take() {
            Some(open) => (u64::from(open.seq), Some(open.home), open.born_ns),
            None if self.rows.directory_len() == 0 => return,
            None => {
                self.next_seq += 1;
                (self.next_seq - 1, None, sealed_ns)
            }
        };
        let group = self.tally.take();
        let dictionary = self.job.dictionaries.as_ref().and_then(|dictionaries| dictionaries.of_group(group));
        let spare = self.spare_directories.pop().unwrap_or_default();
        let directory = self.rows.take_directory(spare);
        self.sealed.push_back(Sealed {
            seq,
            lease,
            raw_len: raw_len as usize,
            dictionary,
            directory,
            born_ns,
            sealed_ns,
        });
    }

    /// The next block to compress.
    pub(super) fn next_sealed(&mut self) -> Option<Sealed> {
        self.sealed.pop_front()
    }

    /// Whether a block waits to be compressed.
    pub(super) fn has_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Takes back the buffer of a directory that was written.
    pub(super) fn recycle(&mut self, mut directory: Vec<u8>) {
        directory.clear();
        self.spare_directories.push(directory);
    }

    /// After the last load: the remaining rows and the last block.
    pub(super) fn finish(&mut self) {
        self.rows_before(self.job.entries.len() as u32, None);
        self.rows.complete();
        for link in self.rows.late_links() {
            self.rows.late_link(link);
            self.flush_directory(None);
        }
        let raw_len = self.filler.close();
        self.seal(raw_len);
    }

    /// How many frames there are or will be, once finished.
    pub(super) fn frames(&self) -> u64 {
        self.next_seq
    }

    /// The rows, for progress.
    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The rows, for their batches.
    pub(super) fn rows_mut(&mut self) -> &mut Rows {
        &mut self.rows
    }

    /// The rows, when all is placed.
    pub(super) fn into_rows(self) -> Rows {
        self.rows
    }
}
