//! Files that change, end early, vanish or cannot be read while the archive is being made: each is named, and nothing
//! else suffers.

use carrack_backends::read::choose::IoChoice;
use carrack_backends::read::fault::{Fault, Harm, Rules, When};
use carrack_engine::archive::Archive;
use carrack_engine::dedup::PIECE_MEAN_MIN;
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Kind, flags};
use carrack_engine::pack::{Dedup, PackReport};
use carrack_engine::plan::Order;
use carrack_fixtures::content::{Content, Piece};
use carrack_fixtures::tree::{Builder, What};

use crate::support::{
    Place, TIME, assert_reads, backend, backends, noise, open, pack_with, rows, unpack_clean, verify_clean,
};

const BLOCK: u32 = 4096;
const SMALL: u64 = 3000;
const LARGE: u64 = 10 * BLOCK as u64 + 5;
const EIO: i32 = 5;
const EACCES: i32 = 13;

/// Two victims, `small` and `large`, each with another name, among neighbours that share their blocks. The `z` files begin
/// like the `m` files, and `small` begins like `large`.
fn place() -> Place {
    let mut plan = Builder::new(TIME);
    for n in 0..8 {
        plan.file(format!("a{n}"), noise(n, 500 + n * 700), TIME);
        plan.file(format!("m{n}"), noise(20 + n, 300 + n * 900), TIME);
        plan.file(format!("z{n}"), noise(20 + n, 150 + n * 1100), TIME);
    }
    plan.file("large", noise(100, LARGE), TIME);
    plan.file("small", noise(100, SMALL), TIME);
    plan.hardlink("x-large", "large");
    plan.hardlink("x-small", "small");
    plan.symlink("y", "small", TIME);
    Place::new(plan.finish())
}

/// Packs with these rules around every backend and slot size, in two orders, checks all that must hold whatever happens,
/// and hands each archive on.
fn harmed(place: &Place, rules: &Rules, victims: &[&str], mut check: impl FnMut(&Archive, &PackReport)) {
    for order in [Order::Path, Order::Similar] {
        harmed_in(order, place, rules, victims, &mut check);
    }
}

/// [`harmed`] in one order.
fn harmed_in(
    order: Order,
    place: &Place,
    rules: &Rules,
    victims: &[&str],
    mut check: impl FnMut(&Archive, &PackReport),
) {
    for io in backends().into_iter().chain([IoChoice::Pread]) {
        for (slots, slot_blocks, dedup) in [(2, 1, Dedup::File), (3, 4, Dedup::Chunk), (16, 16, Dedup::None)] {
            let packer = place.packer().order(order).block_size(BLOCK).slots(slots).slot_size(BLOCK * slot_blocks);
            let packer = packer.dedup(dedup);
            let packer = if dedup == Dedup::Chunk { packer.chunk_size(PIECE_MEAN_MIN) } else { packer };
            let fault = Fault::new(backend(io), rules.clone());
            let (bytes, report) = pack_with(&packer, Box::new(fault));
            let archive = open(bytes);
            let verified = verify_clean(&archive);
            let entries = rows(&archive);
            assert_eq!(report.entries, entries.len() as u64);
            assert_eq!((report.files, report.bytes), (verified.files, verified.bytes));
            let files = entries.iter().filter(|entry| entry.kind == Kind::File);
            assert_eq!(report.bytes, files.map(|entry| entry.size).sum::<u64>());
            for node in place.plan.nodes() {
                let name = node.path.escape_ascii().to_string();
                let is_victim = victims.iter().any(|victim| name.ends_with(victim));
                let warnings = report.warnings.iter().filter(|warning| warning.path == node.path).count();
                assert!(is_victim || warnings == 0, "{:?}", report.warnings);
                assert!(warnings <= 1, "{name} is named more than once: {:?}", report.warnings);
                let entry = entries.iter().find(|entry| entry.path == node.path);
                if let (What::File(_), false) = (&node.what, is_victim) {
                    let bytes = place.plan.bytes(&node.path).unwrap();
                    let entry = entry.unwrap();
                    assert_eq!((entry.digest, entry.flags), (Some(Digest::of(&bytes)), 0), "{name}");
                    assert_reads(&archive, entry, &bytes, BLOCK.into());
                }
                assert!(is_victim || entry.is_some(), "{name} is missing");
            }
            // Whatever is in it can be unpacked, and hard links lead to the right files.
            let dest = place.beside("copy");
            unpack_clean(&archive, &dest);
            for entry in &entries {
                use std::os::unix::ffi::OsStrExt;
                let path = dest.join(std::ffi::OsStr::from_bytes(&entry.path));
                if matches!(entry.kind, Kind::File | Kind::Hardlink) {
                    assert!(std::fs::read(path).unwrap() == archive.read(&entry.path).unwrap());
                }
            }
            carrack_fixtures::corpus::remove_tree(&dest).unwrap();
            check(&archive, &report);
        }
    }
}

