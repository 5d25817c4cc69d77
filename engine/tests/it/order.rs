//! Contents may be stored in another order than rows: rows stay sorted, every byte comes back, and the order shows neither
//! in what is read nor in who reads it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use carrack_backends::path::PathId;
use carrack_backends::read::choose::IoChoice;
use carrack_backends::read::fault::{Fault, Harm, Rules, When};
use carrack_engine::archive::Archive;
use carrack_engine::codec::Codec;
use carrack_engine::container::directory::Record;
use carrack_engine::control::{Cancel, Control, Progress, Stage};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Entry, Extent, Kind};
use carrack_engine::error::ErrorKind;
use carrack_engine::pack::{Dedup, Packer};
use carrack_engine::plan::{Files, Order};
use carrack_engine::scan;
use carrack_engine::sketch::Sketch;
use carrack_engine::walk::{self, Input, WalkOptions};
use carrack_fixtures::content::{Content, Piece};
use carrack_fixtures::model::{Shape, random};
use carrack_fixtures::tree::{Builder, Tree};
use carrack_fixtures::{Kind as Corpus, Scale, generate};

use crate::salvage::for_each_record;
use crate::support::{
    Place, TIME, assert_holds, assert_same_trees, backend, backends, noise, open, pack, pack_with, rows, unpack_clean,
    verify_clean,
};

const BLOCK: u32 = 4096;
const OTHERS: [Order; 2] = [Order::Type, Order::Similar];

/// Folders that each have the same kinds of files, whose contents begin like those of their namesakes; duplicates, large
/// files, sparse ones, hard links before and behind the files that they name in either order; and a random tree.
fn tree() -> Tree {
    let shape = Shape { entries: 60, boundaries: vec![4096], max_size: 20_000, ..Shape::default() };
    let mut plan = Builder::new(TIME);
    for node in random(78, &shape).nodes() {
        plan.push(node.path.clone(), node.what.clone(), node.mode, node.mtime_ns);
    }
    for folder in 0..12_u64 {
        let mut file =
            |name: &str, seed: u64, len: u64| plan.file(format!("p{folder:02}/{name}"), noise(seed, len), TIME);
        file("lib.rs", 1, 1000 + folder * 50);
        file("build.sh", 2, 700 + folder * 90);
        file(&format!("data{folder}.bin"), 3 + folder % 5, 3000);
        file("empty", 0, 0);
        file("long.bin", 9 + folder % 2, 20_000 + folder % 3 * 999);
        file("notes", 30 + folder, 100 + folder);
        plan.hardlink(format!("p{folder:02}/a link"), format!("p{folder:02}/notes"));
        plan.hardlink(format!("p{folder:02}/z link"), format!("p{folder:02}/build.sh"));
        plan.symlink(format!("p{folder:02}/to lib"), "lib.rs", TIME);
        plan.dir(format!("p{folder:02}/void"), TIME);
    }
    let sparse = vec![Piece::Hole(8192), Piece::Bytes(vec![7; 5000]), Piece::Hole(3192 + 40_960)];
    plan.file("p03/sparse.bin", Content::Pieces(sparse), TIME);
    plan.finish()
}

fn packer(place: &Place, order: Order) -> Packer {
    place.packer().block_size(BLOCK).order(order)
}

/// Where the first byte of each file lies that has any of its own, in the order of the bytes.
fn stored(archive: &Archive) -> Vec<Vec<u8>> {
    let mut first: BTreeMap<(u32, u32), Vec<u8>> = BTreeMap::new();
    for entry in rows(archive) {
        if let Some(extent) = entry.extents.first() {
            first.entry((extent.block, extent.offset)).or_insert(entry.path);
        }
    }
    first.into_values().collect()
}

