//! One batch of entries, decoded and checked: its rows can be had in any order.

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{
    Array, BinaryArray, FixedSizeBinaryArray, ListArray, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt32Array, UInt64Array,
};

use super::kept::Weight;
use super::manifest::Place;
use super::open::check_digest;
use super::rules::check_row;
use super::schema::{self, entry as column};
use super::{Result, message};
use crate::container::Source;
use crate::container::rules::Fault;
use crate::digest::Digest;
use crate::entry::{Device, Extent, Hole, Kind, Row, Xattr};

/// Name of a batch in errors.
const WHAT: &str = "entries batch";

/// Rows of the entries table that stand in one batch.
#[derive(Debug)]
pub struct Batch {
    place: Place,
    /// What it takes, bytes.
    bytes: usize,
    paths: Paths,
    kind: Vec<Kind>,
    size: UInt64Array,
    mode: UInt32Array,
    uid: UInt32Array,
    gid: UInt32Array,
    owner: StringArray,
    group: StringArray,
    mtime: TimestampNanosecondArray,
    link_target: BinaryArray,
    hardlink: UInt64Array,
    device_major: UInt32Array,
    device_minor: UInt32Array,
    xattrs: Lists,
    xattr_names: BinaryArray,
    xattr_values: BinaryArray,
    holes: Lists,
    hole_offsets: UInt64Array,
    hole_lens: UInt64Array,
    digest: FixedSizeBinaryArray,
    extents: Lists,
    extent_blocks: UInt32Array,
    extent_offsets: UInt32Array,
    extent_lens: UInt32Array,
    flags: UInt32Array,
}

/// Memory for the lists of one row, used again for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    xattrs: Vec<Xattr>,
    holes: Vec<Hole>,
    extents: Vec<Extent>,
}

impl Batch {
    /// Reads a batch. `first` is the path of its first row, `next` that of the batch behind it.
    pub(super) fn read(source: &dyn Source, place: Place, first: &[u8], next: Option<&[u8]>) -> Result<Self> {
        let bytes = source.bytes(WHAT, place.offset, place.len)?;
        check_digest(WHAT, &bytes, &place.digest, place.offset)?;
        let batch = message::decode(WHAT, bytes, place.offset, &schema::ENTRIES, place.rows)?;
        Self::new(&batch, place, first, next).map_err(|fault| fault.at(place.offset))
    }

    fn new(
        batch: &RecordBatch,
        place: Place,
        first: &[u8],
        next: Option<&[u8]>,
    ) -> std::result::Result<Self, Box<Fault>> {
        let text = |at: usize| batch.column(at).as_string::<i32>().clone();
        let binary = |at: usize| batch.column(at).as_binary::<i32>().clone();
        let u32s = |at: usize| batch.column(at).as_primitive::<UInt32Type>().clone();
        let u64s = |at: usize| batch.column(at).as_primitive::<UInt64Type>().clone();
        let list = |at: usize| batch.column(at).as_list::<i32>();
        let item = |at: usize, field: usize| list(at).values().as_struct().column(field);
        let kinds = batch.column(column::KIND).as_string::<i32>().iter().flatten();
        let mut kind = Vec::with_capacity(batch.num_rows());
        for name in kinds {
            kind.push(Kind::from_name(name).ok_or_else(|| Fault::new("kind", "a known one", name))?);
        }
        let columns = batch.columns().iter();
        let decoded: usize = columns.filter_map(|column| column.to_data().get_slice_memory_size().ok()).sum();
        let decoded = Self {
            place,
            // What Arrow did not have to decompress lies in the bytes that were read, which are held as long.
            bytes: decoded + usize::try_from(place.len).unwrap_or(usize::MAX / 2) + kind.len(),
            paths: Paths { text: text(column::PATH), raw: binary(column::PATH_RAW) },
            kind,
            size: u64s(column::SIZE),
            mode: u32s(column::MODE),
            uid: u32s(column::UID),
            gid: u32s(column::GID),
            owner: text(column::OWNER),
            group: text(column::GROUP),
            mtime: batch.column(column::MTIME).as_primitive::<TimestampNanosecondType>().clone(),
            link_target: binary(column::LINK_TARGET),
            hardlink: u64s(column::HARDLINK),
            device_major: u32s(column::DEVICE_MAJOR),
            device_minor: u32s(column::DEVICE_MINOR),
            xattrs: Lists(list(column::XATTRS).clone()),
            xattr_names: item(column::XATTRS, 0).as_binary::<i32>().clone(),
            xattr_values: item(column::XATTRS, 1).as_binary::<i32>().clone(),
            holes: Lists(list(column::HOLES).clone()),
            hole_offsets: item(column::HOLES, 0).as_primitive::<UInt64Type>().clone(),
            hole_lens: item(column::HOLES, 1).as_primitive::<UInt64Type>().clone(),
            digest: batch.column(column::DIGEST).as_fixed_size_binary().clone(),
            extents: Lists(list(column::EXTENTS).clone()),
            extent_blocks: item(column::EXTENTS, 0).as_primitive::<UInt32Type>().clone(),
            extent_offsets: item(column::EXTENTS, 1).as_primitive::<UInt32Type>().clone(),
            extent_lens: item(column::EXTENTS, 2).as_primitive::<UInt32Type>().clone(),
            flags: u32s(column::FLAGS),
        };
        decoded.check(first, next)?;
        Ok(decoded)
    }

