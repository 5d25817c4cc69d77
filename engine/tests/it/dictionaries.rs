//! Dictionaries in archives: who gets one, that they change nothing but the size, and what is lost with one.

use std::collections::BTreeSet;

use carrack_engine::codec::Codec;
use carrack_engine::error::ErrorKind;
use carrack_engine::pack::{Dedup, Packer};
use carrack_engine::plan::Order;
use carrack_engine::profile::{DictionaryChoice, Profile};
use carrack_engine::unpack::Unpacker;
use carrack_fixtures::content::{Content, Lang, Recipe};
use carrack_fixtures::tree::Builder;

use crate::salvage::assert_salvageable;
use crate::support::{
    Place, TIME, assert_holds, assert_same_trees, blocks, noise, open, pack, rows, unpack_clean, verify, verify_clean,
};

const BLOCK: u32 = 16 << 10;

/// Sources in two languages, in folders of one each, and noise.
fn place() -> Place {
    let mut builder = Builder::new(TIME);
    for (folder, lang, extension) in [("c", Lang::C, "c"), ("rust", Lang::Rust, "rs")] {
        for n in 0..260_u32 {
            let content = Content::stream(Recipe::Source(lang, 3), n.into(), 4000 + u64::from(n) * 37 % 9000);
            builder.file(format!("{folder}/{n:03}.{extension}"), content, TIME);
        }
        builder.file(format!("{folder}/long.{extension}"), Content::stream(Recipe::Source(lang, 3), 999, 90_000), TIME);
    }
    for n in 0..40 {
        builder.file(format!("noise/{n}"), noise(n, 40_000), TIME);
    }
    Place::new(builder.finish())
}

fn packer(place: &Place) -> Packer {
    place.packer().codec(Codec::Zstd { level: 3 }).block_size(BLOCK)
}

#[test]
fn short_blocks_of_one_kind_share_a_dictionary() {
    let place = place();
    let (bytes, report) = pack(&packer(&place));
    let archive = open(bytes.clone());
    let blocks = blocks(&archive);
    let dictionaries: Vec<_> = blocks.iter().filter(|block| block.kind == "dictionary").collect();
    assert_eq!(dictionaries.iter().map(|block| block.seq).collect::<Vec<_>>(), [0, 1], "one a language, in front");
    assert_eq!(blocks.len() as u64, report.blocks);
    // Each block of sources has the dictionary of its language, whose files lie in one folder.
    let named: Vec<Option<u64>> =
        blocks.iter().filter(|block| block.kind == "block").map(|block| block.dictionary).collect();
    let turns = named.iter().flatten().collect::<Vec<_>>().windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(turns, 1, "{named:?}");
    assert!(named.iter().flatten().count() * 10 > named.len() * 6 && named.contains(&None), "{named:?}");
    assert_eq!(named.iter().flatten().collect::<BTreeSet<_>>(), BTreeSet::from([&0, &1]));

    assert_holds(&archive, &place.plan, BLOCK.into());
    verify_clean(&archive);
    assert_salvageable(&archive);
    let dest = place.beside("copy");
    unpack_clean(&archive, &dest);
    assert_same_trees(&place.tree, &dest);

    let (without, _) = pack(&packer(&place).dictionary(DictionaryChoice::Off));
    assert!(bytes.len() * 100 < without.len() * 97, "{} bytes, {} without", bytes.len(), without.len());
    assert!(open(without).summary().options.get("dictionary").is_none());
    assert_eq!(archive.summary().options["dictionary"], 256 << 10);
}

