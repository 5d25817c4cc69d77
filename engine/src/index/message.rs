//! One record batch as an encapsulated IPC message, checked and decoded. [`encode`](super::encode) is the other side.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::{Block, BodyCompressionMethod, MessageHeader, MetadataVersion};
use arrow_schema::{DataType, Field, SchemaRef};

use super::{IndexError, Result};
use crate::limits::{ALIGN, BATCH_LEN_MAX, batch_decoded_max};

/// What an encapsulated message begins with.
pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];
/// Bytes in front of the flatbuffer: the continuation marker and a length.
pub(super) const PREFIX_LEN: usize = 8;
/// Length of a message's prefix and metadata, as its prefix tells.
pub(super) fn metadata_len(bytes: &[u8]) -> Option<u32> {
    let prefix = bytes.first_chunk::<PREFIX_LEN>()?;
    let (marker, len) = prefix.split_at(4);
    let len = i32::from_le_bytes([len[0], len[1], len[2], len[3]]);
    if marker != CONTINUATION {
        return None;
    }
    let len = u32::try_from(len).ok()?.checked_add(PREFIX_LEN as u32)?;
    (len as usize <= bytes.len() && u64::from(len).is_multiple_of(ALIGN)).then_some(len)
}

/// Decodes a batch whose digest is known to be right. `offset` is where it stands, for errors alone.
pub(super) fn decode(
    what: &'static str,
    bytes: Vec<u8>,
    offset: u64,
    schema: &SchemaRef,
    rows: u32,
) -> Result<RecordBatch> {
    let block =
        check(&bytes, schema, rows).map_err(|(expected, found)| IndexError::damaged(what, offset, expected, found))?;
    let wrong = |found: &dyn std::fmt::Display| IndexError::damaged(what, offset, "a sound record batch", found);
    FileDecoder::new(Arc::clone(schema), MetadataVersion::V5)
        .read_record_batch(&block, &Buffer::from_vec(bytes))
        .map_err(|error| wrong(&error))?
        .ok_or_else(|| wrong(&"none"))
}

/// Checks everything that the decoder would otherwise take on trust: that the message is as long as its parts say,
/// that nodes and buffers are those of the schema and inside the body, and what they will take once decompressed.
fn check(bytes: &[u8], schema: &SchemaRef, rows: u32) -> std::result::Result<Block, (&'static str, String)> {
    let metadata_len = metadata_len(bytes).ok_or(("an encapsulated message", "another prefix".to_owned()))?;
    let (metadata, body) = bytes.split_at(metadata_len as usize);
    let message = arrow_ipc::root_as_message(&metadata[PREFIX_LEN..]).map_err(|e| ("a message", e.to_string()))?;
    if message.version() != MetadataVersion::V5 || message.header_type() != MessageHeader::RecordBatch {
        return Err(("a record batch of metadata version 5", format!("{:?}", message.header_type())));
    }
    if u64::try_from(message.bodyLength()) != Ok(body.len() as u64) {
        return Err(("a body that ends with the message", message.bodyLength().to_string()));
    }
    let batch = message.header_as_record_batch().ok_or(("a record batch", "none".to_owned()))?;
    if batch.length() != i64::from(rows) || batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err(("the number of rows that the manifest says", batch.length().to_string()));
    }
    let compressed = match batch.compression() {
        None => false,
        Some(body) if body.method() == BodyCompressionMethod::BUFFER => true,
        Some(body) => return Err(("compression of single buffers", format!("{:?}", body.method()))),
    };
    let shape = Shape::of(schema.fields().iter());
    check_nodes(&shape, batch.nodes().into_iter().flatten(), rows)?;
    let buffers = batch.buffers().into_iter().flatten();
    let total = check_buffers(&shape, buffers.map(|buffer| (buffer.offset(), buffer.length())), body, compressed)?;
    let most = batch_decoded_max(rows.into(), bytes.len() as u64).min(BATCH_LEN_MAX);
    if total > most {
        return Err(("no more bytes than a batch of so many may come to", format!("{total} bytes, more than {most}")));
    }
    let metadata_len = i32::try_from(metadata_len).map_err(|_| ("a short message", metadata_len.to_string()))?;
    Ok(Block::new(0, metadata_len, body.len() as i64))
}

