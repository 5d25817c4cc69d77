//! Damage to an archive that was really packed: every bit that is flipped and every byte that is missing is noticed,
//! and what does not touch the damaged block still comes out.

use std::collections::BTreeSet;

use carrack_engine::archive::Archive;
use carrack_engine::codec::Codec;
use carrack_engine::entry::{Entry, Kind};
use carrack_engine::restore::Workers;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;
use carrack_fixtures::content::{Content, Lang, Piece, Recipe};
use carrack_fixtures::tree::{Builder, What};

use crate::support::{Place, TIME, blocks, noise, open, pack, rows, try_open, verify, verify_clean};

/// One of everything: all kinds, odd names, holes, duplicates.
pub(crate) fn one_of_everything(code: &Content, noise: Content) -> Builder {
    let mut plan = Builder::new(TIME);
    plan.file("code", code.clone(), TIME);
    plan.file("code again", code.clone(), TIME);
    plan.file("empty", Content::empty(), TIME);
    plan.file("noise", noise, TIME);
    plan.file(&b"odd\xff"[..], Content::bytes("odd"), -1);
    plan.file(&b"odd\xfe"[..], Content::bytes("odder"), 0);
    plan.file("sparse", Content::Pieces(vec![Piece::Hole(8192), Piece::Bytes(b"x".repeat(100))]), TIME);
    plan.dir("folder/in/folder", TIME);
    plan.hardlink("hard", "code");
    plan.symlink("link", "code", TIME);
    plan.push("pipe", What::Fifo, 0o600, TIME);
    plan.push("socket", What::Socket, 0o600, TIME);
    plan
}

/// Several blocks of each codec's making, long and short.
fn place() -> Place {
    let code = Content::stream(Recipe::Source(Lang::ALL[0], 1), 3, 6000);
    Place::new(one_of_everything(&code, noise(1, 1500)).finish())
}

/// What opening and verifying say to these bytes: whether all is well.
pub(crate) fn is_sound(bytes: &[u8]) -> bool {
    try_open(bytes.to_vec()).is_ok_and(|archive| is_clean(&archive))
}

thread_local! {
    /// A thread is not started for each of a million archives.
    static WORKERS: Workers = Workers::start(1).unwrap();
}

/// What verifying says: whether all is well.
pub(crate) fn is_clean(archive: &Archive) -> bool {
    let options = VerifyOptions { threads: Some(1), stats: false, ..VerifyOptions::default() };
    let report = WORKERS.with(|workers| archive.verify_with(workers, &options));
    report.is_ok_and(|report| report.damage.is_empty() && report.lost.is_empty())
}

#[test]
fn every_flipped_byte_is_noticed() {
    let place = place();
    let (bytes, _) = pack(&place.packer().block_size(4096));
    assert!((8_000..20_000).contains(&bytes.len()), "{} bytes", bytes.len());
    assert!(is_sound(&bytes));
    std::thread::scope(|scope| {
        for half in 0..2 {
            let mut bytes = bytes.clone();
            scope.spawn(move || {
                for at in (half..bytes.len()).step_by(2) {
                    bytes[at] ^= 1 << (at / 2 % 8);
                    assert!(!is_sound(&bytes), "byte {at} was flipped");
                    bytes[at] ^= 1 << (at / 2 % 8);
                }
            });
        }
    });
}

#[test]
fn every_truncation_is_noticed() {
    let place = place();
    let (bytes, _) = pack(&place.packer().block_size(4096));
    for len in 0..bytes.len() {
        assert!(try_open(bytes[..len].to_vec()).is_err(), "cut to {len}");
    }
    for more in 1..130 {
        assert!(!is_sound(&[&bytes[..], &vec![0; more]].concat()), "{more} bytes more");
    }
}

/// Paths of all files that need this block, under any name.
fn users(entries: &[Entry], block: u64) -> BTreeSet<Vec<u8>> {
    let uses = |entry: &Entry| entry.extents.iter().any(|extent| u64::from(extent.block) == block);
    entries.iter().filter(|entry| uses(entry)).map(|entry| entry.path.clone()).collect()
}