    /// Checks every row alone, and that they ascend from `first` to below `next`.
    fn check(&self, first: &[u8], next: Option<&[u8]>) -> std::result::Result<(), Box<Fault>> {
        if self.path(0) != first {
            return Err(Fault::new("first path of a batch", "that of the manifest", self.path(0).escape_ascii()));
        }
        let mut scratch = Scratch::default();
        for at in 0..self.len() {
            self.paths.check(at)?;
            let (hardlink, is_device) = (self.hardlink.is_valid(at), self.device_major.is_valid(at));
            if hardlink && self.hardlink.value(at) >= self.first_row() + at as u64 {
                return Err(Fault::new("hard link", "an earlier row", self.hardlink.value(at)));
            }
            if is_device != self.device_minor.is_valid(at) {
                return Err(Fault::new("device", "both numbers or none", self.path(at).escape_ascii()));
            }
            check_row(&self.row(at, &mut scratch))?;
            let after = if at + 1 < self.len() { Some(self.path(at + 1)) } else { next };
            if after.is_some_and(|after| self.path(at) >= after) {
                return Err(Fault::new("path", "rows in ascending order of path", self.path(at).escape_ascii()));
            }
        }
        Ok(())
    }

    /// Number of rows, at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no batch is empty")]
    pub fn len(&self) -> usize {
        self.kind.len()
    }

    /// Number of the first row in the whole table.
    #[must_use]
    pub fn first_row(&self) -> u64 {
        self.place.first_row
    }

    /// Number in the whole table of the row in that place.
    #[must_use]
    pub fn number(&self, at: usize) -> u32 {
        // The index refuses archives of more rows.
        (self.place.first_row + at as u64) as u32
    }

