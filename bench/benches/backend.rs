//! `backend/<backend>/<files>/<cache state>`: reading alone, by each backend that works here.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use carrack_backends::read::choose::IoChoice;
use carrack_measure::cache::Cache;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, measurement::WallTime};

use crate::common::{self, Corpus};
use crate::reading::{Reading, Reads};
use crate::state::{offered, refuted};

/// Files, and the reads that cover them: made when they are first needed.
struct Workload {
    corpus: Corpus,
    reads: OnceCell<Reads>,
}

/// Measures: one pass over all files of a corpus, from the first request to the last completion.
/// Outside: the corpus, the backend with its ring or threads, the arena (its pages are all there), the eviction.
pub(crate) fn backend(criterion: &mut Criterion) {
    let all = [Corpus::tiny(), Corpus::source(), Corpus::large()];
    let workloads = all.map(|corpus| Workload { corpus, reads: OnceCell::new() });
    for &choice in common::backends() {
        for workload in &workloads {
            let states = offered(common::place());
            let few = if workload.corpus.name() == "source" { &[Cache::Hot][..] } else { states };
            for &state in common::pick(states, few) {
                let name = format!("backend/{choice}/{}", workload.corpus.name());
                let mut group = criterion.benchmark_group(name);
                group.throughput(workload.corpus.throughput());
                sampling(&mut group, state);
                let mut reading = None;
                group.bench_function(BenchmarkId::from_parameter(state.name()), |bencher| {
                    let reads = workload.reads.get_or_init(|| Reads::of(&workload.corpus));
                    let reading = reading.get_or_insert_with(|| begin(choice, workload, reads, state));
                    passes(bencher, reading, workload, reads, state);
                });
                group.finish();
            }
        }
    }
}

/// Few passes where an eviction, which nobody times, takes longer than the pass that follows it.
fn sampling(group: &mut BenchmarkGroup<'_, WallTime>, state: Cache) {
    if state != Cache::Hot {
        let time = if common::quick() { 150 } else { 1_000 };
        group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_millis(time));
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
    }
}

/// A backend ready to read, after a pass and a look at whether the state that is to be measured can be held.
fn begin(choice: IoChoice, workload: &Workload, reads: &Reads, state: Cache) -> Reading {
    let mut reading = Reading::new(choice, reads);
    assert_eq!(reading.pass(reads), workload.corpus.bytes(), "{choice} reads everything");
    state.establish(&reads.files).expect("a state that is offered can be brought about");
    if let Some(reason) = refuted(state, &reads.files) {
        let (files, state) = (workload.corpus.name(), state.name());
        eprintln!("backend/{choice}/{files}/{state}: the state is not held: {reason}");
    }
    reading
}

/// Times passes alone, each of them begun in the state asked for.
fn passes(bencher: &mut Bencher<'_>, reading: &mut Reading, workload: &Workload, reads: &Reads, state: Cache) {
    let bytes = workload.corpus.bytes();
    if state == Cache::Hot {
        bencher.iter(|| assert_eq!(reading.pass(reads), bytes));
        return;
    }
    let mut pass = || {
        state.establish(&reads.files).expect("it could be brought about before");
        let begin = Instant::now();
        assert_eq!(reading.pass(reads), bytes);
        begin.elapsed()
    };
    bencher.iter_custom(|count| (0..count).map(|_| pass()).sum());
}
