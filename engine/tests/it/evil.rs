//! Archives written by somebody who means harm (`evilpack`): nothing outside the destination changes, nothing panics, and
//! what is wrong is said. Each case is listed, verified and unpacked, over what is there and not.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use carrack_backends::tree::Confined;
use carrack_engine::archive::Archive;
use carrack_engine::ceiling::Ceiling;
use carrack_engine::container::FrameKind;
use carrack_engine::container::frame::digest_of;
use carrack_engine::control::{Cancel, Control};
use carrack_engine::error::{ErrorKind, Result};
use carrack_engine::unpack::{UnpackReport, Unpacker};
use carrack_engine::verify::VerifyOptions;
use carrack_fixtures::adorn::adorn;
use carrack_fixtures::compare::{self, CompareOptions};
use carrack_fixtures::rng::Rng;
use carrack_fixtures::tree::Builder;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::evilpack::{EvilBlock, EvilFooter, EvilFrame, EvilPack, EvilRow};
use crate::support::{TIME, names_in, no_hang, noise, try_open};

/// The only block of most of these archives.
const BLOCK: &[u8] = &[b'x'; 5000];

/// A world with a destination in it, and its twin that nobody touches.
struct World {
    place: tempfile::TempDir,
    ctimes: Vec<(PathBuf, i64, i64, u64)>,
}

impl World {
    /// Beside the destination lie files, folders and links with metadata of every sort; in it lie links to them.
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        for name in ["world", "twin"] {
            let root = place.path().join(name);
            std::fs::create_dir_all(root.join("dest")).unwrap();
            let mut outside = Builder::new(TIME);
            outside.file("secret", noise(1, 5000), TIME);
            outside.file("folder/a", noise(2, 70_000), TIME);
            outside.file("folder/b", noise(3, 0), TIME);
            outside.dir("empty", TIME);
            outside.finish().write(&root.join("outside")).unwrap();
            symlink("secret", root.join("outside/link")).unwrap();
            std::fs::write(root.join("x"), "mine").unwrap();
            adorn(&root.join("outside"), 7).unwrap();
            // One time for all: links and devices got theirs just now.
            ctimes(&root).iter().for_each(|(path, ..)| set_time(path));
            set_time(&root);
        }
        let ctimes = ctimes(&place.path().join("world"));
        let world = Self { place, ctimes };
        world.assert_untouched();
        world
    }

    fn dest(&self) -> PathBuf {
        self.place.path().join("world/dest")
    }

    /// Links in the destination that lead out of it.
    fn plant(&self) {
        for (name, target) in [("there", "../outside/folder"), ("z", "../outside/secret"), ("up", ".."), ("a", "../x")]
        {
            symlink(target, self.dest().join(name)).unwrap();
        }
    }

    /// Everything but the destination is as its twin, and no inode was changed.
    #[track_caller]
    fn assert_untouched(&self) {
        let [world, twin] = ["world", "twin"].map(|name| self.place.path().join(name));
        let differences = compare::trees(&world, &twin, &CompareOptions { threads: 1, ..CompareOptions::everything() });
        let outside = |path: &[u8]| path != b"dest" && !path.starts_with(b"dest/");
        let said: Vec<_> = differences.unwrap().into_iter().filter(|difference| outside(&difference.path)).collect();
        assert_eq!(said, []);
        assert_eq!(ctimes(&world), self.ctimes);
    }

    /// Empties the destination.
    fn clear(&self) {
        carrack_fixtures::corpus::remove_tree(&self.dest()).unwrap();
        std::fs::create_dir(self.dest()).unwrap();
        set_time(&self.place.path().join("world"));
    }

    /// Unpacks with every right that can be asked for.
    fn unpack(&self, archive: &Archive, force: bool) -> Result<UnpackReport> {
        let unpacker = Unpacker::new(archive).force(force).threads(4);
        unpacker.specials(true).same_owner(true).same_permissions(true).unpack(self.dest())
    }
}

