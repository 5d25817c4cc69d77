//! What was packed comes back byte for byte, with its metadata, whatever the settings.

use carrack_engine::codec::Codec;
use carrack_engine::dedup::PIECE_MEAN_MIN;
use carrack_engine::pack::Dedup;
use carrack_fixtures::content::{Content, Piece, Recipe, Stream};
use carrack_fixtures::model::{Shape, random};
use carrack_fixtures::tree::{Builder, What};

use crate::salvage::assert_salvageable;
use crate::support::{
    Place, TIME, assert_holds, assert_same_trees, backends, noise, open, pack, rows, unpack_clean, verify_clean,
};

const CODECS: [Codec; 5] =
    [Codec::Store, Codec::Lz4, Codec::Zstd { level: 1 }, Codec::Zstd { level: 3 }, Codec::Zstd { level: 19 }];

/// Packs, lists, reads, verifies, unpacks and compares.
fn assert_comes_back(place: &Place, packer: &carrack_engine::pack::Packer, block_size: u32) {
    let (bytes, report) = pack(packer);
    assert_eq!(report.warnings, []);
    assert_eq!(report.archive_bytes, bytes.len() as u64);
    let archive = open(bytes);
    assert_eq!((report.entries, report.blocks), (archive.len(), archive.summary().frames));
    assert_holds(&archive, &place.plan, block_size.into());
    assert_salvageable(&archive);
    let verified = verify_clean(&archive);
    assert_eq!((verified.files, verified.bytes), (report.files, report.bytes));
    let dest = place.beside("copy");
    let unpacked = unpack_clean(&archive, &dest);
    assert_eq!((unpacked.files, unpacked.bytes), (report.files, report.bytes));
    assert_same_trees(&place.tree, &dest);
    carrack_fixtures::corpus::remove_tree(&dest).unwrap();
}

/// Every combination of backend, codec, threads and block size, with slots and trees that change from one to the next.
#[test]
fn trees_come_back_whatever_the_settings() {
    const BLOCK_SIZES: [u32; 3] = [4 << 10, 64 << 10, 1 << 20];
    for (number, block_size) in BLOCK_SIZES.into_iter().enumerate() {
        let shape = |seed| Shape {
            entries: 8 + seed as usize % 4 * 7,
            boundaries: vec![u64::from(block_size).min(256 << 10), 4096],
            max_size: 60_000,
            ..Shape::default()
        };
        let places: Vec<Place> =
            (0..4).map(|seed| number as u64 * 100 + seed).map(|seed| Place::new(random(seed, &shape(seed)))).collect();
        let mut turn = 0;
        for io in backends() {
            for codec in CODECS {
                for threads in [1, 2, 5] {
                    turn += 1;
                    // The smallest tree for the slowest codec.
                    let is_slow = codec == Codec::Zstd { level: 19 };
                    let place = &places[if is_slow { 0 } else { turn % places.len() }];
                    let (slots, slot_blocks) = ([2, 3, 7, 16][turn % 4], [1, 1, 2, 8][turn / 2 % 4]);
                    let packer = place.packer().io(io).codec(codec).threads(threads).block_size(block_size);
                    let packer = packer.slots(slots).slot_size(block_size * slot_blocks).readers(threads);
                    assert_comes_back(place, &packer, block_size);
                }
            }
        }
    }
}

#[test]
fn many_random_trees_come_back() {
    for seed in 1000..1030 {
        let shape = Shape { entries: 40, boundaries: vec![4096], max_size: 20_000, ..Shape::default() };
        let place = Place::new(random(seed, &shape));
        let packer = place.packer().block_size(4096).slot_size(4096 * 3).slots(3).threads(2);
        assert_comes_back(&place, &packer, 4096);
        assert_comes_back(&place, &packer.dedup(Dedup::Chunk).chunk_size(PIECE_MEAN_MIN), 4096);
    }
}

#[test]
fn sizes_around_the_block_size_come_back() {
    for block_size in [4096, 65_536] {
        let b = u64::from(block_size);
        let sizes = [0, 1, 1023, 1024, 1025, b - 1, b, b + 1, 2 * b - 1, 2 * b, 2 * b + 1, 3 * b, 3 * b + 7, 5 * b];
        let mut plan = Builder::new(TIME);
        for (number, &size) in sizes.iter().enumerate() {
            // In both orders, so that small files meet blocks that are nearly full.
            plan.file(format!("a{number:02}"), noise(number as u64, size), TIME);
            plan.file(format!("b{:02}", 99 - number), noise(100 + number as u64, size), TIME);
            plan.file(format!("c{number:02}"), Content::stream(Recipe::Constant(0), 0, size), TIME);
        }
        let place = Place::new(plan.finish());
        for slot_blocks in [1, 4] {
            let packer = place.packer().block_size(block_size).slots(2).slot_size(block_size * slot_blocks);
            assert_comes_back(&place, &packer, block_size);
        }
    }
}

#[test]
fn a_file_within_the_block_size_costs_one_block() {
    let files: Vec<(String, Content)> = (0..60).map(|n| (format!("{n}"), noise(n, 1 + n * 1100))).collect();
    let place = Place::of_files(files.iter().map(|(path, content)| (path.as_str(), content.clone())));
    let archive = open(pack(&place.packer().block_size(64 << 10)).0);
    assert!(rows(&archive).iter().all(|entry| entry.extents.len() <= 1));
}

