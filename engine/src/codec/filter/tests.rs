use super::detect::detect;
use super::*;
use crate::codec::tests::noise;
use crate::codec::trial::Trial;
use proptest::prelude::*;

/// Bytes in which calls, jumps, addressing and their beginnings stand everywhere, and distances are near and far.
fn like_code(len: usize, seed: u64) -> Vec<u8> {
    const PARTS: [&[u8]; 16] = [
        &[0xE8],
        &[0xE9],
        &[0xE8, 0xFF, 0xFF, 0xFF, 0xFF],
        &[0xE8, 0x00, 0x00, 0x00, 0x00],
        &[0x48, 0x8B, 0x05, 0x10, 0x20, 0x00, 0x00],
        &[0x8D, 0x3D],
        &[0x0F, 0x10, 0x0D, 0xFC, 0xFF, 0xFF, 0xFF],
        &[0x48, 0x63, 0x05],
        &[0x00, 0x00],
        &[0xFF],
        &[0x97, 0x94, 0x25],
        &[0x00, 0x90, 0xB0],
        &[0x12, 0x34, 0xF0, 0x95],
        &[0x40, 0x00, 0x00, 0xF0],
        &[0x7F],
        &[0x01],
    ];
    let mut bytes: Vec<u8> = noise(len, seed).into_iter().flat_map(|n| PARTS[usize::from(n % 16)]).copied().collect();
    bytes.truncate(len);
    bytes
}

fn apply(filters: Filters, raw: &[u8]) -> Vec<u8> {
    let (mut bytes, mut spare) = (raw.to_vec(), vec![0xAA; filters.spare_len(raw.len())]);
    filters.apply(&mut bytes, &mut spare).unwrap();
    bytes
}

/// Undoes with two different fillings of the spare room, and insists on the same outcome.
fn undo(filters: Filters, filtered: &[u8]) -> Vec<u8> {
    let [first, second] = [0x00, 0xFF].map(|filling| {
        let (mut bytes, mut spare) = (filtered.to_vec(), vec![filling; filters.spare_len(filtered.len()) + 3]);
        filters.undo(&mut bytes, &mut spare).unwrap();
        bytes
    });
    assert!(first == second, "{filters}: the outcome depends on the spare room");
    first
}

#[test]
fn every_length_comes_back_through_every_filter() {
    let (noise, code) = (noise(4100, 1), like_code(4100, 2));
    let (mut bytes, mut spare) = (Vec::new(), vec![0xAA; 4100]);
    for id in FilterId::all() {
        let filters = Filters::of(&[id]);
        for len in 0..=4100 {
            // Noise goes through the same places as code, only seldom somewhere else.
            for raw in [&code[..len], &noise[..len]].into_iter().take(1 + usize::from(len % 8 == 5)) {
                bytes.clear();
                bytes.extend_from_slice(raw);
                filters.apply(&mut bytes, &mut spare).unwrap();
                filters.undo(&mut bytes, &mut spare).unwrap();
                assert!(bytes == raw, "{filters}: {len} bytes");
            }
        }
    }
}

#[test]
fn every_filter_changes_what_it_is_for() {
    let code = like_code(100_000, 3);
    for id in FilterId::all() {
        assert!(apply(Filters::of(&[id]), &code) != code, "{id}");
    }
}

#[test]
fn every_prefix_can_be_had_with_what_reach_says() {
    let code = like_code(3000, 4);
    let single = FilterId::all().map(|id| Filters::of(&[id]));
    let chains = [
        Filters::of(&[FilterId::X86, FilterId::delta(3)]),
        Filters::of(&[FilterId::delta(1), FilterId::X86, FilterId::arm64(2), FilterId::arm64(1)]),
        Filters::of(&[FilterId::X86, FilterId::shuffle(4)]),
    ];
    for filters in single.chain(chains) {
        let filtered = apply(filters, &code);
        for len in (0..300).chain(2900..=3000) {
            let needed = filters.reach(len, code.len()).unwrap();
            assert!((len..=code.len()).contains(&needed));
            // What lies behind must not matter.
            let mut front = filtered[..needed].to_vec();
            filters.undo(&mut front, &mut vec![0; filters.spare_len(needed)]).unwrap();
            assert!(front[..len] == code[..len], "{filters}: the first {len} of 3000 bytes");
        }
    }
}

