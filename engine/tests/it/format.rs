//! What is written can be read back, by this crate and by Arrow's own reader, and stays the same bytes.

use std::fs::File;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::FileReader;
use carrack_engine::container::directory::{DirectoryReader, Record};
use carrack_engine::container::head::HEAD;
use carrack_engine::container::{FileSource, FrameHeader};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Extent, Kind, Row};
use carrack_engine::index::schema::{BLOCKS, ENTRIES};
use carrack_engine::index::{EntriesWriter, Index, IndexError};
use carrack_engine::limits::BATCH_ROWS;
use proptest::prelude::*;

use crate::synthetic::{self, Owned, archive, encoded, frames, read_rows, rows, tail, verify};

/// BLAKE3 of the synthetic archive. Changes with the format, or when the zstd library compresses differently.
const GOLDEN_DIGEST: &str = "0224a3cf117dca30e851424d616b4fc87409f58df2d25d0ad3ce61a87888c06f";

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// What the interop script compares, one object a row.
fn expected_json(rows: &[Owned]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "path": String::from_utf8_lossy(&row.path),
                "kind": row.kind.name(),
                "size": row.size,
                "mode": row.mode,
                "mtime_ns": row.mtime_ns,
                "digest": row.digest.map(|digest| digest.to_string()),
            })
        })
        .collect();
    serde_json::to_string_pretty(&rows).unwrap() + "\n"
}

#[test]
fn the_golden_archive_has_not_changed() {
    let (bytes, json) = (archive(), expected_json(&rows()));
    if std::env::var_os("CARRACK_WRITE_GOLDEN").is_some() {
        std::fs::write(golden("synthetic-1.crk"), &bytes).unwrap();
        std::fs::write(golden("synthetic-1.json"), &json).unwrap();
    }
    assert_eq!(Digest::of(&bytes).to_string(), GOLDEN_DIGEST, "the same rows gave other bytes than before");
    assert!(std::fs::read(golden("synthetic-1.crk")).unwrap() == bytes);
    assert_eq!(std::fs::read_to_string(golden("synthetic-1.json")).unwrap(), json);
}

#[test]
fn the_document_names_the_same_constants() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/format.md");
    let text = std::fs::read_to_string(document).unwrap();
    let bytes = archive();
    let table = Index::open(&bytes).unwrap().seal().blocks_offset as usize;
    assert!(text.contains(&Digest::of(HEAD).to_string()) && text.contains(&format!("{} constant bytes", HEAD.len())));
    assert!(text.contains(&Digest::of(&bytes[table..][..704]).to_string()));
    for field in ENTRIES.fields().iter().chain(BLOCKS.fields()) {
        assert!(text.contains(&format!("`{}`", field.name())), "{}", field.name());
    }
}

#[test]
fn the_golden_archive_is_read_and_proven() {
    let source = FileSource::new(File::open(golden("synthetic-1.crk")).unwrap()).unwrap();
    assert_eq!(read_rows(&source).unwrap(), rows());
    verify(&source).unwrap();
    let index = Index::open(&source).unwrap();
    let counts = index.manifest().counts;
    assert_eq!((counts.entries, counts.files, counts.dirs, counts.changed), (16, 7, 3, 1));
    assert_eq!(index.manifest().options["codec"], "store");
    assert_eq!((index.frames(), index.manifest().frames.raw_bytes), (3, 54));
}

