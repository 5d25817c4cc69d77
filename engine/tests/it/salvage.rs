//! What the directories of the frames say, without the index: everything but the digests.

use std::collections::BTreeMap;

use carrack_engine::archive::Archive;
use carrack_engine::codec::Decoder;
use carrack_engine::container::directory::{Chunk, DirectoryReader, Record};
use carrack_engine::entry::{Entry, Extent};
use carrack_engine::index::BlockRow;
use carrack_engine::restore::frames::FrameBytes;
use carrack_fixtures::content::{Content, Recipe};

use crate::support::{Place, noise, open, pack, rows};

/// Every record of the frames' directories, one frame after the other.
pub(crate) fn for_each_record(archive: &Archive, mut each: impl FnMut(&BlockRow, Record<'_>)) {
    let (index, source) = (archive.index(), archive.source());
    let (mut frame, mut decoder, mut buffer) = (FrameBytes::default(), Decoder::default(), Vec::new());
    let each_block = |block: &BlockRow| {
        frame.read(&**source, block).unwrap();
        let proved = frame.check(block, index.archive_id()).unwrap();
        let mut records = DirectoryReader::new(proved.directory(&mut decoder, &mut buffer).unwrap());
        while let Some(record) = records.next() {
            each(block, record?);
        }
        Ok(())
    };
    index.for_each_block(&**source, each_block).unwrap();
}

/// Every entry and every extent, put together from the frames alone.
fn salvaged(archive: &Archive) -> Vec<Entry> {
    let (mut entries, mut chunks) = (BTreeMap::new(), BTreeMap::<u32, Vec<Chunk>>::new());
    for_each_record(archive, |_, record| match record {
        Record::Entry(row, entry) => assert!(entries.insert(row, Entry::from(&entry)).is_none(), "twice: {row}"),
        Record::Chunk(chunk) => chunks.entry(chunk.row).or_default().push(chunk),
    });
    for (row, mut chunks) in chunks {
        chunks.sort_by_key(|chunk| chunk.file_offset);
        let extent = |chunk: &Chunk| Extent { block: chunk.block, offset: chunk.offset, len: chunk.len };
        entries.get_mut(&row).unwrap().extents = chunks.iter().map(extent).collect();
    }
    entries.into_values().collect()
}

/// Compares what the directories say with the index.
pub(crate) fn assert_salvageable(archive: &Archive) {
    let expected: Vec<_> = rows(archive).into_iter().map(|entry| Entry { digest: None, ..entry }).collect();
    let found = salvaged(archive);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

/// Files that follow one another, duplicates of near and far ones between them, parts of large files, empty files, and
/// folders: each way in which a directory can name a chunk.
#[test]
fn the_frames_alone_tell_where_everything_lies() {
    let text = |seed: u64, len| Content::stream(Recipe::Noise, seed % 90, len);
    let names: Vec<_> = (0..400).map(|at| format!("d{}/f{at:03}", at / 40)).collect();
    let files = names.iter().zip(0u64..).map(|(name, at)| {
        (
            name.as_str(),
            match at % 50 {
                7 => noise(at, 70_000),
                9 => noise(0, 0),
                _ => text(at, 500 + at % 90),
            },
        )
    });
    let place = Place::of_files(files);
    for block_size in [4 << 10, 64 << 10] {
        let (bytes, report) = pack(&place.packer().block_size(block_size));
        assert!(report.blocks > 5);
        assert_salvageable(&open(bytes));
    }
}
