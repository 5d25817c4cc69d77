//! Rows of the blocks table: one a frame, in order of seq.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, UInt32Array, UInt64Array};

use super::encode::{EncodedBatch, encode};
use super::schema::{self, block as column};
use super::{IndexError, Result};
use crate::container::align;
use crate::container::frame::HEADER_LEN;
use crate::container::{FrameHeader, FrameKind};
use crate::digest::Digest;
use crate::limits::{BATCH_ROWS, BLOCK_SIZE_MAX, DICTIONARY_LEN_MAX, DIRECTORY_LEN_MAX};

/// The codecs that the blocks table has words for, each at the place of its number.
const CODECS: [&str; 4] = ["store", "lz4", "zstd", "lzma"];

/// In front of the number of a codec that whoever wrote the table had no word for: whoever salvages what a newer version packed.
const NUMBERED: &str = "codec ";

/// Stands for a codec that the table names by a word which this version does not know. The frame's header has its number;
/// whoever needs the block is refused with that.
const CODEC_UNKNOWN: u8 = u8::MAX;

/// What the blocks table knows of one frame. All lengths and offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// Number of the frame, and of the row.
    pub seq: u64,
    /// What its payload is.
    pub kind: FrameKind,
    /// Number of the payload's codec; 255 for a word that this version does not know.
    pub codec: u8,
    /// Numbers of the filters before the codec.
    pub filters: [u8; 4],
    /// Where its header begins in the archive.
    pub offset: u64,
    /// Length of header, directory and payload, without padding.
    pub frame_len: u64,
    /// Length of the payload, uncompressed.
    pub raw_len: u32,
    /// Length of the payload as stored: the last bytes of the frame.
    pub stored_len: u32,
    /// Seq of the dictionary's frame.
    pub dictionary: Option<u64>,
    /// Digest of directory and payload as stored.
    pub digest: Digest,
}

impl BlockRow {
    /// The row of the frame that has this header and begins at `offset`.
    #[must_use]
    pub fn of(header: &FrameHeader, offset: u64) -> Self {
        Self {
            seq: header.seq,
            kind: header.kind,
            codec: header.codec,
            filters: header.filters,
            offset,
            frame_len: header.frame_len(),
            raw_len: header.raw_len,
            stored_len: header.stored_len,
            dictionary: header.dictionary,
            digest: header.digest,
        }
    }

    /// Where the stored payload begins in the archive.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        self.offset + self.frame_len - u64::from(self.stored_len)
    }

    /// `stored_len / raw_len`; 1 when there is no payload.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.raw_len == 0 { 1.0 } else { f64::from(self.stored_len) / f64::from(self.raw_len) }
    }

    /// Checks the row alone.
    fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        let body = u64::from(self.stored_len) + HEADER_LEN as u64;
        if self.raw_len > BLOCK_SIZE_MAX || self.stored_len > self.raw_len {
            return Err(("lengths within the limits", format!("{} from {}", self.stored_len, self.raw_len)));
        }
        if self.frame_len < body || self.frame_len > body + u64::from(DIRECTORY_LEN_MAX) {
            return Err(("a frame that holds header and payload", format!("{} bytes", self.frame_len)));
        }
        if self.offset.checked_add(self.frame_len).is_none() {
            return Err(("an end below 2^64", format!("{} bytes at {}", self.frame_len, self.offset)));
        }
        if self.dictionary.is_some_and(|seq| seq >= self.seq) {
            return Err(("a dictionary in a frame before", format!("{:?}", self.dictionary)));
        }
        if self.dictionary.is_some() && self.kind != FrameKind::Block {
            return Err(("a dictionary with blocks alone", self.kind.name().to_owned()));
        }
        if self.kind == FrameKind::Dictionary && !(1..=DICTIONARY_LEN_MAX).contains(&self.raw_len) {
            return Err(("a dictionary of 1 byte to 2 MiB", format!("{} bytes", self.raw_len)));
        }
        Ok(())
    }
}