fn when(path: &str) -> When {
    When::Path(path.into())
}

fn original(place: &Place, path: &str) -> Vec<u8> {
    place.plan.bytes(path.as_bytes()).unwrap()
}

/// The file holds `bytes`, is flagged, and is named as the only one.
fn assert_flagged(archive: &Archive, report: &PackReport, path: &str, bytes: &[u8]) {
    let entry = archive.find(path.as_bytes()).unwrap().unwrap();
    assert_eq!((entry.flags, entry.size), (flags::CHANGED, bytes.len() as u64));
    assert_reads(archive, &entry, bytes, BLOCK.into());
    let named: Vec<_> = report.warnings.iter().map(|warning| (&warning.path[..], &warning.what[..])).collect();
    let what = "changed while it was read: stored as read, and flagged";
    assert_eq!(named, [(path.as_bytes(), what)]);
    assert_link_agrees(archive, path);
}

/// The other name says what the file says.
fn assert_link_agrees(archive: &Archive, path: &str) {
    let entry = archive.find(path.as_bytes()).unwrap().unwrap();
    let link = archive.find(format!("x-{path}").as_bytes()).unwrap().unwrap();
    assert_eq!(archive.row(link.hardlink.unwrap()).unwrap().path, path.as_bytes());
    assert_eq!((link.size, link.mtime_ns), (entry.size, entry.mtime_ns));
}

#[test]
fn what_cannot_be_opened_is_left_out_with_all_its_names() {
    let place = place();
    for (harm, says) in
        [(Harm::Errno(EACCES), "ermission denied"), (Harm::Vanish, "o such file"), (Harm::Errno(EIO), "")]
    {
        for victim in ["small", "large"] {
            let rules = Rules::new(1).rule(when(victim), harm);
            harmed(&place, &rules, &[victim], |archive, report| {
                let named: Vec<_> = report.warnings.iter().map(|warning| &warning.path[..]).collect();
                assert_eq!(named, [victim.as_bytes(), format!("x-{victim}").as_bytes()]);
                assert!(report.warnings[0].what.contains(says), "{:?}", report.warnings);
                assert_eq!(archive.find(victim.as_bytes()).unwrap(), None);
                assert_eq!(report.entries, place.plan.nodes().len() as u64 - 2);
            });
        }
    }
}

#[test]
fn links_to_other_files_are_counted_anew_when_rows_are_missing() {
    // The first file of all is missing, so that every row moves up by one.
    let place = place();
    let rules = Rules::new(1).rule(when("a0"), Harm::Errno(EIO)).rule(when("m3"), Harm::Vanish);
    harmed(&place, &rules, &["a0", "m3"], |archive, report| {
        assert_eq!(report.warnings.len(), 2);
        for path in ["small", "large"] {
            assert_link_agrees(archive, path);
            assert!(archive.read(format!("x-{path}").as_bytes()).unwrap() == original(&place, path));
        }
    });
}

