//! Archives written by somebody who means harm (`evilpack`): nothing outside the destination changes, nothing panics, and
//! what is wrong is said. Each case is listed, verified and unpacked, over what is there and not.

mod bombs;
mod lies;

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use carrack_backends::tree::Confined;
use carrack_engine::archive::Archive;
use carrack_engine::error::{ErrorKind, Result};
use carrack_engine::unpack::{UnpackReport, Unpacker};
use carrack_engine::verify::VerifyOptions;
use carrack_fixtures::adorn::adorn;
use carrack_fixtures::compare::{self, CompareOptions};
use carrack_fixtures::rng::Rng;
use carrack_fixtures::tree::Builder;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::evilpack::{EvilPack, EvilRow};
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
