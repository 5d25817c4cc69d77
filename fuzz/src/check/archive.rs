//! A whole archive: listed, verified, read and unpacked into memory. What verifies, reads; what is read has its digest;
//! what is unpacked is what is read.

use std::sync::{Arc, LazyLock};

use carrack_backends::tree::{MemoryTree, Node};
use carrack_engine::archive::Archive;
use carrack_engine::ceiling::Ceiling;
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Entry, Kind};
use carrack_engine::restore::Workers;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;

/// What an input may come to, bytes: holes make any size possible, and take time.
const SIZE_MAX: u64 = 4 << 20;
/// Files that are read one by one at most.
const READS: usize = 64;

static WORKERS: LazyLock<Workers> = LazyLock::new(|| Workers::start(1).expect("one thread can be had"));

/// Reads the input as an archive.
pub fn check(input: &[u8]) {
    let Ok(archive) = Archive::from_source("input", Arc::new(input.to_vec())) else { return };
    let _ = archive.summary();
    let rows: Result<Vec<Entry>, _> = archive.entries().collect();
    let ceiling = Ceiling { size: Some(SIZE_MAX), ..Ceiling::default() };
    let options = VerifyOptions { threads: Some(1), ceiling, ..VerifyOptions::default() };
    let report = archive.verify_with(&WORKERS, &options);
    let is_clean = report.as_ref().is_ok_and(|report| report.damage.is_empty());
    assert!(!is_clean || rows.is_ok(), "an archive that verifies can be listed");
    assert!(!is_clean || report.is_ok_and(|report| report.lost.is_empty()), "nothing is lost without damage");

    let tree = MemoryTree::new();
    let unpacker = Unpacker::new(&archive).specials(true).ceiling(ceiling).threads(1);
    let unpacked = unpacker.unpack_to_tree(Arc::new(tree.clone()));
    let Ok(rows) = rows else { return };
    let nodes = tree.nodes();
    if let Ok(report) = &unpacked {
        assert!(!is_clean || report.damage.is_empty() && report.lost.is_empty(), "what verifies can be unpacked");
        assert_eq!(report.entries, rows.len() as u64);
    }
    for row in rows.iter().filter(|row| row.kind == Kind::File && row.size <= SIZE_MAX).take(READS) {
        let read = archive.read(&row.path);
        assert!(!is_clean || read.is_ok(), "what verifies can be read");
        let Ok(read) = read else { continue };
        assert_eq!((read.len() as u64, Some(Digest::of(&read))), (row.size, row.digest));
        let middle = row.size / 3..row.size - row.size / 5;
        let part = archive.read_range(&row.path, middle.clone()).expect("what was read can be read in part");
        assert!(part == read[middle.start as usize..middle.end as usize]);
        if let Some(Node::File { bytes, .. }) = nodes.get(&row.path) {
            assert!(*bytes == read, "what is unpacked is what is read");
        }
    }
    // Nothing is given out that has not its digest.
    for (path, node) in &nodes {
        let row = rows.iter().find(|row| row.path == *path);
        if let (Node::File { bytes, .. }, Some(row)) = (node, row) {
            assert_eq!(Some(Digest::of(bytes)), row.digest);
        }
        assert!(row.is_some() || path.is_empty(), "what is unpacked is in a row");
    }
}
