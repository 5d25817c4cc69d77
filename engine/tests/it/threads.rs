//! More threads than cores: asked for, not started.

use carrack_engine::stages::Step;

use crate::support::{Place, noise, pack};

#[test]
fn threads_far_beyond_the_cores_are_not_started_and_no_memory_is_taken_for_them() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let place = Place::of_files([("file", noise(1, 100_000))]);
    let packer = place.packer().block_size(4096).slot_size(4096);
    let (few, one_more) = pack(&packer.clone().threads(cores + 1));
    let (many, far_more) = pack(&packer.clone().threads(cores * 1000));
    assert!(few == many, "the archive depends on the number of threads");
    assert_eq!((one_more.threads, far_more.threads), (cores + 1, cores + 1));
    assert_eq!(one_more.slots, far_more.slots);
    assert_eq!(far_more.stages.row(Step::Compress).map(|row| row.count), Some(far_more.blocks));
    assert_eq!(pack(&packer.threads(1)).1.threads, 1, "fewer are taken as asked for");
}
