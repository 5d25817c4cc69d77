//! The plan: which bytes of which file are read in which order, and where planned blocks end.
//!
//! In: the columns of a walk (rows, sizes, holes), the block size, and an order of the files where it is not that of
//! their paths (`order`). Out: a [`Plan`], the [`Chunk`]s of all files in that order, those of one file together and in
//! order of offset, grouped into blocks. It opens nothing, and the same input always gives the same plan, so whatever
//! follows it is deterministic too.
//!
//! The rule: a file without holes and not longer than a block is one chunk. Everything else is cut at multiples of the
//! block size ([`Cutter`]). A chunk never straddles two blocks: one that does not fit closes the open block
//! ([`BlockFiller`]). So each dense file up to the block size costs a reader exactly one block.

mod cut;
mod draw;
mod error;
mod fill;
mod kinds;
mod order;

use std::fmt;
use std::ops::Range;

pub use cut::{Cutter, HOLE_CHUNK_MAX, Piece};
pub use draw::{Random, draw};
pub use error::PlanError;
pub use fill::{BlockFiller, HOLES_PER_BLOCK_MAX, Put};
pub use kinds::{GROUPS_MAX, Kinds, Tally};
pub use order::{Files, Order};

use crate::entry::{Entries, Hole};
use crate::limits;

/// Whether a chunk has bytes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// Bytes that are read and stored.
    Data,
    /// Zeros of a sparse file: part of its digest, neither read nor stored.
    Hole,
}

/// A range of one file, 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk {
    offset: u64,
    row: u32,
    /// The length (at most 2²⁶) and the four flags below.
    bits: u32,
}

const HOLE: u32 = 1 << 31;
const FIRST: u32 = 1 << 30;
const LAST: u32 = 1 << 29;
const LAST_DATA: u32 = 1 << 28;
const LEN: u32 = LAST_DATA - 1;

const _: () = assert!(size_of::<Chunk>() == 16);
const _: () = assert!(limits::BLOCK_SIZE_MAX <= LEN && HOLE_CHUNK_MAX <= LEN as u64);

impl Chunk {
    fn new(row: u32, piece: Piece) -> Self {
        let hole = if piece.kind == ChunkKind::Hole { HOLE } else { 0 };
        Self { offset: piece.offset, row, bits: piece.len | hole }
    }

    /// Row of the file.
    #[must_use]
    pub fn row(&self) -> u32 {
        self.row
    }

    /// Offset in the file, bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the file that it covers, never zero. A hole covers bytes, but takes no room in a block: see
    /// [`Chunk::data_len`].
    #[must_use]
    // No `is_empty`: no chunk is.
    #[expect(clippy::len_without_is_empty, reason = "no chunk is empty")]
    pub fn len(&self) -> u32 {
        self.bits & LEN
    }

    /// Bytes that are read and take room in a block: zero for a hole.
    #[must_use]
    pub fn data_len(&self) -> u32 {
        match self.kind() {
            ChunkKind::Data => self.len(),
            ChunkKind::Hole => 0,
        }
    }

    /// Data or hole.
    #[must_use]
    pub fn kind(&self) -> ChunkKind {
        if self.bits & HOLE == 0 { ChunkKind::Data } else { ChunkKind::Hole }
    }

    /// Whether this is the first chunk of its row.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.bits & FIRST != 0
    }

    /// Whether this is the last chunk of its row.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.bits & LAST != 0
    }

    /// Whether this is the last chunk of its row that is read: the range to mark as `last`.
    #[must_use]
    pub fn is_last_data(&self) -> bool {
        self.bits & LAST_DATA != 0
    }

    /// Whether this chunk is all of its file, in data: it is read by one request for the whole file. All other data
    /// chunks are read as ranges.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bits & (HOLE | FIRST | LAST) == FIRST | LAST
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("row", &self.row)
            .field("offset", &self.offset)
            .field("len", &self.len())
            .field("kind", &self.kind())
            .field("first", &self.is_first())
            .field("last", &self.is_last())
            .field("last_data", &self.is_last_data())
            .finish()
    }
}

/// What a plan depends on besides the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Uncompressed size of a block at most, bytes: a power of two within the limits of the format.
    pub block_size: u32,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { block_size: limits::BLOCK_SIZE_FAST }
    }
}

/// All chunks in order, grouped into planned blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    chunks: Vec<Chunk>,
    /// For each planned block, the index behind its last chunk.
    ends: Vec<u32>,
    block_size: u32,
    files: u32,
    total_bytes: u64,
    data_bytes: u64,
    by_row: bool,
}

impl Plan {
    /// Plans all files of `entries` in the order of their paths. Costs 16 bytes a chunk and 4 bytes a block.
    ///
    /// # Errors
    /// When the options or the sizes and holes in `entries` are impossible, or there are too many chunks.
    pub fn new(entries: &Entries, options: &PlanOptions) -> Result<Self, PlanError> {
        let (mut plan, mut filler) = Self::empty(entries, options)?;
        for (row, size, holes) in files(entries) {
            plan.push_file(row, Cutter::new(size, holes, plan.block_size), &mut filler);
        }
        Ok(plan.closed())
    }

    /// Plans all files of `entries` in another order. Costs as much as [`Plan::new`].
    ///
    /// # Errors
    /// As [`Plan::new`].
    ///
    /// # Panics
    /// When `order` was made for other entries.
    pub fn ordered(entries: &Entries, options: &PlanOptions, order: &Files) -> Result<Self, PlanError> {
        let (mut plan, mut filler) = Self::empty(entries, options)?;
        assert_eq!(order.rows().len(), plan.files as usize, "an order of other files");
        plan.by_row = order.rows().is_sorted();
        for &row in order.rows() {
            let holes = entries.holes.get(row).map_or(&[][..], |holes| &holes[..]);
            plan.push_file(row, Cutter::new(entries.size(row), holes, plan.block_size), &mut filler);
        }
        Ok(plan.closed())
    }

