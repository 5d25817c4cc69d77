//! Rows, tables, frames, footers and seals that lie.

use std::sync::Arc;

use carrack_engine::container::FrameKind;
use carrack_engine::container::frame::digest_of;
use carrack_engine::control::Control;
use carrack_engine::error::ErrorKind;
use carrack_engine::salvage::salvage;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;

use super::{BLOCK, file, try_everything};
use crate::evilpack::{EvilBlock, EvilFooter, EvilFrame, EvilPack, EvilRow};
use crate::support::{try_open, verify_clean};

/// Something is said to be wrong, and what is said names it.
#[track_caller]
fn assert_refused(bytes: Vec<u8>, names: &str) {
    let said = try_everything(bytes);
    assert!(said.iter().any(|what| what.contains(names)), "expected {names:?} in {said:?}");
}

#[test]
fn paths_of_any_bytes_that_lead_out_are_refused() {
    let with = |path: &str, raw: &[u8]| EvilRow { path: path.to_owned(), path_raw: Some(raw.to_vec()), ..file(b"") };
    for row in [
        with("..\u{fffd}", b"../\xff"),
        with("a", b"../x"),
        with("a", b"a"),
        with("../\u{fffd}", b"../\xff"),
        with("/\u{fffd}", b"/\xff"),
        with("\u{fffd}/../..", b"\xff/../.."),
        with("b\u{fffd}", b"a\xff"),
        with("\u{fffd}\0", b"\xff\0"),
        with("\u{fffd}", b""),
    ] {
        assert_refused(EvilPack::new(&[row], &[BLOCK]).bytes(), "path");
    }
}

/// Numbers that are too large for what they count, or negative to whoever takes them as signed.
#[test]
fn numbers_beyond_all_bounds_are_refused() {
    const NEGATIVE: u64 = -1_i64 as u64;
    let row = || file(b"b");
    for (row, names) in [
        (EvilRow { size: NEGATIVE, ..row() }, "size"),
        (EvilRow { size: 1 << 63, ..row() }, "size"),
        (EvilRow { size: 5, ..row() }, "extents"),
        (EvilRow { extents: vec![[0, u32::MAX, 4]], ..row() }, "extent"),
        (EvilRow { extents: vec![[0, 0, u32::MAX]], ..row() }, "extent"),
        (EvilRow { extents: vec![[0, 0, 0], [0, 0, 4]], ..row() }, "extent"),
        (EvilRow { extents: vec![[u32::MAX, 0, 4]], ..row() }, "extent"),
        (EvilRow { extents: vec![[0, 4998, 4]], ..row() }, "extent"),
        (EvilRow { extents: vec![[7, 0, 4]], ..row() }, "extent"),
        (EvilRow { extents: vec![[0, 0, u32::MAX]; 3], size: 3 * u64::from(u32::MAX), ..row() }, "extent"),
        (EvilRow { holes: vec![(NEGATIVE, 1)], ..row() }, "holes"),
        (EvilRow { holes: vec![(0, NEGATIVE)], ..row() }, "holes"),
        (EvilRow { holes: vec![(1 << 62, 1 << 63), (1 << 61, 1 << 63)], size: 4, ..row() }, "holes"),
        (EvilRow { holes: vec![(0, 4), (2, 4)], size: 10, ..row() }, "holes"),
        (EvilRow { mode: u32::MAX, ..row() }, "mode"),
        (EvilRow { flags: u32::MAX, ..row() }, "flags"),
        (EvilRow { digest: None, ..row() }, "digest"),
        (EvilRow { kind: "\x1b[2J".into(), ..row() }, "kind"),
        (EvilRow { hardlink: Some(NEGATIVE), ..EvilRow::new("hardlink", b"b") }, "hard"),
        (EvilRow { hardlink: Some(1 << 32), ..EvilRow::new("hardlink", b"b") }, "hard"),
        (EvilRow { hardlink: Some(0), ..row() }, "hard"),
        (EvilRow { device: (Some(1), None), ..EvilRow::new("char", b"b") }, "device"),
        (EvilRow { link_target: Some(vec![b'a'; 5000]), ..EvilRow::new("symlink", b"b") }, "link target"),
        (EvilRow { link_target: Some(b"a\0b".to_vec()), ..EvilRow::new("symlink", b"b") }, "link target"),
        (EvilRow { xattrs: vec![(b"user.a\0".to_vec(), Vec::new())], ..row() }, "attribute"),
        (EvilRow { xattrs: vec![(b"b".to_vec(), Vec::new()), (b"a".to_vec(), Vec::new())], ..row() }, "attribute"),
    ] {
        assert_refused(EvilPack::new(&[file(b"a"), row], &[BLOCK]).bytes(), names);
    }
}

