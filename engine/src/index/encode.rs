//! One record batch as an encapsulated IPC message whose buffers are compressed, each for itself, with zstd.
//!
//! Arrow's own writer stores a buffer that does not shrink as it is, behind a length of -1. Digests never shrink, and
//! Polars up to 1.30 cannot read such buffers; so every buffer is compressed here, which costs some ten bytes where it
//! does not pay. Offsets, which the search of zstd makes little of, are parsed by [`NumberEncoder`]. A batch that would shrink
//! so far that readers take it for a bomb ([`batch_decoded_max`]) is not compressed at all.

use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_ipc::writer::{DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_ipc::{
    BodyCompressionBuilder, BodyCompressionMethod, Buffer, CompressionType, FieldNode, MessageBuilder, MessageHeader,
    MetadataVersion, RecordBatchBuilder,
};
use arrow_schema::{DataType, Field};
use flatbuffers::FlatBufferBuilder;

use super::message::{CONTINUATION, PREFIX_LEN};
use super::{IndexError, Result};
use crate::codec::{self, NumberEncoder};
use crate::container::align;
use crate::digest::Digest;
use crate::limits::{ALIGN, BATCH_LEN_MAX, batch_decoded_max};

/// Level at which buffers are compressed.
const ZSTD_LEVEL: i32 = 3;

static OPTIONS: LazyLock<IpcWriteOptions> = LazyLock::new(|| {
    IpcWriteOptions::try_new(ALIGN as usize, false, MetadataVersion::V5).expect("alignment 64 and V5 are known")
});

/// A record batch as bytes: a multiple of 64 long, to stand at a multiple of 64.
#[derive(Debug, Clone)]
pub struct EncodedBatch {
    /// The whole message: prefix, metadata, body.
    pub bytes: Vec<u8>,
    /// Number of rows.
    pub rows: u32,
    /// BLAKE3 of `bytes`.
    pub digest: Digest,
}

/// Encodes a batch.
pub(super) fn encode(batch: &RecordBatch) -> Result<EncodedBatch> {
    let plain = plain(batch);
    let mut bytes = compress(&plain, &offset_buffers(batch.schema_ref().fields().iter()));
    // Padding between the buffers is counted along: it is less than what one row may take.
    if plain.arrow_data.len() as u64 > batch_decoded_max(batch.num_rows() as u64, bytes.len() as u64) {
        bytes = message(plain);
    }
    if bytes.len() as u64 > BATCH_LEN_MAX {
        return Err(IndexError::TooLarge { what: "record batch", size: bytes.len() as u64, limit: BATCH_LEN_MAX });
    }
    let digest = Digest::of(&bytes);
    Ok(EncodedBatch { bytes, rows: u32::try_from(batch.num_rows()).expect("a batch is small"), digest })
}

/// A batch as Arrow encodes it, without compression.
fn plain(batch: &RecordBatch) -> EncodedData {
    let (_, plain) = IpcDataGenerator::default()
        .encode(batch, &mut DictionaryTracker::new(true), &OPTIONS, &mut IpcWriteContext::default())
        .expect("a sound batch without dictionaries encodes into memory");
    plain
}

/// The message of a batch that Arrow has encoded without compression, with each buffer compressed.
fn compress(plain: &EncodedData, are_offsets: &[bool]) -> Vec<u8> {
    let message = arrow_ipc::root_as_message(&plain.ipc_message).expect("the message was just encoded");
    let batch = message.header_as_record_batch().expect("it is a record batch");
    let nodes: Vec<FieldNode> = batch.nodes().into_iter().flatten().copied().collect();
    let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("there is memory for a context");
    let mut numbers = NumberEncoder::new().expect("there is memory for a context");
    let (mut body, mut buffers) =
        (Vec::with_capacity(plain.arrow_data.len() / 2), Vec::with_capacity(are_offsets.len()));
    let mut stored = Vec::new();
    for (buffer, are_offsets) in batch.buffers().into_iter().flatten().zip(are_offsets) {
        let offset = body.len();
        let raw = &plain.arrow_data[buffer.offset() as usize..][..buffer.length() as usize];
        // An empty buffer has not even a length in front.
        if !raw.is_empty() {
            body.extend_from_slice(&(raw.len() as i64).to_le_bytes());
            if *are_offsets {
                numbers.encode(raw, &mut body).expect("the output is as long as it may become");
            } else {
                stored.clear();
                stored.reserve(codec::zstd_len_max(raw.len()));
                zstd.compress_to_buffer(raw, &mut stored).expect("the output is as long as it may become");
                body.extend_from_slice(&stored);
            }
        }
        buffers.push(Buffer::new(offset as i64, (body.len() - offset) as i64));
        body.extend_from_slice(align::padding(body.len() as u64));
    }
    let metadata = metadata(batch.length(), &nodes, &buffers, body.len() as i64);

    let end = (PREFIX_LEN + metadata.len()) as u64;
    let padding = align::padding(end);
    let metadata_len = i32::try_from(metadata.len() + padding.len()).expect("the metadata of a known schema is short");
    [&CONTINUATION, &metadata_len.to_le_bytes()[..], &metadata, padding, &body].concat()
}

/// Of each buffer of a batch, in order, whether it holds offsets.
fn offset_buffers<'a>(fields: impl Iterator<Item = &'a Arc<Field>>) -> Vec<bool> {
    let mut buffers = Vec::new();
    for field in fields {
        // The first one says which values are null.
        buffers.push(false);
        match field.data_type() {
            DataType::Utf8 | DataType::Binary => buffers.extend([true, false]),
            DataType::List(item) => {
                buffers.push(true);
                buffers.extend(offset_buffers([item].into_iter()));
            }
            DataType::Struct(fields) => buffers.extend(offset_buffers(fields.iter())),
            _ => buffers.push(false),
        }
    }
    buffers
}

