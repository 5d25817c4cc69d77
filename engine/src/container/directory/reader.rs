//! Reads records back. Nothing that the bytes may hold makes this panic, loop or ask for more memory than a few times
//! their length.

use super::{Chunk, TAG_CHUNK, TAG_ENTRY, fields, varint};
use crate::container::error::ContainerError;
use crate::container::rules::check_metadata;
use crate::entry::{Device, Hole, Kind, Row, Xattr};

type Result<T> = std::result::Result<T, ContainerError>;

/// One record of a directory. An entry borrows from the reader until the next record is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Record<'r> {
    /// An entry: its row, and everything but digest and extents.
    Entry(u32, Row<'r>),
    /// A chunk.
    Chunk(Chunk),
}

/// Reads the records of one directory in order.
#[derive(Debug)]
pub struct DirectoryReader<'a> {
    input: Input<'a>,
    path: Vec<u8>,
    xattrs: Vec<Xattr>,
    holes: Vec<Hole>,
    row: u32,
    mtime_ns: i64,
    block: u32,
}

/// An entry without what the reader itself keeps.
struct Fields<'a> {
    kind: Kind,
    size: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    flags: u32,
    owner: Option<&'a str>,
    group: Option<&'a str>,
    link_target: Option<&'a [u8]>,
    hardlink: Option<u32>,
    device: Option<Device>,
}

impl<'a> DirectoryReader<'a> {
    /// Starts at the first record of a directory in its uncompressed form.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Input { len: bytes.len(), rest: bytes },
            path: Vec::new(),
            xattrs: Vec::new(),
            holes: Vec::new(),
            row: 0,
            mtime_ns: 0,
            block: 0,
        }
    }

    /// The next record; `None` at the end, and behind an error.
    ///
    /// # Errors
    /// [`ContainerError::Damaged`] or [`ContainerError::Unsupported`]; offsets count from the start of the directory.
    #[allow(clippy::should_implement_trait, reason = "an entry borrows from the reader, which no Iterator can say")]
    pub fn next(&mut self) -> Option<Result<Record<'_>>> {
        let start = self.input.offset();
        // Until a record has been read whole, nothing is left to read: behind an error there is no next record.
        let mut input = std::mem::replace(&mut self.input, Input { len: 0, rest: &[] });
        match *input.take(1)?.first()? {
            TAG_ENTRY => match self.entry(&mut input) {
                Ok(entry) => {
                    if let Err(fault) = check_metadata(&self.row_of(&entry)) {
                        return Some(Err(fault.at(start)));
                    }
                    self.input = input;
                    Some(Ok(Record::Entry(self.row, self.row_of(&entry))))
                }
                Err(error) => Some(Err(error)),
            },
            TAG_CHUNK => Some(self.chunk(&mut input).map(|chunk| {
                self.input = input;
                Record::Chunk(chunk)
            })),
            tag => Some(Err(ContainerError::unsupported("tag of a directory record", start, tag))),
        }
    }

    fn row_of<'r>(&'r self, entry: &Fields<'a>) -> Row<'r> {
        Row {
            path: &self.path,
            kind: entry.kind,
            size: entry.size,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            owner: entry.owner,
            group: entry.group,
            mtime_ns: self.mtime_ns,
            link_target: entry.link_target,
            hardlink: entry.hardlink,
            device: entry.device,
            xattrs: &self.xattrs,
            holes: &self.holes,
            digest: None,
            extents: &[],
            flags: entry.flags,
        }
    }

    fn entry(&mut self, input: &mut Input<'a>) -> Result<Fields<'a>> {
        self.row = input.near("row", self.row)?;
        let at = input.offset();
        let kind = input.byte("kind")?;
        let kind = Kind::from_number(kind).ok_or_else(|| ContainerError::unsupported("kind of entry", at, kind))?;
        let present = input.byte("fields")?;
        if present & !fields::KNOWN != 0 {
            return Err(ContainerError::unsupported("fields of an entry", at + 1, format_args!("{present:#x}")));
        }
        self.path(input)?;
        let size = input.number("size")?;
        let (mode, uid, gid) = (input.number32("mode")?, input.number32("uid")?, input.number32("gid")?);
        self.mtime_ns = self.mtime_ns.wrapping_add(varint::signed(input.number("mtime")?));
        let flags = input.number32("flags")?;
        let has = |bit: u8| present & bit != 0;
        let entry = Fields {
            kind,
            size,
            mode,
            uid,
            gid,
            flags,
            owner: has(fields::OWNER).then(|| input.text("owner")).transpose()?,
            group: has(fields::GROUP).then(|| input.text("group")).transpose()?,
            link_target: has(fields::LINK_TARGET).then(|| input.bytes("link target")).transpose()?,
            hardlink: has(fields::HARDLINK).then(|| input.number32("hard link")).transpose()?,
            device: has(fields::DEVICE).then(|| input.device()).transpose()?,
        };
        self.xattrs.clear();
        self.holes.clear();
        if has(fields::XATTRS) {
            self.read_xattrs(input)?;
        }
        if has(fields::HOLES) {
            self.read_holes(input)?;
        }
        Ok(entry)
    }

    fn path(&mut self, input: &mut Input<'a>) -> Result<()> {
        let at = input.offset();
        let shared = input.number("shared length of a path")?;
        let known = self.path.len();
        let Some(shared) = usize::try_from(shared).ok().filter(|&shared| shared <= known) else {
            let expected = format!("at most {known}, the length of the path before");
            return Err(ContainerError::damaged("shared length of a path", at, expected, shared));
        };
        self.path.truncate(shared);
        self.path.extend_from_slice(input.bytes("path")?);
        Ok(())
    }

    fn read_xattrs(&mut self, input: &mut Input<'a>) -> Result<()> {
        // No memory is set aside by the count: each attribute takes bytes of its own, or there is an error.
        for _ in 0..input.count("xattrs")? {
            let (name, value) = (input.bytes("xattr name")?, input.bytes("xattr value")?);
            self.xattrs.push(Xattr { name: name.to_vec(), value: value.to_vec() });
        }
        Ok(())
    }

    fn read_holes(&mut self, input: &mut Input<'a>) -> Result<()> {
        let mut end = 0u64;
        for _ in 0..input.count("holes")? {
            let at = input.offset();
            let (gap, len) = (input.number("hole")?, input.number("hole")?);
            let offset = end.checked_add(gap);
            let hole = offset.and_then(|offset| Some((offset, offset.checked_add(len)?)));
            let Some((offset, next)) = hole else {
                return Err(ContainerError::damaged(
                    "hole",
                    at,
                    "an end below 2^64",
                    format_args!("{end}+{gap}+{len}"),
                ));
            };
            self.holes.push(Hole { offset, len });
            end = next;
        }
        Ok(())
    }

    fn chunk(&mut self, input: &mut Input<'a>) -> Result<Chunk> {
        self.row = input.near("row", self.row)?;
        let file_offset = input.number("offset in a file")?;
        self.block = input.near("block", self.block)?;
        let offset = input.number32("offset in a block")?;
        let at = input.offset();
        let len = input.number32("length of a chunk")?;
        if len == 0 || file_offset.checked_add(len.into()).is_none() || offset.checked_add(len).is_none() {
            return Err(ContainerError::damaged("length of a chunk", at, "not zero, no overflow", len));
        }
        Ok(Chunk { row: self.row, file_offset, block: self.block, offset, len })
    }
}