#[test]
fn contents_come_in_the_order_that_was_asked_for_and_rows_by_path() {
    let place = Place::of_files([
        ("a/lib.rs", noise(1, 2000)),
        ("a/z.sh", noise(2, 2000)),
        ("b/lib.rs", noise(3, 2000)),
        ("b/like a.sh", noise(1, 1999)),
        ("c/lib.rs", noise(4, 2000)),
    ]);
    let stored_by = |order| {
        let archive = open(pack(&place.packer().order(order)).0);
        assert_holds(&archive, &place.plan, 4096);
        let options = archive.summary().options;
        let named = options.get("order").map(|name| name.as_str().unwrap().to_owned());
        assert_eq!(named.as_deref(), (order != Order::Path).then_some(order.name()));
        stored(&archive).iter().map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(stored_by(Order::Path), ["a/lib.rs", "a/z.sh", "b/lib.rs", "b/like a.sh", "c/lib.rs"]);
    assert_eq!(stored_by(Order::Type), ["a/lib.rs", "b/lib.rs", "c/lib.rs", "a/z.sh", "b/like a.sh"]);
    assert_eq!(stored_by(Order::Similar), ["a/lib.rs", "b/like a.sh", "a/z.sh", "b/lib.rs", "c/lib.rs"]);
}

#[test]
fn neither_backend_nor_threads_nor_slots_show_in_any_order() {
    let place = Place::new(tree());
    for order in OTHERS {
        for (codec, dedup) in [(Codec::Zstd { level: 3 }, Dedup::File), (Codec::Store, Dedup::None)] {
            let packer = packer(&place, order).codec(codec).dedup(dedup);
            let (expected, report) = pack(&packer.clone().io(IoChoice::Pread).threads(1).slots(2).slot_size(BLOCK));
            assert_eq!(report.warnings, []);
            let archive = open(expected.clone());
            assert_holds(&archive, &place.plan, BLOCK.into());
            verify_clean(&archive);
            let check =
                |packer: &Packer, what: &str| assert!(pack(packer).0 == expected, "{order:?}, {what}: other bytes");
            for io in backends() {
                for slots in [2, 17] {
                    let packer = packer.clone().io(io).slots(slots).slot_size(BLOCK * 3).readers(slots as usize);
                    check(&packer, &format!("{codec:?} with {io} and {slots} slots"));
                }
                let rules = Rules::new(slots_seed(io)).shuffled().rule(When::OneIn(3), Harm::Late(5));
                let (bytes, _) = pack_with(&packer, Box::new(Fault::new(backend(io), rules)));
                assert!(bytes == expected, "{order:?} with {io}, completions shuffled: other bytes");
            }
            for threads in [2, 3, 8] {
                check(&packer.clone().threads(threads), &format!("{codec:?} on {threads} threads"));
            }
            check(&packer.clone().memory_limit(80 << 20), "a memory limit");
        }
    }
}

fn slots_seed(io: IoChoice) -> u64 {
    io.to_string().len() as u64
}

#[test]
fn trees_come_back_in_any_order() {
    for seed in 2000..2012 {
        let shape = Shape { entries: 40, boundaries: vec![4096], max_size: 20_000, ..Shape::default() };
        assert_comes_back(&Place::new(random(seed, &shape)));
    }
    assert_comes_back(&Place::new(tree()));
}

fn assert_comes_back(place: &Place) {
    for order in OTHERS {
        let (bytes, report) = pack(&packer(place, order).slot_size(BLOCK * 3).slots(3).threads(2));
        assert_eq!(report.warnings, []);
        let archive = open(bytes);
        assert_holds(&archive, &place.plan, BLOCK.into());
        verify_clean(&archive);
        assert_salvageable(&archive);
        let dest = place.beside("copy");
        unpack_clean(&archive, &dest);
        assert_same_trees(&place.tree, &dest);
        carrack_fixtures::corpus::remove_tree(&dest).unwrap();
    }
}

#[test]
fn hostile_trees_come_back_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    generate(Corpus::Hostile, dir.path(), Scale::new(0.01).unwrap(), 1, 0).unwrap();
    let tree = dir.path().join(Corpus::Hostile.name());
    for order in OTHERS {
        let (bytes, report) = pack(&Packer::new().input(&tree).sync(false).order(order).block_size(BLOCK));
        assert_eq!(report.warnings, []);
        let archive = open(bytes);
        verify_clean(&archive);
        assert_salvageable(&archive);
        let dest = dir.path().join("copy");
        unpack_clean(&archive, &dest);
        assert_same_trees(&tree, &dest);
        carrack_fixtures::corpus::remove_tree(&dest).unwrap();
    }
    carrack_fixtures::corpus::remove_tree(&tree).unwrap();
}

