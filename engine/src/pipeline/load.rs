//! What one slot carries through the pipeline: some planned blocks, their bytes, what became of each chunk.

use std::io;
use std::ops::Range;

use carrack_backends::arena::Lease;
use carrack_backends::witness::Witness;

use crate::digest::{Digest, Part};
use crate::plan::Plan;

/// The blocks of one slot. The boxes are used again and again, so that their vectors grow only once.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Which load this is; loads are placed in this order.
    pub seq: usize,
    /// The planned blocks it holds.
    pub blocks: Range<usize>,
    /// The memory of each block, in order: all of the region, chunks at their planned places.
    pub regions: Vec<Lease>,
    /// How many bytes of each chunk were read, in the order of the plan. A hole counts as read.
    pub got: Vec<u32>,
    /// Identity of each chunk, filled in by the digest stage.
    pub contents: Vec<Content>,
    /// The parts among them, in the same order: each is five times as long as what a small file needs.
    pub digests: Vec<Part>,
    /// The pieces that chunks were cut into, in the same order, where pieces are stored once.
    pub pieces: Vec<Piece>,
    /// What happened to files while they were read; small files have nothing here as a rule.
    pub notes: Vec<(u32, Note)>,
    /// While it is filled: the buffers of finished chunks, in the order of the plan; those in flight are missing.
    pub parts: Vec<Option<Lease>>,
    /// While it is filled: what is left of each region behind its chunks.
    pub rests: Vec<Lease>,
    /// When its reads were queued, ns of the run's clock.
    pub queued_ns: u64,
    /// When its last read was complete, likewise.
    pub filled_ns: u64,
    /// When its chunks were hashed, likewise.
    pub hashed_ns: u64,
}

impl Load {
    /// Makes an empty load of this one.
    pub(super) fn reset(&mut self, seq: usize, blocks: Range<usize>, plan: &Plan) {
        self.seq = seq;
        self.regions.clear();
        self.contents.clear();
        self.digests.clear();
        self.pieces.clear();
        self.notes.clear();
        let chunks = chunk_range(plan, &blocks).len();
        self.got.clear();
        self.got.resize(chunks, 0);
        self.parts.clear();
        self.parts.resize_with(chunks, || None);
        self.rests.clear();
        self.blocks = blocks;
    }

    /// Puts the regions together again once every buffer is back.
    ///
    /// # Panics
    /// When a buffer is missing that is not at the end of a run of buffers: leases join only with neighbours.
    pub(super) fn join_regions(&mut self, plan: &Plan) {
        let first_chunk = self.chunks(plan).start;
        for (block, rest) in self.blocks.clone().zip(self.rests.drain(..)) {
            let chunks = plan.block(block);
            let parts = &mut self.parts[chunks.start - first_chunk..chunks.end - first_chunk];
            let mut buffers = parts.iter_mut().filter_map(Option::take).chain(std::iter::once(rest));
            let mut region = buffers.next().expect("the rest of the region is always there");
            buffers.for_each(|buffer| region.join(buffer));
            self.regions.push(region);
        }
    }

    /// The chunks it holds, as a range of the plan's chunks.
    pub(super) fn chunks(&self, plan: &Plan) -> Range<usize> {
        chunk_range(plan, &self.blocks)
    }
}

fn chunk_range(plan: &Plan, blocks: &Range<usize>) -> Range<usize> {
    debug_assert!(!blocks.is_empty());
    plan.block(blocks.start).start..plan.block(blocks.end - 1).end
}

/// Identity of a chunk's bytes, wherever they lie in their file. One that was cut says how many of [`Load::pieces`] belong
/// to it; 0 when it was not.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The chunk is a whole file.
    Whole(Digest, u32),
    /// The chunk is a part of a larger file, or a hole: the next of [`Load::digests`]. Without a key when nobody asks for
    /// one: it is a hole, was cut, or nothing is stored once.
    Part(Option<Digest>, u32),
    /// Nothing was read.
    Nothing,
}

/// Identity of some bytes of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Their identity: see [`dedup::key_of`](crate::dedup::key_of).
    pub key: Digest,
    /// How many they are.
    pub len: u32,
}

/// What happened to a file while it was read.
#[derive(Debug)]
pub(super) enum Note {
    /// The last range of a larger file came with what `stat` said then: without that, nobody knows whether it changed.
    Witnessed,
    /// It changed between the walk and the read, but what was read is one consistent state with this witness.
    Settled(Witness),
    /// It changed while it was read: stored as read and flagged.
    Changed,
    /// It could not be read.
    Failed(io::Error),
}