/// What the first of two filters needs behind a place, the second needs more bytes for.
#[test]
fn two_filters_reach_as_far_as_both_together() {
    let (mut bytes, mut raw) = (Vec::new(), Vec::new());
    for seed in 0..200 {
        let code = like_code(120, seed);
        for phase in 0..4 {
            for ids in [[FilterId::X86, FilterId::arm64(phase)], [FilterId::arm64(phase), FilterId::X86]] {
                let filters = Filters::of(&ids);
                raw.clone_from(&code);
                filters.apply(&mut raw, &mut []).unwrap();
                for len in 0..code.len() {
                    bytes.clear();
                    bytes.extend_from_slice(&raw[..filters.reach(len, code.len()).unwrap()]);
                    filters.undo(&mut bytes, &mut []).unwrap();
                    assert!(bytes[..len] == code[..len], "{filters}: the first {len} bytes of seed {seed}");
                }
            }
        }
    }
}

#[test]
fn a_call_of_one_place_is_the_same_everywhere() {
    // Two calls of place 1000, from 0 and from 100; an address relative to the instruction pointer; a far call.
    let mut raw = vec![0x90; 2000];
    raw[..5].copy_from_slice(&[0xE8, 0xE3, 0x03, 0x00, 0x00]);
    raw[100..105].copy_from_slice(&[0xE8, 0x7F, 0x03, 0x00, 0x00]);
    raw[200..207].copy_from_slice(&[0x48, 0x8D, 0x05, 0x19, 0x03, 0x00, 0x00]);
    raw[300..305].copy_from_slice(&[0xE8, 0x00, 0x00, 0x00, 0x01]);
    let filtered = apply(Filters::of(&[FilterId::X86]), &raw);
    let place = 1000_u32.to_le_bytes();
    assert_eq!([&filtered[1..5], &filtered[101..105], &filtered[203..207]], [place; 3]);
    assert_eq!(filtered[300..305], raw[300..305], "too far to be converted");
}

#[test]
fn a_call_of_arm64_is_the_same_everywhere_in_its_phase() {
    for phase in 0..4 {
        // BL to the word 1000 words on, from the words 0 and 500; ADRP of the page 5 pages on, from the pages 0 and 1.
        let mut raw = vec![0; 9000];
        let mut put = |word: usize, value: u32| {
            raw[phase + 4 * word..][..4].copy_from_slice(&value.to_le_bytes());
        };
        put(0, 0x9400_0000 | 1000);
        put(500, 0x9400_0000 | 500);
        put(1, 0xB000_0001 | 1 << 5);
        put(1024, 0x9000_0001 | 1 << 5);
        let filtered = apply(Filters::of(&[FilterId::arm64(phase as u8)]), &raw);
        let word = |word: usize| &filtered[phase + 4 * word..][..4];
        assert_eq!(word(0), word(500), "phase {phase}");
        assert_eq!(word(1), word(1024), "phase {phase}");
    }
}

#[test]
fn delta_and_shuffle_do_what_their_names_say() {
    let one = |id, raw: &[u8]| apply(Filters::of(&[id]), raw);
    assert_eq!(one(FilterId::delta(2), &[1, 10, 4, 9, 4]), [1, 10, 3, 255, 0]);
    assert_eq!(one(FilterId::shuffle(2), &[1, 2, 3, 4, 5, 6, 7]), [1, 3, 5, 2, 4, 6, 7]);
    assert_eq!(one(FilterId::shuffle(3), &[1, 2, 3, 4, 5, 6, 7]), [1, 4, 2, 5, 3, 6, 7]);
}

#[test]
fn numbers_that_stand_for_nothing_are_errors() {
    let known: Vec<u8> = FilterId::all().map(|id| id.0).collect();
    assert_eq!(known.len(), 1 + 4 + 16 + 15);
    for number in (1..=255).filter(|number| !known.contains(number)) {
        let (id, filters) = (FilterId(number), Filters([1, number, 0, 0]));
        let expected = Err(CodecError::UnknownFilter(id));
        assert_eq!(filters.reach(1, 10).map(drop), expected);
        assert_eq!(filters.apply(&mut [0; 10], &mut []), expected);
        assert_eq!(filters.undo(&mut [0; 10], &mut []), expected);
        assert!(CodecError::UnknownFilter(id).to_string().contains(&format!("filter number {number} is unknown")));
    }
}

