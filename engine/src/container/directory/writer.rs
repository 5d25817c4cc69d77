//! Appends records to a buffer that is used again and again.

use super::{Chunk, TAG_CHUNK, TAG_ENTRY, fields, varint};
use crate::entry::Row;

/// Writes the directory of one frame after the other into the same buffers.
#[derive(Debug, Default)]
pub struct DirectoryWriter {
    bytes: Vec<u8>,
    path: Vec<u8>,
    row: u32,
    mtime_ns: i64,
    block: u32,
}

impl DirectoryWriter {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The records so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all records and starts the next directory, whose records refer to nothing before.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.path.clear();
        (self.row, self.mtime_ns, self.block) = (0, 0, 0);
    }

    /// Hands the records over and starts the next directory in `buffer`, which is cleared: for a writer that passes
    /// finished directories to other threads and gets their buffers back.
    #[must_use]
    pub fn replace(&mut self, buffer: Vec<u8>) -> Vec<u8> {
        let bytes = std::mem::replace(&mut self.bytes, buffer);
        self.clear();
        bytes
    }

    /// Adds the entry in row `number`: all of it but its digest and its extents.
    pub fn entry(&mut self, number: u32, row: &Row<'_>) {
        let mut present = 0;
        let mut has = |bit: u8, yes: bool| present |= if yes { bit } else { 0 };
        has(fields::OWNER, row.owner.is_some());
        has(fields::GROUP, row.group.is_some());
        has(fields::LINK_TARGET, row.link_target.is_some());
        has(fields::HARDLINK, row.hardlink.is_some());
        has(fields::DEVICE, row.device.is_some());
        has(fields::XATTRS, !row.xattrs.is_empty());
        has(fields::HOLES, !row.holes.is_empty());

        self.start(TAG_ENTRY, number);
        let shared = self.path.iter().zip(row.path).take_while(|(a, b)| a == b).count();
        let out = &mut self.bytes;
        out.extend_from_slice(&[row.kind.number(), present]);
        varint::put(out, shared as u64);
        put_bytes(out, &row.path[shared..]);
        for value in [row.size, row.mode.into(), row.uid.into(), row.gid.into()] {
            varint::put(out, value);
        }
        varint::put_signed(out, row.mtime_ns.wrapping_sub(self.mtime_ns));
        varint::put(out, row.flags.into());
        put_optional(out, row);

        self.path.truncate(shared);
        self.path.extend_from_slice(&row.path[shared..]);
        self.mtime_ns = row.mtime_ns;
    }

    /// Adds a chunk.
    pub fn chunk(&mut self, chunk: &Chunk) {
        self.start(TAG_CHUNK, chunk.row);
        varint::put(&mut self.bytes, chunk.file_offset);
        varint::put_signed(&mut self.bytes, i64::from(chunk.block) - i64::from(self.block));
        varint::put(&mut self.bytes, chunk.offset.into());
        varint::put(&mut self.bytes, chunk.len.into());
        self.block = chunk.block;
    }

    fn start(&mut self, tag: u8, row: u32) {
        self.bytes.push(tag);
        varint::put_signed(&mut self.bytes, i64::from(row) - i64::from(self.row));
        self.row = row;
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The fields that only some entries have, in the order of their bits.
fn put_optional(out: &mut Vec<u8>, row: &Row<'_>) {
    for text in [row.owner, row.group].into_iter().flatten() {
        put_bytes(out, text.as_bytes());
    }
    if let Some(target) = row.link_target {
        put_bytes(out, target);
    }
    if let Some(first) = row.hardlink {
        varint::put(out, first.into());
    }
    if let Some(device) = row.device {
        varint::put(out, device.major.into());
        varint::put(out, device.minor.into());
    }
    if !row.xattrs.is_empty() {
        varint::put(out, row.xattrs.len() as u64);
        for xattr in row.xattrs {
            put_bytes(out, &xattr.name);
            put_bytes(out, &xattr.value);
        }
    }
    if !row.holes.is_empty() {
        varint::put(out, row.holes.len() as u64);
        let mut end = 0u64;
        for hole in row.holes {
            varint::put(out, hole.offset.wrapping_sub(end));
            varint::put(out, hole.len);
            end = hole.offset.wrapping_add(hole.len);
        }
    }
}
