//! An archive in parts that can be changed, and written again with right offsets, lengths and digests.
//!
//! In: the bytes of an archive, however wrong what they say. Out: the same parts in a new archive whose digests are all
//! right, so that readers have to judge what the parts say. It knows the layout (`docs/format.md`) and Arrow, and uses no
//! writer of the engine's.

use std::sync::Arc;

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message};
use arrow_ipc::{Block, FooterBuilder, KeyValue, KeyValueArgs, MetadataVersion};
use arrow_schema::{Schema, SchemaRef};
use carrack_engine::container::frame::{HEADER_LEN, MAGIC};
use carrack_engine::container::head::HEAD;
use carrack_engine::container::seal::{SEAL_LEN, TRAILER_LEN};
use carrack_engine::index::schema::{BLOCKS, ENTRIES};
use flatbuffers::FlatBufferBuilder;
use serde_json::{Value, json};

/// Where the checksum of a frame's header or of a seal stands.
const CHECKSUM_AT: usize = 120;
/// Length of the head of the blocks table, bytes.
const BLOCKS_HEAD_LEN: usize = 704;

/// One batch of a table.
#[derive(Clone, Debug)]
pub struct Message {
    /// The whole message.
    pub bytes: Vec<u8>,
    /// How many rows the list says that it has.
    pub rows: Value,
    /// What the list says of its first row.
    pub first: Value,
}

/// An archive in parts.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Everything in front of the blocks table.
    pub frames: Vec<u8>,
    /// The constant bytes that the blocks table begins with.
    pub blocks_head: Vec<u8>,
    /// Batches of the blocks table.
    pub blocks: Vec<Message>,
    /// Batches of entries.
    pub entries: Vec<Message>,
    /// The manifest, without the digests, which follow from the rest.
    pub manifest: Value,
    /// The seal, whose places, digest and checksum follow from the rest.
    pub seal: [u8; SEAL_LEN],
    /// What takes the place of the three texts of the footer when it is written: of the manifest, of the list of entries
    /// batches, of the list of blocks batches.
    pub lies: [Option<String>; 3],
}

impl Parts {
    /// The parts of an archive, if they can be told apart.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let seal_offset = seal_offset(bytes)?;
        let seal: [u8; SEAL_LEN] = *bytes[seal_offset..].first_chunk()?;
        let footer = &bytes[seal_offset + SEAL_LEN..bytes.len() - TRAILER_LEN];
        let footer = arrow_ipc::root_as_footer(footer).ok()?;
        let value = |key: &str| -> Option<Value> {
            let pairs = footer.custom_metadata()?;
            let pair = pairs.iter().find(|pair| pair.key() == Some(key))?;
            serde_json::from_str(pair.value()?).ok()
        };
        let blocks_offset = usize::try_from(u64_at(&seal, 32)).ok()?;
        Some(Self {
            frames: bytes.get(..blocks_offset)?.to_vec(),
            blocks_head: bytes[blocks_offset..].get(..BLOCKS_HEAD_LEN)?.to_vec(),
            blocks: messages(bytes, &value("carrack.blocks")?)?,
            entries: messages(bytes, &value("carrack.batches")?)?,
            manifest: value("carrack.manifest").filter(Value::is_object)?,
            seal,
            lies: [None, None, None],
        })
    }

    /// The archive, with all digests right.
    #[must_use]
    pub fn write(mut self) -> Vec<u8> {
        self.prove_frames();
        let mut bytes = self.frames;
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        let blocks_offset = bytes.len();
        bytes.extend(&self.blocks_head);
        let (places, block_list) = append(&mut bytes, &self.blocks, blocks_offset);
        bytes.extend(end_of_stream());
        bytes.extend(footer(&BLOCKS, &places, &[]));
        let blocks_table = blake3::hash(&bytes[blocks_offset..]);
        let blocks_len = bytes.len() - blocks_offset;
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        let entries_offset = bytes.len();
        let (places, entry_list) = append(&mut bytes, &self.entries, 0);
        bytes.extend(end_of_stream());

        let archive_id = &self.seal[16..32];
        self.manifest["archive_id"] = hex(archive_id).into();
        self.manifest["blocks_table"] = blocks_table.to_hex().to_string().into();
        self.manifest["root"] = root(archive_id, &self.blocks, &self.entries).into();
        let [manifest, list, blocks] = self.lies;
        let manifest = manifest.unwrap_or_else(|| self.manifest.to_string());
        let list = list.unwrap_or_else(|| entry_list.to_string());
        let blocks = blocks.unwrap_or_else(|| block_list.to_string());
        let metadata = [("carrack.manifest", &*manifest), ("carrack.batches", &*list), ("carrack.blocks", &*blocks)];
        let footer = footer(&ENTRIES, &places, &metadata);

        let mut seal = self.seal;
        seal[32..40].copy_from_slice(&(blocks_offset as u64).to_le_bytes());
        seal[40..48].copy_from_slice(&(blocks_len as u64).to_le_bytes());
        seal[48..56].copy_from_slice(&(entries_offset as u64).to_le_bytes());
        seal[56..60].copy_from_slice(&((footer.len() - TRAILER_LEN) as u32).to_le_bytes());
        seal[64..96].copy_from_slice(blake3::hash(&footer).as_bytes());
        check(&mut seal);
        bytes.extend(seal);
        bytes.extend(footer);
        bytes
    }

    /// Takes the compression from every batch that can be decoded.
    pub fn decompress(&mut self) {
        for (messages, schema) in [(&mut self.blocks, &BLOCKS), (&mut self.entries, &ENTRIES)] {
            for message in messages {
                if let Some(plain) = decompressed(&message.bytes, schema) {
                    message.bytes = plain;
                }
            }
        }
    }

    /// Makes digests and checksums of all frames right, and what batches of the blocks table that are not compressed say of
    /// them.
    fn prove_frames(&mut self) {
        let mut at = HEAD.len();
        while let Some(found) = self.frames.get(at..).and_then(|rest| memchr::memmem::find(rest, &MAGIC)) {
            at += found;
            let Some((digest, len)) = frame_digest(&self.frames[at..]) else {
                at += MAGIC.len();
                continue;
            };
            let header = &mut self.frames[at..at + HEADER_LEN];
            let old: [u8; 32] = *header[64..].first_chunk().expect("a header is longer");
            header[64..96].copy_from_slice(&digest);
            check(header);
            if old != digest {
                self.blocks.iter_mut().for_each(|message| replace(&mut message.bytes, &old, &digest));
            }
            at += len;
        }
    }
}

