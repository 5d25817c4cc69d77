//! Hashing, one thread: small files one by one, long runs of bytes, and pieces of a large file that are joined.

use std::hint::black_box;

use carrack_engine::digest::{Digest, Joiner, part};
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

const BLOCK: usize = 4 << 20;

pub(crate) fn digest(criterion: &mut Criterion) {
    let bytes = common::bytes("random", 4 * BLOCK as u64);

    let mut whole = criterion.benchmark_group("digest/whole");
    for len in [64, 1 << 10, 4 << 10, 64 << 10, 1 << 20, BLOCK] {
        whole.throughput(Throughput::Bytes(len as u64));
        whole.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| Digest::of(black_box(&bytes[..len])));
        });
    }
    whole.finish();

    let mut parts = criterion.benchmark_group("digest/parts");
    parts.throughput(Throughput::Bytes(bytes.len() as u64));
    parts.bench_function("4x4MiB", |bencher| {
        bencher.iter(|| {
            let mut joiner = Joiner::new();
            for (at, piece) in black_box(&bytes).chunks(BLOCK).enumerate() {
                joiner.push(part(piece, (at * BLOCK) as u64));
            }
            joiner.finish()
        });
    });
    parts.finish();
}
