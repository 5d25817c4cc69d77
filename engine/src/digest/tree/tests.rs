use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// Bytes in which no two leaves are alike.
fn bytes(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Joins the pieces between `cuts`, which ascend and lie within the bytes.
fn joined(bytes: &[u8], cuts: &[usize]) -> Digest {
    let mut joiner = Joiner::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&bytes.len()]) {
        joiner.push(part(&bytes[from..to], from as u64));
        assert_eq!(joiner.len(), to as u64);
        from = to;
    }
    joiner.finish()
}

/// Joins pieces of `piece` bytes each, the last one shorter.
fn joined_by(bytes: &[u8], piece: usize) -> Digest {
    let cuts: Vec<usize> = (1..bytes.len().div_ceil(piece)).map(|n| n * piece).collect();
    joined(bytes, &cuts)
}

/// What a part comes to: the chaining values of its subtrees.
fn values(part: &Part) -> Vec<ChainingValue> {
    let (first, more) = part.subtrees.as_slices();
    [first, more].concat()
}

#[test]
fn lengths_around_every_boundary_join_to_the_digest_of_the_whole() {
    let all = bytes((1 << 18) + 1025);
    for leaves in (0..=8).map(|k| 1usize << k).chain([3, 5, 6, 7, 9, 31, 33, 127, 129, 255]) {
        let boundary = leaves * 1024;
        for len in [boundary - 1, boundary, boundary + 1, boundary + 1023, boundary + 1024, boundary + 1025] {
            let whole = &all[..len];
            let expected = Digest::of(whole);
            assert_eq!(joined(whole, &[]), expected, "{len} bytes as one piece");
            for piece in [1024, 2048, 3072, 4096, 5120, 65_536, 1 << 17] {
                assert_eq!(joined_by(whole, piece), expected, "{len} bytes by {piece}");
            }
        }
    }
}

#[test]
fn an_empty_file_has_the_digest_of_nothing() {
    assert_eq!(Joiner::new().finish(), Digest::of(b""));
    assert_eq!(joined(b"", &[]), Digest::of(b""));
}

#[test]
fn a_file_that_shrank_ends_in_empty_parts() {
    let all = bytes(10_000);
    for len in [0, 1, 1023, 1024, 1025, 2048, 4095, 4096] {
        let mut joiner = Joiner::new();
        joiner.push(part(&all[..len], 0));
        joiner.push(part(b"", 4096));
        joiner.push(zeros(0, 8192));
        assert_eq!(joiner.len(), len as u64);
        assert_eq!(joiner.finish(), Digest::of(&all[..len]), "{len} bytes were left");
    }
}

#[test]
fn holes_hash_as_zeros() {
    for (data, hole, more) in
        [(4096, 8192, 5000), (0, 1 << 18, 0), (0, 100, 0), (0, 0, 0), (0, 1024, 1), (65_536, 69_632, 0)]
    {
        let all = bytes(data + more);
        let mut joiner = Joiner::new();
        joiner.push(part(&all[..data], 0));
        joiner.push(zeros(hole as u64, data as u64));
        // Without bytes where the hole is ragged.
        joiner.push(part(&all[data..], (data + hole) as u64));
        let whole = [&all[..data], &vec![0; hole], &all[data..]].concat();
        assert_eq!(joiner.finish(), Digest::of(&whole), "{data} bytes, a hole of {hole}, {more} bytes");
    }
    assert_eq!(values(&zeros(12_288, 4096)), values(&part(&[0; 12_288], 4096)));
}

#[test]
fn parts_at_offsets_beyond_four_gib_keep_their_place() {
    // Far too long to hash here: the cut follows from offset and length alone.
    let far = 5 << 40;
    let here = part(&[7; 4096], far);
    assert_eq!(here.offset(), far);
    assert_ne!(values(&here), values(&part(&[7; 4096], 0)));
    assert_ne!(values(&here), values(&part(&[7; 4096], far + (1 << 32))));
}

#[test]
#[should_panic(expected = "no multiple of 1024")]
fn a_piece_in_the_middle_of_a_leaf_is_a_mistake() {
    let _ = part(b"x", 512);
}

#[test]
#[should_panic(expected = "a part of offset 8192 joined to 4096 bytes")]
fn a_gap_between_parts_is_a_mistake() {
    let mut joiner = Joiner::new();
    joiner.push(zeros(4096, 0));
    joiner.push(zeros(4096, 8192));
}

#[test]
#[should_panic(expected = "joined to 1500 bytes")]
fn nothing_follows_a_ragged_part() {
    let mut joiner = Joiner::new();
    joiner.push(zeros(1500, 0));
    joiner.push(zeros(1024, 2048));
}

#[test]
fn an_aligned_power_of_two_comes_to_its_chaining_value() {
    let all = bytes(1 << 16);
    for (offset, len) in [(0, 1024), (0, 4096), (4096, 4096), (32_768, 16_384), (0, 1 << 16)] {
        let piece = &all[offset..offset + len];
        let value = blake3::Hasher::new().set_input_offset(offset as u64).update(piece).finalize_non_root();
        let found = match values(&part(piece, offset as u64))[..] {
            [only] => only,
            [left, right] => merge_subtrees_non_root(&left, &right, Mode::Hash),
            ref more => panic!("{} subtrees", more.len()),
        };
        assert_eq!(found, value, "{len} bytes at {offset}");
    }
}

#[test]
fn parts_differ_unless_bytes_offset_and_length_are_equal() {
    let mut seen = HashMap::new();
    for fill in [0u8, 1] {
        for offset in [0u64, 1024, 2048, 4096, 6144, 8192] {
            for len in [1usize, 64, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 4095, 4096, 8192] {
                let values = values(&part(&vec![fill; len], offset));
                assert!(!values.contains(&Digest::of(&vec![fill; len]).0), "a part must not come to a file's digest");
                let earlier = seen.insert(values, (fill, offset, len));
                assert_eq!(earlier, None, "{fill} {offset} {len}");
            }
        }
    }
}

#[test]
fn an_aligned_block_allocates_no_list_of_subtrees() {
    assert_eq!(zeros(1 << 20, 0).subtrees.more.capacity(), 0);
    assert_eq!(zeros(1 << 20, 3 << 20).subtrees.more.capacity(), 0);
    assert!(zeros(7 << 10, 0).subtrees.more.len() == 1, "4, 2 and 1 leaves");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_cuts_join_to_the_digest_of_the_whole(
        len in 0usize..300 << 10,
        cuts in prop::collection::btree_set(0usize..300, 0..12),
        unit in prop::sample::select(vec![1024usize, 4096]),
    ) {
        let all = bytes(len);
        let cuts: Vec<usize> = cuts.into_iter().map(|n| n * unit).filter(|&at| at <= len).collect();
        prop_assert_eq!(joined(&all, &cuts), Digest::of(&all));
    }

    #[test]
    fn one_flipped_bit_changes_digest_and_part(len in 1usize..20_000, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut all = bytes(len);
        let before = (joined_by(&all, 4096), values(&part(&all, 65_536)));
        all[at.index(len)] ^= 1 << bit;
        prop_assert_ne!(joined_by(&all, 4096), before.0);
        prop_assert_ne!(values(&part(&all, 65_536)), before.1);
    }
}
