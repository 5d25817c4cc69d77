//! Trees of a shape that strains one part: very many duplicates, very many entries, very long names.

use carrack_engine::codec::Codec;
use carrack_engine::container::FrameHeader;
use carrack_engine::pack::Dedup;
use carrack_fixtures::content::Content;
use carrack_fixtures::tree::Builder;

use crate::support::{Place, TIME, assert_holds, assert_lists, noise, open, pack, verify_clean};

/// Uncompressed lengths of the blocks that hold contents, in order.
fn block_lens(archive: &carrack_engine::archive::Archive) -> Vec<u64> {
    let mut lens = Vec::new();
    archive
        .blocks(&mut |block| {
            lens.extend((block.raw_len > 0).then_some(u64::from(block.raw_len)));
            Ok(())
        })
        .unwrap();
    lens
}

/// Uncompressed lengths of the directories of all frames, in order.
fn directory_lens(archive: &carrack_engine::archive::Archive, bytes: &[u8]) -> Vec<u32> {
    let mut lens = Vec::new();
    archive
        .blocks(&mut |block| {
            let header = bytes[block.offset as usize..][..128].try_into().unwrap();
            lens.push(FrameHeader::decode(header, block.offset).unwrap().directory_raw_len);
            Ok(())
        })
        .unwrap();
    lens
}

#[test]
fn blocks_stay_full_where_nine_files_in_ten_are_duplicates() {
    const BLOCK: u32 = 64 << 10;
    let len = |content: u64| 3000 + content * 7919 % 6000;
    let mut plan = Builder::new(TIME);
    let mut distinct = 0;
    for n in 0..2000_u64 {
        // One in ten is new, the others repeat something earlier, near or far.
        let content = if n % 10 == 0 { n / 10 } else { n * 31 % (n / 10 + 1) };
        distinct += if n % 10 == 0 { len(content) } else { 0 };
        plan.file(format!("{:02}/{n:04}", n / 50), noise(content, len(content)), TIME);
    }
    let place = Place::new(plan.finish());
    for (slots, slot_blocks, threads) in [(2, 1, 1), (3, 4, 2), (16, 2, 2)] {
        let packer = place.packer().block_size(BLOCK).codec(Codec::Store);
        let (bytes, report) = pack(&packer.slots(slots).slot_size(BLOCK * slot_blocks).threads(threads));
        assert_eq!(report.bytes - report.duplicate_bytes, distinct);
        let archive = open(bytes);
        let lens = block_lens(&archive);
        assert_eq!(lens.iter().sum::<u64>(), distinct, "every content is stored once");
        let (last, full) = lens.split_last().unwrap();
        assert!(full.iter().all(|&len| len >= u64::from(BLOCK) * 3 / 4), "{lens:?}");
        assert!(*last > 0);
        assert_lists(&archive, &place.plan);
        verify_clean(&archive);
    }
    // A duplicate of a duplicate reads like the first.
    let archive = open(pack(&place.packer().block_size(BLOCK)).0);
    for node in place.plan.nodes().iter().step_by(37) {
        assert_eq!(archive.read(&node.path).ok(), place.plan.bytes(&node.path));
    }
}

#[test]
fn large_duplicates_are_stored_once() {
    const BLOCK: u64 = 16 << 10;
    let big = || noise(1, 5 * BLOCK + 100);
    // The same beginning, and another end.
    let longer = [big().to_vec(), vec![7; 3 * BLOCK as usize]].concat();
    let place = Place::of_files([
        ("a", big()),
        ("b", noise(2, 999)),
        ("c", big()),
        ("d", Content::bytes(longer)),
        ("e", big()),
    ]);
    let packer = place.packer().block_size(BLOCK as u32).codec(Codec::Store).slots(2);
    let (bytes, report) = pack(&packer);
    // What is shared are whole chunks: five of `d`, the second of two of sevens alone, all of `c` and `e`.
    assert_eq!(report.duplicate_bytes, 2 * (5 * BLOCK + 100) + 5 * BLOCK + BLOCK);
    let archive = open(bytes);
    assert_holds(&archive, &place.plan, BLOCK);
    verify_clean(&archive);

    let (bytes, report) = pack(&packer.dedup(Dedup::None));
    assert_eq!(report.duplicate_bytes, 0);
    let archive = open(bytes);
    assert_eq!(block_lens(&archive).iter().sum::<u64>(), report.bytes);
    assert_holds(&archive, &place.plan, BLOCK);
}

#[test]
fn one_content_many_times_costs_one_copy_and_no_slot() {
    let files: Vec<String> = (0..3000).map(|n| format!("{n:04}")).collect();
    let place = Place::of_files(files.iter().map(|path| (path.as_str(), noise(7, 4000))));
    let (bytes, _) = pack(&place.packer().block_size(4096).slots(2).slot_size(4096).codec(Codec::Store));
    let archive = open(bytes);
    assert_eq!(block_lens(&archive), [4000]);
    verify_clean(&archive);
}

/// More entries start in one block than its directory may describe: it is closed early, wherever that is.
#[test]
fn directories_are_stored_before_they_grow_too_long() {
    const LONG: usize = 240;
    let tail = "x".repeat(LONG);
    let mut plan = Builder::new(TIME);
    for n in 0..6000_u64 {
        // The number comes first, so that no path begins like the one before it for long.
        let content = match n % 3 {
            0 => Content::empty(),
            1 => Content::bytes(n.to_le_bytes()),
            _ => Content::bytes("again and again"),
        };
        plan.file(format!("{:06}{tail}", n * 7919 % 1_000_003), content, TIME);
    }
    plan.file("zzz", noise(1, 200_000), TIME);
    let place = Place::new(plan.finish());
    let mut before = None;
    for (slots, slot_size) in [(2, 64 << 10), (5, 1 << 20)] {
        let packer = place.packer().block_size(64 << 10).slots(slots).slot_size(slot_size);
        let (bytes, report) = pack(&packer);
        let archive = open(bytes.clone());
        let longest = directory_lens(&archive, &bytes).into_iter().max().unwrap();
        assert!((1 << 20..(1 << 20) + 1000).contains(&longest), "{longest} bytes in {} blocks", report.blocks);
        verify_clean(&archive);
        assert_lists(&archive, &place.plan);
        assert!(before.replace(bytes.clone()).is_none_or(|before| before == bytes), "slots show");
    }
}

#[test]
fn more_entries_than_one_batch_of_rows_come_back() {
    let files: Vec<String> = (0..17_000).map(|n| format!("{}/{n}", n % 100)).collect();
    let place = Place::of_files(files.iter().map(|path| (path.as_str(), Content::bytes(path.as_bytes()))));
    let archive = open(pack(&place.packer().block_size(64 << 10)).0);
    assert_lists(&archive, &place.plan);
    verify_clean(&archive);
    for path in ["0/0", "99/16399", "7/16407", "99/16999"] {
        assert_eq!(archive.read(path.as_bytes()).unwrap(), path.as_bytes());
    }
}
