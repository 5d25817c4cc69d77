//! The new archive: the frames that are left, at their own numbers, and a new tail.
//!
//! In: frames, rows. Out: an archive of pieces, some of the broken one, some new. It reads what it copies when it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::SalvageReport;
use super::pieced::Pieced;
use crate::archive::Archive;
use crate::container::align;
use crate::container::frame::{CODEC_STORE, FrameHeader, FrameKind, HEADER_LEN, digest_of};
use crate::container::head::HEAD;
use crate::container::id::ArchiveId;
use crate::container::source::Source;
use crate::entry::{Entry, Kind};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{BlockRow, EntriesWriter, IndexError, IndexWriter};

/// The frames that the new archive is made of.
pub(super) struct Left {
    pub archive_id: ArchiveId,
    pub frames: BTreeMap<u64, BlockRow>,
    /// Those whose directories cannot be read, and are left out.
    pub undirected: BTreeSet<u64>,
    /// Number of frames in all.
    pub end: u64,
}

/// The new archive: the frames that are left, tables in place of the others (and of those without their dictionary), a new tail.
pub(super) fn put_together(
    name: &str,
    source: &Arc<dyn Source>,
    left: &Left,
    (entries, mut options): (Vec<Entry>, Map<String, Value>),
    report: &mut SalvageReport,
) -> Result<Archive> {
    let cannot =
        |error: IndexError| Error::with(ErrorKind::Output, format!("{name}: no archive can be made of it"), error);
    let &Left { archive_id, ref frames, ref undirected, end } = left;
    options.insert("salvaged".to_owned(), true.into());
    let mut index = IndexWriter::new(archive_id, options);
    let mut pieced = Pieced::new(Arc::clone(source));
    pieced.push(HEAD);
    for seq in 0..end {
        let offset = pieced.len();
        match frames.get(&seq).filter(|row| row.dictionary.is_none_or(|seq| frames.contains_key(&seq))) {
            Some(row) if undirected.contains(&seq) => {
                let header = without_directory(&**source, row).map_err(cannot)?;
                pieced.push(&header.encode());
                pieced.push_base(row.payload_offset(), row.stored_len.into());
                index.block(&BlockRow::of(&header, offset)).map_err(cannot)?;
            }
            Some(row) => {
                pieced.push_base(row.offset, row.frame_len);
                index.block(&BlockRow { offset, ..*row }).map_err(cannot)?;
            }
            None => {
                let header = empty_table(archive_id, seq);
                pieced.push(&header.encode());
                index.block(&BlockRow::of(&header, offset)).map_err(cannot)?;
            }
        }
        pieced.push(align::padding(pieced.len()));
    }
    let mut writer = EntriesWriter::new();
    for entry in entries {
        if let Some(batch) = writer.push(&entry.row()).map_err(cannot)? {
            index.entries(batch.encode().map_err(cannot)?);
        }
        report.entries += 1;
        if entry.kind == Kind::File {
            report.files += 1;
            report.bytes += entry.size;
        }
    }
    if let Some(batch) = writer.finish() {
        index.entries(batch.encode().map_err(cannot)?);
    }
    for part in index.finish(pieced.len()).map_err(cannot)?.parts {
        pieced.push(&part);
    }
    Archive::from_source(format!("what is left of {name}"), Arc::new(pieced))
}

/// The header of a frame whose directory is left out.
fn without_directory(source: &dyn Source, row: &BlockRow) -> std::result::Result<FrameHeader, IndexError> {
    let mut header = [0; HEADER_LEN];
    source.read("frame header", &mut header, row.offset)?;
    let header = FrameHeader::decode(&header, row.offset)?;
    let payload = source.bytes("frame", row.payload_offset(), row.stored_len.into())?;
    Ok(FrameHeader {
        directory_codec: CODEC_STORE,
        directory_raw_len: 0,
        directory_stored_len: 0,
        digest: digest_of(&[], &payload),
        ..header
    })
}

/// Stands for a frame that is missing.
fn empty_table(archive_id: ArchiveId, seq: u64) -> FrameHeader {
    FrameHeader {
        archive_id,
        seq,
        kind: FrameKind::Table,
        codec: CODEC_STORE,
        directory_codec: CODEC_STORE,
        filters: [0; 4],
        raw_len: 0,
        stored_len: 0,
        directory_raw_len: 0,
        directory_stored_len: 0,
        dictionary: None,
        digest: digest_of(&[], &[]),
    }
}
