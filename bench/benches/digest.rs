//! `digest/<what>/<bytes>`: hashing on one thread.

use std::cell::LazyCell;
use std::hint::black_box;

use carrack_engine::digest::{Digest, Hasher, Joiner, checksum, part, zeros};
use carrack_fixtures::Kind;
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

/// Bytes of a piece of a large file: a block, as by default.
const PIECE: usize = 1 << 20;
/// Bytes of a large file.
const FILE: usize = 16 << 20;

/// Outside of all times: the bytes, which are in memory.
pub(crate) fn digest(criterion: &mut Criterion) {
    let bytes = LazyCell::new(|| common::bytes(Kind::Media, FILE));
    whole(criterion, |len| &bytes[..len]);
    file(criterion, || &bytes);
    small(criterion, |len| &bytes[..len]);
}

/// Measures: `whole`, the digest of a run of bytes at once, from a tiny file to a block.
fn whole<'a>(criterion: &mut Criterion, bytes: impl Fn(usize) -> &'a [u8]) {
    let mut group = criterion.benchmark_group("digest/whole");
    for &len in common::pick(&[64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, PIECE], &[1 << 10, 16 << 10, PIECE]) {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            let bytes = bytes(len);
            bencher.iter(|| Digest::of(black_box(bytes)));
        });
    }
    group.finish();
}

/// Measures: a large file, `stream` in order through one hasher, `parts` as pieces that are joined, and `zeros`: a hole
/// of that length as one piece.
fn file<'a>(criterion: &mut Criterion, bytes: impl Fn() -> &'a [u8]) {
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(FILE as u64));
    group.bench_function(BenchmarkId::new("stream", FILE), |bencher| {
        let bytes = bytes();
        bencher.iter(|| {
            let mut hasher = Hasher::new();
            for piece in black_box(bytes).chunks(PIECE) {
                hasher.update(piece);
            }
            hasher.digest()
        });
    });
    group.bench_function(BenchmarkId::new("parts", FILE), |bencher| {
        let bytes = bytes();
        bencher.iter(|| {
            let mut joiner = Joiner::new();
            for (at, piece) in black_box(bytes).chunks(PIECE).enumerate() {
                joiner.push(part(piece, (at * PIECE) as u64));
            }
            joiner.finish()
        });
    });
    group.bench_function(BenchmarkId::new("zeros", FILE), |bencher| {
        bencher.iter(|| zeros(black_box(FILE as u64), 0));
    });
    group.finish();
}

/// Measures: `checksum`, the check of a header; `join`, putting the digest of 256 pieces of 1 MiB together once each is
/// hashed (copying them to push them is inside).
fn small<'a>(criterion: &mut Criterion, bytes: impl Fn(usize) -> &'a [u8]) {
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Elements(1));
    group.bench_function("checksum/120", |bencher| {
        let header = bytes(120);
        bencher.iter(|| checksum(black_box(header)));
    });
    let pieces = LazyCell::new(|| {
        let piece = |at: u64| part(bytes(PIECE), at * PIECE as u64);
        (0..256).map(piece).collect::<Vec<_>>()
    });
    group.throughput(Throughput::Elements(256));
    group.bench_function("join/256", |bencher| {
        let pieces = &*pieces;
        bencher.iter(|| {
            let mut joiner = Joiner::new();
            pieces.iter().for_each(|piece| joiner.push(piece.clone()));
            joiner.finish()
        });
    });
    group.finish();
}