#[test]
fn neither_threads_nor_slots_nor_order_of_work_show() {
    let place = place();
    for (dedup, order) in [(Dedup::File, Order::Path), (Dedup::Chunk, Order::Similar), (Dedup::None, Order::Type)] {
        let packer = packer(&place).dedup(dedup).order(order).profile(Profile::Random);
        let (expected, _) = pack(&packer.clone().threads(1).slots(2).slot_size(BLOCK));
        for (threads, slots) in [(2, 3), (3, 64)] {
            assert!(
                pack(&packer.clone().threads(threads).slots(slots)).0 == expected,
                "{threads} threads, {slots} slots"
            );
        }
        let archive = open(expected);
        assert!(blocks(&archive).iter().any(|block| block.dictionary.is_some()), "{dedup:?} {order:?}");
        assert_holds(&archive, &place.plan, BLOCK.into());
        verify_clean(&archive);
    }
}

#[test]
fn what_gains_nothing_has_none() {
    let place = Place::of_files(std::array::from_fn::<_, 3, _>(|n| (["a", "b", "c"][n], noise(n as u64, 1 << 20))));
    let (bytes, _) = pack(&packer(&place));
    assert!(blocks(&open(bytes)).iter().all(|block| block.kind == "block" && block.dictionary.is_none()));
    let small = Place::of_files([("a.c", Content::stream(Recipe::Source(Lang::C, 3), 1, 100_000))]);
    let (bytes, _) = pack(&packer(&small));
    assert!(blocks(&open(bytes)).iter().all(|block| block.kind == "block"), "too little to gain from one");
}

#[test]
fn a_dictionary_that_is_asked_for_in_vain_is_an_error() {
    let place = Place::of_files([("a", noise(1, 10))]);
    let asked = |codec, block_size, len| {
        let packer = place.packer().codec(codec).block_size(block_size).dictionary(DictionaryChoice::Len(len));
        packer.pack(place.beside("a.crk")).unwrap_err()
    };
    for (codec, block_size, len, word) in [
        (Codec::Lz4, BLOCK, 1 << 16, "zstd"),
        (Codec::default(), 4 << 20, 1 << 16, "1 MiB"),
        (Codec::default(), BLOCK, 100, "4 KiB"),
    ] {
        let error = asked(codec, block_size, len);
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// The files of one language are lost and named, the others come out.
#[test]
fn a_damaged_dictionary_costs_the_files_that_need_it_and_no_others() {
    let place = place();
    let (good, _) = pack(&packer(&place));
    let first = blocks(&open(good.clone()))[0];
    let header = first.offset as usize;
    for at in [header, header + 60, header + 128, header + 128 + first.stored_len as usize - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let archive = open(bytes);
        let all = rows(&archive);
        let needs = |entry: &carrack_engine::entry::Entry| {
            let blocks = blocks(&archive);
            entry.extents.iter().any(|extent| blocks[extent.block as usize].dictionary == Some(0))
        };
        let expected: Vec<Vec<u8>> = all.iter().filter(|entry| needs(entry)).map(|entry| entry.path.clone()).collect();
        assert!(expected.len() > 200 && expected.len() < all.len() - 200, "{}", expected.len());

        let report = verify(&archive);
        assert_eq!(report.lost, expected, "byte {at}");
        assert!(report.damage.iter().any(|what| what.contains("frame 0")), "{:?}", &report.damage[..1]);

        let dest = place.beside("rest");
        let unpacked = Unpacker::new(&archive).threads(2).unpack(&dest).unwrap();
        assert_eq!(unpacked.lost.len(), expected.len());
        for entry in all.iter().filter(|entry| entry.kind == carrack_engine::entry::Kind::File) {
            let path = std::str::from_utf8(&entry.path).unwrap();
            let bytes = place.plan.bytes(&entry.path).unwrap();
            if expected.contains(&entry.path) {
                let error = archive.read(&entry.path).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Damaged);
                assert!(error.to_string().contains("dictionary, frame 0"), "{error}");
                assert!(!dest.join(path).exists(), "{path}: a file without its contents");
            } else {
                assert_eq!(std::fs::read(dest.join(path)).unwrap(), bytes, "{path}");
                assert_eq!(archive.read(&entry.path).unwrap(), bytes, "{path}");
            }
        }
        carrack_fixtures::corpus::remove_tree(&dest).unwrap();
    }
}