fn check_nodes<'a>(
    shape: &Shape,
    nodes: impl Iterator<Item = &'a arrow_ipc::FieldNode>,
    rows: u32,
) -> std::result::Result<(), (&'static str, String)> {
    let mut count = 0;
    for (at, node) in nodes.enumerate() {
        count = at + 1;
        let len = u64::try_from(node.length()).ok().filter(|&len| len <= BATCH_LEN_MAX);
        let is_column = shape.columns.binary_search(&at).is_ok();
        if len.is_none_or(|len| is_column && len != u64::from(rows))
            || !(0..=node.length()).contains(&node.null_count())
        {
            return Err(("sound lengths of columns", format!("{node:?}")));
        }
    }
    if count == shape.nodes { Ok(()) } else { Err(("the nodes of the schema", count.to_string())) }
}

/// Checks the buffers; what they take once decompressed, bytes.
fn check_buffers(
    shape: &Shape,
    buffers: impl Iterator<Item = (i64, i64)>,
    body: &[u8],
    compressed: bool,
) -> std::result::Result<u64, (&'static str, String)> {
    let (mut count, mut total) = (0, 0u64);
    for (offset, len) in buffers {
        let width = *shape.widths.get(count).ok_or(("the buffers of the schema", "more".to_owned()))?;
        count += 1;
        let place = usize::try_from(offset).ok().zip(usize::try_from(len).ok());
        let Some(buffer) = place.and_then(|(offset, len)| body.get(offset..)?.get(..len)) else {
            return Err(("buffers inside the body", format!("{len} bytes at {offset} of {}", body.len())));
        };
        let raw_len = match buffer.first_chunk::<8>() {
            _ if !compressed || buffer.is_empty() => buffer.len() as u64,
            None => return Err(("a compressed buffer", format!("{} bytes", buffer.len()))),
            Some(prefix) => match i64::from_le_bytes(*prefix) {
                -1 => buffer.len() as u64 - 8,
                raw_len => u64::try_from(raw_len).map_err(|_| ("a length of a buffer", raw_len.to_string()))?,
            },
        };
        // The decoder panics on a buffer that ends within a value.
        if offset % ALIGN as i64 != 0 || raw_len % width != 0 {
            return Err(("aligned buffers of whole values", format!("{raw_len} bytes at {offset}, {width} a value")));
        }
        total = total.saturating_add(raw_len);
    }
    if count == shape.widths.len() { Ok(total) } else { Err(("the buffers of the schema", count.to_string())) }
}

/// What the batches of a schema are made of.
#[derive(Debug, Default)]
struct Shape {
    nodes: usize,
    /// Which nodes are columns.
    columns: Vec<usize>,
    /// Of each buffer, how many bytes one value takes; 1 for bits and bytes.
    widths: Vec<u64>,
}

impl Shape {
    fn of<'a>(fields: impl Iterator<Item = &'a Arc<Field>>) -> Self {
        let mut shape = Self::default();
        for field in fields {
            shape.columns.push(shape.nodes);
            shape.add(field.data_type());
        }
        shape
    }

    fn add(&mut self, data_type: &DataType) {
        self.nodes += 1;
        self.widths.push(1);
        match data_type {
            DataType::Utf8 | DataType::Binary => self.widths.extend([4, 1]),
            DataType::List(item) => {
                self.widths.push(4);
                self.add(item.data_type());
            }
            DataType::Struct(fields) => fields.iter().for_each(|field| self.add(field.data_type())),
            DataType::FixedSizeBinary(width) => self.widths.push(u64::from(width.unsigned_abs().max(1))),
            other => self.widths.push(other.primitive_width().unwrap_or(1) as u64),
        }
    }
}