    /// A plan that has room for all files, and the first block.
    fn empty(entries: &Entries, options: &PlanOptions) -> Result<(Self, BlockFiller), PlanError> {
        let block_size = options.block_size;
        if !block_size.is_power_of_two() || !(limits::BLOCK_SIZE_MIN..=limits::BLOCK_SIZE_MAX).contains(&block_size) {
            return Err(PlanError::BlockSize(block_size));
        }
        let mut plan = Self {
            chunks: Vec::new(),
            ends: Vec::new(),
            block_size,
            files: 0,
            total_bytes: 0,
            data_bytes: 0,
            by_row: true,
        };
        plan.reserve(entries)?;
        Ok((plan, BlockFiller::new(block_size)))
    }

    /// After the last file.
    fn closed(mut self) -> Self {
        if !self.chunks.is_empty() {
            self.ends.push(self.chunks.len() as u32);
        }
        self
    }

    /// Checks what came in, sums it up, and takes exactly the memory that the chunks need.
    fn reserve(&mut self, entries: &Entries) -> Result<(), PlanError> {
        let mut count = 0_u64;
        for (row, size, holes) in files(entries) {
            if size > limits::FILE_SIZE_MAX {
                return Err(PlanError::FileSize { row, size });
            }
            check_holes(row, size, holes)?;
            let empty: u64 = holes.iter().map(|hole| hole.len).sum();
            self.files += 1;
            self.total_bytes = self.total_bytes.checked_add(size).ok_or(PlanError::TooManyBytes)?;
            self.data_bytes += size - empty;
            count = count.saturating_add(Cutter::count(size, holes, self.block_size));
        }
        let chunks = u32::try_from(count).map_err(|_| PlanError::TooManyChunks(count))?;
        self.chunks.try_reserve_exact(chunks as usize).map_err(|_| PlanError::TooManyChunks(count))
    }

    fn push_file(&mut self, row: u32, pieces: Cutter<'_>, filler: &mut BlockFiller) {
        let start = self.chunks.len();
        for piece in pieces {
            let closed = match piece.kind {
                ChunkKind::Data => filler.put(piece.len).closed,
                ChunkKind::Hole => filler.put_hole(piece.len),
            };
            if closed.is_some() {
                self.ends.push(self.chunks.len() as u32);
            }
            self.chunks.push(Chunk::new(row, piece));
        }
        if let [first, ..] = &mut self.chunks[start..] {
            first.bits |= FIRST;
        }
        if let [.., last] = &mut self.chunks[start..] {
            last.bits |= LAST;
        }
        if let Some(last) = self.chunks[start..].iter_mut().rfind(|chunk| chunk.kind() == ChunkKind::Data) {
            last.bits |= LAST_DATA;
        }
    }

    /// All chunks, file by file in their order, those of a file in order of offset.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Whether the files come in the order of their rows.
    #[must_use]
    pub fn is_by_row(&self) -> bool {
        self.by_row
    }

    /// Number of files that have any content.
    #[must_use]
    pub fn files(&self) -> u32 {
        self.files
    }

    /// Number of planned blocks; each has at least one chunk (which may be a hole).
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.ends.len()
    }

    /// Indices into [`Plan::chunks`] of the chunks of a planned block.
    ///
    /// # Panics
    /// When there is no such block.
    #[must_use]
    pub fn block(&self, block: usize) -> Range<usize> {
        let start = block.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[block] as usize
    }

    /// Bytes of data in a planned block: at most the block size, zero when it has nothing but holes.
    ///
    /// # Panics
    /// When there is no such block.
    #[must_use]
    pub fn block_len(&self, block: usize) -> u32 {
        self.chunks[self.block(block)].iter().map(Chunk::data_len).sum()
    }

    /// Most chunks that one planned block has.
    #[must_use]
    pub fn most_chunks(&self) -> usize {
        (0..self.blocks()).map(|block| self.block(block).len()).max().unwrap_or(0)
    }

    /// Bytes of memory that the plan takes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.chunks.capacity() * size_of::<Chunk>() + self.ends.capacity() * size_of::<u32>()) as u64
    }

    /// The block size that this plan was made for, bytes.
    #[must_use]
    pub fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Bytes of all files, holes included.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes that are read: those of all files without their holes.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }
}

/// Row, size and holes of each row that has any content.
fn files(entries: &Entries) -> impl Iterator<Item = (u32, u64, &[Hole])> {
    let mut sparse = entries.holes.iter().peekable();
    (0..entries.len() as u32).filter_map(move |row| {
        while sparse.next_if(|&(r, _)| r < row).is_some() {}
        let holes = sparse.next_if(|&(r, _)| r == row).map_or(&[][..], |(_, holes)| &holes[..]);
        let size = entries.size(row);
        (size > 0).then_some((row, size, holes))
    })
}

fn check_holes(row: u32, size: u64, holes: &[Hole]) -> Result<(), PlanError> {
    let mut before = None;
    for hole in holes {
        let end = hole.offset.checked_add(hole.len).filter(|&end| end <= size && hole.len > 0);
        let apart = before.is_none_or(|before| before < hole.offset);
        let aligned = hole.offset % 4096 == 0 && end.is_some_and(|end| end % 4096 == 0 || end == size);
        if !apart || !aligned {
            return Err(PlanError::Holes { row, offset: hole.offset });
        }
        before = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
