//! `plan/<sizes>/<files>`: from the columns of a walk to chunks and blocks.

use std::hint::black_box;

use carrack_backends::witness::Witness;
use carrack_engine::entry::{Entries, Kind};
use carrack_engine::plan::{Plan, PlanOptions};
use carrack_fixtures::rng::{Quantiles, Rng};
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

/// A distribution of file sizes, bytes by thousandths, with its name.
type Sizes = (&'static str, Quantiles);

/// As in a tree of source code: median 4 KiB, a few large files.
const SOURCE: Sizes = (
    "source",
    Quantiles(&[(0, 0), (250, 1_200), (500, 4_096), (900, 30_000), (990, 200_000), (999, 900_000), (1000, 40_000_000)]),
);
/// Under 1 KiB: a thousand files and more in each block.
const TINY: Sizes = ("tiny", Quantiles(&[(0, 1), (1000, 1_023)]));
/// Each cut into tens of chunks.
const LARGE: Sizes = ("large", Quantiles(&[(0, 16 << 20), (1000, 64 << 20)]));

/// Measures: cutting every file into chunks and filling planned blocks with them; the throughput is in files.
/// Outside: the entries.
pub(crate) fn plan(criterion: &mut Criterion) {
    let all = [(&SOURCE, 10_000), (&SOURCE, 100_000), (&SOURCE, 1_000_000), (&TINY, 100_000), (&LARGE, 1_000)];
    for &((name, sizes), files) in common::pick(&all, &[(&SOURCE, 100_000), (&LARGE, 1_000)]) {
        let mut group = criterion.benchmark_group(format!("plan/{name}"));
        group.throughput(Throughput::Elements(u64::from(files)));
        let mut made = None;
        group.bench_function(BenchmarkId::from_parameter(files), |bencher| {
            let entries = made.get_or_insert_with(|| entries(files, sizes));
            bencher.iter(|| Plan::new(black_box(entries), &PlanOptions::default()).expect("the sizes are possible"));
        });
        group.finish();
    }
}

/// What a walk knows of so many files, as far as the plan looks at it.
fn entries(files: u32, sizes: &Quantiles) -> Entries {
    let mut rng = Rng::new(u64::from(files));
    let mut entries = Entries::default();
    for _ in 0..files {
        entries.kinds.push(Kind::File);
        entries.witnesses.push(Witness { size: sizes.draw(&mut rng), ..Witness::default() });
    }
    entries
}
