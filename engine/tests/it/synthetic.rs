//! Archives put together by hand: every kind of entry, every column, no pipeline.

use carrack_engine::container::directory::{Chunk, DirectoryWriter};
use carrack_engine::container::frame::{CODEC_STORE, digest_of};
use carrack_engine::container::head::HEAD;
use carrack_engine::container::{ArchiveId, FrameHeader, FrameKind, FrameWriter, Source};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Device, Extent, Hole, Kind, Row, Xattr, flags};
use carrack_engine::index::envelope::check_gaps;
use carrack_engine::index::rules::check_extents;
use carrack_engine::index::{BlockRow, EncodedEntries, EntriesWriter, Index, IndexError, IndexWriter, Tail};

/// A row that owns what a [`Row`] borrows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Owned {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) mtime_ns: i64,
    pub(crate) link_target: Option<Vec<u8>>,
    pub(crate) hardlink: Option<u32>,
    pub(crate) device: Option<Device>,
    pub(crate) xattrs: Vec<Xattr>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) digest: Option<Digest>,
    pub(crate) extents: Vec<Extent>,
    pub(crate) flags: u32,
}

impl Owned {
    pub(crate) fn new(path: &[u8], kind: Kind) -> Self {
        Self::from(&Row::new(path, kind))
    }

    pub(crate) fn row(&self) -> Row<'_> {
        Row {
            path: &self.path,
            kind: self.kind,
            size: self.size,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            owner: self.owner.as_deref(),
            group: self.group.as_deref(),
            mtime_ns: self.mtime_ns,
            link_target: self.link_target.as_deref(),
            hardlink: self.hardlink,
            device: self.device,
            xattrs: &self.xattrs,
            holes: &self.holes,
            digest: self.digest,
            extents: &self.extents,
            flags: self.flags,
        }
    }
}

impl From<&Row<'_>> for Owned {
    fn from(row: &Row<'_>) -> Self {
        Self {
            path: row.path.to_vec(),
            kind: row.kind,
            size: row.size,
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            owner: row.owner.map(str::to_owned),
            group: row.group.map(str::to_owned),
            mtime_ns: row.mtime_ns,
            link_target: row.link_target.map(<[u8]>::to_vec),
            hardlink: row.hardlink,
            device: row.device,
            xattrs: row.xattrs.to_vec(),
            holes: row.holes.to_vec(),
            digest: row.digest,
            extents: row.extents.to_vec(),
            flags: row.flags,
        }
    }
}

/// Contents of the files in [`rows`]: block 0, then block 1.
pub(crate) const BLOCKS: [&[u8]; 2] = [b"first file\nsecond, longer file\n", b"what lies around a hole"];

/// One row of every kind, sorted.
pub(crate) fn rows() -> Vec<Owned> {
    let file = |path: &[u8], block: u32, range: std::ops::Range<usize>| {
        let content = &BLOCKS[block as usize][range.clone()];
        let extent = Extent { block, offset: range.start as u32, len: range.len() as u32 };
        Owned {
            size: range.len() as u64,
            mode: 0o644,
            mtime_ns: 1_700_000_000_123_456_789,
            digest: Some(Digest::of(content)),
            extents: vec![extent],
            ..Owned::new(path, Kind::File)
        }
    };
    let dir = |path: &[u8]| Owned { mode: 0o755, mtime_ns: -1, ..Owned::new(path, Kind::Dir) };
    let sparse = [vec![0; 8192], BLOCKS[1][..10].to_vec(), vec![0; 4096]].concat();
    vec![
        Owned { owner: Some("root".into()), group: Some("wheel".into()), ..dir(b"") },
        dir(b"bin"),
        Owned {
            mode: 0o600,
            device: Some(Device { major: 8, minor: 1 }),
            ..Owned::new(b"bin-disk", Kind::BlockDevice)
        },
        Owned { device: Some(Device { major: 1, minor: 3 }), ..Owned::new(b"bin-null", Kind::CharDevice) },
        Owned { mode: 0o4755, uid: 1000, gid: u32::MAX, ..file(b"bin/first", 0, 0..11) },
        Owned { flags: flags::CHANGED, ..file("d\u{e9}j\u{e0} vu".as_bytes(), 0, 11..31) },
        Owned { digest: Some(Digest::of(b"")), ..Owned::new(b"empty", Kind::File) },
        Owned { size: 11, hardlink: Some(4), ..Owned::new(b"hard", Kind::Hardlink) },
        Owned { link_target: Some(b"../\xff outside".to_vec()), mode: 0o777, ..Owned::new(b"link", Kind::Symlink) },
        dir(b"name\xfe"),
        file(b"name\xfe/a", 0, 0..11),
        file(b"name\xff", 0, 11..31),
        Owned::new(b"pipe", Kind::Fifo),
        Owned::new(b"socket", Kind::Socket),
        Owned {
            size: sparse.len() as u64,
            holes: vec![Hole { offset: 0, len: 8192 }, Hole { offset: 8202, len: 4096 }],
            digest: Some(Digest::of(&sparse)),
            xattrs: vec![
                Xattr { name: b"security.capability".to_vec(), value: vec![1, 0, 0, 2] },
                Xattr { name: b"user.comment".to_vec(), value: b"half empty".to_vec() },
            ],
            ..file(b"sparse", 1, 0..10)
        },
        file(b"tail", 1, 10..23),
    ]
}

