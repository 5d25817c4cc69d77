//! Planning: from the columns of a walk to chunks and blocks.

use std::hint::black_box;

use carrack_backends::witness::Witness;
use carrack_engine::entry::{Entries, Kind};
use carrack_engine::plan::{Plan, PlanOptions};
use carrack_fixtures::rng::{Quantiles, Rng};
use criterion::{BenchmarkId, Criterion, Throughput};

/// Sizes as in a tree of source code: median 4 KiB, a few large files.
const SIZES: Quantiles =
    Quantiles(&[(0, 0), (250, 1_200), (500, 4_096), (900, 30_000), (990, 200_000), (999, 900_000), (1000, 40_000_000)]);

fn entries(files: u32) -> Entries {
    let mut rng = Rng::new(u64::from(files));
    let mut entries = Entries::default();
    for _ in 0..files {
        entries.kinds.push(Kind::File);
        entries.witnesses.push(Witness { size: SIZES.draw(&mut rng), ..Witness::default() });
    }
    entries
}

pub(crate) fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan/files");
    for files in [10_000, 100_000, 1_000_000] {
        let entries = entries(files);
        group.throughput(Throughput::Elements(u64::from(files)));
        group.bench_function(BenchmarkId::from_parameter(files), |bencher| {
            bencher.iter(|| Plan::new(black_box(&entries), &PlanOptions::default()).expect("the sizes are possible"));
        });
    }
    group.finish();
}