fn metadata(rows: i64, nodes: &[FieldNode], buffers: &[Buffer], body_len: i64) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let nodes = fbb.create_vector(nodes);
    let buffers = fbb.create_vector(buffers);
    let mut compression = BodyCompressionBuilder::new(&mut fbb);
    compression.add_method(BodyCompressionMethod::BUFFER);
    compression.add_codec(CompressionType::ZSTD);
    let compression = compression.finish();
    let mut batch = RecordBatchBuilder::new(&mut fbb);
    batch.add_length(rows);
    batch.add_nodes(nodes);
    batch.add_buffers(buffers);
    batch.add_compression(compression);
    let batch = batch.finish();
    let mut message = MessageBuilder::new(&mut fbb);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::RecordBatch);
    message.add_bodyLength(body_len);
    message.add_header(batch.as_union_value());
    let message = message.finish();
    fbb.finish(message, None);
    fbb.finished_data().to_vec()
}

/// A batch that Arrow has encoded without compression as an encapsulated message.
fn message(plain: EncodedData) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(plain.arrow_data.len() + 4096);
    arrow_ipc::writer::write_message(&mut bytes, plain, &OPTIONS).expect("memory takes all that is written");
    bytes
}

/// The message of a batch without compression: readers take it too, and a test can change values in it.
#[cfg(test)]
pub(super) fn encode_plain(batch: &RecordBatch) -> Vec<u8> {
    message(plain(batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, Row, Xattr};
    use crate::index::entries::EntriesWriter;
    use crate::index::message::decode;
    use crate::index::schema;

    #[test]
    fn what_would_shrink_too_far_is_not_compressed() {
        let xattrs = [Xattr { name: b"user.zeros".to_vec(), value: vec![0; 2 << 20] }];
        let mut writer = EntriesWriter::new();
        writer.push(&Row { xattrs: &xattrs, ..Row::new(b"a", Kind::Dir) }).unwrap();
        let batch = writer.finish().unwrap();
        let batch = batch.record_batch();
        let written = encode(batch).unwrap();
        assert!(written.bytes.len() > 2 << 20, "{} bytes", written.bytes.len());
        assert_eq!(decode("batch", written.bytes, 0, &schema::ENTRIES, 1).unwrap(), *batch);
        // The same, compressed, is what a reader takes for a bomb, and it decodes nothing of it.
        let bomb = compress(&plain(batch), &offset_buffers(batch.schema_ref().fields().iter()));
        assert!(bomb.len() < 8 << 10, "{} bytes", bomb.len());
        let error = decode("batch", bomb, 0, &schema::ENTRIES, 1).unwrap_err().to_string();
        assert!(error.contains("no more bytes than a batch of so many may come to"), "{error}");
    }
}
