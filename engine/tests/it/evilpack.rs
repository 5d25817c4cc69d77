//! A writer of archives that checks nothing: any bytes as paths, any words as kinds, any numbers, frames and tables that
//! disagree, footers that lie. What it writes is sealed like any archive, so every digest that guards a table is right and
//! readers have to judge what the tables say.
//!
//! In: rows, frames, and edits of what follows from them. Out: the bytes of an archive. It knows the layout
//! (`docs/format.md`) and Arrow, and uses no writer of the engine's.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, ListBuilder, StructBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message};
use arrow_ipc::{Block, CompressionType, FooterBuilder, KeyValue, KeyValueArgs, MetadataVersion};
use arrow_schema::{DataType, Schema};
use carrack_engine::container::frame::{CODEC_STORE, FrameHeader, FrameKind, digest_of};
use carrack_engine::container::head::HEAD;
use carrack_engine::container::{ArchiveId, Seal, align};
use carrack_engine::digest::Digest;
use carrack_engine::index::schema::{BLOCKS, ENTRIES};
use flatbuffers::FlatBufferBuilder;
use serde_json::{Value, json};

/// A row of the entries table: each column as it is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct EvilRow {
    pub(crate) path: String,
    pub(crate) path_raw: Option<Vec<u8>>,
    pub(crate) kind: String,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) names: (Option<String>, Option<String>),
    pub(crate) mtime_ns: i64,
    pub(crate) link_target: Option<Vec<u8>>,
    pub(crate) hardlink: Option<u64>,
    pub(crate) device: (Option<u32>, Option<u32>),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Offset and length.
    pub(crate) holes: Vec<(u64, u64)>,
    pub(crate) digest: Option<[u8; 32]>,
    /// Block, offset and length.
    pub(crate) extents: Vec<[u32; 3]>,
    pub(crate) flags: u32,
}

impl EvilRow {
    /// A row of this kind and path, everything else empty.
    pub(crate) fn new(kind: &str, path: &[u8]) -> Self {
        let text = String::from_utf8_lossy(path);
        let path_raw = std::str::from_utf8(path).is_err().then(|| path.to_vec());
        Self { path: text.into_owned(), path_raw, kind: kind.to_owned(), mode: 0o755, ..Self::default() }
    }

    /// A file of these bytes, which `block` has at `offset`.
    pub(crate) fn file(path: &[u8], content: &[u8], block: u32, offset: u32) -> Self {
        let extents = if content.is_empty() { Vec::new() } else { vec![[block, offset, content.len() as u32]] };
        let digest = Some(Digest::of(content).0);
        Self { size: content.len() as u64, mode: 0o644, digest, extents, ..Self::new("file", path) }
    }

    pub(crate) fn dir(path: &[u8]) -> Self {
        Self::new("dir", path)
    }

    pub(crate) fn symlink(path: &[u8], target: &[u8]) -> Self {
        Self { link_target: Some(target.to_vec()), ..Self::new("symlink", path) }
    }

    pub(crate) fn hardlink(path: &[u8], row: u64, size: u64) -> Self {
        Self { hardlink: Some(row), size, ..Self::new("hardlink", path) }
    }

    /// The path's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.path_raw.as_deref().unwrap_or(self.path.as_bytes())
    }
}

/// A frame, and its row in the blocks table, which need not agree.
#[derive(Clone, Debug)]
pub(crate) struct EvilFrame {
    pub(crate) header: FrameHeader,
    pub(crate) directory: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl EvilFrame {
    /// An honest block of these bytes.
    pub(crate) fn block(seq: u64, payload: &[u8]) -> Self {
        let header = FrameHeader {
            archive_id: archive_id(),
            seq,
            kind: FrameKind::Block,
            codec: CODEC_STORE,
            directory_codec: CODEC_STORE,
            filters: [0; 4],
            raw_len: payload.len() as u32,
            stored_len: payload.len() as u32,
            directory_raw_len: 0,
            directory_stored_len: 0,
            dictionary: None,
            digest: digest_of(b"", payload),
        };
        Self { header, directory: Vec::new(), payload: payload.to_vec() }
    }
}

/// A row of the blocks table: each column as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct EvilBlock {
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) codec: String,
    pub(crate) filters: [u8; 4],
    pub(crate) offset: u64,
    pub(crate) frame_len: u64,
    pub(crate) raw_len: u32,
    pub(crate) stored_len: u32,
    pub(crate) dictionary: Option<u64>,
    pub(crate) digest: [u8; 32],
}

