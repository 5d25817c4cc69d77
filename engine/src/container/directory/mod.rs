//! The directory of a frame: records that say which entries begin in it and which chunks lie in its block, so that an
//! archive whose index is gone can be rebuilt from its frames alone.
//!
//! A directory is a run of records without header or count; it ends where its bytes end. Numbers are LEB128 varints in
//! their shortest form ("zigzag" where they may be negative); strings are a length and bytes.
//!
//! ```text
//! Entry  head u8: kind, and bits; row if 08; traits if 10: names u8, mode, uid, gid, owner if 01, group if 02;
//!        shared, path tail, size, mtime; if 40: fields u8, then, as its bits say: 01 link target, 02 hard link's row,
//!        04 device major, minor, 08 xattrs: count, (name, value)…, 10 holes: count, (gap, length)…, 20 flags
//! Chunk  head u8: 80; row if 08; offset in the file, block, offset in the block, length
//! ```
//!
//! Without 08 the row of an entry is the one behind that of the record before, that of a chunk the same; with it, the
//! zigzag difference follows. Traits that are not given are those of the last entry of the same kind. `shared` is how many
//! leading bytes of the path equal those of the entry before; `mtime` is the zigzag difference (mod 2⁶⁴) from the entry
//! before; `gap` counts from the end of the hole before.
//!
//! Blocks are filled from front to back, so most chunks begin where the last one ended. The *end* is the highest place,
//! block first, at which a chunk so far has ended; `block` is the zigzag difference from its block. An entry with 20
//! stands for a chunk as well: all its contents, from the end on.
//!
//! All of these start at zero, or empty, in each directory. An unknown bit is an error: records have no lengths, nothing
//! behind one could be read.

mod reader;
mod varint;
mod writer;

pub use reader::{DirectoryReader, Record};
pub use writer::DirectoryWriter;

/// Bits of the first byte of a record.
mod head {
    /// The number of an entry's kind.
    pub(super) const KIND: u8 = 0x07;
    pub(super) const ROW: u8 = 0x08;
    pub(super) const TRAITS: u8 = 0x10;
    pub(super) const WHOLE: u8 = 0x20;
    pub(super) const FIELDS: u8 = 0x40;
    pub(super) const CHUNK: u8 = 0x80;
}

/// Which names an entry has.
mod names {
    pub(super) const OWNER: u8 = 0x01;
    pub(super) const GROUP: u8 = 0x02;
    pub(super) const KNOWN: u8 = 0x03;
}

/// Which optional fields an entry has.
mod fields {
    pub(super) const LINK_TARGET: u8 = 0x01;
    pub(super) const HARDLINK: u8 = 0x02;
    pub(super) const DEVICE: u8 = 0x04;
    pub(super) const XATTRS: u8 = 0x08;
    pub(super) const HOLES: u8 = 0x10;
    pub(super) const FLAGS: u8 = 0x20;
    pub(super) const KNOWN: u8 = 0x3f;
}

/// Number of kinds of entries.
const KINDS: usize = 8;

/// What most entries of a kind have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traits<T> {
    mode: u32,
    uid: u32,
    gid: u32,
    owner: Option<T>,
    group: Option<T>,
}

/// How far blocks are filled: the highest block so far, and where its last chunk ends, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    block: u32,
    offset: u32,
}

impl End {
    /// Goes on to the end of a chunk, unless it lies further back: a duplicate.
    fn pass(&mut self, chunk: &Chunk) {
        // Writers and readers let no chunk through that ends beyond 2³².
        *self = (*self).max(Self { block: chunk.block, offset: chunk.offset.saturating_add(chunk.len) });
    }
}

/// Where a piece of a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// Row of the file.
    pub row: u32,
    /// Offset in the file, bytes.
    pub file_offset: u64,
    /// The block: seq of its frame. An earlier one when the chunk is a duplicate.
    pub block: u32,
    /// Offset in the uncompressed block, bytes.
    pub offset: u32,
    /// Length, bytes, never zero.
    pub len: u32,
}

#[cfg(test)]
mod tests;
