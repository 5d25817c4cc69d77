//! What is left of a broken archive comes back: without head, without tail, without both, whatever is damaged between, and
//! never as anything else than what was packed.

use std::collections::BTreeSet;
use std::sync::Arc;

use carrack_backends::sink::MemorySink;
use carrack_engine::archive::Archive;
use carrack_engine::codec::Codec;
use carrack_engine::container::FrameHeader;
use carrack_engine::container::frame::HEADER_LEN;
use carrack_engine::control::Control;
use carrack_engine::entry::{Entry, Kind};
use carrack_engine::error::ErrorKind;
use carrack_engine::index::BlockRow;
use carrack_engine::pack::{Dedup, Packer};
use carrack_engine::plan::Order;
use carrack_engine::salvage::{SalvageReport, salvage, salvage_one};
use carrack_fixtures::content::{Content, Lang, Recipe};
use carrack_fixtures::model::{Shape, random};
use carrack_fixtures::tree::Builder;
use proptest::prelude::*;

use crate::support::{
    Place, TIME, assert_same_trees, frames, noise, open, pack, rows, try_open, unpack_clean, verify, verify_clean,
};

const BLOCK: u32 = 4096;

/// A tree with everything that a directory can tell of: duplicates, large files, holes, links, pipes, empty files and folders.
fn place() -> Place {
    let shape = Shape { entries: 80, boundaries: vec![4096], max_size: 20_000, ..Shape::default() };
    let mut plan = Builder::new(TIME);
    for node in random(31, &shape).nodes() {
        plan.push(node.path.clone(), node.what.clone(), node.mode, node.mtime_ns);
    }
    for n in 0..60_u64 {
        plan.file(format!("many/{n:03}"), noise(n % 50, 300 + n % 50 * 91), TIME + n as i64);
    }
    plan.file("many/large", noise(1, 60_000), TIME);
    Place::new(plan.finish())
}

fn packer(place: &Place) -> Packer {
    place.packer().block_size(BLOCK).codec(Codec::Zstd { level: 1 })
}

fn salvaged(bytes: Vec<u8>) -> (Archive, SalvageReport) {
    let found = salvage("broken", Arc::new(bytes), &Control::default()).unwrap();
    // As a file, it is an archive like any other.
    let (sink, written) = MemorySink::new();
    found.write(Box::new(sink), &Control::default()).unwrap();
    let archive = open(written.finished().unwrap());
    verify_clean(&archive);
    assert_eq!(rows(&archive), rows(&found.archive));
    assert_eq!(found.report.entries, archive.len());
    (archive, found.report)
}

/// What comes back is what was packed, with its metadata.
fn assert_true(found: &Archive, whole: &Archive, made_up: &[Vec<u8>]) {
    for entry in rows(found).iter().filter(|entry| !made_up.contains(&entry.path)) {
        let expected = whole.find(&entry.path).unwrap().unwrap();
        let named = |archive: &Archive, entry: &Entry| entry.hardlink.map(|first| archive.row_path(first).unwrap());
        assert_eq!(named(found, entry), named(whole, &expected));
        assert_eq!(Entry { hardlink: None, ..entry.clone() }, Entry { hardlink: None, ..expected });
        if entry.kind == Kind::File {
            assert_eq!(found.read(&entry.path).unwrap(), whole.read(&entry.path).unwrap());
        }
    }
}

fn paths(archive: &Archive) -> BTreeSet<Vec<u8>> {
    rows(archive).into_iter().map(|entry| entry.path).collect()
}

#[test]
fn an_archive_without_head_and_tail_comes_back_whole() {
    let place = place();
    for (dedup, order) in [(Dedup::File, Order::Path), (Dedup::Chunk, Order::Similar)] {
        let packer = packer(&place).dedup(dedup).order(order);
        let packer = if dedup == Dedup::Chunk { packer.chunk_size(1 << 10) } else { packer };
        let (bytes, _) = pack(&packer);
        let whole = open(bytes.clone());
        let ends = frames(&whole);
        let (first, last) = (ends[0].start, ends[ends.len() - 1].end);
        let mut shifted = b"something in front".to_vec();
        shifted.extend_from_slice(&bytes[first..last]);
        for (case, left) in
            [bytes.clone(), bytes[..last].to_vec(), bytes[first..].to_vec(), bytes[first..last].to_vec(), shifted]
                .into_iter()
                .enumerate()
        {
            let (archive, report) = salvaged(left);
            assert_eq!((report.missing, report.lost.len(), report.made_up.len()), (0, 0, 0), "case {case}");
            // Without the head everything stands elsewhere than the index says.
            assert_eq!(report.has_index, case == 0, "case {case}");
            assert_eq!(paths(&archive), paths(&whole), "case {case}");
            assert_true(&archive, &whole, &[]);
            let dest = place.beside("rest");
            unpack_clean(&archive, &dest);
            assert_same_trees(&place.tree, &dest);
            carrack_fixtures::corpus::remove_tree(&dest).unwrap();
        }
    }
}

