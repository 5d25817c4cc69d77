//! `index/<what>/<rows>`: an archive of very many entries, in the page cache, one thread.
//!
//! The archives are made without files: rows and blocks as a tree of small files has them, and where the frames would
//! be, a hole in the file. Nothing that is measured here reads frames.

use std::cell::OnceCell;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use carrack_engine::archive::Archive;
use carrack_engine::codec::CodecId;
use carrack_engine::container::head::HEAD;
use carrack_engine::container::{ArchiveId, FrameHeader, FrameKind, align};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Extent, Kind, Row};
use carrack_engine::index::{BlockRow, EntriesWriter, IndexWriter};
use carrack_engine::limits::BATCH_ROWS;
use carrack_engine::select::Selection;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use tempfile::TempDir;

use crate::common;

/// Rows of a folder: itself and the files in it.
const FOLDER: u32 = 1_000;
/// Files of 16 KiB at most that share a block of 1 MiB.
const FILES_PER_BLOCK: u32 = 64;
/// Largest file, bytes.
const FILE: u32 = 16 << 10;

/// Archives of 10⁵ and 10⁶ rows, each made when it is first needed; and the rows of one batch.
pub(crate) fn index(criterion: &mut Criterion) {
    encode(criterion);
    for &rows in common::pick(&[100_000, 1_000_000], &[100_000]) {
        let made = OnceCell::new();
        let big = || made.get_or_init(|| Big::new(rows));
        open(criterion, rows, big);
        find(criterion, rows, big);
        glob(criterion, rows, big);
    }
}

/// Measures: `encode`, gathering the rows of one batch, compressing and hashing it, as packing does. The throughput is
/// in rows.
/// Outside: paths and digests.
fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index/encode");
    group.throughput(Throughput::Elements(BATCH_ROWS as u64));
    let mut made = None;
    group.bench_function(BenchmarkId::from_parameter(BATCH_ROWS), |bencher| {
        let entries = made.get_or_insert_with(|| (0..BATCH_ROWS as u32).map(Synthetic::new).collect::<Vec<_>>());
        bencher.iter(|| {
            let mut writer = EntriesWriter::new();
            for entry in entries.iter() {
                assert!(writer.push(&entry.row()).expect("the rows are in order").is_none());
            }
            let batch = writer.finish().expect("there are rows");
            batch.encode().expect("a batch is small enough").counts.entries
        });
    });
    group.finish();
}

/// Measures: `open`, opening the archive: reading and proving seal, footer and the list of batches.
/// Outside: the archive, closing it.
fn open<'a>(criterion: &mut Criterion, rows: u32, big: impl Fn() -> &'a Big) {
    let mut group = criterion.benchmark_group("index/open");
    group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
        let file = &big().file;
        bencher.iter_with_large_drop(|| Archive::open(file).expect("it was just written"));
    });
    group.finish();
}

/// Measures: `find`, looking one path up in an open archive, which reads, proves and decodes a batch, as no two look-ups
/// that follow one another want the same and no more than one is kept; `find-again`, looking up a path of a batch that is still at hand.
/// Outside: the archive, opening it.
fn find<'a>(criterion: &mut Criterion, rows: u32, big: impl Fn() -> &'a Big) {
    // A row in the middle of each batch: in turn, each is wanted again long after its batch was forgotten.
    let middles =
        (0..rows).step_by(BATCH_ROWS).map(|first| Synthetic::new((first + BATCH_ROWS as u32 / 2).min(rows - 1)).path);
    let paths: Vec<_> = middles.collect();
    let look_up = |archive: &Archive, path: &str| {
        assert!(archive.find(path.as_bytes()).expect("it was just written").is_some(), "{path}");
    };
    let mut group = criterion.benchmark_group("index/find");
    let mut next = paths.iter().cycle();
    group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
        let archive = big().open().keep_rows(0);
        let path = || next.next().expect("there is a batch");
        bencher.iter_batched(path, |path| look_up(&archive, path), BatchSize::SmallInput);
    });
    group.finish();
    let mut group = criterion.benchmark_group("index/find-again");
    group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
        let archive = big().open();
        look_up(&archive, &paths[0]);
        bencher.iter(|| look_up(&archive, &paths[0]));
    });
    group.finish();
}