/// Gives anything, links too, the same time.
fn set_time(path: &Path) {
    let time = Timespec { tv_sec: 1_600_000_000, tv_nsec: 1 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// When each inode outside the destination was changed last, and how many names it has. The world itself aside: its
/// destination is made anew.
fn ctimes(world: &Path) -> Vec<(PathBuf, i64, i64, u64)> {
    let mut todo = vec![world.join("outside"), world.join("x")];
    let mut seen = Vec::new();
    while let Some(path) = todo.pop() {
        let stat = std::fs::symlink_metadata(&path).unwrap();
        if stat.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        seen.push((path, stat.ctime(), stat.ctime_nsec(), stat.nlink()));
    }
    seen.sort();
    seen
}

/// Lists, verifies and unpacks; the first thing that is wrong, whoever says it.
fn try_everything(bytes: Vec<u8>) -> Vec<String> {
    no_hang("using a hostile archive", move || {
        let mut said = Vec::new();
        let archive = match try_open(bytes) {
            Ok(archive) => archive,
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotAnArchive | ErrorKind::Newer),
                    "{error}"
                );
                return vec![error.to_string()];
            }
        };
        for path in [&b"a"[..], b"a/x", b"../x", b"/etc/passwd", b"z", b""] {
            let _ = (archive.find(path), archive.read(path), archive.read_range(path, 0..u64::MAX));
        }
        let _ = archive.blocks(&mut |_| Ok(()));
        said.extend(archive.entries().filter_map(Result::err).map(|error| error.to_string()));
        match archive.verify(&VerifyOptions { threads: Some(2), ..VerifyOptions::default() }) {
            Ok(report) => said.extend(report.damage),
            Err(error) => said.push(error.to_string()),
        }
        let world = World::new();
        for force in [false, true] {
            world.plant();
            match world.unpack(&archive, force) {
                Ok(report) => said.extend(report.damage),
                Err(error) => said.push(error.to_string()),
            }
            world.assert_untouched();
            world.clear();
        }
        said
    })
}

/// Something is said to be wrong, and what is said names it.
#[track_caller]
fn assert_refused(bytes: Vec<u8>, names: &str) {
    let said = try_everything(bytes);
    assert!(said.iter().any(|what| what.contains(names)), "expected {names:?} in {said:?}");
}

fn file(path: &[u8]) -> EvilRow {
    EvilRow::file(path, b"xxxx", 0, 0)
}

/// An archive that is not forged is one: all that is refused below is refused for what it says.
#[test]
fn what_evilpack_writes_is_an_archive() {
    let rows = [
        EvilRow::dir(b""),
        EvilRow::dir(b"dir"),
        EvilRow { xattrs: vec![(b"user.a".to_vec(), b"1".to_vec())], ..file(b"dir/\xff") },
        EvilRow { size: 12_292, holes: vec![(0, 8192), (8196, 4096)], ..file(b"holes") },
        EvilRow::hardlink(b"link", 2, 4),
        EvilRow { device: (Some(1), Some(3)), ..EvilRow::new("char", b"null") },
        EvilRow::symlink(b"sym", b"dir"),
    ];
    let mut rows = rows.to_vec();
    let holes = [vec![0; 8192], b"xxxx".to_vec(), vec![0; 4096]].concat();
    rows[3].digest = Some(carrack_engine::digest::Digest::of(&holes).0);
    for (batch_rows, compressed) in [(16_384, false), (2, true)] {
        let pack = EvilPack { batch_rows, compressed, ..EvilPack::new(&rows, &[BLOCK]) };
        assert_eq!(try_everything(pack.bytes()), Vec::<String>::new());
    }
}

const PIECES: [&[u8]; 14] = [
    b"a",
    b"A",
    b"b",
    b"there",
    b"up",
    b"z",
    "\u{e9}".as_bytes(),
    "e\u{301}".as_bytes(),
    b"\xff",
    b"..",
    b".",
    b"",
    b"x",
    b"c",
];
const TARGETS: [&[u8]; 9] =
    [b"..", b"../outside", b"../outside/secret", b"a", b"/", b"../x", b".", b"../../world/outside/folder", b"there"];

