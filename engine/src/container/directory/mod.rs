//! The directory of a frame: records that say which entries begin in it and which chunks lie in its block, so that an
//! archive whose index is gone can be rebuilt from its frames alone.
//!
//! A directory is a run of records without header or count; it ends where its bytes end. Numbers are LEB128 varints in
//! their shortest form ("zigzag" where they may be negative); strings are a length and bytes.
//!
//! ```text
//! Entry  01, row, kind u8, fields u8, shared, path tail, size, mode, uid, gid, mtime, flags,
//!        then, as the bits of `fields` say: 01 owner, 02 group, 04 link target, 08 hard link's row,
//!        10 device major, minor, 20 xattrs: count, (name, value)…, 40 holes: count, (gap, length)…
//! Chunk  02, row, offset in the file, block, offset in the block, length
//! ```
//!
//! `row` is the zigzag difference from the row of the record before; `shared` is how many leading bytes of the path
//! equal those of the entry before; `mtime` is the zigzag difference (mod 2⁶⁴) from the entry before; `block` is the
//! zigzag difference from the chunk before; `gap` counts from the end of the hole before. All of these start at zero
//! in each directory.
//!
//! An unknown tag or bit is an error: records have no lengths, nothing behind one could be read.

mod reader;
mod varint;
mod writer;

pub use reader::{DirectoryReader, Record};
pub use writer::DirectoryWriter;

/// Tag of an entry.
const TAG_ENTRY: u8 = 1;
/// Tag of a chunk.
const TAG_CHUNK: u8 = 2;

/// Which optional fields an entry has.
mod fields {
    pub(super) const OWNER: u8 = 0x01;
    pub(super) const GROUP: u8 = 0x02;
    pub(super) const LINK_TARGET: u8 = 0x04;
    pub(super) const HARDLINK: u8 = 0x08;
    pub(super) const DEVICE: u8 = 0x10;
    pub(super) const XATTRS: u8 = 0x20;
    pub(super) const HOLES: u8 = 0x40;
    pub(super) const KNOWN: u8 = 0x7f;
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
