//! Large files that say the same over and over: what is stored of them is bounded, however long they are.

use std::fs;

use carrack_engine::archive::{Archive, BlockInfo};
use carrack_engine::codec::Codec;
use carrack_engine::pack::{Dedup, PackReport, Packer};
use carrack_engine::plan::Order;
use carrack_engine::verify::VerifyOptions;
use carrack_fixtures::tree::Builder;

use crate::support::{Place, TIME, noise, open, pack, rows, unpack_clean, verify_clean};

const BLOCK: u32 = 64 << 10;

/// A tree with one file of these bytes. All of them are written: none becomes a hole.
fn place(bytes: &[u8]) -> Place {
    let place = Place::new(Builder::new(TIME).finish());
    fs::write(place.tree.join("stream"), bytes).unwrap();
    place
}

/// Packs, proves, unpacks and compares. Gives the lengths of the blocks, bytes.
fn blocks_of(place: &Place, packer: &Packer) -> (Vec<u32>, Archive, PackReport) {
    let (bytes, report) = pack(&packer.clone().block_size(BLOCK).codec(Codec::Store));
    assert_eq!(report.warnings, []);
    let archive = open(bytes);
    assert!(rows(&archive).iter().all(|entry| entry.holes.is_empty()), "it was written whole");
    let (mut lens, mut frames) = (Vec::new(), 0);
    let mut push = |block: &BlockInfo| {
        frames += 1;
        // What became of a file that ends in duplicates stands in a frame without a block.
        lens.extend((block.raw_len > 0).then_some(block.raw_len));
        Ok(())
    };
    archive.blocks(&mut push).unwrap();
    let verified = verify_clean(&archive);
    assert_eq!((verified.blocks, verified.bytes), (frames, report.bytes));
    let dest = place.beside("copy");
    unpack_clean(&archive, &dest);
    assert!(fs::read(place.tree.join("stream")).unwrap() == fs::read(dest.join("stream")).unwrap());
    fs::remove_dir_all(&dest).unwrap();
    (lens, archive, report)
}

#[test]
fn zeros_are_stored_once() {
    const LEN: usize = 400 * BLOCK as usize;
    let place = place(&vec![0; LEN]);
    for dedup in [Dedup::File, Dedup::Chunk] {
        for order in [Order::Path, Order::Similar] {
            let (lens, archive, report) = blocks_of(&place, &place.packer().dedup(dedup).order(order));
            assert_eq!(lens, [BLOCK], "{dedup:?}");
            assert_eq!(report.duplicate_bytes, (LEN - BLOCK as usize) as u64);
            // One extent a block of the file, not one a piece of it.
            assert_eq!(archive.find(b"stream").unwrap().unwrap().extents.len(), 400);
            assert!(report.archive_bytes < u64::from(BLOCK) + 32_000, "{} bytes", report.archive_bytes);
        }
    }
    let (lens, ..) = blocks_of(&place, &place.packer().dedup(Dedup::None));
    assert_eq!(lens.len(), 400, "nothing is stored once where that is asked for");
}

#[test]
fn the_end_of_a_file_of_zeros_may_be_shorter() {
    for more in [1, 1000, BLOCK - 1] {
        let place = place(&vec![0; (40 * BLOCK + more) as usize]);
        for dedup in [Dedup::File, Dedup::Chunk] {
            let (lens, ..) = blocks_of(&place, &place.packer().dedup(dedup));
            assert_eq!(lens.iter().sum::<u32>(), BLOCK + more);
        }
    }
}

#[test]
fn a_pattern_as_long_as_some_blocks_is_stored_once() {
    for blocks in [1_u32, 3] {
        let pattern = noise(5, u64::from(blocks * BLOCK)).to_vec();
        let place = place(&pattern.repeat(60));
        for dedup in [Dedup::File, Dedup::Chunk] {
            let (lens, ..) = blocks_of(&place, &place.packer().dedup(dedup));
            assert_eq!(lens, vec![BLOCK; blocks as usize], "{dedup:?}");
        }
    }
}

#[test]
fn a_pattern_of_another_length_is_stored_about_once_in_pieces() {
    const LEN: u32 = 100_003;
    let place = place(&noise(6, LEN.into()).to_vec().repeat(60));
    let (lens, ..) = blocks_of(&place, &place.packer().dedup(Dedup::Chunk).chunk_size(2 << 10));
    let stored: u32 = lens.iter().sum();
    // Cutting begins anew at each block of the file: one piece there and one behind it are others each time.
    let edges = (60 * LEN).div_ceil(BLOCK) * 2 * 3 * 1024;
    assert!(stored < LEN + edges, "{stored} bytes stored, {edges} of them allowed at edges");
    assert!(stored < 60 * LEN / 10, "{stored} bytes stored of {}", 60 * LEN);
}

#[test]
fn parts_are_shared_between_files_wherever_they_lie() {
    let (a, b) = (noise(7, u64::from(BLOCK)).to_vec(), noise(8, u64::from(BLOCK)).to_vec());
    let place = place(&[&a[..], &b, &a, &a, &b].concat());
    fs::write(place.tree.join("whole"), &b).unwrap();
    fs::write(place.tree.join("zlarge"), [&b[..], &a, &b[..500]].concat()).unwrap();
    let (lens, ..) = blocks_of(&place, &place.packer().dedup(Dedup::File));
    assert_eq!(lens.iter().sum::<u32>(), 2 * BLOCK + 500);
}

#[test]
fn damage_to_a_block_that_is_used_very_often_is_told_once() {
    let place = place(&noise(9, BLOCK.into()).to_vec().repeat(200));
    let (mut bytes, _) = pack(&place.packer().block_size(BLOCK).codec(Codec::Store));
    let mut offsets = Vec::new();
    let mut push = |block: &BlockInfo| {
        offsets.push(block.offset as usize);
        Ok(())
    };
    open(bytes.clone()).blocks(&mut push).unwrap();
    bytes[offsets[0] + 2000] ^= 1;
    let report = open(bytes).verify(&VerifyOptions { threads: Some(2), ..VerifyOptions::default() }).unwrap();
    assert_eq!((report.damage.len(), report.blocks), (1, offsets.len() as u64 - 1), "{:?}", report.damage);
    assert_eq!(report.lost, [b"stream".to_vec()]);
}