/// A batch of blocks as bytes.
#[derive(Debug, Clone)]
pub(super) struct EncodedBlocks {
    pub(super) message: EncodedBatch,
    pub(super) first: u64,
}

/// Gathers rows in order of seq.
#[derive(Debug, Default)]
pub struct BlocksWriter {
    open: Vec<BlockRow>,
    done: Vec<EncodedBlocks>,
    next_seq: u64,
}

impl BlocksWriter {
    /// No rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When a batch cannot be encoded.
    ///
    /// # Panics
    /// When its seq is not the next one.
    pub fn push(&mut self, row: &BlockRow) -> Result<()> {
        assert_eq!(row.seq, self.next_seq, "blocks come in order of seq");
        self.next_seq += 1;
        self.open.push(*row);
        if self.open.len() == BATCH_ROWS {
            self.close()?;
        }
        Ok(())
    }

    /// All batches.
    pub(super) fn finish(mut self) -> Result<Vec<EncodedBlocks>> {
        self.close()?;
        Ok(self.done)
    }

    fn close(&mut self) -> Result<()> {
        if let Some(first) = self.open.first().map(|row| row.seq) {
            self.done.push(EncodedBlocks { message: encode(&batch_of(&self.open))?, first });
            self.open.clear();
        }
        Ok(())
    }
}

fn batch_of(rows: &[BlockRow]) -> RecordBatch {
    let u64s = |value: fn(&BlockRow) -> u64| Arc::new(UInt64Array::from_iter_values(rows.iter().map(value)));
    let u32s = |value: fn(&BlockRow) -> u32| Arc::new(UInt32Array::from_iter_values(rows.iter().map(value)));
    let mut filters = FixedSizeBinaryBuilder::new(4);
    let mut digests = FixedSizeBinaryBuilder::new(32);
    for row in rows {
        filters.append_value(row.filters).expect("four bytes");
        digests.append_value(row.digest.0).expect("32 bytes");
    }
    let columns: Vec<ArrayRef> = vec![
        u64s(|row| row.seq),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.kind.name()))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| codec_word(row.codec)))),
        Arc::new(filters.finish()),
        u64s(|row| row.offset),
        u64s(|row| row.frame_len),
        u32s(|row| row.raw_len),
        u32s(|row| row.stored_len),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(BlockRow::ratio))),
        Arc::new(rows.iter().map(|row| row.dictionary).collect::<UInt64Array>()),
        Arc::new(digests.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&schema::BLOCKS), columns).expect("the columns are those of the schema")
}

