//! What it costs to know how long the stages took: one sample, one stamp, and a whole run with and without.

use std::cell::LazyCell;
use std::hint::black_box;

use carrack_backends::sink::MemorySink;
use carrack_engine::pack::Packer;
use carrack_engine::stages::{Clock, Recorder, Step};
use carrack_fixtures::{Kind, Scale};
use criterion::{Criterion, Throughput};

/// Durations as a run has them: from a microsecond to some milliseconds, in no order.
fn durations() -> Vec<u64> {
    (0..4096_u64).map(|n| 1000 + n.wrapping_mul(2_654_435_761) % 5_000_000).collect()
}

pub(crate) fn stages(criterion: &mut Criterion) {
    let durations = durations();
    let mut group = criterion.benchmark_group("stages/record");
    group.throughput(Throughput::Elements(1));
    for (name, on) in [("on", true), ("off", false)] {
        group.bench_function(name, |bencher| {
            let mut recorder = Recorder::new(Clock::new(on));
            let mut at = 0;
            bencher.iter(|| {
                at = (at + 1) % durations.len();
                black_box(&mut recorder).record(Step::Read, durations[at]);
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("stages/since");
    group.throughput(Throughput::Elements(1));
    for (name, on) in [("on", true), ("off", false)] {
        group.bench_function(name, |bencher| {
            let mut recorder = Recorder::new(Clock::new(on));
            let mut begun_ns = recorder.clock().now_ns();
            bencher.iter(|| begun_ns = black_box(&mut recorder).since(Step::Read, begun_ns));
        });
    }
    group.finish();

    // Made when it is first needed: a filter may leave these two out.
    let place = LazyCell::new(|| {
        let place = tempfile::tempdir().expect("there is a temporary folder");
        let scale = Scale::new(0.05).expect("the scale is a constant");
        carrack_fixtures::generate(Kind::Tiny, place.path(), scale, 1, 0).expect("a temporary folder can be written");
        place
    });
    let mut group = criterion.benchmark_group("stages/pack");
    for (name, on) in [("on", true), ("off", false)] {
        group.bench_function(name, |bencher| {
            let tree = place.path().join(Kind::Tiny.name());
            let packer = Packer::new().input(tree).sync(false).stats(on);
            bencher.iter(|| {
                let sink = MemorySink::new().0;
                packer.pack_to_sink(Box::new(sink)).expect("the tree was just made").stages.rows.len()
            });
        });
    }
    group.finish();
}
