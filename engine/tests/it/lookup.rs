//! A reader touches what it needs and no more.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use carrack_engine::container::Source;
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Extent, Kind};
use carrack_engine::index::{Index, Scratch};

use crate::synthetic::{Owned, archive, encoded, frames, rows, tail};

/// Counts what is read.
struct Counting {
    bytes: Vec<u8>,
    read: AtomicU64,
}

impl Counting {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, read: AtomicU64::new(0) }
    }

    /// Bytes read since the last call.
    fn take(&self) -> u64 {
        self.read.swap(0, Ordering::Relaxed)
    }
}

impl Source for Counting {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.bytes.read_at(buf, offset)
    }
}

const FILES: u32 = 100_000;
const PER_FOLDER: u32 = 1000;

fn path_of(file: u32) -> Vec<u8> {
    format!("folder {:03}/file {file:06}", file / PER_FOLDER).into_bytes()
}

/// 100,000 files in 100 folders.
fn many() -> Vec<u8> {
    let mut rows = Vec::new();
    for file in 0..FILES {
        let path = path_of(file);
        if file % PER_FOLDER == 0 {
            rows.push(Owned::new(&path[..10], Kind::Dir));
        }
        rows.push(Owned {
            size: 1,
            extents: vec![Extent { block: 0, offset: 0, len: 1 }],
            digest: Some(Digest::of(&file.to_le_bytes())),
            ..Owned::new(&path, Kind::File)
        });
    }
    let (mut bytes, blocks) = frames(&[], &[b"x"]);
    bytes.extend(tail(&blocks, encoded(&rows), bytes.len() as u64).parts.concat());
    bytes
}

#[test]
fn a_look_up_reads_one_batch_and_not_the_index() {
    let source = Counting::new(many());
    let index = Index::open(&source).unwrap();
    let opened = source.take();
    assert!(opened < 100 << 10, "opening read {opened} bytes");
    let mut scratch = Scratch::default();
    for file in [0, 1, 16_383, 50_001, FILES - 1] {
        source.take();
        let found = index.find(&source, &path_of(file)).unwrap().unwrap();
        assert_eq!(found.number, u64::from(file + file / PER_FOLDER + 1));
        let row = found.row(&mut scratch);
        assert_eq!((row.path, row.digest), (&path_of(file)[..], Some(Digest::of(&file.to_le_bytes()))));
        let read = source.take();
        assert!(read < 2 << 20, "a look-up read {read} bytes");
        assert!(index.find(&source, &path_of(file)).unwrap().is_some());
        assert_eq!(source.take(), 0, "the batch is still at hand");
    }
    for missing in [&b""[..], b"a", b"folder 000/file 0000000", b"folder 050", b"folder 050/", b"zzz"] {
        let found = index.find(&source, missing).unwrap();
        assert_eq!(found.is_some(), missing == b"folder 050", "{}", missing.escape_ascii());
    }
}

#[test]
fn a_block_is_found_without_the_entries() {
    let source = Counting::new(many());
    let index = Index::open(&source).unwrap();
    source.take();
    assert_eq!(index.block(&source, 0).unwrap().raw_len, 1);
    let read = source.take();
    assert!(read < 4 << 10, "a block's row read {read} bytes");
    index.block(&source, 1).unwrap();
    assert_eq!(source.take(), 0, "the batch is still at hand");
    assert!(index.block(&source, 2).is_err());
}

#[test]
fn a_folder_is_a_range_of_rows() {
    let source = many();
    let index = Index::open(&source).unwrap();
    assert_eq!(index.below(&source, b"folder 042").unwrap(), 42 * 1001 + 1..43 * 1001);
    assert_eq!(index.below(&source, b"folder 099").unwrap(), 99 * 1001 + 1..100_100);
    assert_eq!(index.below(&source, b"folder 04").unwrap(), 40 * 1001..40 * 1001);
    assert_eq!(index.below(&source, b"").unwrap(), 0..100_100);
    let mut rows = index.entries_in(&source, index.below(&source, b"folder 042").unwrap());
    let mut file = 42 * PER_FOLDER;
    while let Some((number, row)) = rows.next_row().unwrap() {
        assert_eq!((number, row.path), (u64::from(file + 43), &path_of(file)[..]));
        file += 1;
    }
    assert_eq!(file, 43 * PER_FOLDER);
}

#[test]
fn rows_are_found_by_path_and_by_number() {
    let (source, rows) = (archive(), rows());
    let index = Index::open(&source).unwrap();
    let mut scratch = Scratch::default();
    for (number, row) in rows.iter().enumerate() {
        let found = index.find(&source, &row.path).unwrap().unwrap();
        assert_eq!(found.number, number as u64);
        assert_eq!(Owned::from(&found.row(&mut scratch)), *row);
        assert_eq!(Owned::from(&index.row(&source, number as u64).unwrap().row(&mut scratch)), *row);
    }
    assert!(index.row(&source, rows.len() as u64).is_err());
    // The folder's children stand behind names that its own name begins.
    assert_eq!(index.below(&source, b"bin").unwrap(), 4..5);
    assert_eq!(index.below(&source, b"name\xfe").unwrap(), 10..11);
    assert_eq!(index.below(&source, b"").unwrap(), 1..16);
}

/// Who looks up one row does not read the rest, so nothing but the batch's own digest stands between damage and an answer.
#[test]
fn what_is_looked_up_in_damaged_tables_is_right_or_an_error() {
    let (mut bytes, rows) = (archive(), rows());
    let index = Index::open(&bytes).unwrap();
    let blocks: Vec<_> = (0..index.frames()).map(|seq| index.block(&bytes, seq).unwrap()).collect();
    let mut scratch = Scratch::default();
    let mut refused = [0, 0];
    for at in index.seal().blocks_offset as usize..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        if let Ok(index) = Index::open(&bytes) {
            for (seq, block) in (0..).zip(&blocks) {
                match index.block(&bytes, seq) {
                    Ok(found) => assert_eq!(found, *block, "byte {at} was flipped"),
                    Err(_) => refused[0] += 1,
                }
            }
            for (number, row) in (0..).zip(&rows) {
                match index.row(&bytes, number) {
                    Ok(found) => assert_eq!(Owned::from(&found.row(&mut scratch)), *row, "byte {at} was flipped"),
                    Err(_) => refused[1] += 1,
                }
            }
        }
        bytes[at] ^= 1 << (at % 8);
    }
    assert!(refused[0] > 1000 && refused[1] > 10_000, "{refused:?} answers refused");
}
