//! Rows of entries into record batches.
//!
//! A batch is closed when it is full and handed to the caller, who encodes it wherever there is a thread to spare.

use std::mem;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, FixedSizeBinaryBuilder, StringBuilder, TimestampNanosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, BinaryArray, ListArray, RecordBatch, StructArray, UInt32Array, UInt64Array};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::Fields;

use super::encode::{EncodedBatch, encode};
use super::manifest::Counts;
use super::rules::check_row;
use super::{IndexError, Result, schema};
use crate::container::rules::Fault;
use crate::entry::Row;
use crate::limits::{BATCH_ROWS, BATCH_VALUES_LEN, ROW_LEN_MAX, ROWS_MAX};

/// Gathers rows, which come in ascending order of path.
#[derive(Debug)]
pub struct EntriesWriter {
    columns: Columns,
    rows: u64,
    first: Vec<u8>,
    last: Vec<u8>,
    counts: Counts,
    values_len: u64,
}

/// A full batch on its way to be encoded.
#[derive(Debug)]
pub struct PlainBatch {
    batch: State,
    first: Vec<u8>,
    counts: Counts,
}

#[derive(Debug)]
enum State {
    Plain(RecordBatch),
    Encoded(EncodedBatch),
}

/// A batch of entries as bytes.
#[derive(Debug, Clone)]
pub struct EncodedEntries {
    /// The message.
    pub message: EncodedBatch,
    /// Path of the first row.
    pub first: Vec<u8>,
    /// Sums over its rows.
    pub counts: Counts,
}

impl PlainBatch {
    #[cfg(test)]
    pub(super) fn record_batch(&self) -> &RecordBatch {
        match &self.batch {
            State::Plain(batch) => batch,
            State::Encoded(_) => panic!("the batch is encoded already"),
        }
    }

    /// Compresses and encodes the batch: some milliseconds of work that need no other batch.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`] when it is longer than the format allows.
    pub fn encode(self) -> Result<EncodedEntries> {
        let message = match self.batch {
            State::Plain(batch) => encode(&batch)?,
            State::Encoded(message) => message,
        };
        Ok(EncodedEntries { message, first: self.first, counts: self.counts })
    }

    /// Does the work of [`encode`](Self::encode) at once: the batch takes less memory from now on.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_now(&mut self) -> Result<()> {
        if let State::Plain(batch) = &self.batch {
            self.batch = State::Encoded(encode(batch)?);
        }
        Ok(())
    }
}

impl Default for EntriesWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl EntriesWriter {
    /// No rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            columns: Columns::new(),
            rows: 0,
            first: Vec::new(),
            last: Vec::new(),
            counts: Counts::default(),
            values_len: 0,
        }
    }

    /// Number of rows so far: the number of the next one.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a row, and hands out the batch that was full before it, if it was.
    ///
    /// # Errors
    /// [`IndexError::Refused`] when the row breaks a rule of the format or does not follow the row before it,
    /// [`IndexError::TooLarge`] when the row or their number is beyond the limits. The row is then not added.
    pub fn push(&mut self, row: &Row<'_>) -> Result<Option<PlainBatch>> {
        let refused = |fault| IndexError::Refused { path: row.path.escape_ascii().to_string(), fault };
        check_row(row).map_err(refused)?;
        if self.rows > 0 && row.path <= self.last.as_slice() {
            return Err(refused(Fault::new("path", "ascending order", self.last.escape_ascii())));
        }
        let len = values_len(row);
        for (what, size, limit) in [("row", len, ROW_LEN_MAX), ("number of rows", self.rows + 1, ROWS_MAX)] {
            if size > limit {
                return Err(IndexError::TooLarge { what, size, limit });
            }
        }
        let full = self.counts.entries as usize == BATCH_ROWS || self.values_len.saturating_add(len) > BATCH_VALUES_LEN;
        let batch = if full { self.take() } else { None };
        if self.counts.entries == 0 {
            self.first.extend_from_slice(row.path);
        }
        self.columns.push(row);
        self.counts.add(row);
        self.values_len += len;
        self.last.clear();
        self.last.extend_from_slice(row.path);
        self.rows += 1;
        Ok(batch)
    }

    /// The last batch, unless there is no row in it.
    #[must_use]
    pub fn finish(mut self) -> Option<PlainBatch> {
        self.take()
    }

    fn take(&mut self) -> Option<PlainBatch> {
        if self.counts.entries == 0 {
            return None;
        }
        self.values_len = 0;
        Some(PlainBatch {
            batch: State::Plain(self.columns.take()),
            first: mem::take(&mut self.first),
            counts: mem::take(&mut self.counts),
        })
    }
}

