//! `pack/<backend>/<files>`: packing end to end; `pack/naive` is the contender without any structure.

use std::fs;

use carrack_bench::contender::Contender;
use carrack_bench::naive::Naive;
use carrack_engine::pack::Packer;
use criterion::{BatchSize, BenchmarkId, Criterion};
use tempfile::TempDir;

use crate::common::{self, Corpus};

/// Measures: walking, reading, compressing and writing the archive, with the backend's start and the arena. The tree is
/// in the page cache, and the archive is not synced.
/// Outside: the corpus, removing the archive of the pass before.
pub(crate) fn pack(criterion: &mut Criterion) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let naive = Naive { threads, level: 3, block: 1 << 20, sync: false };
    for corpus in [Corpus::source(), Corpus::tiny()] {
        for contender in Contender::ALL {
            if matches!(contender, Contender::Engine(io) if !common::backends().contains(&io)) {
                continue;
            }
            let mut group = criterion.benchmark_group(format!("pack/{contender}"));
            group.throughput(corpus.throughput());
            let mut place: Option<TempDir> = None;
            group.bench_function(BenchmarkId::from_parameter(corpus.name()), |bencher| {
                let (tree, out) = (corpus.folder(), place.get_or_insert_with(common::scratch).path().join("out"));
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