#[test]
fn a_damaged_frame_costs_the_files_that_need_it_and_all_others_come_back() {
    let place = place();
    let (bytes, _) = pack(&packer(&place));
    let whole = open(bytes.clone());
    let all = rows(&whole);
    for (seq, frame) in frames(&whole).into_iter().enumerate() {
        let needs = |entry: &&Entry| entry.extents.iter().any(|extent| extent.block as usize == seq);
        let files: BTreeSet<Vec<u8>> = all.iter().filter(needs).map(|entry| entry.path.clone()).collect();
        let links =
            all.iter().filter(|entry| entry.hardlink.is_some_and(|first| files.contains(&all[first as usize].path)));
        let expected: BTreeSet<Vec<u8>> = files.iter().cloned().chain(links.map(|entry| entry.path.clone())).collect();
        for with_index in [true, false] {
            let mut broken = bytes.clone();
            broken[frame.start + (frame.len() * 7 / 9)] ^= 0x10;
            if !with_index {
                broken.truncate(frames(&whole).last().unwrap().end);
            }
            let (archive, report) = salvaged(broken);
            assert_true(&archive, &whole, &report.made_up);
            let lost: BTreeSet<Vec<u8>> = report.lost.iter().map(|(path, _)| path.clone()).collect();
            let gone: BTreeSet<Vec<u8>> = paths(&whole).difference(&paths(&archive)).cloned().collect();
            assert_eq!(
                (report.has_index, report.missing),
                (with_index, u64::from(with_index || seq + 1 < frames(&whole).len()))
            );
            if with_index {
                assert_eq!((&lost, &gone), (&expected, &expected), "frame {seq}");
            } else {
                // What began in the damaged frame has lost its name; every file whose blocks are intact came back all the same,
                // unless its own record stood there.
                assert!(lost.is_subset(&gone) && expected.is_subset(&gone), "frame {seq}");
                let contents = |path: &Vec<u8>| whole.find(path).unwrap().unwrap().size > 0;
                let unexpected: Vec<_> = gone.difference(&expected).filter(|path| contents(path)).collect();
                for path in unexpected {
                    let record_is_there = all.iter().any(|entry| {
                        entry.path == *path
                            && entry.holes.is_empty()
                            && entry.hardlink.is_none()
                            && entry.extents.first().is_some_and(|extent| extent.block as usize > seq)
                    });
                    assert!(!record_is_there, "frame {seq}: {}", path.escape_ascii());
                }
            }
        }
    }
}

#[test]
fn a_lost_dictionary_costs_the_files_that_need_it() {
    let mut builder = Builder::new(TIME);
    for n in 0..300_u64 {
        builder.file(format!("c/{n:03}.c"), Content::stream(Recipe::Source(Lang::C, 3), n, 5000), TIME);
    }
    builder.file("noise", noise(1, 10_000), TIME);
    let place = Place::new(builder.finish());
    let (bytes, _) = pack(&place.packer().block_size(16 << 10));
    let whole = open(bytes.clone());
    let ends = frames(&whole);
    let (archive, report) = salvaged(bytes[ends[0].start..ends[ends.len() - 1].end].to_vec());
    assert_eq!((paths(&archive), report.lost.len()), (paths(&whole), 0));
    assert_true(&archive, &whole, &[]);
    let (archive, report) = salvaged(bytes[ends[0].start + 1..].to_vec());
    assert!(report.lost.iter().all(|(_, why)| why.contains("dictionary in frame 0")), "{:?}", report.lost.first());
    assert!(report.lost.len() > 200 && archive.read(b"noise").is_ok(), "{}", report.lost.len());
}

