//! Pieces of files that are stored once, wherever they lie.

use carrack_engine::archive::{Archive, BlockInfo};
use carrack_engine::codec::Codec;
use carrack_engine::error::ErrorKind;
use carrack_engine::pack::{Dedup, PackReport};
use carrack_engine::profile::DictionaryChoice;
use carrack_fixtures::content::{Content, Recipe};
use carrack_fixtures::corpus::remove_tree;
use carrack_fixtures::tree::Builder;

use crate::support::{
    Place, TIME, assert_holds, assert_same_trees, noise, open, pack, rows, unpack_clean, verify_clean,
};

const BLOCK: u32 = 64 << 10;
const PIECE: u32 = 2 << 10;

/// The bytes of `base` with one more byte at each of these places.
fn with_bytes_at(base: &[u8], places: &[usize]) -> Content {
    let mut bytes = base.to_vec();
    for &place in places.iter().rev() {
        bytes.insert(place, b'!');
    }
    Content::bytes(bytes)
}

/// Packs in pieces, reads everything back in every way, and gives what came of it.
fn packed(place: &Place, dedup: Dedup) -> (Archive, PackReport) {
    let packer = place.packer().codec(Codec::Store).block_size(BLOCK).dedup(dedup).threads(2);
    let packer = if dedup == Dedup::Chunk { packer.chunk_size(PIECE) } else { packer };
    let (bytes, report) = pack(&packer);
    assert_eq!(report.warnings, []);
    let archive = open(bytes);
    assert_holds(&archive, &place.plan, BLOCK.into());
    let verified = verify_clean(&archive);
    assert_eq!((verified.files, verified.bytes), (report.files, report.bytes));
    let dest = place.beside("copy");
    unpack_clean(&archive, &dest);
    assert_same_trees(&place.tree, &dest);
    remove_tree(&dest).unwrap();
    (archive, report)
}

/// Uncompressed lengths of all blocks, bytes.
fn lens(archive: &Archive) -> Vec<u32> {
    let mut lens = Vec::new();
    let mut push = |block: &BlockInfo| {
        lens.push(block.raw_len);
        Ok(())
    };
    archive.blocks(&mut push).unwrap();
    lens
}

fn stored(archive: &Archive) -> u64 {
    lens(archive).iter().copied().map(u64::from).sum()
}

#[test]
fn near_copies_cost_what_is_new_in_them() {
    // Within a block, and much larger than one: there every place in the file is another one in each copy.
    for len in [50_000, 400_000] {
        let base = noise(1, len).to_vec();
        let near: Vec<(String, Content)> = (0..8)
            .map(|n| (format!("v{n}"), with_bytes_at(&base, &[1000 + n * 5000, 30_000 + n * 100, 40_000])))
            .collect();
        let place = Place::of_files(near.iter().map(|(path, content)| (path.as_str(), content.clone())));
        let (archive, report) = packed(&place, Dedup::Chunk);
        // Three places in each copy, two pieces at each; in a large file also where its blocks begin and end.
        let changed = 8 * (3 * 2 + len / u64::from(BLOCK) * 3) * u64::from(PIECE);
        assert!(stored(&archive) < len + changed, "{} bytes stored of {}", stored(&archive), report.bytes);
        assert_eq!(stored(&archive) + report.duplicate_bytes, report.bytes);
        let whole = stored(&packed(&place, Dedup::File).0);
        assert!(stored(&archive) * 3 < whole * 2, "{} bytes, {whole} without pieces", stored(&archive));
    }
}

#[test]
fn runs_of_known_pieces_are_one_extent() {
    let base = noise(1, 60_000).to_vec();
    let place = Place::of_files([("a", Content::bytes(base.clone())), ("b", with_bytes_at(&base, &[30_000]))]);
    let (archive, _) = packed(&place, Dedup::Chunk);
    let extents: Vec<usize> = rows(&archive).iter().skip(1).map(|row| row.extents.len()).collect();
    assert_eq!(extents, [1, 3], "before the change, the change, behind it");
}

#[test]
fn equal_bytes_at_other_places_of_large_files_are_stored_once() {
    // Of zeros a whole block is stored: see `streams`.
    let ones = Content::stream(Recipe::Constant(1), 0, 3_000_000);
    let place = Place::of_files([("ones", ones)]);
    let (archive, _) = packed(&place, Dedup::Chunk);
    assert!(stored(&archive) <= u64::from(2 * PIECE), "{} bytes stored", stored(&archive));
}

#[test]
fn blocks_are_full_however_many_duplicates_there_are() {
    let known = noise(0, 60_000).to_vec();
    let mut plan = Builder::new(TIME);
    plan.file("a", Content::bytes(known.clone()), TIME);
    for n in 0..200 {
        // Nine bytes in ten are known.
        let bytes = [&known[..54_000], &noise(1 + n, 6_000).to_vec()].concat();
        plan.file(format!("b{n:03}"), Content::bytes(bytes), TIME);
    }
    let (archive, report) = packed(&Place::new(plan.finish()), Dedup::Chunk);
    assert!(report.duplicate_bytes * 10 > report.bytes * 8);
    let lens = lens(&archive);
    let blocks = lens.iter().filter(|len| **len > 0).count();
    let full = lens.iter().filter(|len| **len > BLOCK - 12_000).count();
    assert!(blocks > 10 && full + 1 >= blocks, "{lens:?}");
}

#[test]
fn what_is_new_of_a_file_lies_in_one_block() {
    let files: Vec<(String, Content)> = (0..60).map(|n| (format!("{n}"), noise(n, 1 + n * 1000))).collect();
    let place = Place::of_files(files.iter().map(|(path, content)| (path.as_str(), content.clone())));
    let (archive, _) = packed(&place, Dedup::Chunk);
    assert!(rows(&archive).iter().all(|entry| entry.extents.len() <= 1));
}

#[test]
fn a_memory_limit_makes_pieces_longer_and_says_so() {
    // As much as it takes for a table of pieces that is worth speaking of.
    let mut plan = Builder::new(TIME);
    for n in 0..48 {
        plan.file(format!("{n}"), Content::stream(Recipe::Constant(0), 0, 4 << 20), TIME);
    }
    let place = Place::new(plan.finish());
    let packer = place.packer().dedup(Dedup::Chunk).chunk_size(1 << 10).threads(1).block_size(64 << 10);
    let packer = packer.dictionary(DictionaryChoice::Off);
    let (free, report) = pack(&packer);
    assert_eq!(report.notes, Vec::<String>::new());
    let (bound, report) = pack(&packer.clone().memory_limit(46_000_000));
    let note =
        report.notes.iter().find(|note| note.contains("pieces of")).unwrap_or_else(|| panic!("{:?}", report.notes));
    assert!(note.contains("not 1 KiB"), "{note}");
    assert_holds(&open(bound), &place.plan, 64 << 10);
    assert_holds(&open(free), &place.plan, 64 << 10);
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let place = Place::of_files([("a", noise(1, 10))]);
    for packer in [
        place.packer().dedup(Dedup::Chunk).chunk_size(1000),
        place.packer().dedup(Dedup::Chunk).chunk_size(32 << 20),
        place.packer().dedup(Dedup::File).chunk_size(4096),
        place.packer().dedup(Dedup::None).chunk_size(4096),
    ] {
        let error = packer.pack_to_writer(Box::new(std::io::sink())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
}