#[test]
fn an_empty_folder_and_empty_files_come_back() {
    let place = Place::new(Builder::new(TIME).finish());
    assert_comes_back(&place, &place.packer(), 4096);

    let mut plan = Builder::new(TIME);
    plan.dir("a/b/c", TIME);
    plan.dir("d", TIME);
    plan.file("a/empty", Content::empty(), TIME);
    plan.file("d/empty", Content::empty(), TIME);
    let place = Place::new(plan.finish());
    assert_comes_back(&place, &place.packer(), 4096);
}

#[test]
fn sparse_files_come_back_with_their_holes() {
    let data = |seed| Piece::Part { stream: Stream { recipe: Recipe::Noise, seed, len: 16_384 }, from: 0, len: 16_384 };
    let hole = |len| Piece::Hole(len);
    const MIB: u64 = 1 << 20;
    let files = [
        ("start", vec![hole(MIB), data(1)]),
        ("middle", vec![data(2), hole(MIB), data(3)]),
        ("end", vec![data(4), hole(MIB - 77)]),
        ("all", vec![hole(3 * MIB)]),
        ("many", (0..20).flat_map(|n| [hole(64 << 10), data(n)]).collect()),
        ("same", vec![hole(MIB), data(1)]),
        // Longer than what is hashed as one hole.
        ("long", vec![data(5), hole(65 * MIB), data(6)]),
        // Zeros that are stored are no hole.
        ("zeros", vec![Piece::Bytes(vec![0; 100_000])]),
    ];
    let place = Place::of_files(files.map(|(path, pieces)| (path, Content::Pieces(pieces))));
    let (bytes, report) = pack(&place.packer().block_size(4096).codec(Codec::Store));
    assert!(report.bytes > 70 * MIB && bytes.len() < (MIB as usize), "{} bytes", bytes.len());
    let archive = open(bytes);
    let holes = |path: &[u8]| archive.find(path).unwrap().unwrap().holes.len();
    if holes(b"all") == 0 {
        eprintln!("not tested: the file system of the temporary folder has no holes");
        return;
    }
    assert_eq!((holes(b"start"), holes(b"middle"), holes(b"end"), holes(b"many")), (1, 1, 1, 20));
    assert_eq!(holes(b"zeros"), 0);
    for block_size in [4096, 64 << 10] {
        assert_comes_back(&place, &place.packer().block_size(block_size), block_size);
    }
}

#[test]
fn names_and_kinds_of_every_sort_come_back() {
    let mut plan = Builder::new(TIME);
    let text = || Content::bytes("text");
    plan.file(&b"caf\xe9"[..], Content::bytes("one"), TIME);
    plan.file(&b"caf\xe8"[..], Content::bytes("two"), TIME);
    plan.file(&b"dir\xff/\xfe\n\x1b"[..], text(), TIME);
    plan.file("new\nline", text(), TIME);
    plan.file("x".repeat(255), text(), TIME);
    plan.file("a", text(), TIME);
    plan.file("a.txt", text(), TIME);
    plan.file("a-b/c", text(), TIME);
    plan.dir("s", TIME);
    plan.symlink("s/dangling", "nowhere/\u{fffd}", 5);
    plan.symlink("s/loop", "loop", -5);
    plan.symlink("s/outside", "/etc/passwd", TIME);
    plan.hardlink("zz/link", "a");
    plan.hardlink("0", "a");
    plan.push("pipe", What::Fifo, 0o620, TIME);
    plan.push("socket", What::Socket, 0o700, TIME);
    plan.push("sticky", What::Dir, 0o1777, -1);
    plan.push("setuid", What::File(text()), 0o4755, 4_000_000_000_000_000_000);
    plan.push("locked", What::File(text()), 0o400, 0);
    let place = Place::new(plan.finish());
    assert_comes_back(&place, &place.packer(), 4096);
}

#[test]
fn devices_come_back() {
    let place = Place::of_files([("a", noise(1, 10))]);
    let device = rustix::fs::makedev(1, 3);
    let node = |name: &str, kind| {
        rustix::fs::mknodat(rustix::fs::CWD, place.tree.join(name), kind, rustix::fs::Mode::RUSR, device)
    };
    let made = node("null", rustix::fs::FileType::CharacterDevice)
        .and_then(|()| node("disk", rustix::fs::FileType::BlockDevice));
    if let Err(error) = made {
        eprintln!("not tested: devices cannot be made here: {error}");
        return;
    }
    let archive = open(pack(&place.packer()).0);
    verify_clean(&archive);
    unpack_clean(&archive, &place.beside("copy"));
    assert_same_trees(&place.tree, &place.beside("copy"));
}

#[test]
fn trees_deeper_than_any_path_that_the_system_takes_come_back() {
    let mut plan = Builder::new(TIME);
    let mut path = String::new();
    for level in 0..90 {
        path.push_str(&format!("{level}{}/", "d".repeat(90)));
        plan.file(format!("{path}file"), noise(level, level * 100), TIME);
    }
    let place = Place::new(plan.finish());
    for io in backends() {
        assert_comes_back(&place, &place.packer().block_size(4096).io(io), 4096);
    }
    carrack_fixtures::corpus::remove_tree(&place.tree).unwrap();
}