#[test]
fn filters_are_printed() {
    let all = [FilterId::X86, FilterId::arm64(0), FilterId::arm64(3), FilterId::delta(2)];
    assert_eq!(Filters::of(&all).to_string(), "x86 arm64 arm64+3 delta2");
    assert_eq!(Filters::of(&[FilterId::shuffle(8)]).to_string(), "shuffle8");
    assert_eq!(
        (Filters::NONE.to_string(), FilterId(200).to_string()),
        (String::new(), "unknown filter 200".to_owned())
    );
}

fn detected(raw: &[u8]) -> Filters {
    detect(raw, &mut Trial::new().unwrap()).unwrap()
}

/// 400,000 values of a slow wave with a little noise, each through `bytes`.
fn wave<const N: usize>(bytes: impl Fn(f64) -> [u8; N]) -> Vec<u8> {
    let noise = noise(400_000, 5);
    let value =
        |(at, noise): (usize, u8)| (at as f64 / 40.0).sin() + (at as f64 / 977.0).sin() + f64::from(noise) / 5e3;
    noise.into_iter().enumerate().map(value).flat_map(bytes).collect()
}

#[test]
fn arrays_of_numbers_are_found() {
    let sound = detected(&wave(|value| ((value * 9000.0) as i16).to_le_bytes()));
    assert!(sound.ids().any(|id| [FilterId::delta(2), FilterId::shuffle(2)].contains(&id)), "sound: {sound}");
    let floats = detected(&wave(|value| (value as f32 + 5.0).to_le_bytes()));
    assert!(floats.ids().any(|id| id == FilterId::shuffle(4)), "floats: {floats}");
    let pixels = detected(&wave(|value| [60.0, 50.0, 40.0].map(|scale| (100.0 + value * scale) as u8)));
    assert!(pixels.ids().any(|id| id == FilterId::delta(3)), "pixels: {pixels}");
    let counters: Vec<u8> = (0..100_000_u64).flat_map(|n| (n * 1009 + n * n % 37).to_le_bytes()).collect();
    let counters = detected(&counters);
    assert!(counters.ids().any(|id| id == FilterId::delta(8)), "counters: {counters}");
}

#[test]
fn what_is_no_array_and_no_code_is_left_alone() {
    let words = [&b"hold "[..], b"deck ", b"mast\n", b"keel ", b"sail ", "été ".as_bytes()];
    let text: Vec<u8> = noise(200_000, 6).into_iter().flat_map(|n| words[usize::from(n % 6)]).copied().collect();
    for (what, raw) in
        [("text", text), ("noise", noise(1 << 20, 7)), ("zeros", vec![0; 1 << 20]), ("little", vec![1; 9])]
    {
        assert_eq!(detected(&raw), Filters::NONE, "{what}");
    }
}

#[test]
fn this_very_program_is_found_to_be_code() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    // The middle of it: headers stand in front, names and line numbers behind.
    let code = [cfg!(target_arch = "x86_64"), cfg!(target_arch = "aarch64")];
    let expected = match code {
        [true, _] => FilterId::X86,
        [_, true] => FilterId::arm64(0),
        _ => return,
    };
    let found: Vec<Filters> = program.chunks(1 << 20).map(detected).collect();
    assert!(found.contains(&Filters::of(&[expected])), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back_through_any_chain(
        raw in prop::collection::vec(any::<u8>(), 0..5000),
        picked in prop::collection::vec(any::<prop::sample::Index>(), 0..=FILTERS_MAX),
        prefix in any::<prop::sample::Index>(),
    ) {
        let all: Vec<FilterId> = FilterId::all().collect();
        let ids: Vec<FilterId> = picked.iter().map(|index| all[index.index(all.len())]).collect();
        let filters = Filters::of(&ids);
        prop_assert_eq!(filters.ids().collect::<Vec<_>>(), ids);
        let mut filtered = apply(filters, &raw);
        prop_assert!(undo(filters, &filtered) == raw);
        let len = prefix.index(raw.len() + 1);
        filtered.truncate(filters.reach(len, raw.len()).unwrap());
        prop_assert!(undo(filters, &filtered)[..len] == raw[..len]);
    }
}
