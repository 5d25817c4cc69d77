//! The same tree and the same options give the same bytes, whatever reads them, on how many threads, in which order.

use std::time::Duration;

use carrack_backends::read::choose::IoChoice;
use carrack_backends::read::fault::{Fault, Harm, Rules, When};
use carrack_engine::codec::Codec;
use carrack_engine::dedup::PIECE_MEAN_MIN;
use carrack_engine::pack::{Dedup, Packer};
use carrack_fixtures::model::{Shape, random};
use carrack_fixtures::tree::Builder;

use crate::support::{Place, TIME, assert_holds, backend, backends, noise, open, pack, pack_with, verify_clean};

const BLOCK: u32 = 4096;

/// Files of all sizes, nine in ten of them duplicates, some of them large, some sparse.
fn place() -> Place {
    let shape = Shape { entries: 60, boundaries: vec![4096], max_size: 20_000, ..Shape::default() };
    let mut plan = Builder::new(TIME);
    for node in random(77, &shape).nodes() {
        plan.push(node.path.clone(), node.what.clone(), node.mode, node.mtime_ns);
    }
    for n in 0..300_u64 {
        let content = if n % 10 == 0 { n } else { n * 31 % (n / 10 * 10 + 1) / 10 * 10 };
        plan.file(format!("many/{n:03}"), noise(content, 300 + content * 13 % 3000), TIME);
    }
    plan.file("many/large", noise(1, 100_000), TIME);
    plan.file("many/large again", noise(1, 100_000), TIME);
    Place::new(plan.finish())
}

fn packer(place: &Place, codec: Codec) -> Packer {
    place.packer().block_size(BLOCK).codec(codec)
}

#[test]
fn neither_backend_nor_threads_nor_slots_show() {
    let place = place();
    let settings = [
        (Codec::Zstd { level: 3 }, Dedup::File),
        (Codec::Zstd { level: 3 }, Dedup::Chunk),
        (Codec::Lz4, Dedup::None),
        (Codec::Store, Dedup::File),
    ];
    for (codec, dedup) in settings {
        let packer = packer(&place, codec).dedup(dedup);
        let packer = if dedup == Dedup::Chunk { packer.chunk_size(PIECE_MEAN_MIN) } else { packer };
        let (expected, _) = pack(&packer.clone().io(IoChoice::Pread).threads(1).slots(2).slot_size(BLOCK));
        let archive = open(expected.clone());
        assert_holds(&archive, &place.plan, BLOCK.into());
        verify_clean(&archive);
        let check = |packer: &Packer, what: &str| assert!(pack(packer).0 == expected, "{what}: other bytes");
        for io in backends() {
            check(&packer.clone().io(io), &format!("{codec:?} with {io}"));
            for slots in [2, 5, 64] {
                let packer = packer.clone().io(io).slots(slots).slot_size(BLOCK * 2).readers(slots as usize);
                check(&packer, &format!("{codec:?} with {io} and {slots} slots"));
            }
        }
        for threads in 1..=8 {
            for slot_blocks in [1, 3, 8] {
                let packer = packer.clone().threads(threads).slots(threads as u32 + 1).slot_size(BLOCK * slot_blocks);
                check(&packer, &format!("{codec:?} on {threads} threads with {slot_blocks} blocks in a slot"));
            }
        }
        check(&packer.clone().slot_size(1), "a slot size that is rounded up");
    }
}

#[test]
fn the_order_of_completions_does_not_show() {
    let place = place();
    let packer = packer(&place, Codec::Zstd { level: 1 });
    let (expected, _) = pack(&packer);
    for seed in 0..12 {
        let rules = Rules::new(seed).shuffled();
        let rules = match seed % 4 {
            0 => rules,
            1 => rules.rule(When::OneIn(3), Harm::Late(5)),
            2 => rules.rule(When::OneIn(10), Harm::Late(1000)),
            _ => rules.rule(When::OneIn(20), Harm::Sleep(Duration::from_micros(300))),
        };
        for io in backends() {
            let packer = packer.clone().slots(2 + seed as u32 % 5 * 7).slot_size(BLOCK * (1 + seed as u32 % 3));
            let (bytes, report) = pack_with(&packer, Box::new(Fault::new(backend(io), rules.clone())));
            assert_eq!(report.warnings, []);
            assert!(bytes == expected, "seed {seed} with {io}: other bytes");
        }
    }
}

#[test]
fn what_is_stored_does_show() {
    let place = place();
    let packer = packer(&place, Codec::Zstd { level: 3 });
    let (one, report) = pack(&packer);
    let (two, other) = pack(&packer.clone().block_size(BLOCK * 2));
    assert!(one != two && report.root != other.root);
    assert!(open(one).summary().archive_id != open(two).summary().archive_id);
}