/// What the table says of a frame and what its header says, each checked against the other.
#[test]
fn tables_and_frames_that_disagree_are_damage() {
    let pack = || EvilPack::new(&[file(b"a")], &[BLOCK, BLOCK]);
    let forgeries: [fn(&mut Vec<EvilBlock>); 14] = [
        |blocks| blocks[0].raw_len = 4,
        |blocks| (blocks[0].raw_len, blocks[0].stored_len) = (u32::MAX, 5000),
        |blocks| (blocks[0].raw_len, blocks[0].codec) = (64 << 20, "zstd".into()),
        |blocks| blocks[0].stored_len = 4999,
        |blocks| blocks[0].offset += 64,
        |blocks| blocks[1].offset = blocks[0].offset,
        |blocks| blocks[1].offset = u64::MAX - 63,
        |blocks| blocks[0].frame_len = u64::MAX,
        |blocks| blocks[0].codec = "zstd".into(),
        |blocks| blocks[0].codec = "\x1b[31mevil".into(),
        |blocks| blocks[0].kind = "\x1b[31mevil".into(),
        |blocks| blocks[0].filters = [200, 0, 0, 0],
        |blocks| blocks[0].dictionary = Some(0),
        |blocks| blocks[0].digest = [0; 32],
    ];
    for (at, forge_blocks) in forgeries.into_iter().enumerate() {
        let said = try_everything(EvilPack { forge_blocks, ..pack() }.bytes());
        assert!(!said.is_empty(), "forgery {at} passes");
    }
    let seqs: [fn(&mut Vec<EvilBlock>); 3] =
        [|blocks| blocks[0].seq = 1, |blocks| blocks[1].seq = 0, |blocks| blocks[1].seq = 7];
    for forge_blocks in seqs {
        assert_refused(EvilPack { forge_blocks, ..pack() }.bytes(), "seq");
    }
    // Headers that both say the same, and are wrong.
    let frames: [fn(&mut EvilFrame); 6] = [
        |frame| frame.header.codec = 2,
        |frame| (frame.header.codec, frame.header.raw_len) = (2, 64 << 20),
        |frame| (frame.header.codec, frame.header.raw_len) = (1, 64 << 20),
        |frame| (frame.header.codec, frame.header.raw_len) = (3, 64 << 20),
        |frame| (frame.header.kind, frame.header.digest) = (FrameKind::Table, digest_of(b"", BLOCK)),
        |frame| frame.header.filters = [200, 0, 0, 0],
    ];
    for (at, forge) in frames.into_iter().enumerate() {
        let mut pack = pack();
        forge(&mut pack.frames[0]);
        let said = try_everything(pack.bytes());
        assert!(!said.is_empty(), "frame {at} passes");
    }
}

/// Footers and seals that lie: about numbers, places, sums.
#[test]
fn footers_that_lie_are_damage() {
    use serde_json::json;
    let rows = [EvilRow::dir(b"a"), file(b"a/b"), file(b"c")];
    let forgeries: [fn(&mut EvilFooter); 16] = [
        |says| says.manifest["counts"]["entries"] = json!(2),
        |says| says.manifest["counts"]["entries"] = json!(u64::MAX),
        |says| says.manifest["counts"]["bytes"] = json!(u64::MAX),
        |says| says.manifest["counts"]["files"] = json!(-1),
        |says| says.manifest["frames"]["count"] = json!(u64::MAX),
        |says| says.manifest["frames"]["raw_bytes"] = json!(1),
        |says| says.manifest["root"] = json!("00".repeat(32)),
        |says| says.manifest["blocks_table"] = json!("\x1b[2J"),
        |says| says.manifest = json!([]),
        |says| says.batches[0]["rows"] = json!(u32::MAX),
        |says| says.batches[0]["rows"] = json!(2),
        |says| says.batches[0]["offset"] = json!(0),
        |says| says.batches[0]["len"] = json!(u64::MAX),
        |says| says.batches[0]["first"] = json!(""),
        |says| says.batches = json!([]),
        |says| says.blocks[0]["first"] = json!(u64::MAX),
    ];
    for (at, forge_footer) in forgeries.into_iter().enumerate() {
        let said = try_everything(EvilPack { forge_footer, ..EvilPack::new(&rows, &[BLOCK]) }.bytes());
        assert!(!said.is_empty(), "forgery {at} passes");
    }
    let seals: [fn(&mut carrack_engine::container::Seal); 7] = [
        |seal| seal.blocks_offset = u64::MAX - 63,
        |seal| seal.blocks_len = u64::MAX,
        |seal| seal.entries_offset = 0,
        |seal| seal.footer_len = u32::MAX,
        |seal| seal.previous = Some(u64::MAX - 1),
        |seal| seal.previous = Some(1536),
        |seal| seal.reader_version_min = u16::MAX,
    ];
    for (at, forge_seal) in seals.into_iter().enumerate() {
        let said = try_everything(EvilPack { forge_seal, ..EvilPack::new(&rows, &[BLOCK]) }.bytes());
        assert!(!said.is_empty(), "seal {at} passes");
    }
}

