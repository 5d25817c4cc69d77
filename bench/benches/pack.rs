//! Packing end to end, by backend, and the naive contender: a small tree of source code and a few thousand tiny files.
//! Archives go to a file that is not synced.

use std::fs;

use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_bench::contender::Contender;
use carrack_bench::naive::Naive;
use carrack_engine::pack::Packer;
use carrack_fixtures::Kind;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use crate::common;

fn is_here(choice: IoChoice) -> bool {
    open_backend(&ReadOptions { choice, ..ReadOptions::default() }).is_ok()
}

pub(crate) fn pack(criterion: &mut Criterion) {
    let place = tempfile::tempdir().expect("there is a temporary folder");
    let out = place.path().join("out");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (kind, scale) in [(Kind::Source, 0.05), (Kind::Tiny, 0.03)] {
        let (tree, bytes) = common::corpus(kind, scale, place.path());
        let naive = Naive { threads, level: 3, block: 1 << 20, sync: false };
        for contender in Contender::ALL {
            if matches!(contender, Contender::Engine(io) if !is_here(io)) {
                continue;
            }
            let mut group = criterion.benchmark_group(format!("pack/{contender}"));
            group.throughput(Throughput::Bytes(bytes));
            group.bench_function(BenchmarkId::from_parameter(kind.name()), |bencher| {
                let fresh = || drop(fs::remove_file(&out)); // it is not there the first time
                let once = |()| match contender {
                    Contender::Engine(io) => {
                        let packer = Packer::new().input(&tree).io(io).sync(false);
                        packer.pack(&out).expect("the tree was just made").archive_bytes
                    }
                    Contender::Naive => naive.pack(&tree, &out).expect("the tree was just made").archive_bytes,
                };
                bencher.iter_batched(fresh, once, BatchSize::PerIteration);
            });
            group.finish();
        }
    }
}