    /// What the batch takes in memory, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Where the batch stands in the archive, bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.place.offset
    }

    /// Path of a row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn path(&self, at: usize) -> &[u8] {
        self.paths.get(at)
    }

    /// A row; its lists are put into `scratch`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row<'r>(&'r self, at: usize, scratch: &'r mut Scratch) -> Row<'r> {
        self.fill(at, scratch);
        Row {
            xattrs: &scratch.xattrs,
            holes: &scratch.holes,
            extents: &scratch.extents,
            digest: self.digest.is_valid(at).then(|| {
                let mut digest = [0; 32];
                digest.copy_from_slice(self.digest.value(at));
                Digest(digest)
            }),
            ..self.outline(at)
        }
    }

    /// A row without what takes longest to get: its lists and its digest.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn outline(&self, at: usize) -> Row<'_> {
        Row {
            path: self.path(at),
            kind: self.kind[at],
            size: self.size.value(at),
            mode: self.mode.value(at),
            uid: self.uid.value(at),
            gid: self.gid.value(at),
            owner: self.owner.is_valid(at).then(|| self.owner.value(at)),
            group: self.group.is_valid(at).then(|| self.group.value(at)),
            mtime_ns: self.mtime.value(at),
            link_target: self.link_target.is_valid(at).then(|| self.link_target.value(at)),
            // Checked to be an earlier row, and rows are fewer than 2^32.
            hardlink: self.hardlink.is_valid(at).then(|| self.hardlink.value(at) as u32),
            device: self
                .device_major
                .is_valid(at)
                .then(|| Device { major: self.device_major.value(at), minor: self.device_minor.value(at) }),
            xattrs: &[],
            holes: &[],
            digest: None,
            extents: &[],
            flags: self.flags.value(at),
        }
    }

    fn fill(&self, at: usize, scratch: &mut Scratch) {
        scratch.xattrs.clear();
        scratch.holes.clear();
        scratch.extents.clear();
        scratch.xattrs.extend(self.xattrs.range(at).map(|item| Xattr {
            name: self.xattr_names.value(item).to_vec(),
            value: self.xattr_values.value(item).to_vec(),
        }));
        let hole = |item| Hole { offset: self.hole_offsets.value(item), len: self.hole_lens.value(item) };
        scratch.holes.extend(self.holes.range(at).map(hole));
        scratch.extents.extend(self.extents.range(at).map(|item| Extent {
            block: self.extent_blocks.value(item),
            offset: self.extent_offsets.value(item),
            len: self.extent_lens.value(item),
        }));
    }

    /// The place of the first row whose path is not below `path` in byte order; `len` when there is none.
    #[must_use]
    pub fn lower_bound(&self, path: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.path(middle) < path { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl Weight for Batch {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Paths: as text, and as bytes where they are not text.
#[derive(Debug)]
struct Paths {
    text: StringArray,
    raw: BinaryArray,
}

impl Paths {
    fn get(&self, at: usize) -> &[u8] {
        if self.raw.is_valid(at) { self.raw.value(at) } else { self.text.value(at).as_bytes() }
    }

    /// Checks that a path is given as bytes where it is not UTF-8 and only there, and that its text follows from them.
    fn check(&self, at: usize) -> std::result::Result<(), Box<Fault>> {
        if self.raw.is_null(at) {
            return Ok(());
        }
        let (raw, text) = (self.raw.value(at), self.text.value(at));
        match String::from_utf8_lossy(raw) {
            std::borrow::Cow::Owned(lossy) if lossy == text => Ok(()),
            std::borrow::Cow::Owned(_) => Err(Fault::new("path", "the text that follows from path_raw", text)),
            std::borrow::Cow::Borrowed(_) => Err(Fault::new("path_raw", "bytes that are not UTF-8", text)),
        }
    }
}

/// A list column, of which only the offsets are asked for.
#[derive(Debug)]
struct Lists(ListArray);

impl Lists {
    fn range(&self, at: usize) -> std::ops::Range<usize> {
        if self.0.is_null(at) {
            return 0..0;
        }
        let offsets = self.0.value_offsets();
        offsets[at] as usize..offsets[at + 1] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::encode::encode_plain;
    use crate::index::entries::EntriesWriter;

    /// Rows that together have a value in every column.
    fn plain() -> (Vec<u8>, u32) {
        let xattrs = [Xattr { name: b"user.a".to_vec(), value: b"1".to_vec() }];
        let holes = [Hole { offset: 5, len: 7 }];
        let extents = [Extent { block: 0, offset: 3, len: 5 }];
        let digest = Some(Digest::of(b""));
        let file =
            Row { size: 12, holes: &holes, extents: &extents, digest, xattrs: &xattrs, ..Row::new(b"f", Kind::File) };
        let mut writer = EntriesWriter::new();
        for row in [
            Row { owner: Some("me"), group: Some("us"), mtime_ns: -5, ..Row::new(b"", Kind::Dir) },
            Row { device: Some(Device { major: 1, minor: 2 }), ..Row::new(b"d", Kind::BlockDevice) },
            file,
            Row { path: b"f\xff", ..file },
            Row { hardlink: Some(2), size: 12, ..Row::new(b"h", Kind::Hardlink) },
            Row { link_target: Some(b"\xfe"), ..Row::new(b"l", Kind::Symlink) },
        ] {
            writer.push(&row).unwrap();
        }
        let batch = writer.finish().unwrap();
        (encode_plain(batch.record_batch()), 6)
    }

    fn decoded(bytes: Vec<u8>, rows: u32) -> Result<Batch> {
        let place = Place { offset: 0, len: 0, first_row: 0, rows, digest: Digest::default() };
        let batch = message::decode(WHAT, bytes, 0, &schema::ENTRIES, rows)?;
        Batch::new(&batch, place, b"", None).map_err(|fault| fault.at(0))
    }

    #[test]
    fn a_hostile_batch_never_panics() {
        let (good, rows) = plain();
        decoded(good.clone(), rows).unwrap();
        assert!(decoded(good.clone(), rows + 1).is_err());
        let (mut refused, mut scratch) = (0, Scratch::default());
        for at in 0..good.len() {
            for change in [0x01, 0x02, 0x04, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= change;
                match decoded(bytes, rows) {
                    Err(_) => refused += 1,
                    Ok(batch) => {
                        (0..batch.len()).for_each(|at| assert!(check_row(&batch.row(at, &mut scratch)).is_ok()))
                    }
                }
            }
        }
        assert!(refused > 2000, "only {refused} changes were refused");
    }

    #[test]
    fn every_cut_of_a_batch_is_refused() {
        let (good, rows) = plain();
        for len in 0..good.len() {
            assert!(decoded(good[..len].to_vec(), rows).is_err(), "cut to {len}");
        }
    }
}