/// Bytes that the values of variable length of a row take.
fn values_len(row: &Row<'_>) -> u64 {
    let xattrs: usize = row.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len() + 8).sum();
    let names = row.owner.map_or(0, str::len) + row.group.map_or(0, str::len);
    let values = row.path.len() + row.link_target.map_or(0, <[u8]>::len) + names + xattrs;
    values as u64 + row.holes.len() as u64 * 16 + row.extents.len() as u64 * 12
}

/// Values of the rows of one batch.
#[derive(Debug)]
struct Columns {
    path: StringBuilder,
    path_raw: BinaryBuilder,
    kind: StringBuilder,
    size: UInt64Builder,
    mode: UInt32Builder,
    uid: UInt32Builder,
    gid: UInt32Builder,
    owner: StringBuilder,
    group: StringBuilder,
    mtime: TimestampNanosecondBuilder,
    link_target: BinaryBuilder,
    hardlink: UInt64Builder,
    device_major: UInt32Builder,
    device_minor: UInt32Builder,
    xattrs: Lists,
    xattr_names: BinaryBuilder,
    xattr_values: BinaryBuilder,
    holes: Lists,
    hole_offsets: Vec<u64>,
    hole_lens: Vec<u64>,
    digest: FixedSizeBinaryBuilder,
    extents: Lists,
    extent_blocks: Vec<u32>,
    extent_offsets: Vec<u32>,
    extent_lens: Vec<u32>,
    flags: UInt32Builder,
}

impl Columns {
    fn new() -> Self {
        Self {
            path: StringBuilder::new(),
            path_raw: BinaryBuilder::new(),
            kind: StringBuilder::new(),
            size: UInt64Builder::new(),
            mode: UInt32Builder::new(),
            uid: UInt32Builder::new(),
            gid: UInt32Builder::new(),
            owner: StringBuilder::new(),
            group: StringBuilder::new(),
            mtime: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            link_target: BinaryBuilder::new(),
            hardlink: UInt64Builder::new(),
            device_major: UInt32Builder::new(),
            device_minor: UInt32Builder::new(),
            xattrs: Lists::new(),
            xattr_names: BinaryBuilder::new(),
            xattr_values: BinaryBuilder::new(),
            holes: Lists::new(),
            hole_offsets: Vec::new(),
            hole_lens: Vec::new(),
            digest: FixedSizeBinaryBuilder::new(32),
            extents: Lists::new(),
            extent_blocks: Vec::new(),
            extent_offsets: Vec::new(),
            extent_lens: Vec::new(),
            flags: UInt32Builder::new(),
        }
    }

    fn push(&mut self, row: &Row<'_>) {
        let text = String::from_utf8_lossy(row.path);
        let is_lossy = matches!(text, std::borrow::Cow::Owned(_));
        self.path.append_value(text);
        self.path_raw.append_option(is_lossy.then_some(row.path));
        self.kind.append_value(row.kind.name());
        self.size.append_value(row.size);
        self.mode.append_value(row.mode);
        self.uid.append_value(row.uid);
        self.gid.append_value(row.gid);
        self.owner.append_option(row.owner);
        self.group.append_option(row.group);
        self.mtime.append_value(row.mtime_ns);
        self.link_target.append_option(row.link_target);
        self.hardlink.append_option(row.hardlink.map(u64::from));
        self.device_major.append_option(row.device.map(|device| device.major));
        self.device_minor.append_option(row.device.map(|device| device.minor));
        for xattr in row.xattrs {
            self.xattr_names.append_value(&xattr.name);
            self.xattr_values.append_value(&xattr.value);
        }
        self.xattrs.push(row.xattrs.len());
        self.hole_offsets.extend(row.holes.iter().map(|hole| hole.offset));
        self.hole_lens.extend(row.holes.iter().map(|hole| hole.len));
        self.holes.push(row.holes.len());
        match row.digest {
            Some(digest) => self.digest.append_value(digest.0).expect("a digest has 32 bytes"),
            None => self.digest.append_null(),
        }
        self.extent_blocks.extend(row.extents.iter().map(|extent| extent.block));
        self.extent_offsets.extend(row.extents.iter().map(|extent| extent.offset));
        self.extent_lens.extend(row.extents.iter().map(|extent| extent.len));
        self.extents.push(row.extents.len());
        self.flags.append_value(row.flags);
    }