#[test]
fn damage_to_one_block_costs_the_files_in_it_and_no_others() {
    const BLOCK: u32 = 8192;
    let mut plan = Builder::new(TIME);
    for n in 0..60_u64 {
        plan.file(format!("{}/{n:02}", n % 5), noise(n % 40, 500 + n % 40 * 111), TIME);
    }
    plan.file("large", noise(100, 70_000), TIME);
    plan.file("large again", noise(100, 70_000), TIME);
    plan.file("zeros", Content::stream(Recipe::Constant(0), 0, 50_000), TIME);
    plan.hardlink("x", "large");
    let place = Place::new(plan.finish());
    for codec in [Codec::Store, Codec::Lz4, Codec::Zstd { level: 3 }] {
        let (good, _) = pack(&place.packer().block_size(BLOCK).codec(codec));
        let archive = open(good.clone());
        let entries = rows(&archive);
        let blocks = blocks(&archive);
        assert!(blocks.len() > 15);
        for block in &blocks {
            // The header, the directory, the middle, the end.
            let (start, len) = (block.offset as usize, 128 + block.stored_len as usize);
            for at in [start, start + 30, start + 130, start + len / 2, start + len - 1] {
                let mut bytes = good.clone();
                bytes[at] ^= 0x40;
                let archive = open(bytes);
                let lost = users(&entries, block.seq);

                let report = verify(&archive);
                assert!(!report.damage.is_empty(), "byte {at}");
                assert!(report.damage.iter().all(|what| what.contains("block ") || what.contains("memory")));
                assert_eq!(BTreeSet::from_iter(report.lost), lost, "byte {at} of block {}", block.seq);

                let tree = carrack_backends::tree::MemoryTree::new();
                let report =
                    Unpacker::new(&archive).threads(2).unpack_to_tree(std::sync::Arc::new(tree.clone())).unwrap();
                assert_eq!(BTreeSet::from_iter(report.lost.iter().cloned()), lost);
                assert_eq!(report.damage.is_empty(), lost.is_empty());
                let files = entries.iter().filter(|entry| entry.kind == Kind::File).count();
                assert_eq!(report.files as usize, files - lost.len());
                let nodes = tree.nodes();
                for entry in entries.iter().filter(|entry| entry.kind == Kind::File) {
                    match nodes.get(&entry.path) {
                        Some(carrack_backends::tree::Node::File { bytes, .. }) => {
                            assert!(!lost.contains(&entry.path));
                            assert!(Some(bytes) == place.plan.bytes(&entry.path).as_ref());
                        }
                        other => assert!(lost.contains(&entry.path) && other.is_none()),
                    }
                    let read = archive.read(&entry.path);
                    assert_eq!(read.is_err(), lost.contains(&entry.path));
                }
                // The other name of a lost file is named, and not made.
                if lost.contains(&b"large"[..]) {
                    assert!(report.warnings.iter().any(|warning| warning.path == b"x"), "{:?}", report.warnings);
                    assert!(!nodes.contains_key(&b"x"[..]));
                }
            }
        }
    }
}

/// A block whose digest is right and whose index is not: its bytes belong to another file.
#[test]
fn a_file_whose_bytes_are_not_those_of_its_digest_is_lost() {
    use crate::synthetic::{self, BLOCKS};
    let mut rows = synthetic::rows();
    let victim = rows.iter_mut().find(|row| row.path == b"tail").unwrap();
    victim.digest = Some(carrack_engine::digest::Digest::of(b"something else"));
    rows.retain(|row| row.path != b"sparse");
    let (mut bytes, blocks) = synthetic::frames(&rows, &BLOCKS);
    let tail = synthetic::tail(&blocks, synthetic::encoded(&rows), bytes.len() as u64);
    bytes.extend(tail.parts.concat());
    let archive = open(bytes);
    let report = verify(&archive);
    assert_eq!(report.lost, [b"tail".to_vec()], "{:?}", report.damage);
    assert!(archive.read(b"tail").unwrap_err().to_string().contains("digest"));
    let dest = tempfile::tempdir().unwrap();
    let report = Unpacker::new(&archive).unpack(dest.path()).unwrap();
    assert_eq!(report.lost, [b"tail".to_vec()]);
    assert_eq!(report.damage.len(), 1);
    assert!(!dest.path().join("tail").exists());
}

#[test]
fn a_clean_archive_of_everything_is_clean() {
    let place = place();
    let archive = open(pack(&place.packer().block_size(4096)).0);
    let report = verify_clean(&archive);
    assert_eq!(report.blocks, archive.summary().frames);
}
