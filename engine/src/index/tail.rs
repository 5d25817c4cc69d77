//! Everything behind the last frame: blocks table, entries batches, end-of-stream marker, seal, footer.

use serde_json::{Map, Value};

use super::blocks::{BlockRow, BlocksWriter, EncodedBlocks};
use super::encode::EncodedBatch;
use super::entries::EncodedEntries;
use super::footer::{self, END_OF_STREAM, FooterBlock};
use super::manifest::{BATCHES_KEY, BLOCKS_KEY, BatchEntry, Counts, Frames, MANIFEST_KEY, Manifest, root};
use super::message::metadata_len;
use super::{IndexError, Result, schema};
use crate::container::error::Hex;
use crate::container::seal::{READER_VERSION_MIN, SEAL_LEN, TRAILER_LEN, VERSION};
use crate::container::{ArchiveId, Seal, align};
use crate::digest::Digest;
use crate::limits::FOOTER_LEN_MAX;

/// Gathers both tables and puts the tail together.
#[derive(Debug)]
pub struct IndexWriter {
    archive_id: ArchiveId,
    options: Map<String, Value>,
    blocks: BlocksWriter,
    frames: Frames,
    entries: Vec<EncodedEntries>,
    counts: Counts,
}

/// The tail of an archive: parts to append one behind the other at the offset it was made for.
#[derive(Debug)]
pub struct Tail {
    /// The parts, in order.
    pub parts: Vec<Vec<u8>>,
    /// What the footer says of the archive.
    pub manifest: Manifest,
    /// The root digest.
    pub root: Digest,
}

impl Tail {
    /// Length of all parts, bytes.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

impl IndexWriter {
    /// Empty tables of an archive that is written with these options.
    #[must_use]
    pub fn new(archive_id: ArchiveId, options: Map<String, Value>) -> Self {
        Self {
            archive_id,
            options,
            blocks: BlocksWriter::new(),
            frames: Frames::default(),
            entries: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Adds the row of the next frame.
    ///
    /// # Errors
    /// When a batch of the blocks table cannot be encoded.
    ///
    /// # Panics
    /// When its seq is not the next one.
    pub fn block(&mut self, row: &BlockRow) -> Result<()> {
        self.blocks.push(row)?;
        self.frames.count += 1;
        self.frames.raw_bytes += u64::from(row.raw_len);
        self.frames.stored_bytes += u64::from(row.stored_len);
        Ok(())
    }

    /// Adds the next batch of entries.
    ///
    /// # Panics
    /// When it does not follow the batches before it in order of path.
    pub fn entries(&mut self, batch: EncodedEntries) {
        assert!(self.entries.last().is_none_or(|before| before.first < batch.first), "batches come in order of path");
        self.counts.merge(&batch.counts);
        self.entries.push(batch);
    }

    /// Sums over the frames so far.
    #[must_use]
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// Sums over the entries so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Puts the tail together, to stand at `offset`: the end of the last frame's padding.
    ///
    /// # Errors
    /// [`IndexError::TooLarge`] when a batch or the footer is beyond the limits.
    ///
    /// # Panics
    /// When `offset` is not a multiple of 64.
    pub fn finish(self, offset: u64) -> Result<Tail> {
        assert!(align::is_aligned(offset), "tables begin at multiples of 64");
        let table = BlocksTable::new(self.blocks.finish()?, offset);
        let entries_offset = offset + table.total_len();

        let mut end = entries_offset;
        let (mut list, mut places) = (Vec::new(), Vec::new());
        for EncodedEntries { message, first, .. } in &self.entries {
            list.push(BatchEntry::of(message, end, Hex(first).to_string()));
            places.push(footer_block(message, end));
            end += message.bytes.len() as u64;
        }
        let root = root(
            self.archive_id,
            table.digests.iter(),
            self.entries.iter().map(|batch| &batch.message.digest).collect::<Vec<_>>().into_iter(),
        );
        let manifest = Manifest {
            format: VERSION,
            archive_id: self.archive_id.to_string(),
            options: self.options,
            counts: self.counts,
            frames: self.frames,
            blocks_table: table.digest.to_string(),
            root: root.to_string(),
        };
        let [manifest_json, list_json] = [serde_json::to_string(&manifest), serde_json::to_string(&list)]
            .map(|json| json.expect("maps with text keys, numbers and texts become JSON"));
        let metadata = [(MANIFEST_KEY, &*manifest_json), (BATCHES_KEY, &*list_json), (BLOCKS_KEY, &*table.list)];
        let footer_len = metadata.iter().map(|pair| pair.1.len() as u64).sum::<u64>() + places.len() as u64 * 24;
        check_footer_len(footer_len)?;
        let footer = footer::build(&schema::ENTRIES, &places, &metadata);
        check_footer_len(footer.len() as u64)?;

        let seal = Seal {
            version: VERSION,
            reader_version_min: READER_VERSION_MIN,
            archive_id: self.archive_id,
            blocks_offset: offset,
            blocks_len: table.len,
            entries_offset,
            footer_len: (footer.len() - TRAILER_LEN) as u32,
            digest: Digest::of(&footer),
            previous: None,
        };
        let mut parts = table.parts;
        parts.extend(self.entries.into_iter().map(|batch| batch.message.bytes));
        parts.push(end_of_stream());
        parts.push([seal.encode().as_slice(), &footer].concat());
        Ok(Tail { parts, manifest, root })
    }
}

fn check_footer_len(size: u64) -> Result<()> {
    let limit = u64::from(FOOTER_LEN_MAX);
    if size > limit { Err(IndexError::TooLarge { what: "footer", size, limit }) } else { Ok(()) }
}

/// The marker behind the last batch, and zeros.
pub(super) fn end_of_stream() -> Vec<u8> {
    [END_OF_STREAM.as_slice(), align::padding(END_OF_STREAM.len() as u64)].concat()
}

fn footer_block(message: &EncodedBatch, offset: u64) -> FooterBlock {
    let metadata_len = metadata_len(&message.bytes).expect("the message was just encoded");
    FooterBlock { offset, metadata_len, body_len: message.bytes.len() as u64 - u64::from(metadata_len) }
}

/// The blocks table: an Arrow IPC file of its own, with padding behind it.
struct BlocksTable {
    parts: Vec<Vec<u8>>,
    len: u64,
    digest: Digest,
    digests: Vec<Digest>,
    list: String,
}

impl BlocksTable {
    fn new(batches: Vec<EncodedBlocks>, offset: u64) -> Self {
        let head = schema::BLOCKS_HEAD.clone();
        // In the footer of the table offsets count from its own start, in the list from the start of the archive.
        let mut end = head.len() as u64;
        let (mut list, mut places, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        let mut parts = vec![head];
        for EncodedBlocks { message, first } in batches {
            list.push(BatchEntry::of(&message, offset + end, first));
            places.push(footer_block(&message, end));
            digests.push(message.digest);
            end += message.bytes.len() as u64;
            parts.push(message.bytes);
        }
        parts.push(end_of_stream());
        parts.push(footer::build(&schema::BLOCKS, &places, &[]));
        let len = parts.iter().map(|part| part.len() as u64).sum();
        let mut hasher = blake3::Hasher::new();
        for part in &parts {
            hasher.update(part);
        }
        let digest = Digest(*hasher.finalize().as_bytes());
        parts.push(align::padding(len).to_vec());
        let list = serde_json::to_string(&list).expect("numbers and texts become JSON");
        Self { parts, len, digest, digests, list }
    }

    fn total_len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

const _: () = assert!(SEAL_LEN.is_multiple_of(crate::limits::ALIGN as usize));