/// One read of the large file fails: its first, one in the middle, its last.
#[test]
fn an_error_within_a_large_file_leaves_it_out() {
    let place = place();
    // Requests are submitted in the order of the plan: the eight `a` files come first.
    let chunks = LARGE.div_ceil(BLOCK.into());
    let before: u64 = (0..8).map(|n| (500 + n * 700_u64).div_ceil(BLOCK.into())).sum();
    for nth in [0, 1, chunks / 2, chunks - 1] {
        let rules = Rules::new(1).rule(When::Nth(before + nth), Harm::Errno(EIO));
        harmed_in(Order::Path, &place, &rules, &["large"], |archive, report| {
            let named: Vec<_> = report.warnings.iter().map(|warning| &warning.path[..]).collect();
            assert_eq!(named, [&b"large"[..], b"x-large"], "{nth}");
            assert_eq!(archive.find(b"large").unwrap(), None);
        });
    }
}

#[test]
fn every_request_may_fail() {
    let place = place();
    let rules = Rules::new(1).rule(When::Always, Harm::Errno(EIO));
    let all: Vec<String> = place.plan.nodes().iter().map(|node| node.path.escape_ascii().to_string()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    harmed(&place, &rules, &all, |archive, report| {
        assert_eq!((report.files, report.bytes), (0, 0));
        assert_eq!(report.warnings.len(), 26 + 2);
        let left: Vec<_> = rows(archive).into_iter().map(|entry| entry.path).collect();
        assert_eq!(left, [&b""[..], b"y"]);
    });
}

#[test]
fn a_file_that_ends_early_is_stored_as_far_as_it_goes() {
    let place = place();
    for (victim, end) in [
        ("small", 0_u64),
        ("small", 1),
        ("small", SMALL - 1),
        ("large", 0),
        ("large", 1),
        ("large", u64::from(BLOCK)),
        ("large", u64::from(BLOCK) * 3 + 1000),
        ("large", LARGE - 1),
    ] {
        let rules = Rules::new(1).rule(when(victim), Harm::Shrink(end));
        harmed(&place, &rules, &[victim], |archive, report| {
            let bytes = &original(&place, victim)[..end as usize];
            // A small file is read again, and found as short as before: that is one consistent state.
            let entry = archive.find(victim.as_bytes()).unwrap().unwrap();
            assert_reads(archive, &entry, bytes, BLOCK.into());
            assert_eq!((entry.size, entry.digest), (end, Some(Digest::of(bytes))));
            assert_link_agrees(archive, victim);
            if victim == "large" {
                assert_flagged(archive, report, victim, bytes);
            }
        });
    }
}

#[test]
fn a_read_that_comes_short_once_is_repeated_and_always_is_flagged() {
    let place = place();
    let once = Rules::new(1).times(1, when("small"), Harm::Short(7));
    harmed(&place, &once, &["small"], |archive, report| {
        assert_eq!(report.warnings, []);
        let entry = archive.find(b"small").unwrap().unwrap();
        assert_eq!(entry.flags, 0);
        assert_reads(archive, &entry, &original(&place, "small"), BLOCK.into());
    });
    let always = Rules::new(1).rule(when("small"), Harm::Short(7));
    harmed(&place, &always, &["small"], |archive, report| {
        assert_flagged(archive, report, "small", &original(&place, "small")[..7]);
    });
    // Nothing behind the first part that came short is believed, wherever it may have come from.
    let always = Rules::new(1).rule(when("large"), Harm::Short(1000));
    harmed(&place, &always, &["large"], |archive, report| {
        assert_flagged(archive, report, "large", &original(&place, "large")[..1000]);
    });
}

#[test]
fn a_file_that_grew_is_stored_as_it_was_and_flagged() {
    let place = place();
    for victim in ["small", "large"] {
        let rules = Rules::new(1).rule(when(victim), Harm::Grow(BLOCK.into()));
        harmed(&place, &rules, &[victim], |archive, report| {
            assert_flagged(archive, report, victim, &original(&place, victim));
        });
    }
}

#[test]
fn a_file_that_was_touched_before_it_was_read_has_its_new_time() {
    let place = place();
    let rules = Rules::new(1).rule(when("small"), Harm::Touch);
    harmed(&place, &rules, &["small"], |archive, report| {
        // Each look shows the same later time: read twice, settled.
        assert_eq!(report.warnings, []);
        let entry = archive.find(b"small").unwrap().unwrap();
        assert_eq!((entry.flags, entry.mtime_ns), (0, TIME + 1));
        assert_reads(archive, &entry, &original(&place, "small"), BLOCK.into());
        assert_link_agrees(archive, "small");
    });
}

#[test]
fn a_file_that_was_touched_once_and_then_back_is_settled() {
    let place = place();
    let rules = Rules::new(1).times(1, when("small"), Harm::Touch);
    harmed(&place, &rules, &["small"], |archive, report| {
        assert_eq!(report.warnings, []);
        let entry = archive.find(b"small").unwrap().unwrap();
        assert_eq!((entry.flags, entry.mtime_ns), (0, TIME));
    });
}

#[test]
fn a_large_file_that_was_touched_is_flagged() {
    let place = place();
    for times in [1, u64::MAX] {
        let rules = Rules::new(1).times(times, when("large"), Harm::Touch);
        harmed(&place, &rules, &["large"], |archive, report| {
            assert_flagged(archive, report, "large", &original(&place, "large"));
        });
    }
}

#[test]
fn a_file_whose_state_cannot_be_asked_for_counts_as_changed() {
    let place = place();
    for victim in ["small", "large"] {
        let rules = Rules::new(1).rule(when(victim), Harm::NoWitness);
        harmed(&place, &rules, &[victim], |archive, report| {
            assert_flagged(archive, report, victim, &original(&place, victim));
        });
    }
}

#[test]
fn a_sparse_file_that_shrinks_loses_its_holes_behind_the_end() {
    const MIB: u64 = 1 << 20;
    let data = |n| Piece::Bytes(noise(n, 8192).to_vec());
    let pieces = vec![data(1), Piece::Hole(MIB), data(2), Piece::Hole(MIB), data(3), Piece::Hole(MIB)];
    let mut plan = Builder::new(TIME);
    plan.file("before", noise(4, 5000), TIME);
    plan.file("sparse", Content::Pieces(pieces), TIME);
    plan.file("zbehind", noise(5, 5000), TIME);
    let place = Place::new(plan.finish());
    for end in [0, 100, 8192, 8192 + MIB, 8192 + MIB + 100, 2 * 8192 + 2 * MIB + 1] {
        let rules = Rules::new(1).rule(when("sparse"), Harm::Shrink(end));
        harmed(&place, &rules, &["sparse"], |archive, _| {
            let entry = archive.find(b"sparse").unwrap().unwrap();
            assert_eq!(entry.flags, flags::CHANGED);
            // The hole in front of the first byte that is missing may be taken for there.
            assert!(entry.size >= end && entry.size <= end + MIB, "{} for {end}", entry.size);
            assert_reads(archive, &entry, &original(&place, "sparse")[..entry.size as usize], BLOCK.into());
        });
    }
}

/// No rule of a backend, but the real thing: files are rewritten, truncated, grown and removed while they are packed.
#[test]
fn a_tree_that_changes_all_the_time_is_packed_into_a_sound_archive() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let place = place();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (small, large) = (place.tree.join("small"), place.tree.join("large"));
            for n in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&large).unwrap();
                file.set_len(n * 7919 % (2 * LARGE)).unwrap();
                let _ = std::fs::write(&small, vec![n as u8; (n % 5000) as usize]);
                if n % 5 == 0 {
                    let _ = std::fs::remove_file(&small);
                }
                std::thread::yield_now();
            }
        });
        for io in backends() {
            for _ in 0..15 {
                let packer = place.packer().block_size(BLOCK).slots(2).slot_size(BLOCK).io(io);
                let (bytes, report) = pack_with(&packer, backend(io));
                let archive = open(bytes);
                verify_clean(&archive);
                assert!(
                    report
                        .warnings
                        .iter()
                        .all(|warning| { warning.path.ends_with(b"small") || warning.path.ends_with(b"large") })
                );
                for path in ["a7", "m7", "z7"] {
                    assert!(archive.read(path.as_bytes()).unwrap() == original(&place, path));
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