#[test]
fn directories_hold_what_a_salvage_needs() {
    let (rows, bytes) = (rows(), archive());
    let index = Index::open(&bytes).unwrap();
    let mut seen = vec![false; rows.len()];
    index
        .for_each_block(&bytes, |block| {
            let at = block.offset as usize;
            let header = FrameHeader::decode(bytes[at..][..128].try_into().unwrap(), block.offset)?;
            let directory = &bytes[at + 128..][..header.directory_stored_len as usize];
            let mut reader = DirectoryReader::new(directory);
            while let Some(record) = reader.next() {
                if let Record::Entry(number, row) = record? {
                    let expected = &rows[number as usize];
                    assert_eq!(row, Row { digest: None, extents: &[], ..expected.row() });
                    seen[number as usize] = true;
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(seen.into_iter().all(|seen| seen));
}

/// Reads an archive with nothing but the Arrow library.
fn read_with_arrow<R: std::io::Read + Seek>(reader: R) -> Vec<RecordBatch> {
    let reader = FileReader::try_new(reader, None).unwrap();
    assert_eq!(reader.schema(), *ENTRIES);
    reader.map(Result::unwrap).collect()
}

#[test]
fn arrow_opens_an_archive_as_a_table() {
    let (rows, bytes) = (rows(), archive());
    let batches = read_with_arrow(Cursor::new(&bytes));
    assert_eq!(batches.len(), 1);
    let batch = &batches[0];
    let column = |name: &str| batch.column_by_name(name).unwrap();
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(column("path").as_string::<i32>().value(at), String::from_utf8_lossy(&row.path));
        let raw = column("path_raw").as_binary::<i32>();
        assert_eq!(
            raw.is_valid(at).then(|| raw.value(at)),
            str::from_utf8(&row.path).is_err().then_some(&row.path[..])
        );
        assert_eq!(column("kind").as_string::<i32>().value(at), row.kind.name());
        assert_eq!(column("size").as_primitive::<UInt64Type>().value(at), row.size);
        assert_eq!(column("mtime").as_primitive::<TimestampNanosecondType>().value(at), row.mtime_ns);
        let digest = column("digest").as_fixed_size_binary();
        assert_eq!(digest.is_valid(at).then(|| digest.value(at)), row.digest.as_ref().map(|digest| &digest.0[..]));
        let extents = column("extents").as_list::<i32>();
        assert_eq!(extents.is_valid(at), !row.extents.is_empty());
        let items = extents.value(at);
        let lens = items.as_struct().column_by_name("len").unwrap().as_primitive::<UInt32Type>();
        assert_eq!(lens.values().to_vec(), row.extents.iter().map(|extent| extent.len).collect::<Vec<_>>());
    }
}

#[test]
fn the_blocks_table_is_an_arrow_file_of_its_own() {
    let bytes = archive();
    let seal = *Index::open(&bytes).unwrap().seal();
    let table = &bytes[seal.blocks_offset as usize..][..seal.blocks_len as usize];
    let reader = FileReader::try_new(Cursor::new(table), None).unwrap();
    assert_eq!(reader.schema(), *BLOCKS);
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let kinds = batches[0].column_by_name("kind").unwrap().as_string::<i32>();
    assert_eq!(kinds.iter().flatten().collect::<Vec<_>>(), ["block", "block", "table"]);
}

#[test]
fn frames_may_reach_beyond_4_gib() {
    let rows = rows();
    let offset = 5 << 30;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(HEAD).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    let (_, blocks) = frames(&rows, &synthetic::BLOCKS);
    for part in tail(&blocks, encoded(&rows), offset).parts {
        file.write_all(&part).unwrap();
    }
    let batches = read_with_arrow(file.try_clone().unwrap());
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows.len());
    assert_eq!(read_rows(&FileSource::new(file).unwrap()).unwrap(), rows);
}

#[test]
fn an_archive_may_be_empty() {
    let (mut bytes, blocks) = frames(&[], &[]);
    let tail = tail(&blocks, Vec::new(), bytes.len() as u64);
    bytes.extend(tail.parts.concat());
    assert_eq!(read_rows(&bytes).unwrap(), []);
    verify(&bytes).unwrap();
    assert!(read_with_arrow(Cursor::new(&bytes)).is_empty());
}

#[test]
fn rows_that_break_a_rule_are_not_written() {
    let mut writer = EntriesWriter::new();
    writer.push(&Row::new(b"b", Kind::Dir)).unwrap();
    for row in
        [Row::new(b"b", Kind::Dir), Row::new(b"a", Kind::Dir), Row::new(b"c/..", Kind::Dir), Row::new(b"c", Kind::File)]
    {
        assert!(matches!(writer.push(&row), Err(IndexError::Refused { .. })), "{row:?}");
    }
    writer.push(&Row::new(b"c", Kind::Dir)).unwrap();
    assert_eq!(writer.rows(), 2);
    let batch = writer.finish().unwrap().encode().unwrap();
    assert_eq!((batch.message.rows, batch.first, batch.counts.dirs), (2, b"b".to_vec(), 2));
}

#[test]
fn a_batch_is_closed_before_its_values_grow_too_long() {
    let extents = vec![Extent { block: 0, offset: 0, len: 1 }; 3 << 16];
    let file = |path| Row {
        size: extents.len() as u64,
        extents: &extents,
        digest: Some(Digest::default()),
        ..Row::new(path, Kind::File)
    };
    let mut writer = EntriesWriter::new();
    assert!(writer.push(&file(b"a")).unwrap().is_none());
    assert!(writer.push(&file(b"b")).unwrap().is_some(), "two such rows take more than 4 MiB");
    assert!(writer.push(&Row::new(b"c", Kind::Dir)).unwrap().is_none());
}

/// Rows with random values in every column, enough for several batches.
fn many_rows(seed: u64, count: usize) -> Vec<Owned> {
    let templates = rows();
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count)
        .map(|at| {
            let number = random();
            let mut row = templates[1 + number as usize % (templates.len() - 1)].clone();
            row.path = format!("{at:08}").into_bytes();
            if number.is_multiple_of(3) {
                row.path.extend_from_slice(&[0xff, number as u8 | 0x80]);
            }
            row.mtime_ns = random() as i64;
            (row.uid, row.gid) = (random() as u32, random() as u32);
            row.owner = (number.is_multiple_of(5)).then(|| format!("user {}", number % 1000));
            // Row 0 is the file that hard links name.
            row.hardlink = row.hardlink.map(|_| 0);
            if at == 0 { Owned { path: row.path, ..templates[4].clone() } } else { row }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn rows_of_several_batches_come_back(seed: u64, more in 0..300usize) {
        let rows = many_rows(seed, BATCH_ROWS + more);
        let (mut bytes, blocks) = frames(&[], &synthetic::BLOCKS);
        bytes.extend(tail(&blocks, encoded(&rows), bytes.len() as u64).parts.concat());
        let back = read_rows(&bytes).unwrap();
        prop_assert!(back == rows);
        verify(&bytes).unwrap();
    }
}
