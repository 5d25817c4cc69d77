//! Small archives, made in memory by the engine's own writers: no files, no threads, the same bytes each time.
//!
//! In: blocks and rows. Out: the bytes of an archive, with directories in its frames as the packer writes them.

use std::ops::Range;

use carrack_engine::codec::{Codec, Encoded, Encoder, EncoderDictionary, FilterChoice, FilterId, Filters};
use carrack_engine::container::directory::{Chunk, DirectoryWriter};
use carrack_engine::container::frame::{CODEC_STORE, FrameHeader, FrameKind, FrameWriter, digest_of};
use carrack_engine::container::head::HEAD;
use carrack_engine::container::seal::SEAL_LEN;
use carrack_engine::container::{ArchiveId, Seal};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Entry, Extent, Kind, Row};
use carrack_engine::index::{BlockRow, EntriesWriter, IndexWriter};

/// What a block is made of, and how it is stored.
pub struct Block {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Its codec.
    pub codec: Codec,
    /// What is done before that.
    pub filters: Filters,
    /// Whether it is stored with the archive's dictionary.
    pub dictionary: bool,
}

impl Block {
    /// A block without filters.
    #[must_use]
    pub fn new(content: &[u8], codec: Codec) -> Self {
        Self { content: content.to_vec(), codec, filters: Filters::NONE, dictionary: false }
    }

    /// The same, filtered.
    #[must_use]
    pub fn filtered(self, filters: &[FilterId]) -> Self {
        Self { filters: Filters::of(filters), ..self }
    }
}

/// A frame to be written.
struct Planned {
    kind: FrameKind,
    block: Block,
    /// Rows that begin in it, by their places in [`Maker::rows`].
    rows: Range<usize>,
}

/// An archive that is put together.
pub struct Maker {
    id: ArchiveId,
    frames: Vec<Planned>,
    rows: Vec<Entry>,
    dictionary: Option<Vec<u8>>,
    batch_rows: usize,
    /// Behind so many frames and rows stands a tail, as if the rest had been appended later.
    tails: Vec<(usize, usize)>,
}