/// Batches of these rows.
pub(crate) fn encoded(rows: &[Owned]) -> Vec<EncodedEntries> {
    let mut writer = EntriesWriter::new();
    let mut batches = Vec::new();
    for row in rows {
        batches.extend(writer.push(&row.row()).unwrap());
    }
    batches.extend(writer.finish());
    batches.into_iter().map(|batch| batch.encode().unwrap()).collect()
}

/// Everything up to the end of the last frame, and the frames' rows: one block each, then a table.
pub(crate) fn frames(rows: &[Owned], blocks: &[&[u8]]) -> (Vec<u8>, Vec<BlockRow>) {
    let archive_id = ArchiveId::derive(b"synthetic");
    let mut writer = FrameWriter::new(archive_id, HEAD.len() as u64);
    let mut bytes = HEAD.to_vec();
    let mut block_rows = Vec::new();
    let mut records = DirectoryWriter::new();
    for (seq, payload) in blocks.iter().copied().chain([b"".as_slice()]).enumerate() {
        let is_table = seq == blocks.len();
        records.clear();
        for (number, row) in rows.iter().enumerate() {
            match row.extents.first() {
                Some(extent) if extent.block as usize == seq => {
                    records.entry(number as u32, &row.row());
                    let Extent { block, offset, len } = *extent;
                    records.chunk(&Chunk { row: number as u32, file_offset: 0, block, offset, len });
                }
                None if is_table => records.entry(number as u32, &row.row()),
                _ => {}
            }
        }
        let directory = records.bytes();
        let header = FrameHeader {
            archive_id,
            seq: seq as u64,
            kind: if is_table { FrameKind::Table } else { FrameKind::Block },
            codec: CODEC_STORE,
            directory_codec: CODEC_STORE,
            filters: [0; 4],
            raw_len: payload.len() as u32,
            stored_len: payload.len() as u32,
            directory_raw_len: directory.len() as u32,
            directory_stored_len: directory.len() as u32,
            dictionary: None,
            digest: digest_of(directory, payload),
        };
        let frame = writer.frame(&header, directory, payload);
        block_rows.push(BlockRow::of(&header, frame.offset));
        bytes.extend(frame.parts.concat());
    }
    (bytes, block_rows)
}

/// A frame without a directory, to stand at `offset`.
pub(crate) fn one_frame(seq: u64, offset: u64, payload: &[u8]) -> (Vec<u8>, BlockRow) {
    let header = FrameHeader {
        archive_id: ArchiveId::derive(b"synthetic"),
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
    let mut writer = FrameWriter::resume(header.archive_id, offset, seq);
    (writer.frame(&header, b"", payload).parts.concat(), BlockRow::of(&header, offset))
}

/// The tail behind frames that end at `offset`.
pub(crate) fn tail(blocks: &[BlockRow], entries: Vec<EncodedEntries>, offset: u64) -> Tail {
    let options = serde_json::json!({ "block_size": 4 << 20, "codec": "store" });
    let mut writer = IndexWriter::new(ArchiveId::derive(b"synthetic"), options.as_object().unwrap().clone());
    blocks.iter().for_each(|row| writer.block(row).unwrap());
    entries.into_iter().for_each(|batch| writer.entries(batch));
    writer.finish(offset).unwrap()
}

/// An archive of [`rows`].
pub(crate) fn archive() -> Vec<u8> {
    let rows = rows();
    let (mut bytes, blocks) = frames(&rows, &BLOCKS);
    let tail = tail(&blocks, encoded(&rows), bytes.len() as u64);
    tail.parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// All rows of an archive, checked against one another.
pub(crate) fn read_rows(source: &dyn Source) -> Result<Vec<Owned>, IndexError> {
    let index = Index::open(source)?;
    let mut rows = index.entries(source);
    let mut owned = Vec::new();
    while let Some((number, row)) = rows.next_row()? {
        assert_eq!(number, owned.len() as u64);
        owned.push(Owned::from(&row));
    }
    Ok(owned)
}

/// What `verify` does, but for decoding: envelope, digests of frames, rows, extents.
pub(crate) fn verify(source: &dyn Source) -> Result<(), IndexError> {
    let index = Index::open(source)?;
    check_gaps(source, &index)?;
    index.for_each_block(source, |row| {
        let mut header = [0; 128];
        source.read("frame header", &mut header, row.offset)?;
        let header = FrameHeader::decode(&header, row.offset)?;
        let body = source.bytes("frame", row.offset + 128, row.frame_len - 128)?;
        let (directory, payload) = body.split_at(header.directory_stored_len as usize);
        let digest = digest_of(directory, payload);
        if digest == row.digest { Ok(()) } else { Err(IndexError::damaged("frame", row.offset, row.digest, digest)) }
    })?;
    let mut rows = index.entries(source);
    while let Some((_, row)) = rows.next_row()? {
        let raw_len = |block: u32| index.block(source, block.into()).ok().map(|block| block.raw_len);
        check_extents(&row, raw_len).map_err(|fault| fault.at(0))?;
    }
    Ok(())
}
