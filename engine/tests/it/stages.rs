//! The times of the stages: who has how many samples, that their parts fit into their roads, and that none are taken
//! when nobody wants them.

use carrack_backends::read::choose::IoChoice;
use carrack_backends::read::fault::{Fault, Harm, Rules, When};
use carrack_engine::stages::{Stages, Step};
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;

use crate::support::{Place, backend, backends, noise, open, pack, pack_with};

const BLOCK: u32 = 4096;
/// Not a multiple of the block: 6 reads.
const LARGE: u64 = 5 * BLOCK as u64 + 100;

/// Twenty small files, an empty one, one of several blocks.
fn place() -> Place {
    let names: Vec<String> = (0..20).map(|n| format!("small/{n:02}")).collect();
    let small = names.iter().zip(0..).map(|(name, n)| (name.as_str(), noise(n, 400 + n * 150)));
    Place::of_files(small.chain([("empty", noise(0, 0)), ("large", noise(99, LARGE))]))
}

fn count(stages: &Stages, step: Step) -> u64 {
    stages.row(step).map_or(0, |row| row.count)
}

#[test]
fn every_unit_has_its_sample_at_each_stage_of_packing() {
    let place = place();
    for io in backends() {
        let packer = place.packer().block_size(BLOCK).slots(3).slot_size(2 * BLOCK).io(io).threads(2);
        let (_, report) = pack(&packer);
        let stages = &report.stages;
        let of = |step| count(stages, step);
        assert_eq!((of(Step::Read), of(Step::QueueWait)), (20 + 6, 20 + 6), "{io}");
        assert_eq!(of(Step::File), 21, "{io}");
        let slots = of(Step::Digest);
        assert!(slots > 1);
        for step in [Step::SlotWait, Step::DigestWait, Step::PlaceWait, Step::Place] {
            assert_eq!(of(step), slots, "{io}: {step:?}");
        }
        let block_steps =
            [Step::FrameWait, Step::CompressWait, Step::Compress, Step::SequenceWait, Step::Commit, Step::Block];
        for step in block_steps {
            assert_eq!(of(step), report.blocks, "{io}: {step:?}");
        }
        assert_eq!(of(Step::Encode), 1, "{io}");
        // Loads, frames, batches, and the reader's end.
        assert_eq!(of(Step::EventWait), slots + report.blocks + 1 + 1, "{io}");
        for step in [Step::BufferWait, Step::DecodeWait, Step::Decode, Step::Prove, Step::Write] {
            assert_eq!(of(step), 0, "{io}: {step:?}");
        }
    }
}

#[test]
fn the_parts_of_a_road_fit_into_it() {
    let place = place();
    let (_, report) = pack(&place.packer().block_size(BLOCK).io(IoChoice::Pread).threads(2));
    let total = |step| report.stages.row(step).unwrap().total_ns;
    let parts = [Step::FrameWait, Step::CompressWait, Step::Compress, Step::SequenceWait, Step::Commit];
    assert!(parts.map(total).iter().sum::<u64>() <= total(Step::Block));
    assert!(report.stages.rows.iter().all(|row| row.max_ns <= report.stages.wall_ns + report.stages.wall_ns / 50));
    let verdict = report.stages.verdict.unwrap();
    let shares = [verdict.reader_share, verdict.workers_share, verdict.coordinator_share.unwrap()];
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share) && *share > 0.0), "{verdict:?}");
    assert!(verdict.sink_share <= shares[2], "committing is part of what the coordinator does: {verdict:?}");
    assert!(report.stages.began.is_some());
}

#[test]
fn a_file_that_is_read_again_is_one_file() {
    let place = place();
    let path = When::Path("small/07".into());
    let fault = Fault::new(backend(IoChoice::Pread), Rules::new(1).times(1, path, Harm::Touch));
    let (_, report) = pack_with(&place.packer().block_size(BLOCK), Box::new(fault));
    let of = |step| count(&report.stages, step);
    assert!(of(Step::Read) > 26, "it was not read again: {:?}", report.stages);
    assert_eq!((of(Step::QueueWait), of(Step::File)), (of(Step::Read), 21));
}

#[test]
fn every_frame_has_its_sample_at_each_stage_of_the_way_back() {
    let place = place();
    let (bytes, packed) = pack(&place.packer().block_size(BLOCK));
    let archive = open(bytes);
    let unpacked = Unpacker::new(&archive).threads(2).unpack(place.beside("copy")).unwrap().stages;
    let verified = archive.verify(&VerifyOptions::default()).unwrap().stages;
    for (stages, deliver, other) in [(&unpacked, Step::Write, Step::Prove), (&verified, Step::Prove, Step::Write)] {
        for step in [Step::BufferWait, Step::Read, Step::DecodeWait, Step::Decode, deliver, Step::Block] {
            assert_eq!(count(stages, step), packed.blocks, "{step:?}");
        }
        assert_eq!(count(stages, other), 0);
        let total = |step| stages.row(step).unwrap().total_ns;
        let parts = [Step::Read, Step::DecodeWait, Step::Decode, deliver];
        assert_eq!(parts.map(total).iter().sum::<u64>(), total(Step::Block), "nothing lies between them");
        let verdict = stages.verdict.unwrap();
        assert!(verdict.coordinator_share.is_none() && verdict.reader_share > 0.0);
        assert_eq!(verdict.sink_share > 0.0, deliver == Step::Write);
    }
}

#[test]
fn nothing_is_recorded_when_nobody_wants_it_and_the_bytes_are_the_same() {
    let place = place();
    let packer = place.packer().block_size(BLOCK);
    let (with, _) = pack(&packer);
    let (without, report) = pack(&packer.clone().stats(false));
    assert!(with == without, "recording shows in the archive");
    let archive = open(without);
    let unpacked = Unpacker::new(&archive).stats(false).unpack(place.beside("copy")).unwrap();
    let verified = archive.verify(&VerifyOptions { stats: false, ..VerifyOptions::default() }).unwrap();
    for stages in [report.stages, unpacked.stages, verified.stages] {
        assert!(stages.rows.is_empty() && stages.verdict.is_none() && stages.began.is_none() && stages.wall_ns == 0);
    }
}