/// What the metadata of the footer says, each a JSON value.
#[derive(Clone, Debug)]
pub(crate) struct EvilFooter {
    pub(crate) manifest: Value,
    pub(crate) batches: Value,
    pub(crate) blocks: Value,
}

/// An archive to be written.
pub(crate) struct EvilPack {
    pub(crate) rows: Vec<EvilRow>,
    pub(crate) frames: Vec<EvilFrame>,
    /// Rows in one batch of entries.
    pub(crate) batch_rows: usize,
    /// Whether the buffers of batches are compressed, so that a few bytes say much.
    pub(crate) compressed: bool,
    /// Changes rows of the blocks table.
    pub(crate) forge_blocks: fn(&mut Vec<EvilBlock>),
    /// Changes the footer.
    pub(crate) forge_footer: fn(&mut EvilFooter),
    /// Changes the seal, whose checksum follows.
    pub(crate) forge_seal: fn(&mut Seal),
}

fn archive_id() -> ArchiveId {
    ArchiveId::derive(b"evil")
}

impl EvilPack {
    /// An archive of these rows and of one block a payload; nothing forged.
    pub(crate) fn new(rows: &[EvilRow], blocks: &[&[u8]]) -> Self {
        let frames = blocks.iter().enumerate().map(|(seq, payload)| EvilFrame::block(seq as u64, payload)).collect();
        Self {
            rows: rows.to_vec(),
            frames,
            batch_rows: 16_384,
            compressed: false,
            forge_blocks: |_| {},
            forge_footer: |_| {},
            forge_seal: |_| {},
        }
    }

    /// The archive.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        let mut table = self.write_frames(&mut bytes);
        (self.forge_blocks)(&mut table);
        let blocks_offset = bytes.len() as u64;
        let blocks = self.message(&blocks_batch(&table));
        let head = head_of(&BLOCKS);
        let place = (head.len() as u64, blocks.len() as u64, metadata_len(&blocks));
        let table_bytes = [head, blocks.clone(), end_of_stream(), footer(&BLOCKS, &[place], &[])].concat();
        bytes.extend_from_slice(&table_bytes);
        pad(&mut bytes);
        let entries_offset = bytes.len() as u64;
        let blocks_list = json!([{
            "offset": blocks_offset + place.0, "len": blocks.len(), "rows": table.len(), "first": 0,
            "digest": Digest::of(&blocks).to_string(),
        }]);

        let (mut list, mut places, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for rows in self.rows.chunks(self.batch_rows) {
            let message = self.message(&entries_batch(rows));
            let offset = bytes.len() as u64;
            places.push((offset, message.len() as u64, metadata_len(&message)));
            digests.push(Digest::of(&message));
            list.push(json!({
                "offset": offset, "len": message.len(), "rows": rows.len(), "first": hex(rows[0].bytes()),
                "digest": Digest::of(&message).to_string(),
            }));
            bytes.extend(message);
        }
        bytes.extend(end_of_stream());
        let root = root(&[Digest::of(&blocks)], &digests);
        let mut says = EvilFooter {
            manifest: self.manifest(&table, &Digest::of(&table_bytes), &root),
            batches: Value::Array(list),
            blocks: blocks_list,
        };
        (self.forge_footer)(&mut says);
        let metadata = [
            ("carrack.manifest", &says.manifest),
            ("carrack.batches", &says.batches),
            ("carrack.blocks", &says.blocks),
        ];
        let footer = footer(&ENTRIES, &places, &metadata);
        let mut seal = Seal {
            version: 1,
            reader_version_min: 1,
            archive_id: archive_id(),
            blocks_offset,
            blocks_len: table_bytes.len() as u64,
            entries_offset,
            footer_len: footer.len() as u32 - 10,
            digest: Digest::of(&footer),
            previous: None,
        };
        (self.forge_seal)(&mut seal);
        bytes.extend(seal.encode());
        bytes.extend(footer);
        bytes
    }

    fn write_frames(&self, bytes: &mut Vec<u8>) -> Vec<EvilBlock> {
        let mut table = Vec::new();
        for EvilFrame { header, directory, payload } in &self.frames {
            const CODECS: [&str; 4] = ["store", "lz4", "zstd", "lzma"];
            table.push(EvilBlock {
                seq: header.seq,
                kind: header.kind.name().to_owned(),
                codec: CODECS[usize::from(header.codec)].to_owned(),
                filters: header.filters,
                offset: bytes.len() as u64,
                frame_len: header.frame_len(),
                raw_len: header.raw_len,
                stored_len: header.stored_len,
                dictionary: header.dictionary,
                digest: header.digest.0,
            });
            bytes.extend(header.encode());
            bytes.extend(directory);
            bytes.extend(payload);
            pad(bytes);
        }
        table
    }

