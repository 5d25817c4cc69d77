//! Packing.

use carrack_engine::codec::Codec;
use carrack_engine::pack::Packer;

use crate::place::{A_FILE, BLOCK, BLOCKS, FILES, FILES_BLOCK, Place, backends, each, packer};

fn pack(packer: &Packer, place: &Place) {
    packer.clone().force(true).pack(place.path("a.crk")).unwrap();
}

#[test]
fn a_file_costs_none() {
    let place = Place::new();
    let trees = [FILES, 2 * FILES].map(|files| place.small_files(files));
    for io in backends() {
        for stats in [false, true] {
            let packer = |files| packer(&trees[usize::from(files > FILES)], FILES_BLOCK).io(io).stats(stats);
            let cost =
                each(&format!("a file packed, {io}, recording: {stats}"), FILES, |files| pack(&packer(files), &place));
            assert!(cost <= A_FILE, "{io}, recording: {stats}: {cost} allocations a file");
        }
    }
}

/// While the workers have something to do: to wake one costs one. So the codec is a slow one, and a machine that is busy
/// with something else, where workers run out of blocks, gets further tries. A box a block would show in each.
#[test]
fn a_block_costs_none_while_there_is_work() {
    const TRIES: usize = 5;
    let place = Place::new();
    let trees = [BLOCKS, 2 * BLOCKS].map(|blocks| place.large_file(blocks));
    for io in backends() {
        for stats in [false, true] {
            let packer = |blocks| packer(&trees[usize::from(blocks > BLOCKS)], BLOCK).io(io).stats(stats);
            let slow = |blocks| packer(blocks).codec(Codec::Zstd { level: 15 });
            let what = format!("a block packed, {io}, recording: {stats}");
            let mut costs = (0..TRIES).map(|_| each(&what, BLOCKS, |blocks| pack(&slow(blocks), &place)));
            assert!(costs.any(|cost| cost <= 0.25), "{io}, recording: {stats}: more than 0.25 allocations a block");
        }
    }
}