/// An archive in an archive is a file like any; what stands around one is damage.
#[test]
fn archives_in_front_of_behind_and_within_archives() {
    let inner = EvilPack::new(&[file(b"inner")], &[BLOCK]).bytes();
    let rows = [EvilRow::file(b"a.crk", &inner, 0, 0), file(b"b")];
    let outer = EvilPack::new(&rows, &[&inner]);
    let archive = try_open(outer.bytes()).unwrap();
    assert_eq!(archive.read(b"a.crk").unwrap(), inner);
    let names: Vec<_> = archive.entries().map(|entry| entry.unwrap().path).collect();
    assert_eq!(names, [&b"a.crk"[..], b"b"]);
    let plain = || EvilPack::new(&[file(b"outer")], &[BLOCK]).bytes();
    for bytes in [
        [plain(), b"\n".to_vec()].concat(),
        [plain(), vec![0; 64]].concat(),
        [plain(), inner.clone()].concat(),
        [inner.clone(), plain()].concat(),
        [vec![0; 64], plain()].concat(),
        [&plain()[..], &inner[inner.len() - 200..]].concat(),
    ] {
        assert!(!try_everything(bytes).is_empty());
    }
}

/// Frames whose digests are right, and whose contents or records are not: only somebody who means it writes them.
#[test]
fn what_is_salvaged_verifies_whatever_is_in_its_frames() {
    let other = EvilRow { extents: vec![[1, 0, 4]], ..file(b"b") };
    let mut pack = EvilPack::new(&[file(b"a"), other], &[BLOCK, BLOCK]);
    let frame = &mut pack.frames[0];
    // A chunk that ends too early.
    frame.directory = vec![0x80, 0, 0];
    (frame.header.directory_raw_len, frame.header.directory_stored_len) = (3, 3);
    frame.header.digest = digest_of(&frame.directory, &frame.payload);
    // No frame of zstd's begins like this.
    pack.frames[1].header.codec = 2;
    let found = salvage("evil", Arc::new(pack.bytes()), &Control::default()).unwrap();
    assert_eq!((found.report.unreadable, found.report.is_whole()), (2, false));
    verify_clean(&found.archive);
    let whole = file(b"a").extents[0];
    assert_eq!(found.archive.read(b"a").unwrap(), BLOCK[whole[1] as usize..][..whole[2] as usize]);
    assert_eq!(found.report.lost.iter().map(|(path, _)| &path[..]).collect::<Vec<_>>(), [b"b"]);
}

/// Blocks that are intact, and files that are not what their digests say: of each kind that is put together in its own way.
#[test]
fn files_that_are_not_what_their_digests_say_are_given_to_nobody() {
    let other = || file(b"other").digest.map(|digest| digest.map(|byte| !byte));
    let lying = |path| EvilRow { digest: other(), ..file(path) };
    let rows = [
        lying(b"in one piece"),
        EvilRow { extents: vec![[0, 0, 4], [0, 100, 4]], size: 8, ..lying(b"in two pieces") },
        EvilRow { holes: vec![(0, 8192)], extents: vec![[0, 0, 4]], size: 8196, ..lying(b"sparse") },
        EvilRow { holes: vec![(0, 8192)], extents: Vec::new(), size: 8192, ..lying(b"void") },
    ];
    let paths: Vec<Vec<u8>> = rows.iter().map(|row| row.bytes().to_vec()).collect();
    let bytes = EvilPack::new(&rows, &[BLOCK]).bytes();
    let archive = try_open(bytes.clone()).unwrap();
    let report = archive.verify(&VerifyOptions::default()).unwrap();
    assert_eq!((&report.lost, report.damage.len()), (&paths, 4), "{:?}", report.damage);
    for path in &paths {
        let name = path.escape_ascii();
        assert_eq!(archive.read(path).map_err(|error| error.kind()), Err(ErrorKind::Damaged), "{name}");
        let copied = archive.copy_to(path, &mut Vec::new());
        assert_eq!(copied.map_err(|error| error.kind()), Err(ErrorKind::Damaged), "{name}");
    }
    let dest = tempfile::tempdir().unwrap();
    let report = Unpacker::new(&archive).unpack(dest.path()).unwrap();
    assert_eq!((&report.lost, report.damage.len()), (&paths, 4), "{:?}", report.damage);
    assert_eq!(std::fs::read_dir(dest.path()).unwrap().count(), 0);
    let report = salvage("evil", Arc::new(bytes), &Control::default()).unwrap().report;
    assert_eq!(report.lost.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), paths);
}