/// Makes digest and checksum of the seal at the end of an archive right, wherever they can be found.
pub fn reseal(bytes: &mut [u8]) {
    let Some(at) = seal_offset(bytes) else { return };
    let (seal, footer) = bytes[at..].split_at_mut(SEAL_LEN);
    seal[64..96].copy_from_slice(blake3::hash(footer).as_bytes());
    check(seal);
}

/// Where the seal stands, if the trailer says something that can be.
#[must_use]
pub fn seal_offset(bytes: &[u8]) -> Option<usize> {
    let trailer = bytes.last_chunk::<TRAILER_LEN>()?;
    let len = u32::from_le_bytes(*trailer.first_chunk()?) as usize;
    bytes.len().checked_sub(len.checked_add(TRAILER_LEN + SEAL_LEN)?)
}

/// Makes the checksum of a frame's header, or of a seal, right.
///
/// # Panics
/// When it is shorter than 128 bytes.
pub fn check(header: &mut [u8]) {
    let checksum = blake3::hash(&header[..CHECKSUM_AT]);
    header[CHECKSUM_AT..HEADER_LEN].copy_from_slice(&checksum.as_bytes()[..8]);
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the seal is longer"))
}

/// What the digest of the frame should be that begins here, and how long it is, if it is all there.
fn frame_digest(bytes: &[u8]) -> Option<([u8; 32], usize)> {
    let header = bytes.get(..HEADER_LEN)?;
    let len = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize;
    let body = bytes[HEADER_LEN..].get(..len(44).checked_add(len(52))?)?;
    Some((*blake3::hash(body).as_bytes(), HEADER_LEN + body.len()))
}

fn replace(bytes: &mut [u8], old: &[u8; 32], new: &[u8; 32]) {
    if let Some(at) = memchr::memmem::find(bytes, old) {
        bytes[at..at + 32].copy_from_slice(new);
    }
}