/// Measures: `glob`, comparing every path of an open archive with `*.json`, as `carrack list` does: all batches are
/// read, proved, decoded and checked. The throughput is in rows.
/// Outside: the archive, opening it.
fn glob<'a>(criterion: &mut Criterion, rows: u32, big: impl Fn() -> &'a Big) {
    let mut group = criterion.benchmark_group("index/glob");
    group.throughput(Throughput::Elements(u64::from(rows))).sample_size(10);
    group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
        let archive = big().open();
        let expected = (0..rows).filter(|&number| Synthetic::new(number).path.ends_with(".json")).count();
        bencher.iter(|| {
            let mut selection = Selection::new(vec!["*.json".to_owned()]);
            let mut met = 0;
            archive
                .for_each(&mut |_, row| {
                    met += usize::from(selection.takes(row.path));
                    Ok(())
                })
                .expect("it was just written");
            assert_eq!(met, expected);
        });
    });
    group.finish();
}

/// A row with what it borrows.
struct Synthetic {
    number: u32,
    path: String,
    digest: Digest,
    extents: Vec<Extent>,
}

impl Synthetic {
    /// The row of that number: the root, then folders, each with its files behind it.
    fn new(number: u32) -> Self {
        let extensions = ["rs", "c", "h", "py", "ts", "md", "toml", "json"];
        let (folder, file) = (number / FOLDER, number % FOLDER);
        let path = match (number, file) {
            (0, _) => String::new(),
            (_, 0) => format!("project-{folder:04}"),
            // The root takes the place of the first folder: what would be in it lies beside the others.
            _ if folder == 0 => format!("notes_{file:03}.{}", extensions[file as usize % extensions.len()]),
            _ => format!("project-{folder:04}/module_{file:03}.{}", extensions[file as usize % extensions.len()]),
        };
        let len = 1 + number.wrapping_mul(2_654_435_761) % FILE;
        let extent = Extent { block: number / FILES_PER_BLOCK, offset: number % FILES_PER_BLOCK * FILE, len };
        let extents = if file == 0 { Vec::new() } else { vec![extent] };
        Self { number, digest: Digest::of(path.as_bytes()), path, extents }
    }

    /// As the index takes it.
    fn row(&self) -> Row<'_> {
        let is_file = !self.extents.is_empty();
        Row {
            size: self.extents.iter().map(|extent| u64::from(extent.len)).sum(),
            mode: if is_file { 0o644 } else { 0o755 },
            uid: 1000,
            gid: 1000,
            owner: Some("builder"),
            group: Some("users"),
            mtime_ns: 1_700_000_000_000_000_000 + i64::from(self.number) * 7_654_321,
            digest: is_file.then_some(self.digest),
            extents: &self.extents,
            ..Row::new(self.path.as_bytes(), if is_file { Kind::File } else { Kind::Dir })
        }
    }
}

/// An archive of synthetic rows.
struct Big {
    file: PathBuf,
    _place: TempDir,
}

impl Big {
    /// Writes it: some seconds for 10⁶ rows.
    fn new(rows: u32) -> Self {
        let mut entries = EntriesWriter::new();
        let mut index = IndexWriter::new(ArchiveId::derive(b"benchmark"), serde_json::Map::new());
        let mut take = |batch: carrack_engine::index::PlainBatch| {
            index.entries(batch.encode().expect("a batch is small enough"));
        };
        for number in 0..rows {
            entries.push(&Synthetic::new(number).row()).expect("the rows are in order").into_iter().for_each(&mut take);
        }
        entries.finish().into_iter().for_each(take);
        let mut end = HEAD.len() as u64;
        for seq in 0..=u64::from((rows - 1) / FILES_PER_BLOCK) {
            let header = frame(seq);
            index.block(&BlockRow::of(&header, end)).expect("zstd is known");
            end = align::up(end + header.frame_len()).expect("frames end far below 2^64");
        }
        let tail = index.finish(end).expect("the tables are small enough");
        let place = common::scratch();
        let file = place.path().join("archive.crk");
        let mut out = std::fs::File::create(&file).expect("the temporary folder can be written");
        out.write_all(HEAD).and_then(|()| out.write_all_at(&tail.parts.concat(), end)).expect("there is room");
        Self { file, _place: place }
    }

    /// Opens it.
    fn open(&self) -> Archive {
        Archive::open(&self.file).expect("it was just written")
    }
}

/// The header of a frame that is not there.
fn frame(seq: u64) -> FrameHeader {
    FrameHeader {
        archive_id: ArchiveId::derive(b"benchmark"),
        seq,
        kind: FrameKind::Block,
        codec: CodecId::ZSTD.0,
        directory_codec: CodecId::ZSTD.0,
        filters: [0; 4],
        raw_len: FILES_PER_BLOCK * FILE,
        stored_len: 250_000 + seq as u32 % 10_000,
        directory_raw_len: 8_000,
        directory_stored_len: 3_000,
        dictionary: None,
        digest: Digest::of(&seq.to_le_bytes()),
    }
}
