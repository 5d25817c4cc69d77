//! Appends records to a buffer that is used again and again.

use super::{Chunk, End, KINDS, Traits, fields, head, names, varint};
use crate::entry::Row;

/// Writes the directory of one frame after the other into the same buffers.
#[derive(Debug, Default)]
pub struct DirectoryWriter {
    bytes: Vec<u8>,
    path: Vec<u8>,
    row: u32,
    mtime_ns: i64,
    traits: [Traits<String>; KINDS],
    end: End,
    /// The last record, while it is an entry: its chunk may need no record of its own.
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    /// Where its head stands.
    at: usize,
    row: u32,
    size: u64,
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
        (self.row, self.mtime_ns, self.end, self.last) = (0, 0, End::default(), None);
        self.traits = Default::default();
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
        let at = self.start(row.kind.number(), self.row.checked_add(1), number);
        self.last = Some(Last { at, row: number, size: row.size });
        if self.put_traits(row) {
            self.bytes[at] |= head::TRAITS;
        }
        let shared = self.path.iter().zip(row.path).take_while(|(a, b)| a == b).count();
        let out = &mut self.bytes;
        varint::put(out, shared as u64);
        put_bytes(out, &row.path[shared..]);
        varint::put(out, row.size);
        varint::put_signed(out, row.mtime_ns.wrapping_sub(self.mtime_ns));
        if put_fields(out, row) {
            out[at] |= head::FIELDS;
        }
        self.path.truncate(shared);
        self.path.extend_from_slice(&row.path[shared..]);
        self.mtime_ns = row.mtime_ns;
    }

    /// Adds a chunk.
    pub fn chunk(&mut self, chunk: &Chunk) {
        let end = self.end;
        self.end.pass(chunk);
        if let Some(Last { at, row, size }) = self.last.take()
            && (chunk.row, chunk.file_offset, u64::from(chunk.len)) == (row, 0, size)
            && (chunk.block, chunk.offset) == (end.block, end.offset)
        {
            self.bytes[at] |= head::WHOLE;
            return;
        }
        self.start(head::CHUNK, Some(self.row), chunk.row);
        varint::put(&mut self.bytes, chunk.file_offset);
        varint::put_signed(&mut self.bytes, i64::from(chunk.block) - i64::from(end.block));
        varint::put(&mut self.bytes, chunk.offset.into());
        varint::put(&mut self.bytes, chunk.len.into());
    }

    /// Begins a record, and says where its head stands.
    fn start(&mut self, head: u8, expected: Option<u32>, row: u32) -> usize {
        let at = self.bytes.len();
        if expected == Some(row) {
            self.bytes.push(head);
        } else {
            self.bytes.push(head | head::ROW);
            varint::put_signed(&mut self.bytes, i64::from(row) - i64::from(self.row));
        }
        self.row = row;
        at
    }

    /// Adds the traits of an entry, unless they are those of the last one of its kind.
    fn put_traits(&mut self, row: &Row<'_>) -> bool {
        let kept = &mut self.traits[usize::from(row.kind.number())];
        let known = Traits {
            mode: kept.mode,
            uid: kept.uid,
            gid: kept.gid,
            owner: kept.owner.as_deref(),
            group: kept.group.as_deref(),
        };
        let Row { mode, uid, gid, owner, group, .. } = *row;
        if known == (Traits { mode, uid, gid, owner, group }) {
            return false;
        }
        let out = &mut self.bytes;
        let has = |bit: u8, name: Option<&str>| if name.is_some() { bit } else { 0 };
        out.push(has(names::OWNER, owner) | has(names::GROUP, group));
        for value in [mode, uid, gid] {
            varint::put(out, value.into());
        }
        for name in [owner, group].into_iter().flatten() {
            put_bytes(out, name.as_bytes());
        }
        (kept.mode, kept.uid, kept.gid) = (mode, uid, gid);
        keep(&mut kept.owner, owner);
        keep(&mut kept.group, group);
        true
    }
}

/// Remembers a name, in the memory of the one before where there is one: modes change often, names seldom do.
fn keep(kept: &mut Option<String>, name: Option<&str>) {
    match (kept, name) {
        (Some(kept), Some(name)) => {
            kept.clear();
            kept.push_str(name);
        }
        (kept, name) => *kept = name.map(str::to_owned),
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Adds the fields that only some entries have, in the order of their bits; nothing where there is none.
fn put_fields(out: &mut Vec<u8>, row: &Row<'_>) -> bool {
    let has = |bit: u8, yes: bool| if yes { bit } else { 0 };
    let present = has(fields::LINK_TARGET, row.link_target.is_some())
        | has(fields::HARDLINK, row.hardlink.is_some())
        | has(fields::DEVICE, row.device.is_some())
        | has(fields::XATTRS, !row.xattrs.is_empty())
        | has(fields::HOLES, !row.holes.is_empty())
        | has(fields::FLAGS, row.flags != 0);
    if present == 0 {
        return false;
    }
    out.push(present);
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
    if row.flags != 0 {
        varint::put(out, row.flags.into());
    }
    true
}