    fn message(&self, batch: &RecordBatch) -> Vec<u8> {
        let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).unwrap();
        let options = match self.compressed {
            true => options.try_with_compression(Some(CompressionType::ZSTD)).unwrap(),
            false => options,
        };
        let mut bytes = Vec::new();
        let (_, message) = IpcDataGenerator::default()
            .encode(batch, &mut DictionaryTracker::new(true), &options, &mut IpcWriteContext::default())
            .unwrap();
        write_message(&mut bytes, message, &options).unwrap();
        bytes
    }

    fn manifest(&self, table: &[EvilBlock], blocks_table: &Digest, root: &Digest) -> Value {
        let of = |kinds: &[&str]| self.rows.iter().filter(|row| kinds.contains(&&*row.kind)).count();
        let bytes =
            self.rows.iter().filter(|row| row.kind == "file").fold(0u64, |sum, row| sum.saturating_add(row.size));
        let sum = |value: fn(&EvilBlock) -> u32| table.iter().map(|block| u64::from(value(block))).sum::<u64>();
        json!({
            "format": 1, "archive_id": archive_id().to_string(), "options": {},
            "counts": {
                "entries": self.rows.len(), "files": of(&["file"]), "dirs": of(&["dir"]), "symlinks": of(&["symlink"]),
                "hardlinks": of(&["hardlink"]), "fifos": of(&["fifo"]), "sockets": of(&["socket"]),
                "devices": of(&["char", "block"]),
                "changed": self.rows.iter().filter(|row| row.flags & 1 != 0).count(), "bytes": bytes,
            },
            "frames": {
                "count": table.len(), "raw_bytes": sum(|block| block.raw_len),
                "stored_bytes": sum(|block| block.stored_len),
            },
            "blocks_table": blocks_table.to_string(), "root": root.to_string(),
        })
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(align::padding(bytes.len() as u64));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn end_of_stream() -> Vec<u8> {
    [&[0xff; 4][..], &[0; 60]].concat()
}

fn metadata_len(message: &[u8]) -> u32 {
    8 + u32::from_le_bytes(message[4..8].try_into().unwrap())
}

fn root(blocks: &[Digest], entries: &[Digest]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("carrack 1 root");
    hasher.update(&archive_id().0).update(&Digest::of(HEAD).0);
    for digests in [blocks, entries] {
        hasher.update(&(digests.len() as u64).to_le_bytes());
        digests.iter().for_each(|digest| {
            hasher.update(&digest.0);
        });
    }
    Digest(*hasher.finalize().as_bytes())
}

/// The first bytes of an Arrow file.
fn head_of(schema: &Schema) -> Vec<u8> {
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5).unwrap();
    let mut tracker = DictionaryTracker::new(true);
    let message = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options);
    let mut head = b"ARROW1\0\0".to_vec();
    write_message(&mut head, message, &options).unwrap();
    pad(&mut head);
    head
}

/// The last bytes of an Arrow file; of each batch its offset, its length, and that of its metadata.
fn footer(schema: &Schema, places: &[(u64, u64, u32)], metadata: &[(&str, &Value)]) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let block = |&(offset, len, metadata_len): &(u64, u64, u32)| {
        Block::new(offset as i64, metadata_len as i32, (len - u64::from(metadata_len)) as i64)
    };
    let batches = fbb.create_vector(&places.iter().map(block).collect::<Vec<_>>());
    let dictionaries = fbb.create_vector::<Block>(&[]);
    let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut fbb, schema);
    let mut pairs = Vec::new();
    for (key, value) in metadata {
        let (key, value) = (fbb.create_string(key), fbb.create_string(&value.to_string()));
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

fn digests(values: impl Iterator<Item = Option<[u8; 32]>>) -> ArrayRef {
    let mut builder = FixedSizeBinaryBuilder::new(32);
    values.for_each(|value| match value {
        Some(digest) => builder.append_value(digest).unwrap(),
        None => builder.append_null(),
    });
    Arc::new(builder.finish())
}

fn blocks_batch(rows: &[EvilBlock]) -> RecordBatch {
    let u64s = |value: fn(&EvilBlock) -> u64| Arc::new(UInt64Array::from_iter_values(rows.iter().map(value)));
    let u32s = |value: fn(&EvilBlock) -> u32| Arc::new(UInt32Array::from_iter_values(rows.iter().map(value)));
    let mut filters = FixedSizeBinaryBuilder::new(4);
    rows.iter().for_each(|row| filters.append_value(row.filters).unwrap());
    let ratio = |row: &EvilBlock| match row.raw_len {
        0 => 1.0,
        raw_len => f64::from(row.stored_len) / f64::from(raw_len),
    };
    let columns: Vec<ArrayRef> = vec![
        u64s(|row| row.seq),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.kind))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.codec))),
        Arc::new(filters.finish()),
        u64s(|row| row.offset),
        u64s(|row| row.frame_len),
        u32s(|row| row.raw_len),
        u32s(|row| row.stored_len),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(ratio))),
        Arc::new(rows.iter().map(|row| row.dictionary).collect::<UInt64Array>()),
        digests(rows.iter().map(|row| Some(row.digest))),
    ];
    RecordBatch::try_new(Arc::clone(&BLOCKS), columns).unwrap()
}