#[test]
fn a_frame_of_a_newer_codec_costs_its_files_and_is_kept_for_a_newer_version() {
    const NEWER: u8 = 77;
    let place = place();
    let (mut bytes, _) = pack(&packer(&place));
    let whole = open(bytes.clone());
    let (seq, frame) = (2, frames(&whole)[2].clone());
    let header: &mut [u8; HEADER_LEN] = (&mut bytes[frame.start..][..HEADER_LEN]).try_into().unwrap();
    let newer = FrameHeader { codec: NEWER, ..FrameHeader::decode(header, 0).unwrap() };
    *header = newer.encode();
    let needs = |entry: &Entry| entry.extents.iter().any(|extent| u64::from(extent.block) == seq);
    let in_frame = rows(&whole).into_iter().filter(needs).map(|entry| entry.path).collect::<Vec<_>>();
    assert!(!in_frame.is_empty() && in_frame.len() < 20);
    for end in [bytes.len(), frames(&whole).last().unwrap().end] {
        let found = salvage("broken", Arc::new(bytes[..end].to_vec()), &Control::default()).unwrap();
        let (sink, written) = MemorySink::new();
        found.write(Box::new(sink), &Control::default()).unwrap();
        let archive = open(written.finished().unwrap());
        assert_true(&archive, &whole, &[]);
        let came = paths(&archive);
        let lost: BTreeSet<Vec<u8>> = found.report.lost.iter().map(|(path, _)| path.clone()).collect();
        assert!(came.len() > 100 && came.union(&lost).eq(&paths(&whole)), "{} of {}", came.len(), whole.len());
        assert!(in_frame.iter().all(|path| lost.contains(path)));
        let why = format!("codec number {NEWER} is unknown");
        let told = found.report.lost.iter().filter(|(_, reason)| reason.contains(&why)).count();
        assert_eq!(told, in_frame.len(), "{:?}", found.report.lost);
        // Whoever knows the codec finds the frame as it was.
        let row = archive.index().block(&**archive.source(), seq).unwrap();
        assert_eq!(row, BlockRow { offset: row.offset, ..BlockRow::of(&newer, 0) });
        let damage = verify(&archive).damage;
        assert!(damage.len() == 1 && damage[0].contains(&why), "{damage:?}");
    }
}

#[test]
fn an_archive_inside_is_not_taken_for_the_one_around_it() {
    let inner = place();
    let (inside, _) = pack(&packer(&inner));
    let mut builder = Builder::new(TIME);
    builder.file("inner.crk", Content::bytes(inside.clone()), TIME);
    builder.file("other", noise(9, 3000), TIME);
    let outer = Place::new(builder.finish());
    let (bytes, _) = pack(&outer.packer().codec(Codec::Store).block_size(1 << 20));
    let whole = open(bytes.clone());
    let last = frames(&whole).last().unwrap().end;
    let (archive, report) = salvaged(bytes[..last].to_vec());
    assert_eq!((paths(&archive), report.others.len()), (paths(&whole), 0));
    assert_eq!(archive.read(b"inner.crk").unwrap(), inside);
    // With the frame around it damaged the inner one's frames come to light. The index tells which archive is meant.
    let mut broken = bytes;
    broken[1536 + 100] ^= 1;
    let (archive, report) = salvaged(broken.clone());
    let inner_whole = open(inside);
    let id = inner_whole.summary().archive_id;
    assert!(report.others == [(id.clone(), inner_whole.summary().frames)] && report.has_index, "{report:?}");
    assert!(archive.find(b"many").unwrap().is_none());
    // The inner one can be asked for; its own index lies in the middle of other bytes.
    let source = Arc::new(broken);
    let found = salvage_one("broken", source.clone(), Some(&id), &Control::default()).unwrap();
    assert_eq!((paths(&found.archive), found.report.has_index), (paths(&inner_whole), false));
    assert_true(&found.archive, &inner_whole, &[]);
    for (id, expected) in [("00".repeat(16), "; there is "), ("x".to_owned(), "32 hexadecimal digits")] {
        let error = salvage_one("it", source.clone(), Some(&id), &Control::default()).map(|_| ()).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn what_holds_no_frame_is_no_archive() {
    for bytes in [Vec::new(), b"ARROW1".to_vec(), vec![0; 100_000], b"\x89CRKF\r\n\x1a".repeat(100)] {
        let error = salvage("it", Arc::new(bytes), &Control::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAnArchive, "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever happens to the bytes: no panic, and nothing comes back that was not packed.
    #[test]
    fn nothing_comes_back_that_was_not_packed(
        harm in prop::collection::vec((0.0..1.0f64, 0.0..0.2f64, 0..4u8), 1..6),
    ) {
        use std::sync::OnceLock;
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| pack(&packer(&place())).0);
        let whole = open(bytes.clone());
        let mut broken = bytes.clone();
        for (at, len, how) in harm {
            let start = (at * broken.len() as f64) as usize;
            let end = (start + (len * broken.len() as f64) as usize).min(broken.len());
            match how {
                0 => broken.truncate(start),
                1 => { broken.drain(start..end); }
                2 => broken[start..end].fill(0),
                _ => {
                    let copy = broken[start..end].to_vec();
                    broken.splice(start..start, copy);
                }
            }
        }
        if let Ok(found) = salvage("broken", Arc::new(broken.clone()), &Control::default()) {
            verify_clean(&found.archive);
            assert_true(&found.archive, &whole, &found.report.made_up);
            prop_assert!(try_open(broken.clone()).is_ok() || !found.report.is_whole() || found.report.has_index);
        }
    }
}
