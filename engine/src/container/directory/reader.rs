//! Reads records back. Nothing that the bytes may hold makes this panic, loop or ask for more memory than a few times
//! their length.

use super::{Chunk, End, KINDS, Traits, fields, head, names, varint};
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
    traits: [Traits<&'a str>; KINDS],
    end: End,
    /// The chunk that the last entry stands for, until it is handed out.
    whole: Option<Chunk>,
}

/// An entry without what the reader itself keeps.
struct Fields<'a> {
    kind: Kind,
    traits: Traits<&'a str>,
    size: u64,
    flags: u32,
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
            traits: Default::default(),
            end: End::default(),
            whole: None,
        }
    }

    /// The next record; `None` at the end, and behind an error.
    ///
    /// # Errors
    /// [`ContainerError::Damaged`] or [`ContainerError::Unsupported`]; offsets count from the start of the directory.
    #[allow(clippy::should_implement_trait, reason = "an entry borrows from the reader, which no Iterator can say")]
    pub fn next(&mut self) -> Option<Result<Record<'_>>> {
        if let Some(chunk) = self.whole.take() {
            return Some(Ok(Record::Chunk(chunk)));
        }
        let start = self.input.offset();
        // Until a record has been read whole, nothing is left to read: behind an error there is no next record.
        let mut input = std::mem::replace(&mut self.input, Input { len: 0, rest: &[] });
        let head = *input.take(1)?.first()?;
        if head & head::CHUNK != 0 {
            return Some(self.chunk(head, start, &mut input).map(|chunk| {
                self.input = input;
                Record::Chunk(chunk)
            }));
        }
        let entry = self.entry(head, start, &mut input);
        match entry.and_then(|entry| check_metadata(&self.row_of(&entry)).map(|()| entry).map_err(|f| f.at(start))) {
            Ok(entry) => {
                self.input = input;
                Some(Ok(Record::Entry(self.row, self.row_of(&entry))))
            }
            Err(error) => {
                self.whole = None;
                Some(Err(error))
            }
        }
    }

    fn row_of<'r>(&'r self, entry: &Fields<'a>) -> Row<'r> {
        Row {
            path: &self.path,
            kind: entry.kind,
            size: entry.size,
            mode: entry.traits.mode,
            uid: entry.traits.uid,
            gid: entry.traits.gid,
            owner: entry.traits.owner,
            group: entry.traits.group,
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

    fn entry(&mut self, head: u8, start: u64, input: &mut Input<'a>) -> Result<Fields<'a>> {
        let number = head & head::KIND;
        let kind =
            Kind::from_number(number).ok_or_else(|| ContainerError::unsupported("kind of entry", start, number))?;
        self.row = match head & head::ROW {
            0 => self.row.checked_add(1).ok_or_else(|| {
                ContainerError::damaged("row", start, "a number below 2^32", format_args!("{}+1", self.row))
            })?,
            _ => input.near("row", self.row)?,
        };
        let traits = &mut self.traits[usize::from(number)];
        if head & head::TRAITS != 0 {
            *traits = input.traits()?;
        }
        let traits = *traits;
        self.path(input)?;
        let size = input.number("size")?;
        self.mtime_ns = self.mtime_ns.wrapping_add(varint::signed(input.number("mtime")?));
        let mut entry = Fields { kind, traits, size, flags: 0, link_target: None, hardlink: None, device: None };
        self.xattrs.clear();
        self.holes.clear();
        if head & head::FIELDS != 0 {
            self.fields(&mut entry, input)?;
        }
        if head & head::WHOLE != 0 {
            self.whole = Some(self.contents(size, start)?);
        }
        Ok(entry)
    }

    /// The chunk of an entry whose contents lie behind all chunks so far.
    fn contents(&mut self, size: u64, start: u64) -> Result<Chunk> {
        let End { block, offset } = self.end;
        match u32::try_from(size).ok().filter(|&len| len > 0 && offset.checked_add(len).is_some()) {
            Some(len) => {
                let chunk = Chunk { row: self.row, file_offset: 0, block, offset, len };
                self.end.pass(&chunk);
                Ok(chunk)
            }
            None => {
                let what = "size of contents in one chunk";
                Err(ContainerError::damaged(what, start, "not zero, within the block", size))
            }
        }
    }

    fn fields(&mut self, entry: &mut Fields<'a>, input: &mut Input<'a>) -> Result<()> {
        let at = input.offset();
        let present = input.byte("fields")?;
        if present & !fields::KNOWN != 0 {
            return Err(ContainerError::unsupported("fields of an entry", at, format_args!("{present:#x}")));
        }
        let has = |bit: u8| present & bit != 0;
        entry.link_target = has(fields::LINK_TARGET).then(|| input.bytes("link target")).transpose()?;
        entry.hardlink = has(fields::HARDLINK).then(|| input.number32("hard link")).transpose()?;
        entry.device = has(fields::DEVICE).then(|| input.device()).transpose()?;
        if has(fields::XATTRS) {
            self.read_xattrs(input)?;
        }
        if has(fields::HOLES) {
            self.read_holes(input)?;
        }
        if has(fields::FLAGS) {
            entry.flags = input.number32("flags")?;
        }
        Ok(())
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

    fn chunk(&mut self, head: u8, start: u64, input: &mut Input<'a>) -> Result<Chunk> {
        if head & !(head::CHUNK | head::ROW) != 0 {
            return Err(ContainerError::unsupported("head of a directory record", start, format_args!("{head:#x}")));
        }
        if head & head::ROW != 0 {
            self.row = input.near("row", self.row)?;
        }
        let file_offset = input.number("offset in a file")?;
        let block = input.near("block", self.end.block)?;
        let offset = input.number32("offset in a block")?;
        let at = input.offset();
        let len = input.number32("length of a chunk")?;
        if len == 0 || file_offset.checked_add(len.into()).is_none() || offset.checked_add(len).is_none() {
            return Err(ContainerError::damaged("length of a chunk", at, "not zero, no overflow", len));
        }
        let chunk = Chunk { row: self.row, file_offset, block, offset, len };
        self.end.pass(&chunk);
        Ok(chunk)
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

    fn traits(&mut self) -> Result<Traits<&'a str>> {
        let at = self.offset();
        let present = self.byte("names")?;
        if present & !names::KNOWN != 0 {
            return Err(ContainerError::unsupported("names of an entry", at, format_args!("{present:#x}")));
        }
        let (mode, uid, gid) = (self.number32("mode")?, self.number32("uid")?, self.number32("gid")?);
        let owner = (present & names::OWNER != 0).then(|| self.text("owner")).transpose()?;
        let group = (present & names::GROUP != 0).then(|| self.text("group")).transpose()?;
        Ok(Traits { mode, uid, gid, owner, group })
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
