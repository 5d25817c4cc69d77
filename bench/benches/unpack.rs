//! The way back: verifying, unpacking into nothing and into a folder (fresh each time, removed after all of them), and
//! one file out of many.

use std::cell::Cell;
use std::sync::Arc;

use carrack_backends::tree::NullTree;
use carrack_engine::archive::Archive;
use carrack_engine::pack::Packer;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;
use carrack_fixtures::Kind;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use crate::common;

pub(crate) fn unpack(criterion: &mut Criterion) {
    let place = tempfile::tempdir().expect("there is a temporary folder");
    let count = Cell::new(0);
    for (kind, scale) in [(Kind::Source, 0.05), (Kind::Tiny, 0.03)] {
        let (tree, bytes) = common::corpus(kind, scale, place.path());
        let file = place.path().join(format!("{kind}.crk"));
        Packer::new().input(&tree).sync(false).pack(&file).expect("the tree was just made");
        let archive = Archive::open(&file).expect("it was just packed");
        let entries = archive.entries().map(|entry| entry.expect("it was just packed"));
        let path = entries.filter(|entry| entry.size > 0).last().expect("there are files").path;
        let name = BenchmarkId::from_parameter(kind.name());

        let mut group = criterion.benchmark_group("verify");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(name.clone(), |bencher| {
            bencher.iter(|| assert!(archive.verify(&VerifyOptions::default()).expect("it is whole").damage.is_empty()));
        });
        group.finish();

        let mut group = criterion.benchmark_group("unpack/null");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(name.clone(), |bencher| {
            bencher.iter(|| Unpacker::new(&archive).unpack_to_tree(Arc::new(NullTree::new())).expect("it is whole"));
        });
        group.finish();

        let mut group = criterion.benchmark_group("unpack/folder");
        group.throughput(Throughput::Bytes(bytes));
        group.sample_size(10).bench_function(name.clone(), |bencher| {
            let fresh = || {
                count.set(count.get() + 1);
                place.path().join(format!("copy-{}", count.get()))
            };
            let once = |dest| Unpacker::new(&archive).unpack(dest).expect("it is whole").files;
            bencher.iter_batched(fresh, once, BatchSize::PerIteration);
        });
        group.finish();

        let mut group = criterion.benchmark_group("cat");
        group.bench_function(name, |bencher| {
            bencher.iter(|| Archive::open(&file).and_then(|archive| archive.read(&path)).expect("it is whole"));
        });
        group.finish();
    }
}