impl Maker {
    /// An archive with an id of this name, and nothing in it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            id: ArchiveId::derive(name.as_bytes()),
            frames: Vec::new(),
            rows: Vec::new(),
            dictionary: None,
            batch_rows: usize::MAX,
            tails: Vec::new(),
        }
    }

    /// Closes batches of entries after so many rows.
    #[must_use]
    pub fn batch_rows(self, batch_rows: usize) -> Self {
        Self { batch_rows, ..self }
    }

    /// Adds a frame with a dictionary, for the blocks to come.
    pub fn dictionary(&mut self, content: &[u8]) {
        self.add(FrameKind::Dictionary, Block::new(content, Codec::Zstd { level: 3 }), Vec::new());
        self.dictionary = Some(content.to_vec());
    }

    /// Adds a block, and a file for each path and place in it.
    pub fn block(&mut self, block: Block, files: &[(&[u8], Range<usize>)]) {
        let seq = self.frames.len() as u32;
        let entry = |(path, range): &(&[u8], Range<usize>)| file(path, &block.content, seq, range.clone());
        let entries = files.iter().map(entry).collect();
        self.add(FrameKind::Block, block, entries);
    }

    /// Adds a block and these rows, whose first extents lie in it. A hard link names its file by the number of rows that were
    /// added before that.
    pub fn files(&mut self, block: Block, entries: Vec<Entry>) {
        self.add(FrameKind::Block, block, entries);
    }

    /// Adds a table for rows without contents.
    pub fn table(&mut self, entries: Vec<Entry>) {
        self.add(FrameKind::Table, Block::new(b"", Codec::Store), entries);
    }

    /// Writes a tail here, as if what follows had been appended later.
    pub fn tail(&mut self) {
        self.tails.push((self.frames.len(), self.rows.len()));
    }

    fn add(&mut self, kind: FrameKind, block: Block, entries: Vec<Entry>) {
        let from = self.rows.len();
        self.rows.extend(entries);
        self.frames.push(Planned { kind, block, rows: from..self.rows.len() });
    }

    /// The archive.
    ///
    /// # Panics
    /// When the rows break a rule of the format: what is made here is sound.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.tail();
        let numbers = numbers(&self.rows);
        let mut bytes = HEAD.to_vec();
        let mut table: Vec<BlockRow> = Vec::new();
        let mut previous = None;
        for (frames, rows) in std::mem::take(&mut self.tails) {
            for planned in &self.frames[table.len()..frames] {
                bytes.resize(bytes.len().next_multiple_of(64), 0);
                let row = self.write_frame(planned, &numbers, &table, &mut bytes);
                table.push(row);
            }
            bytes.resize(bytes.len().next_multiple_of(64), 0);
            previous = Some(self.write_tail(&table, rows, previous, &mut bytes));
        }
        bytes
    }

    /// Writes the tail over the first `rows` rows, and says where its seal stands.
    fn write_tail(&self, table: &[BlockRow], rows: usize, previous: Option<u64>, bytes: &mut Vec<u8>) -> u64 {
        let rows = &self.rows[..rows];
        let numbers = numbers(rows);
        let mut sorted: Vec<Entry> = rows.to_vec();
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        let mut index = IndexWriter::new(self.id, serde_json::Map::new());
        table.iter().for_each(|frame| index.block(frame).expect("its codec has a word"));
        for rows in sorted.chunks(self.batch_rows) {
            let mut writer = EntriesWriter::new();
            for row in rows {
                let row = Entry { hardlink: row.hardlink.map(|first| numbers[first as usize]), ..row.clone() };
                assert!(writer.push(&row.row()).expect("the row is sound").is_none(), "a batch is small");
            }
            index.entries(writer.finish().expect("there is a row").encode().expect("it is small"));
        }
        let parts = index.finish(bytes.len() as u64).expect("it is small").parts;
        let (last, parts) = parts.split_last().expect("the seal is there");
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let at = bytes.len() as u64;
        let (seal, footer) = last.split_first_chunk::<SEAL_LEN>().expect("it begins with the seal");
        let seal = Seal::decode(seal, at).expect("it was just written");
        bytes.extend(Seal { previous, ..seal }.encode());
        bytes.extend(footer);
        at
    }

    fn write_frame(&self, planned: &Planned, numbers: &[u32], table: &[BlockRow], bytes: &mut Vec<u8>) -> BlockRow {
        let Planned { kind, block, rows } = planned;
        let (offset, seq) = (bytes.len() as u64, table.len() as u64);
        let directory = self.directory(rows.clone(), numbers);
        let (directory_codec, directory_stored) = compressed(&directory);
        let (codec, filters, payload, with_dictionary) = self.stored(block);
        let dictionary = table.iter().rfind(|frame| frame.kind == FrameKind::Dictionary).map(|frame| frame.seq);
        let header = FrameHeader {
            archive_id: self.id,
            seq,
            kind: *kind,
            codec,
            directory_codec,
            filters: filters.0,
            raw_len: block.content.len() as u32,
            stored_len: payload.len() as u32,
            directory_raw_len: directory.len() as u32,
            directory_stored_len: directory_stored.len() as u32,
            dictionary: dictionary.filter(|_| with_dictionary),
            digest: digest_of(&directory_stored, &payload),
        };
        let mut writer = FrameWriter::resume(self.id, offset, seq);
        bytes.extend(writer.frame(&header, &directory_stored, &payload).parts.concat());
        BlockRow::of(&header, offset)
    }

    /// The records of these rows.
    fn directory(&self, rows: Range<usize>, numbers: &[u32]) -> Vec<u8> {
        let mut records = DirectoryWriter::new();
        for at in rows {
            let number = numbers[at];
            let first = self.rows[at].hardlink.map(|first| numbers[first as usize]);
            let entry = Entry { hardlink: first, ..self.rows[at].clone() };
            records.entry(number, &entry.row());
            let mut holes = entry.holes.iter().peekable();
            let mut file_offset = 0;
            for &Extent { block, offset, len } in &entry.extents {
                while let Some(hole) = holes.next_if(|hole| hole.offset == file_offset) {
                    file_offset += hole.len;
                }
                records.chunk(&Chunk { row: number, file_offset, block, offset, len });
                file_offset += u64::from(len);
            }
        }
        records.bytes().to_vec()
    }

    /// Codec, filters and stored bytes of a block, and whether it takes the dictionary.
    fn stored(&self, block: &Block) -> (u8, Filters, Vec<u8>, bool) {
        let filter = if block.filters.is_empty() { FilterChoice::Off } else { FilterChoice::These(block.filters) };
        let mut encoder = Encoder::with_filter(block.codec, filter).expect("the codec is known");
        let dictionary = self.dictionary.as_ref().filter(|_| block.dictionary);
        let tables = dictionary.map(|bytes| EncoderDictionary::new(bytes, block.codec).expect("zstd takes one"));
        let mut out = vec![0; block.content.len()];
        match encoder.encode_with(tables.as_ref(), &block.content, &mut out).expect("a small block can be encoded") {
            Encoded::Stored => (CODEC_STORE, Filters::NONE, block.content.clone(), false),
            Encoded::Compressed { codec, filters, dictionary, len } => {
                out.truncate(len);
                (codec.0, filters, out, dictionary)
            }
        }
    }
}

/// Of each row its number in the order of the paths.
fn numbers(rows: &[Entry]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[a].path.cmp(&rows[b].path));
    let mut numbers = vec![0; rows.len()];
    (0..).zip(order).for_each(|(number, at)| numbers[at] = number);
    numbers
}

/// The row of a file whose bytes lie in one place of a block.
#[must_use]
pub fn file(path: &[u8], block: &[u8], seq: u32, range: Range<usize>) -> Entry {
    let content = &block[range.clone()];
    let extent = Extent { block: seq, offset: range.start as u32, len: range.len() as u32 };
    Entry {
        size: range.len() as u64,
        mode: 0o644,
        mtime_ns: 1_700_000_000_123_456_789,
        digest: Some(Digest::of(content)),
        extents: vec![extent],
        ..Entry::from(&Row::new(path, Kind::File))
    }
}

/// Codec and stored form of a directory.
fn compressed(directory: &[u8]) -> (u8, Vec<u8>) {
    let mut out = vec![0; directory.len()];
    let mut encoder = Encoder::new(Codec::Zstd { level: 3 }).expect("zstd is there");
    match encoder.encode(directory, &mut out).expect("a directory can be encoded") {
        Encoded::Stored => (CODEC_STORE, directory.to_vec()),
        Encoded::Compressed { codec, len, .. } => {
            out.truncate(len);
            (codec.0, out)
        }
    }
}