    /// The batch, in the order of the schema; the columns are empty again.
    fn take(&mut self) -> RecordBatch {
        let u32s = |values: &mut Vec<u32>| Arc::new(UInt32Array::from(mem::take(values))) as ArrayRef;
        let u64s = |values: &mut Vec<u64>| Arc::new(UInt64Array::from(mem::take(values))) as ArrayRef;
        let binary = |values: &mut BinaryBuilder| Arc::new(values.finish()) as Arc<BinaryArray> as ArrayRef;
        let xattrs = vec![binary(&mut self.xattr_names), binary(&mut self.xattr_values)];
        let holes = vec![u64s(&mut self.hole_offsets), u64s(&mut self.hole_lens)];
        let extents = [&mut self.extent_blocks, &mut self.extent_offsets, &mut self.extent_lens].map(u32s).to_vec();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.path.finish()),
            Arc::new(self.path_raw.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.size.finish()),
            Arc::new(self.mode.finish()),
            Arc::new(self.uid.finish()),
            Arc::new(self.gid.finish()),
            Arc::new(self.owner.finish()),
            Arc::new(self.group.finish()),
            Arc::new(self.mtime.finish()),
            Arc::new(self.link_target.finish()),
            Arc::new(self.hardlink.finish()),
            Arc::new(self.device_major.finish()),
            Arc::new(self.device_minor.finish()),
            self.xattrs.take(&schema::XATTR, xattrs),
            self.holes.take(&schema::HOLE, holes),
            Arc::new(self.digest.finish()),
            self.extents.take(&schema::EXTENT, extents),
            Arc::new(self.flags.finish()),
        ];
        RecordBatch::try_new(Arc::clone(&schema::ENTRIES), columns).expect("the columns are those of the schema")
    }
}

/// Where the list of each row ends; a row without items has no list.
#[derive(Debug)]
struct Lists {
    lens: Vec<usize>,
    nulls: NullBufferBuilder,
}

impl Lists {
    fn new() -> Self {
        Self { lens: Vec::new(), nulls: NullBufferBuilder::new(BATCH_ROWS) }
    }

    fn push(&mut self, len: usize) {
        self.lens.push(len);
        self.nulls.append(len > 0);
    }

    /// The column, its items made of `values`.
    fn take(&mut self, fields: &Fields, values: Vec<ArrayRef>) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(mem::take(&mut self.lens));
        let items = StructArray::new(fields.clone(), values, None);
        let list = ListArray::new(schema::item(fields.clone()), offsets, Arc::new(items), self.nulls.finish());
        Arc::new(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Kind;

    #[test]
    fn a_batch_is_the_same_whenever_it_is_encoded() {
        let batch = || {
            let mut writer = EntriesWriter::new();
            for path in [&b"a"[..], b"b", b"b\xff"] {
                assert!(
                    writer.push(&Row { mode: 0o755, mtime_ns: -7, ..Row::new(path, Kind::Dir) }).unwrap().is_none()
                );
            }
            writer.finish().unwrap()
        };
        let (late, mut early) = (batch().encode().unwrap(), batch());
        early.encode_now().unwrap();
        early.encode_now().unwrap();
        let early = early.encode().unwrap();
        assert!(early.message.bytes == late.message.bytes && early.message.digest == late.message.digest);
        assert_eq!((early.first, early.counts, early.message.rows), (late.first, late.counts, 3));
    }
}
