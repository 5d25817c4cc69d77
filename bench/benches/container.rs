//! `container/<part>/<what is done>`: the envelope of an archive, bytes in and bytes out, one thread.

use std::cell::LazyCell;
use std::hint::black_box;

use carrack_engine::container::directory::{Chunk, DirectoryReader, DirectoryWriter};
use carrack_engine::container::frame::{CODEC_STORE, digest_of};
use carrack_engine::container::head::{self, HEAD};
use carrack_engine::container::seal::{READER_VERSION_MIN, VERSION};
use carrack_engine::container::{ArchiveId, FrameHeader, FrameKind, FrameWriter, Seal};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Kind, Row};
use carrack_fixtures::Kind as Corpus;
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

/// Files whose records a directory holds: so many of 4 KiB fill a block of 1 MiB.
const RECORDS: u32 = 256;

/// All parts. Outside of all times: what is encoded or decoded.
pub(crate) fn container(criterion: &mut Criterion) {
    frame(criterion);
    digest(criterion);
    directory(criterion);
    ends(criterion);
}

/// Measures: `header/encode` and `header/decode`, one frame's header with its checksum; `frame/parts`, laying a frame
/// out behind another (nothing is copied or hashed but the header).
fn frame(criterion: &mut Criterion) {
    let header = header(0, &[0; 16], &[0; 64]);
    let mut group = criterion.benchmark_group("container");
    group.throughput(Throughput::Elements(1));
    group.bench_function("header/encode", |bencher| bencher.iter(|| black_box(&header).encode()));
    group.bench_function("header/decode", |bencher| {
        let bytes = header.encode();
        bencher.iter(|| FrameHeader::decode(black_box(&bytes), 64).expect("it was just encoded"));
    });
    group.bench_function("frame/parts", |bencher| {
        let mut writer = FrameWriter::new(header.archive_id, HEAD.len() as u64);
        let mut next = header;
        next.seq = 0;
        bencher.iter(|| {
            let len = writer.frame(black_box(&next), &[0; 16], &[0; 64]).total_len();
            next.seq += 1;
            len
        });
    });
    group.finish();
}

/// Measures: `digest`, that of a frame, over a directory of 4 KiB and payloads of several lengths.
fn digest(criterion: &mut Criterion) {
    let bytes = LazyCell::new(|| common::bytes(Corpus::Media, 1 << 20));
    let mut group = criterion.benchmark_group("container/digest");
    for &len in common::pick(&[4 << 10, 64 << 10, 256 << 10, 1 << 20], &[256 << 10]) {
        group.throughput(Throughput::Bytes(len as u64 + (4 << 10)));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            let (directory, payload) = (&bytes[..4 << 10], &bytes[..len]);
            bencher.iter(|| digest_of(black_box(directory), black_box(payload)));
        });
    }
    group.finish();
}

/// Measures: `directory/encode`, records of 256 files (an entry and a chunk each) into a buffer that is used again;
/// `directory/decode`, reading and checking them. The throughput is in files.
fn directory(criterion: &mut Criterion) {
    let paths: Vec<_> = (0..RECORDS).map(|row| format!("project/src/part_{:02}/file_{row:03}.rs", row / 16)).collect();
    let mut group = criterion.benchmark_group("container/directory");
    group.throughput(Throughput::Elements(u64::from(RECORDS)));
    let mut writer = DirectoryWriter::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            record(&mut writer, black_box(&paths));
            writer.bytes().len()
        });
    });
    group.bench_function("decode", |bencher| {
        record(&mut writer, &paths);
        bencher.iter(|| {
            let mut reader = DirectoryReader::new(black_box(writer.bytes()));
            let mut count = 0;
            while let Some(record) = reader.next() {
                black_box(record.expect("it was just encoded"));
                count += 1;
            }
            assert_eq!(count, RECORDS * 2);
        });
    });
    group.finish();
}

/// Measures: `head/check`, the first bytes of an archive in memory; `seal/encode` and `seal/decode`, what stands in
/// front of its footer; `id/derive`, the archive's id from 64 KiB.
fn ends(criterion: &mut Criterion) {
    let seal = Seal {
        version: VERSION,
        reader_version_min: READER_VERSION_MIN,
        archive_id: ArchiveId::derive(b"benchmark"),
        blocks_offset: 1280,
        blocks_len: 1000,
        entries_offset: 2304,
        footer_len: 500,
        digest: Digest::of(b"footer"),
        previous: None,
    };
    let mut group = criterion.benchmark_group("container");
    group.throughput(Throughput::Elements(1));
    group.bench_function("head/check", |bencher| {
        let bytes = HEAD.to_vec();
        bencher.iter(|| head::check(black_box(&bytes)).expect("it is the head"));
    });
    group.bench_function("seal/encode", |bencher| bencher.iter(|| black_box(&seal).encode()));
    group.bench_function("seal/decode", |bencher| {
        let bytes = seal.encode();
        bencher.iter(|| Seal::decode(black_box(&bytes), 64_000).expect("it was just encoded"));
    });
    group.throughput(Throughput::Bytes(64 << 10));
    group.bench_function("id/derive", |bencher| {
        let bytes = vec![7; 64 << 10];
        bencher.iter(|| ArchiveId::derive(black_box(&bytes)));
    });
    group.finish();
}

/// The header of a frame that is stored as it is.
fn header(seq: u64, directory: &[u8], payload: &[u8]) -> FrameHeader {
    FrameHeader {
        archive_id: ArchiveId::derive(b"benchmark"),
        seq,
        kind: FrameKind::Block,
        codec: CODEC_STORE,
        directory_codec: CODEC_STORE,
        filters: [0; 4],
        raw_len: payload.len() as u32,
        stored_len: payload.len() as u32,
        directory_raw_len: directory.len() as u32,
        directory_stored_len: directory.len() as u32,
        dictionary: None,
        digest: digest_of(directory, payload),
    }
}

/// Writes the directory of a block that holds files of 4 KiB with these paths.
fn record(writer: &mut DirectoryWriter, paths: &[String]) {
    writer.clear();
    for (row, path) in (0..).zip(paths) {
        let entry = Row {
            size: 4096,
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            owner: Some("builder"),
            mtime_ns: 1_700_000_000_000_000_000 + i64::from(row) * 1_234_567,
            ..Row::new(path.as_bytes(), Kind::File)
        };
        writer.entry(row, &entry);
        writer.chunk(&Chunk { row, file_offset: 0, block: 9, offset: row * 4096, len: 4096 });
    }
}