/// Bytes of a directory that are not read yet.
#[derive(Debug)]
struct Input<'a> {
    len: usize,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn offset(&self) -> u64 {
        (self.len - self.rest.len()) as u64
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(len)?;
        self.rest = tail;
        Some(head)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8> {
        let at = self.offset();
        self.take(1).map(|bytes| bytes[0]).ok_or_else(|| self.ended(what, at, 1))
    }

    fn number(&mut self, what: &'static str) -> Result<u64> {
        let at = self.offset();
        varint::take(&mut self.rest)
            .ok_or_else(|| ContainerError::damaged(what, at, "a varint in its shortest form", "none"))
    }

    fn number32(&mut self, what: &'static str) -> Result<u32> {
        let at = self.offset();
        let value = self.number(what)?;
        u32::try_from(value).map_err(|_| ContainerError::damaged(what, at, "a number below 2^32", value))
    }

    /// A number that is written as its difference from `from`.
    fn near(&mut self, what: &'static str, from: u32) -> Result<u32> {
        let at = self.offset();
        let by = varint::signed(self.number(what)?);
        i64::from(from)
            .checked_add(by)
            .and_then(|value| u32::try_from(value).ok())
            .ok_or_else(|| ContainerError::damaged(what, at, "a number from 0 to 2^32", format_args!("{from}{by:+}")))
    }

    /// How many items follow: each takes at least two bytes, so that a wrong count is known at once.
    fn count(&mut self, what: &'static str) -> Result<u64> {
        let at = self.offset();
        let count = self.number(what)?;
        let most = self.rest.len() as u64 / 2;
        if count == 0 || count > most {
            return Err(ContainerError::damaged(what, at, format_args!("a count from 1 to {most}"), count));
        }
        Ok(count)
    }

    fn bytes(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let at = self.offset();
        let len = self.number(what)?;
        usize::try_from(len).ok().and_then(|len| self.take(len)).ok_or_else(|| self.ended(what, at, len))
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str> {
        let at = self.offset();
        let bytes = self.bytes(what)?;
        str::from_utf8(bytes).map_err(|_| ContainerError::damaged(what, at, "UTF-8", bytes.escape_ascii()))
    }

    fn device(&mut self) -> Result<Device> {
        Ok(Device { major: self.number32("device")?, minor: self.number32("device")? })
    }

    #[cold]
    fn ended(&self, what: &'static str, at: u64, needed: u64) -> ContainerError {
        let left = self.rest.len();
        ContainerError::damaged(what, at, format_args!("{needed} bytes"), format_args!("{left} left in the directory"))
    }
}
