//! Cuts one file into chunks.
//!
//! In: the size of a file, its holes, the block size. Out: pieces, in order, that cover every byte once.
//! It knows nothing of other files or of blocks as they fill.

use super::ChunkKind;
use crate::entry::Hole;

/// Longest hole chunk, bytes. Longer holes are cut at multiples of this, so that hashing them spreads over threads.
pub const HOLE_CHUNK_MAX: u64 = 64 << 20;

/// A part of a file, not yet tied to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the file, bytes.
    pub offset: u64,
    /// Length, bytes, never zero.
    pub len: u32,
    /// Data or hole.
    pub kind: ChunkKind,
}

/// Iterates over the pieces of one file: data is cut at multiples of the block size, holes at multiples of
/// [`HOLE_CHUNK_MAX`], and both where they meet.
#[derive(Clone, Debug)]
pub struct Cutter<'a> {
    at: u64,
    size: u64,
    /// The holes that end behind `at`.
    holes: &'a [Hole],
    block_size: u64,
}

impl<'a> Cutter<'a> {
    /// Cuts a file of `size` bytes with these holes (in order, apart, within the file) for blocks of `block_size`
    /// bytes.
    ///
    /// # Panics
    /// When the block size is no power of two (debug builds).
    #[must_use]
    pub fn new(size: u64, holes: &'a [Hole], block_size: u32) -> Self {
        debug_assert!(block_size.is_power_of_two());
        Self { at: 0, size, holes, block_size: u64::from(block_size) }
    }

    /// How many pieces there will be, without making them.
    #[must_use]
    pub fn count(size: u64, holes: &[Hole], block_size: u32) -> u64 {
        let block_size = u64::from(block_size);
        let mut at = 0;
        let mut count = 0;
        for hole in holes {
            let end = hole.offset + hole.len;
            count += windows(at, hole.offset, block_size) + windows(hole.offset, end, HOLE_CHUNK_MAX);
            at = end;
        }
        count + windows(at, size, block_size)
    }
}

/// How many windows of `step` bytes the range touches.
fn windows(start: u64, end: u64, step: u64) -> u64 {
    if start == end { 0 } else { (end - 1) / step - start / step + 1 }
}

impl Iterator for Cutter<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.at == self.size {
            return None;
        }
        let (kind, end, step) = match self.holes {
            [] => (ChunkKind::Data, self.size, self.block_size),
            [hole, ..] if self.at < hole.offset => (ChunkKind::Data, hole.offset, self.block_size),
            [hole, ..] => (ChunkKind::Hole, hole.offset + hole.len, HOLE_CHUNK_MAX),
        };
        // Both steps are powers of two. Near 2^63 the next multiple still fits in 64 bits.
        let end = end.min((self.at & !(step - 1)) + step);
        let piece = Piece { offset: self.at, len: (end - self.at) as u32, kind };
        self.at = end;
        if let [hole, rest @ ..] = self.holes
            && hole.offset + hole.len == end
        {
            self.holes = rest;
        }
        Some(piece)
    }
}