/// The directories of the frames tell of every row once, and where the bytes of each file lie.
fn assert_salvageable(archive: &Archive) {
    let mut entries: BTreeMap<u32, Entry> = BTreeMap::new();
    let mut chunks: BTreeMap<u32, Vec<(u64, Extent)>> = BTreeMap::new();
    for_each_record(archive, |_, record| match record {
        Record::Entry(row, entry) => {
            assert!(entries.insert(row, Entry::from(&entry)).is_none(), "two records of row {row}");
        }
        Record::Chunk(chunk) => {
            let extent = Extent { block: chunk.block, offset: chunk.offset, len: chunk.len };
            chunks.entry(chunk.row).or_default().push((chunk.file_offset, extent));
        }
    });
    // All files could be read here, so that the numbers of the records are those of the index.
    let told: Vec<Entry> = entries.into_values().collect();
    let mut expected = rows(archive);
    for (row, entry) in expected.iter_mut().enumerate() {
        let chunks = chunks.remove(&(row as u32)).unwrap_or_default();
        assert!(chunks.is_sorted_by_key(|&(offset, _)| offset), "{}", entry.path.escape_ascii());
        assert_eq!(chunks.into_iter().map(|(_, extent)| extent).collect::<Vec<_>>(), entry.extents);
        (entry.digest, entry.extents) = (None, Vec::new());
    }
    assert_eq!(told, expected);
}

#[test]
fn an_order_that_is_that_of_the_paths_changes_no_content() {
    let place = Place::of_files([("a", noise(1, 5000)), ("b", noise(2, 300)), ("c", noise(3, 3000))]);
    let extents =
        |order| rows(&open(pack(&packer(&place, order)).0)).into_iter().map(|entry| entry.extents).collect::<Vec<_>>();
    for order in OTHERS {
        assert_eq!(extents(order), extents(Order::Path));
    }
}

/// A control that calls `act` once, when the scan is over.
fn after_the_scan(act: impl Fn() + Send + Sync + 'static) -> Control {
    let done = AtomicBool::new(false);
    let on_progress = move |progress: &Progress| {
        let is_over = progress.stage == Stage::Scan && progress.entries == progress.entries_total;
        if is_over && !done.swap(true, Ordering::Relaxed) {
            act();
        }
    };
    Control { on_progress: Some(Arc::new(on_progress)), cancel: Cancel::new() }
}

#[test]
fn what_changes_or_goes_after_the_scan_is_as_if_it_had_done_so_after_the_walk() {
    let place = Place::of_files([
        ("a.rs", noise(1, 3000)),
        ("changed.rs", noise(2, 3000)),
        ("gone.rs", noise(1, 2500)),
        ("like changed.sh", noise(2, 2900)),
    ]);
    let tree = place.tree.clone();
    let control = after_the_scan(move || {
        fs::write(tree.join("changed.rs"), "other contents").unwrap();
        fs::remove_file(tree.join("gone.rs")).unwrap();
    });
    let (bytes, report) = pack(&packer(&place, Order::Similar).control(control));
    let archive = open(bytes);
    verify_clean(&archive);
    assert_eq!(archive.read(b"changed.rs").unwrap(), b"other contents");
    assert_eq!(archive.find(b"changed.rs").unwrap().unwrap().digest, Some(Digest::of(b"other contents")));
    assert_eq!(archive.find(b"gone.rs").unwrap(), None);
    let named: Vec<_> =
        report.warnings.iter().map(|warning| &warning.path[..]).filter(|path| *path != b"changed.rs").collect();
    assert_eq!(named, [b"gone.rs"]);
    assert_eq!(stored(&archive)[..2], [&b"a.rs"[..], b"changed.rs"]);
}