/// The rows of a batch that stands at `offset` and whose first row is number `first`, checked.
pub(super) fn rows_of(batch: &RecordBatch, first: u64, offset: u64) -> Result<Vec<BlockRow>> {
    let damaged =
        |expected: &dyn Display, found: &dyn Display| IndexError::damaged("blocks table", offset, expected, found);
    let (kinds, codecs) =
        (batch.column(column::KIND).as_string::<i32>(), batch.column(column::CODEC).as_string::<i32>());
    let u64s = |at: usize| batch.column(at).as_primitive::<UInt64Type>();
    let u32s = |at: usize| batch.column(at).as_primitive::<UInt32Type>();
    let filters = batch.column(column::FILTERS).as_fixed_size_binary();
    let digests = batch.column(column::DIGEST).as_fixed_size_binary();
    let ratios = batch.column(column::RATIO).as_primitive::<Float64Type>();
    let dictionaries = u64s(column::DICTIONARY);
    let mut rows: Vec<BlockRow> = Vec::with_capacity(batch.num_rows());
    for at in 0..batch.num_rows() {
        let (kind, codec) = (kinds.value(at), codecs.value(at));
        let row = BlockRow {
            seq: u64s(column::SEQ).value(at),
            kind: FrameKind::from_name(kind).ok_or_else(|| IndexError::unsupported("kind of a block", offset, kind))?,
            codec: codec_number(codec).unwrap_or(CODEC_UNKNOWN),
            filters: array(filters.value(at)),
            offset: u64s(column::OFFSET).value(at),
            frame_len: u64s(column::FRAME_LEN).value(at),
            raw_len: u32s(column::RAW_LEN).value(at),
            stored_len: u32s(column::STORED_LEN).value(at),
            dictionary: dictionaries.is_valid(at).then(|| dictionaries.value(at)),
            digest: Digest(array(digests.value(at))),
        };
        if row.seq != first + at as u64 {
            return Err(damaged(&format_args!("seq {}", first + at as u64), &row.seq));
        }
        row.check().map_err(|(expected, found)| damaged(&expected, &found))?;
        if ratios.value(at).to_bits() != row.ratio().to_bits() {
            return Err(damaged(&format_args!("ratio {}", row.ratio()), &ratios.value(at)));
        }
        if let Some(before) = rows.last()
            && align::up(before.offset + before.frame_len).is_none_or(|end| row.offset < end)
        {
            return Err(damaged(&format_args!("frame {} behind frame {}", row.seq, before.seq), &row.offset));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn codec_word(number: u8) -> Cow<'static, str> {
    CODECS.get(usize::from(number)).map_or_else(|| format!("{NUMBERED}{number}").into(), |&word| word.into())
}

fn codec_number(word: &str) -> Option<u8> {
    if let Some(number) = word.strip_prefix(NUMBERED) {
        return number.parse().ok();
    }
    CODECS.iter().position(|&codec| codec == word).and_then(|at| u8::try_from(at).ok())
}

/// A value of a column of fixed width.
fn array<const N: usize>(value: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(value);
    array
}

/// Checks a frame's header against its row: all that both say must be the same. Where the row's word for the codec is
/// unknown, so must the header's number be.
///
/// # Errors
/// [`IndexError::Damaged`] with what differs.
pub fn check_header(row: &BlockRow, header: &FrameHeader) -> Result<()> {
    let mut from_header = BlockRow::of(header, row.offset);
    if row.codec == CODEC_UNKNOWN && usize::from(header.codec) >= CODECS.len() {
        from_header.codec = CODEC_UNKNOWN;
    }
    if from_header == *row {
        return Ok(());
    }
    Err(IndexError::damaged("frame header", row.offset, format_args!("{row:?}"), format_args!("{from_header:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::ArchiveId;
    use crate::index::encode::encode_plain;
    use crate::index::message;

    fn header(seq: u64) -> FrameHeader {
        FrameHeader {
            archive_id: ArchiveId::default(),
            seq,
            kind: FrameKind::ALL[seq as usize % 4],
            codec: (seq % 3) as u8,
            directory_codec: 0,
            filters: [seq as u8, 0, 0, 0],
            raw_len: 100,
            stored_len: 100 - (seq % 3) as u32,
            directory_raw_len: 7,
            directory_stored_len: 7,
            dictionary: seq.checked_sub(1).filter(|_| seq.is_multiple_of(4)),
            digest: Digest::of(&seq.to_le_bytes()),
        }
    }

    fn rows(count: u64) -> Vec<BlockRow> {
        (0..count).map(|seq| BlockRow::of(&header(seq), 1536 + seq * 256)).collect()
    }

    #[test]
    fn rows_come_back_from_their_batches() {
        let rows = rows(BATCH_ROWS as u64 + 5);
        let mut writer = BlocksWriter::new();
        rows.iter().try_for_each(|row| writer.push(row)).unwrap();
        let batches = writer.finish().unwrap();
        assert_eq!(batches.iter().map(|b| (b.first, b.message.rows)).collect::<Vec<_>>(), [(0, 16_384), (16_384, 5)]);
        let mut back = Vec::new();
        for EncodedBlocks { message, first } in batches {
            let batch = message::decode("blocks", message.bytes, 0, &schema::BLOCKS, message.rows).unwrap();
            back.extend(rows_of(&batch, first, 0).unwrap());
        }
        assert!(back == rows);
    }

    #[test]
    fn rows_that_cannot_be_are_refused() {
        let good = rows(3);
        rows_of(&batch_of(&good), 0, 0).unwrap();
        assert!(rows_of(&batch_of(&good), 1, 0).is_err(), "another first row");
        let changes: [fn(&mut BlockRow); 10] = [
            |row| row.seq = 7,
            |row| row.raw_len = BLOCK_SIZE_MAX + 1,
            |row| row.stored_len = 101,
            |row| row.frame_len = 100,
            |row| row.offset = 1536 + 64,
            |row| row.offset = u64::MAX - 3,
            |row| row.dictionary = Some(1),
            |row| (row.kind, row.dictionary) = (FrameKind::Table, Some(0)),
            |row| (row.kind, row.raw_len, row.stored_len) = (FrameKind::Dictionary, 0, 0),
            |row| (row.kind, row.raw_len) = (FrameKind::Dictionary, DICTIONARY_LEN_MAX + 1),
        ];
        for (case, change) in changes.iter().enumerate() {
            let mut rows = good.clone();
            change(&mut rows[1]);
            assert!(rows_of(&batch_of(&rows), 0, 0).is_err(), "case {case}");
        }
    }

    #[test]
    fn a_directory_is_no_longer_than_the_limit() {
        let mut rows = rows(1);
        rows[0].frame_len = HEADER_LEN as u64 + u64::from(rows[0].stored_len) + u64::from(DIRECTORY_LEN_MAX);
        rows_of(&batch_of(&rows), 0, 0).unwrap();
        rows[0].frame_len += 1;
        assert!(rows_of(&batch_of(&rows), 0, 0).is_err(), "memory is asked for by this length");
    }

    #[test]
    fn a_header_must_match_its_row() {
        let row = rows(2)[1];
        check_header(&row, &header(1)).unwrap();
        assert!(check_header(&row, &FrameHeader { digest: Digest::of(b""), ..header(1) }).is_err());
        assert!(check_header(&row, &FrameHeader { directory_stored_len: 8, ..header(1) }).is_err());
    }

    #[test]
    fn a_word_for_an_unknown_codec_goes_with_an_unknown_number() {
        let batch = batch_of(&rows(2));
        let mut columns = batch.columns().to_vec();
        columns[column::CODEC] = Arc::new(StringArray::from(vec!["store", "xylophone"]));
        let rows = rows_of(&RecordBatch::try_new(Arc::clone(&schema::BLOCKS), columns).unwrap(), 0, 0).unwrap();
        assert_eq!(rows.iter().map(|row| row.codec).collect::<Vec<_>>(), [0, CODEC_UNKNOWN]);
        for codec in 0..=255 {
            let known = usize::from(codec) < CODECS.len();
            assert_eq!(check_header(&rows[1], &FrameHeader { codec, ..header(1) }).is_err(), known, "{codec}");
        }
        assert!(check_header(&rows[0], &FrameHeader { codec: 77, ..header(0) }).is_err());
    }

    #[test]
    fn a_codec_without_a_word_goes_by_its_number() {
        for codec in 0..=255 {
            let row = BlockRow { codec, ..rows(1)[0] };
            assert_eq!(rows_of(&batch_of(&[row]), 0, 0).unwrap(), [row]);
            check_header(&row, &FrameHeader { codec, ..header(0) }).unwrap();
        }
        assert_eq!((codec_word(2), codec_word(77)), ("zstd".into(), "codec 77".into()));
        for (word, number) in [("codec 2", Some(2)), ("codec 256", None), ("codec ", None), ("codec", None)] {
            assert_eq!(codec_number(word), number, "{word}");
        }
    }

    #[test]
    fn a_hostile_batch_never_panics() {
        let good = encode_plain(&batch_of(&rows(3)));
        let decoded = |bytes| {
            let batch = message::decode("blocks", bytes, 0, &schema::BLOCKS, 3)?;
            rows_of(&batch, 0, 0)
        };
        assert!(decoded(good.clone()).unwrap() == rows(3));
        let mut refused = 0;
        for at in 0..good.len() {
            for change in [0x01, 0x08, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] ^= change;
                refused += usize::from(decoded(bytes).is_err());
            }
        }
        assert!(refused > 500, "only {refused} changes were refused");
    }
}