/// A row of any kind that names any other.
fn random_row(rng: &mut Rng, path: &[u8]) -> EvilRow {
    let mode = *rng.pick(&[0o755, 0o4777, 0o2777, 0o1777, 0, 0o644]);
    let row = match rng.below(9) {
        0..=2 => EvilRow::dir(path),
        3 | 4 => file(path),
        5 | 6 => EvilRow::symlink(path, rng.pick::<&[u8]>(&TARGETS)),
        7 => EvilRow::hardlink(path, rng.below(6), 4),
        _ => EvilRow::new("fifo", path),
    };
    let xattrs = if rng.chance(1, 3) && row.kind != "hardlink" {
        vec![(b"user.evil".to_vec(), b"1".to_vec())]
    } else {
        Vec::new()
    };
    EvilRow { mode, xattrs, mtime_ns: rng.below(1 << 60) as i64, ..row }
}

/// Rows of all sorts; in most archives in order, each once, below folders, so that they come to be written.
fn random_rows(rng: &mut Rng) -> Vec<EvilRow> {
    let (orderly, pieces) = (rng.chance(5, 6), if rng.chance(3, 4) { &PIECES[..9] } else { &PIECES[..] });
    let mut paths: Vec<Vec<u8>> = Vec::new();
    for _ in 0..rng.range(1, 10) {
        let path: Vec<&[u8]> = (0..rng.range(1, 4)).map(|_| *rng.pick(pieces)).collect();
        paths.push(path.join(&b'/'));
    }
    if !orderly {
        return paths.iter().map(|path| random_row(rng, path)).collect();
    }
    let whole: BTreeSet<Vec<u8>> = paths.into_iter().collect();
    let above = |path: &Vec<u8>| {
        let slashes = path.iter().enumerate().filter(|at| *at.1 == b'/').map(|at| path[..at.0].to_vec());
        slashes.collect::<Vec<_>>()
    };
    let folders: BTreeSet<Vec<u8>> = whole.iter().flat_map(above).collect();
    let mut files = Vec::new();
    let mut rows = Vec::new();
    for path in whole.union(&folders) {
        let row =
            if folders.contains(path) { EvilRow { mode: 0o777, ..EvilRow::dir(path) } } else { random_row(rng, path) };
        let row = match (row.kind.as_str(), files.last()) {
            ("hardlink", Some(&first)) => EvilRow { hardlink: Some(first), ..row },
            ("hardlink", None) => file(path),
            _ => row,
        };
        if row.kind == "file" {
            files.push(rows.len() as u64);
        }
        rows.push(row);
    }
    rows
}

/// Folders, files, links and hard links under names that differ in case or normal form, that are links in the destination
/// already, or that lead out, in any order, by four threads.
#[test]
fn no_mixture_of_names_and_links_reaches_outside() {
    let world = World::new();
    let mut written = 0;
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let rows = random_rows(&mut rng);
        let bytes = EvilPack::new(&rows, &[BLOCK]).bytes();
        let Ok(archive) = try_open(bytes) else { continue };
        for force in [false, true] {
            world.plant();
            let result = world.unpack(&archive, force);
            written += u32::from(result.is_ok_and(|report| report.entries > 2));
            if seed % 20 == 0 {
                world.assert_untouched();
            }
            world.clear();
        }
        // The cheap half each time: whoever touched something changed its inode.
        assert_eq!(ctimes(&world.place.path().join("world")), world.ctimes, "seed {seed}: {rows:?}");
    }
    world.assert_untouched();
    assert!(written > 300, "only {written} archives came to be written");
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