fn entries_batch(rows: &[EvilRow]) -> RecordBatch {
    let u32s = |value: fn(&EvilRow) -> u32| Arc::new(UInt32Array::from_iter_values(rows.iter().map(value)));
    let texts = |value: fn(&EvilRow) -> Option<&str>| Arc::new(rows.iter().map(value).collect::<StringArray>());
    let bytes = |value: fn(&EvilRow) -> Option<&[u8]>| Arc::new(rows.iter().map(value).collect::<BinaryArray>());
    let maybe = |value: fn(&EvilRow) -> Option<u32>| Arc::new(rows.iter().map(value).collect::<UInt32Array>());
    let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| row.mtime_ns)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        texts(|row| Some(&row.path)),
        bytes(|row| row.path_raw.as_deref()),
        texts(|row| Some(&row.kind)),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.size))),
        u32s(|row| row.mode),
        u32s(|row| row.owner.0),
        u32s(|row| row.owner.1),
        texts(|row| row.names.0.as_deref()),
        texts(|row| row.names.1.as_deref()),
        Arc::new(times),
        bytes(|row| row.link_target.as_deref()),
        Arc::new(rows.iter().map(|row| row.hardlink).collect::<UInt64Array>()),
        maybe(|row| row.device.0),
        maybe(|row| row.device.1),
        xattrs(rows),
        lists(rows, 15, |row| row.holes.iter().map(|hole| vec![hole.0, hole.1]).collect()),
        digests(rows.iter().map(|row| row.digest)),
        lists(rows, 17, |row| row.extents.iter().map(|extent| extent.map(u64::from).to_vec()).collect()),
        u32s(|row| row.flags),
    ];
    RecordBatch::try_new(Arc::clone(&ENTRIES), columns).unwrap()
}

/// The item field of a list column, and an empty builder for it.
fn list_builder(column: usize) -> ListBuilder<StructBuilder> {
    let DataType::List(item) = ENTRIES.field(column).data_type() else { panic!("column {column} is a list") };
    let DataType::Struct(fields) = item.data_type() else { panic!("its items are structs") };
    ListBuilder::new(StructBuilder::from_fields(fields.clone(), 0)).with_field(Arc::clone(item))
}

fn xattrs(rows: &[EvilRow]) -> ArrayRef {
    let mut list = list_builder(14);
    for row in rows {
        for (name, value) in &row.xattrs {
            list.values().field_builder::<BinaryBuilder>(0).unwrap().append_value(name);
            list.values().field_builder::<BinaryBuilder>(1).unwrap().append_value(value);
            list.values().append(true);
        }
        list.append(!row.xattrs.is_empty());
    }
    Arc::new(list.finish())
}

/// A column of lists of structs of numbers, of 64 or 32 bits each as the schema says.
fn lists(rows: &[EvilRow], column: usize, values: fn(&EvilRow) -> Vec<Vec<u64>>) -> ArrayRef {
    use arrow_array::builder::{UInt32Builder, UInt64Builder};
    let mut list = list_builder(column);
    for row in rows {
        let items = values(row);
        for item in &items {
            for (at, &number) in item.iter().enumerate() {
                if let Some(field) = list.values().field_builder::<UInt64Builder>(at) {
                    field.append_value(number);
                } else {
                    list.values().field_builder::<UInt32Builder>(at).unwrap().append_value(number as u32);
                }
            }
            list.values().append(true);
        }
        list.append(!items.is_empty());
    }
    Arc::new(list.finish())
}