/// The messages that a list names.
fn messages(bytes: &[u8], list: &Value) -> Option<Vec<Message>> {
    let message = |listed: &Value| {
        let (offset, len) = (listed["offset"].as_u64()?, listed["len"].as_u64()?);
        let bytes = bytes.get(usize::try_from(offset).ok()?..)?.get(..usize::try_from(len).ok()?)?;
        Some(Message { bytes: bytes.to_vec(), rows: listed["rows"].clone(), first: listed["first"].clone() })
    };
    list.as_array()?.iter().map(message).collect()
}

/// Appends messages. The footer's list of them, in which offsets count from `start`, and that of the metadata.
fn append(bytes: &mut Vec<u8>, messages: &[Message], start: usize) -> (Vec<Block>, Value) {
    let (mut places, mut list) = (Vec::new(), Vec::new());
    for Message { bytes: message, rows, first } in messages {
        let metadata_len = message.get(4..8).map_or(0, |len| i32::from_le_bytes([len[0], len[1], len[2], len[3]]));
        let metadata_len = metadata_len.saturating_add(8);
        let body_len = message.len() as i64 - i64::from(metadata_len);
        places.push(Block::new((bytes.len() - start) as i64, metadata_len, body_len));
        let digest = blake3::hash(message).to_hex().to_string();
        list.push(json!({
            "offset": bytes.len(), "len": message.len(), "rows": rows, "first": first, "digest": digest,
        }));
        bytes.extend(message);
    }
    (places, Value::Array(list))
}

fn root(archive_id: &[u8], blocks: &[Message], entries: &[Message]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("carrack 1 root");
    hasher.update(archive_id).update(blake3::hash(HEAD).as_bytes());
    for messages in [blocks, entries] {
        hasher.update(&(messages.len() as u64).to_le_bytes());
        messages.iter().for_each(|message| {
            hasher.update(blake3::hash(&message.bytes).as_bytes());
        });
    }
    hasher.finalize().to_hex().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn end_of_stream() -> Vec<u8> {
    [&[0xff; 4][..], &[0; 60]].concat()
}

/// The last bytes of an Arrow file.
fn footer(schema: &Schema, batches: &[Block], metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let batches = fbb.create_vector(batches);
    let dictionaries = fbb.create_vector::<Block>(&[]);
    let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut fbb, schema);
    let mut pairs = Vec::new();
    for (key, value) in metadata {
        let (key, value) = (fbb.create_string(key), fbb.create_string(value));
        pairs.push(KeyValue::create(&mut fbb, &KeyValueArgs { key: Some(key), value: Some(value) }));
    }
    let pairs = (!pairs.is_empty()).then(|| fbb.create_vector(&pairs));
    let mut footer = FooterBuilder::new(&mut fbb);
    footer.add_version(MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_dictionaries(dictionaries);
    footer.add_recordBatches(batches);
    if let Some(pairs) = pairs {
        footer.add_custom_metadata(pairs);
    }
    let root = footer.finish();
    fbb.finish(root, None);
    let mut bytes = fbb.finished_data().to_vec();
    bytes.extend((bytes.len() as i32).to_le_bytes());
    bytes.extend(b"ARROW1");
    bytes
}

/// The message without compression, if it can be decoded.
fn decompressed(message: &[u8], schema: &SchemaRef) -> Option<Vec<u8>> {
    let metadata_len = i32::from_le_bytes(*message.get(4..8)?.first_chunk()?).checked_add(8)?;
    let block = Block::new(0, metadata_len, message.len() as i64 - i64::from(metadata_len));
    let batch = FileDecoder::new(Arc::clone(schema), MetadataVersion::V5)
        .read_record_batch(&block, &message.to_vec().into())
        .ok()??;
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).ok()?;
    let mut tracker = DictionaryTracker::new(true);
    let (_, encoded) =
        IpcDataGenerator::default().encode(&batch, &mut tracker, &options, &mut IpcWriteContext::default()).ok()?;
    let mut bytes = Vec::new();
    write_message(&mut bytes, encoded, &options).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;

    #[test]
    fn an_archive_is_the_same_when_it_is_put_together_again() {
        for (name, archive) in seeds::archives() {
            let again = Parts::parse(&archive).unwrap().write();
            assert!(again.len().abs_diff(archive.len()) < 64, "{name}");
            assert!(name == "appended" || again[..1536] == archive[..1536]);
            let index = carrack_engine::index::Index::open(&again).unwrap();
            carrack_engine::index::envelope::check_gaps(&again, &index).unwrap();
        }
    }
}
