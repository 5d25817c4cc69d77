//! Unpacking and verifying.

use std::fs;
use std::path::{Path, PathBuf};

use carrack_backends::read::choose::IoChoice;
use carrack_engine::archive::Archive;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;

use crate::place::{A_FILE, BLOCK, BLOCKS, FILES, FILES_BLOCK, Place, each, packer};

fn unpack(archive: &Path, place: &Place, stats: bool) {
    let dest = place.path("out");
    let _ = fs::remove_dir_all(&dest);
    let archive = Archive::open(archive).unwrap();
    Unpacker::new(&archive).threads(2).stats(stats).sync(false).unpack(&dest).unwrap();
}

fn verify(archive: &Path) {
    let archive = Archive::open(archive).unwrap();
    let report = archive.verify(&VerifyOptions { threads: Some(2), ..VerifyOptions::default() }).unwrap();
    assert_eq!(report.damage.len(), 0);
}

/// Unpacks and verifies archives of so many units and of twice as many; one more may cost so many allocations.
fn costs(what: &str, units: usize, block: usize, most: f64, tree: impl Fn(&Place, usize) -> PathBuf) {
    let place = Place::new();
    let archives = [units, 2 * units].map(|units| {
        let archive = place.path(&format!("{units}.crk"));
        packer(&tree(&place, units), block).io(IoChoice::Pread).pack(&archive).unwrap();
        archive
    });
    for stats in [false, true] {
        let cost = each(&format!("{what} unpacked, recording: {stats}"), units, |n| {
            unpack(&archives[usize::from(n > units)], &place, stats)
        });
        assert!(cost <= most, "unpacking, recording: {stats}: {cost} allocations each");
    }
    let cost = each(&format!("{what} verified"), units, |n| verify(&archives[usize::from(n > units)]));
    assert!(cost <= most, "verifying: {cost} allocations each");
}

#[test]
fn a_file_costs_none() {
    // Fewer than are packed, since making files takes its time.
    costs("a file", FILES / 2, FILES_BLOCK, A_FILE, Place::small_files);
}

/// A task, and what a part of a large file hashes to.
#[test]
fn a_block_costs_two() {
    costs("a block", BLOCKS, BLOCK, 2.1, Place::large_file);
}