#[test]
fn what_cannot_be_looked_at_is_like_nothing() {
    let place = Place::of_files([("a", noise(1, 3000)), ("b", noise(2, 3_000_000)), ("c", noise(3, 3000))]);
    let inputs = [Input { path: place.tree.clone() }];
    let walked = walk::walk(&inputs, &WalkOptions::default(), &|_| (), &|| false).unwrap();
    fs::remove_file(place.tree.join("a")).unwrap();
    let files = Files::by_path(&walked.entries);
    let seen = std::sync::Mutex::new((0, 0));
    let sketches = scan::sketches(
        &walked.entries,
        files.rows(),
        2,
        &|files, bytes| *seen.lock().unwrap() = (files, bytes),
        &|| false,
    );
    let sketches = sketches.unwrap();
    assert_eq!(walked.entries.paths.path(PathId(files.rows()[0])), b"a");
    // The short one comes behind the long one: nothing of that is left over in it.
    let long = place.plan.bytes(b"b").unwrap();
    let expected = [Sketch::EMPTY, Sketch::of(&long[..scan::HEAD]), Sketch::of(&place.plan.bytes(b"c").unwrap())];
    assert_eq!(sketches, expected);
    assert_eq!(seen.into_inner().unwrap(), (3, 3000 + scan::HEAD as u64));
    assert_eq!(scan::sketches(&walked.entries, files.rows(), 2, &|_, _| (), &|| true), None);
}

#[test]
fn a_scan_can_be_cancelled() {
    let place = Place::of_files([("a", noise(1, 3000)), ("b", noise(2, 3000))]);
    let cancel = Cancel::new();
    let control = Control { cancel: cancel.clone(), ..after_the_scan(move || cancel.cancel()) };
    let target = place.beside("a.crk");
    let error = packer(&place, Order::Similar).control(control).pack(&target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(!target.exists());
}

#[test]
fn hard_links_know_what_became_of_their_files_in_any_order() {
    // By type all text comes before what is written in Rust: links among files that are placed much later than they.
    let mut plan = Builder::new(TIME);
    for n in 0..9 {
        plan.file(format!("{n}.txt"), noise(n, 900), TIME);
        plan.file(format!("{n}.rs"), noise(20 + n, 900), TIME);
    }
    plan.file("b.txt", noise(40, 3000), TIME);
    plan.hardlink("c.rs", "b.txt");
    plan.file("d.txt", noise(41, 3000), TIME);
    plan.hardlink("e.rs", "d.txt");
    let place = Place::new(plan.finish());
    let rules = Rules::new(1)
        .rule(When::Path("b.txt".into()), Harm::Shrink(1000))
        .rule(When::Path("d.txt".into()), Harm::Vanish);
    let (bytes, report) =
        pack_with(&packer(&place, Order::Type), Box::new(Fault::new(backend(IoChoice::Pread), rules)));
    let archive = open(bytes);
    verify_clean(&archive);
    let named: Vec<_> = report.warnings.iter().map(|warning| warning.path.escape_ascii().to_string()).collect();
    assert!(named.ends_with(&["d.txt".to_owned(), "e.rs".to_owned()]), "{named:?}");
    let (file, link) = (archive.find(b"b.txt").unwrap().unwrap(), archive.find(b"c.rs").unwrap().unwrap());
    assert_eq!((link.kind, link.size, link.mtime_ns), (Kind::Hardlink, 1000, file.mtime_ns));
    assert_eq!(archive.row(link.hardlink.unwrap()).unwrap(), file);
    assert_eq!((archive.find(b"d.txt").unwrap(), archive.find(b"e.rs").unwrap()), (None, None));
}

#[test]
fn a_short_limit_is_told_before_the_files_are_looked_at() {
    let place = Place::of_files([("a", noise(1, 3000))]);
    let scanned = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&scanned);
    let control = after_the_scan(move || seen.store(true, Ordering::Relaxed));
    // What little tables there are fit; the buffers of the scan beside them do not.
    let least = least_limit(&packer(&place, Order::Path));
    let error =
        packer(&place, Order::Similar).threads(1).control(control).memory_limit(least).pack(place.beside("a.crk"));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage);
    assert!(!scanned.load(Ordering::Relaxed));
}

