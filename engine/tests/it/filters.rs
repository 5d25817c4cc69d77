//! Filters in archives: what they change comes back, they are on record, and an unknown one costs its own files alone.

use carrack_engine::codec::{Codec, FilterChoice, FilterId, Filters};
use carrack_engine::container::frame::{CODEC_STORE, digest_of};
use carrack_engine::container::head::HEAD;
use carrack_engine::container::{ArchiveId, FrameHeader, FrameKind, FrameWriter};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Extent, Kind};
use carrack_engine::error::ErrorKind;
use carrack_engine::index::BlockRow;
use carrack_fixtures::content::{Content, Recipe};

use crate::support::{Place, assert_holds, assert_same_trees, open, pack, unpack_clean, verify, verify_clean};
use crate::synthetic::{Owned, encoded, tail};

const BLOCK: u32 = 64 << 10;

/// Files shorter and longer than a block, of machine code and of text.
fn place() -> Place {
    let code = |seed, len| Content::stream(Recipe::Executable, seed, len);
    Place::of_files([
        ("a", code(1, 1)),
        ("b", code(2, 70_001)),
        ("c", Content::stream(Recipe::Constant(b'-'), 0, 30_000)),
        ("d", code(3, 200_003)),
        ("e", code(4, 5000)),
    ])
}

/// The filters of every block that was compressed.
fn filters_of(bytes: Vec<u8>) -> Vec<Filters> {
    let mut filters = Vec::new();
    open(bytes)
        .blocks(&mut |block| {
            filters.extend((block.codec != "store").then_some(block.filters));
            Ok(())
        })
        .unwrap();
    filters
}

#[test]
fn files_come_back_through_every_filter_and_codec() {
    let place = place();
    let single = FilterId::all().map(|id| Filters::of(&[id]));
    let chain = Filters::of(&[FilterId::X86, FilterId::delta(4), FilterId::shuffle(4), FilterId::arm64(3)]);
    for (turn, filters) in single.chain([chain]).enumerate() {
        let codecs = [Codec::Zstd { level: 3 }, Codec::Lz4, Codec::Lzma { level: 0 }];
        let codec = codecs[turn % 3];
        let packer = place.packer().codec(codec).block_size(BLOCK).filter(FilterChoice::These(filters));
        let (bytes, _) = pack(&packer.clone().threads(1));
        assert!(pack(&packer.threads(3).slots(9)).0 == bytes, "{filters}, {codec}: threads show");
        assert!(filters_of(bytes.clone()).contains(&filters), "{filters}, {codec}: no block names it");
        let archive = open(bytes);
        assert_holds(&archive, &place.plan, BLOCK.into());
        verify_clean(&archive);
        let dest = place.beside("copy");
        unpack_clean(&archive, &dest);
        assert_same_trees(&place.tree, &dest);
        carrack_fixtures::corpus::remove_tree(&dest).unwrap();
    }
}

#[test]
fn a_block_gets_the_filters_that_suit_it() {
    let wave: Vec<u8> = (0..200_000).flat_map(|n| ((f64::from(n) / 50.0).sin() * 9000.0).to_le_bytes()).collect();
    let place = Place::of_files([("text", Content::stream(Recipe::Constant(b'-'), 0, 1 << 20))]);
    std::fs::write(place.tree.join("wave"), &wave).unwrap();
    let packer = place.packer().codec(Codec::Zstd { level: 6 }).block_size(1 << 20);
    let (bytes, _) = pack(&packer.clone().threads(1));
    let filters = filters_of(bytes.clone());
    assert!(filters.contains(&Filters::NONE) && filters.iter().any(|filters| !filters.is_empty()), "{filters:?}");
    assert!(pack(&packer.clone().threads(4).slots(3)).0 == bytes, "threads show");
    assert_eq!(open(bytes.clone()).read(b"wave").unwrap(), wave);
    let (without, _) = pack(&packer.filter(FilterChoice::Off));
    assert!(filters_of(without.clone()).iter().all(|filters| filters.is_empty()));
    assert!(bytes.len() < without.len(), "{} bytes with filters, {} without", bytes.len(), without.len());
}

/// A block of one file, stored behind these filters.
fn frame(writer: &mut FrameWriter, payload: &[u8], filters: [u8; 4]) -> (Vec<u8>, BlockRow) {
    let header = FrameHeader {
        archive_id: ArchiveId::derive(b"synthetic"),
        seq: writer.next_seq(),
        kind: FrameKind::Block,
        codec: CODEC_STORE,
        directory_codec: CODEC_STORE,
        filters,
        raw_len: payload.len() as u32,
        stored_len: payload.len() as u32,
        directory_raw_len: 0,
        directory_stored_len: 0,
        dictionary: None,
        digest: digest_of(b"", payload),
    };
    let parts = writer.frame(&header, b"", payload);
    let row = BlockRow::of(&header, parts.offset);
    (parts.parts.concat(), row)
}

#[test]
fn an_unknown_filter_costs_the_files_that_need_it_and_no_others() {
    let contents = [b"plain".as_slice(), b"filtered", b"from the future"];
    let mut writer = FrameWriter::new(ArchiveId::derive(b"synthetic"), HEAD.len() as u64);
    let (mut bytes, mut blocks, mut rows) = (HEAD.to_vec(), Vec::new(), vec![Owned::new(b"", Kind::Dir)]);
    for (seq, content) in contents.into_iter().enumerate() {
        let mut payload = content.to_vec();
        let filters = [[0; 4], Filters::of(&[FilterId::delta(1)]).0, [FilterId::X86.0, 200, 0, 0]][seq];
        if seq == 1 {
            Filters(filters).apply(&mut payload, &mut []).unwrap();
        }
        let (frame, row) = frame(&mut writer, &payload, filters);
        bytes.extend(frame);
        blocks.push(row);
        rows.push(Owned {
            size: content.len() as u64,
            digest: Some(Digest::of(content)),
            extents: vec![Extent { block: seq as u32, offset: 0, len: content.len() as u32 }],
            ..Owned::new(format!("file {seq}").as_bytes(), Kind::File)
        });
    }
    let tail = tail(&blocks, encoded(&rows), bytes.len() as u64);
    tail.parts.iter().for_each(|part| bytes.extend_from_slice(part));
    let archive = open(bytes);
    assert_eq!(archive.read(b"file 0").unwrap(), contents[0]);
    assert_eq!(archive.read(b"file 1").unwrap(), contents[1], "a filter without a codec");
    assert_eq!(archive.read_range(b"file 1", 0..4).unwrap(), contents[1][..4]);
    let error = archive.read(b"file 2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Newer);
    assert!(
        error.to_string().contains("filter number 200 is unknown to this version; a newer one is needed"),
        "{error}"
    );
    let report = verify(&archive);
    assert_eq!(report.lost, [b"file 2".to_vec()]);
    assert!(report.damage.len() == 1 && report.damage[0].contains("filter number 200"), "{:?}", report.damage);
}