/// Modes, times, owners, attributes and lists are for what was made, not for what a link of that name leads to.
#[test]
fn metadata_does_not_pass_through_links() {
    let heavy = |row: EvilRow| EvilRow {
        mode: 0o7777,
        owner: (1, 1),
        mtime_ns: 1,
        xattrs: vec![
            (b"security.capability".to_vec(), vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (b"user.evil".to_vec(), b"1".to_vec()),
        ],
        ..row
    };
    let kinds: [fn(&[u8]) -> EvilRow; 4] =
        [EvilRow::dir, |path| EvilRow::symlink(path, b"../outside/secret"), file, |path| EvilRow::new("fifo", path)];
    for make in kinds {
        let rows: Vec<_> = [&b"a"[..], b"there", b"up", b"z"].map(|path| heavy(make(path))).to_vec();
        assert_eq!(try_everything(EvilPack::new(&rows, &[BLOCK]).bytes()), Vec::<String>::new());
    }
}

/// Somebody swaps folders of the destination for links that lead out while it is unpacked into.
#[test]
fn folders_swapped_for_links_while_unpacking_lead_nowhere() {
    let mut rows = vec![EvilRow::dir(b"d")];
    for n in 0..200 {
        rows.push(file(format!("d/f{n:03}").as_bytes()));
    }
    rows.push(EvilRow { mode: 0o777, ..EvilRow::dir(b"d/sub") });
    for n in 0..50 {
        rows.push(EvilRow::symlink(format!("d/sub/s{n:02}").as_bytes(), b"x"));
    }
    let world = World::new();
    let dest = world.dest();
    let stop = AtomicBool::new(false);
    let archive = try_open(EvilPack::new(&rows, &[BLOCK]).bytes()).unwrap();
    let swaps = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut swaps = 0u32;
            while !stop.load(Ordering::Relaxed) {
                for folder in ["d", "d/sub"] {
                    let (here, aside) = (dest.join(folder), dest.join("aside"));
                    if std::fs::rename(&here, &aside).is_ok() {
                        let linked = symlink("../outside", &here).is_ok();
                        swaps += u32::from(linked);
                        std::thread::yield_now();
                        if linked {
                            let _ = std::fs::remove_file(&here);
                        }
                        let _ = std::fs::rename(&aside, &here);
                        let _ = std::fs::remove_dir_all(&aside);
                    }
                }
            }
            swaps
        });
        for turn in 0..60 {
            // What comes of it is another matter: names vanish under the writer's hands.
            let _ = world.unpack(&archive, turn % 2 == 0);
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap()
    });
    world.clear();
    world.assert_untouched();
    assert!(swaps > 20, "only {swaps} swaps");
}