/// The least limit under which this is packed, to 64 KiB.
fn least_limit(packer: &Packer) -> u64 {
    let fits =
        |limit: u64| packer.clone().threads(1).memory_limit(limit).pack_to_writer(Box::new(std::io::sink())).is_ok();
    let (mut no, mut yes) = (1 << 20, 256 << 20);
    while yes - no > 64 << 10 {
        let middle = (no + yes) / 2;
        if fits(middle) { yes = middle } else { no = middle }
    }
    yes
}

/// What may happen to a file between the scan and its reading.
#[derive(Clone, Copy, Debug)]
enum Change {
    Grows,
    Shrinks,
    Vanishes,
    BecomesAFolder,
}

/// No rule of a backend, but the real thing: the files are changed when all were scanned, before any is read.
#[test]
fn files_that_change_between_the_scan_and_their_reading_are_named_and_harm_no_other() {
    const SIZES: [u64; 2] = [3000, 10 * BLOCK as u64 + 5];
    for change in [Change::Grows, Change::Shrinks, Change::Vanishes, Change::BecomesAFolder] {
        for (io, dedup) in backends().into_iter().zip([Dedup::File, Dedup::Chunk, Dedup::None].into_iter().cycle()) {
            let names: Vec<String> = (0..40).map(|n| format!("f{n:02}")).collect();
            let mut files: Vec<(&str, Content)> =
                names.iter().zip(0..).map(|(name, n)| (name.as_str(), noise(n % 7, 900 + n * 300))).collect();
            files.extend([("small", noise(3, SIZES[0])), ("zlarge", noise(3, SIZES[1]))]);
            let place = Place::of_files(files);
            let paths = ["small", "zlarge"].map(|name| place.tree.join(name));
            let control = after_the_scan(move || {
                for (path, size) in paths.iter().zip(SIZES) {
                    let resize = |len| fs::File::options().write(true).open(path).unwrap().set_len(len).unwrap();
                    match change {
                        Change::Grows => resize(size + 2 * u64::from(BLOCK)),
                        Change::Shrinks => resize(size / 2),
                        Change::Vanishes => fs::remove_file(path).unwrap(),
                        Change::BecomesAFolder => {
                            fs::remove_file(path).unwrap();
                            fs::create_dir(path).unwrap();
                        }
                    }
                }
            });
            let packer = packer(&place, Order::Similar).dedup(dedup).io(io).control(control);
            let (bytes, report) = pack(&packer);
            let archive = open(bytes);
            verify_clean(&archive);
            let what = format!("{change:?}, {io}, {dedup:?}: {:?}", report.warnings);
            for name in &names {
                assert!(archive.read(name.as_bytes()).unwrap() == place.plan.bytes(name.as_bytes()).unwrap(), "{what}");
            }
            let mut named: Vec<&[u8]> = report.warnings.iter().map(|warning| &warning.path[..]).collect();
            named.sort_unstable();
            let left = |name: &[u8]| archive.find(name).unwrap();
            match change {
                Change::Vanishes | Change::BecomesAFolder => {
                    assert_eq!(named, [&b"small"[..], b"zlarge"], "{what}");
                    assert!(report.warnings.iter().all(|warning| warning.what.contains("left out")), "{what}");
                    assert!(left(b"small").is_none() && left(b"zlarge").is_none(), "{what}");
                    assert_eq!(archive.len(), 41, "{what}");
                }
                Change::Grows | Change::Shrinks => {
                    // A small file is read again: as short as it is now it is one consistent state, longer than its place it is not.
                    let flagged = if matches!(change, Change::Grows) { &named[..] } else { &[&b"zlarge"[..]] };
                    assert_eq!(named, flagged, "{what}");
                    assert!(named.contains(&&b"zlarge"[..]), "{what}");
                    for (name, size) in [&b"small"[..], b"zlarge"].into_iter().zip(SIZES) {
                        let original = place.plan.bytes(name).unwrap();
                        let read = archive.read(name).unwrap();
                        let len = if matches!(change, Change::Shrinks) { size / 2 } else { size };
                        assert!(read == original[..len as usize], "{what}: {} bytes", read.len());
                        let is_flagged = left(name).unwrap().flags != 0;
                        assert_eq!(is_flagged, named.contains(&name), "{what}");
                    }
                }
            }
        }
    }
}
