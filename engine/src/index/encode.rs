//! One record batch as an encapsulated IPC message whose buffers are compressed, each for itself, with zstd.
//!
//! Arrow's own writer stores a buffer that does not shrink as it is, behind a length of -1. Digests never shrink, and
//! Polars up to 1.30 cannot read such buffers; so every buffer is compressed here, which costs some ten bytes where it
//! does not pay.

use std::sync::LazyLock;

use arrow_array::RecordBatch;
use arrow_ipc::writer::{DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_ipc::{
    BodyCompressionBuilder, BodyCompressionMethod, Buffer, CompressionType, FieldNode, MessageBuilder, MessageHeader,
    MetadataVersion, RecordBatchBuilder,
};
use flatbuffers::FlatBufferBuilder;

use super::message::{CONTINUATION, PREFIX_LEN};
use super::{IndexError, Result};
use crate::container::align;
use crate::digest::Digest;
use crate::limits::{ALIGN, BATCH_LEN_MAX};

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
    let (_, plain) = IpcDataGenerator::default()
        .encode(batch, &mut DictionaryTracker::new(true), &OPTIONS, &mut IpcWriteContext::default())
        .expect("a sound batch without dictionaries encodes into memory");
    let bytes = compress(&plain);
    if bytes.len() as u64 > BATCH_LEN_MAX {
        return Err(IndexError::TooLarge { what: "record batch", size: bytes.len() as u64, limit: BATCH_LEN_MAX });
    }
    let digest = Digest::of(&bytes);
    Ok(EncodedBatch { bytes, rows: u32::try_from(batch.num_rows()).expect("a batch is small"), digest })
}

/// The message of a batch that Arrow has encoded without compression, with each buffer compressed.
fn compress(plain: &EncodedData) -> Vec<u8> {
    let message = arrow_ipc::root_as_message(&plain.ipc_message).expect("the message was just encoded");
    let batch = message.header_as_record_batch().expect("it is a record batch");
    let nodes: Vec<FieldNode> = batch.nodes().into_iter().flatten().copied().collect();
    let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("there is memory for a context");
    let (mut body, mut buffers) = (Vec::new(), Vec::new());
    for buffer in batch.buffers().into_iter().flatten() {
        let offset = body.len();
        let raw = &plain.arrow_data[buffer.offset() as usize..][..buffer.length() as usize];
        // An empty buffer has not even a length in front.
        if !raw.is_empty() {
            body.extend_from_slice(&(raw.len() as i64).to_le_bytes());
            body.extend(zstd.compress(raw).expect("the output is as long as it may become"));
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

/// The message of a batch without compression: readers take it too, and a test can change values in it.
#[cfg(test)]
pub(super) fn encode_plain(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    IpcDataGenerator::default()
        .encode(batch, &mut DictionaryTracker::new(true), &OPTIONS, &mut IpcWriteContext::default())
        .and_then(|(_, message)| arrow_ipc::writer::write_message(&mut bytes, message, &OPTIONS))
        .unwrap();
    bytes
}