#[test]
fn setuid_and_devices_are_not_had_without_asking() {
    let device =
        |kind: &str, path: &[u8]| EvilRow { device: (Some(1), Some(1)), mode: 0o666, ..EvilRow::new(kind, path) };
    let setuid = EvilRow { mode: 0o6755, ..file(b"setuid") };
    let rows = [device("block", b"disk"), device("char", b"mem"), setuid];
    let archive = try_open(EvilPack::new(&rows, &[BLOCK]).bytes()).unwrap();
    let dest = tempfile::tempdir().unwrap();
    let unpacker = Unpacker::new(&archive).same_owner(false).same_permissions(true);
    let report = unpacker.unpack(dest.path()).unwrap();
    assert_eq!(names_in(dest.path()), ["setuid"]);
    let mode = std::fs::metadata(dest.path().join("setuid")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    assert_eq!((report.skipped_specials, report.warnings.len()), (2, 3), "{:?}", report.warnings);
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

/// The kernel is asked to stand behind everything that these tests try, where it can; whoever calls is left alone.
#[test]
fn the_kernel_confines_who_unpacks_and_nobody_else() {
    let archive = try_open(EvilPack::new(&[file(b"a")], &[BLOCK]).bytes()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let report = Unpacker::new(&archive).unpack(place.path().join("dest")).unwrap();
    if let Confined::No(why) = report.confined {
        eprintln!("not tested: {why}");
    }
    std::fs::write(place.path().join("beside"), "").unwrap();
}

/// A few hundred bytes that claim any number of them: by a hole, by one block over and over.
fn bombs() -> [(EvilPack, u64); 3] {
    let hole = |path: &[u8]| {
        let len = i64::MAX as u64 / 4096 * 4096;
        EvilRow { size: len, holes: vec![(4, len - 4)], ..file(path) }
    };
    let block = vec![0; 4 << 20];
    let again =
        EvilRow { size: 20_000 << 22, extents: vec![[0, 0, 4 << 20]; 20_000], digest: Some([0; 32]), ..file(b"again") };
    let mut packed = EvilPack { compressed: true, ..EvilPack::new(std::slice::from_ref(&again), &[&block]) };
    let frame = &mut packed.frames[0];
    frame.payload = zstd::bulk::compress(&block, 3).unwrap();
    (frame.header.codec, frame.header.stored_len) = (2, frame.payload.len() as u32);
    frame.header.digest = digest_of(b"", &frame.payload);
    let many: Vec<_> = (0..10_000).map(|n| EvilRow::dir(format!("{n:05}").as_bytes())).collect();
    // Three of them are more than 64 bits can count.
    let holes = [hole(b"a"), hole(b"b"), hole(b"c")];
    [
        (EvilPack::new(&holes, &[BLOCK]), u64::MAX),
        (packed, again.size),
        (EvilPack { compressed: true, ..EvilPack::new(&many, &[BLOCK]) }, 0),
    ]
}

#[test]
fn bombs_are_told_before_the_first_byte_is_written() {
    let place = tempfile::tempdir().unwrap();
    let dest = place.path().join("dest");
    for (pack, size) in bombs() {
        let bytes = pack.bytes();
        let len = bytes.len() as u64;
        let archive = try_open(bytes).unwrap();
        assert_eq!(archive.summary().bytes, size);
        let entries = archive.len();
        let (ratio, most) = (Some(1000), size.checked_sub(1));
        for ceiling in [
            Ceiling { size: most, ..Ceiling::default() },
            Ceiling { entries: Some(entries - 1), ..Ceiling::default() },
            Ceiling { ratio, ..Ceiling::default() },
        ] {
            if ceiling == Ceiling::default() || ceiling.ratio.is_some() && size <= 1000 * len {
                continue;
            }
            let error = archive.verify(&VerifyOptions { ceiling, ..VerifyOptions::default() }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            let patterns = [Vec::new(), vec!["**".to_owned()]];
            for patterns in patterns {
                let error = Unpacker::new(&archive).select(patterns).ceiling(ceiling).unpack(&dest).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
                assert!(!dest.exists());
            }
        }
    }
    let archive = try_open(bombs()[1].0.bytes()).unwrap();
    match carrack_backends::tree::space(place.path()) {
        Some(space) if space.total < 20_000 << 22 => {
            for force in [false, true] {
                let error = Unpacker::new(&archive).force(force).unpack(&dest).unwrap_err();
                assert!(
                    error.kind() == ErrorKind::TooLarge && error.to_string().contains("nothing was written"),
                    "{error}"
                );
                assert!(!dest.exists());
            }
        }
        _ => eprintln!("not tested: the temporary folder has space for 80 GiB"),
    }
}

/// What fits exactly is taken, and holes take no space.
#[test]
fn a_ceiling_holds_what_is_just_below_it() {
    let rows = [file(b"a"), file(b"b"), EvilRow::hardlink(b"c", 0, 4)];
    let archive = try_open(EvilPack::new(&rows, &[BLOCK]).bytes()).unwrap();
    for (size, entries, fits) in [(8, 3, true), (7, 3, false), (8, 2, false)] {
        let ceiling = Ceiling { size: Some(size), entries: Some(entries), ratio: Some(1) };
        let dest = tempfile::tempdir().unwrap();
        let result = Unpacker::new(&archive).ceiling(ceiling).unpack(dest.path());
        assert_eq!(result.is_ok(), fits, "{size} bytes, {entries} entries");
        assert_eq!(archive.verify(&VerifyOptions { ceiling, ..VerifyOptions::default() }).is_ok(), fits);
    }
    // Of what is selected, not of all.
    let ceiling = Ceiling { size: Some(4), entries: Some(1), ratio: None };
    let dest = tempfile::tempdir().unwrap();
    Unpacker::new(&archive).select(["b".to_owned()]).ceiling(ceiling).unpack(dest.path()).unwrap();
    // A hole of 8 EiB fits anywhere, and takes years to prove: whoever allows it can stop it.
    let archive = try_open(bombs()[0].0.bytes()).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let control = Control { cancel, on_progress: None };
    let error = Unpacker::new(&archive).control(control).unpack(dest.path().join("holes")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}
