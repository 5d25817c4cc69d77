//! Whole packs under shuttle: each step of each thread at a moment of shuttle's choosing, thousands of times. A thread that
//! waits for something that nobody tells it about is found as a deadlock, however seldom it comes. Shuttle's atomics are
//! sequentially consistent: what weaker orders allow is for `loom_tests` of the ring.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_backends::read::fault::{Fault, Harm, Rules, When};
use carrack_backends::sink::{AppendSink, FaultSink, FaultSinkPlan, MemorySink};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use tempfile::TempDir;

use crate::codec::Codec;
use crate::control::{Cancel, Control};
use crate::error::{Error, ErrorKind, Result};
use crate::pack::{Dedup, PackReport, Packer};

const BLOCK: u32 = 4096;
const EIO: i32 = 5;
const SEED: u64 = 1;

/// Files shorter and longer than a slot, an empty one, equal ones.
fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let noise = |seed: u64, len: usize| {
        let mut state = seed;
        let byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(byte).take(len).collect::<Vec<_>>()
    };
    for (name, seed, len) in [("a", 1, 100), ("b", 2, 9000), ("c", 1, 100), ("d", 0, 0), ("e", 3, 4096), ("f", 2, 9000)]
    {
        fs::write(dir.path().join(name), noise(seed, len)).unwrap();
    }
    dir
}

fn packer(dir: &TempDir) -> Packer {
    Packer::new()
        .input(dir.path())
        .sync(false)
        .io(IoChoice::Pread)
        .codec(Codec::Lz4)
        .threads(2)
        .slots(2)
        .block_size(BLOCK)
}

/// Packs with some harm to what is read and to the sink; also the bytes, if the sink got all of them.
fn pack(packer: &Packer, rules: Rules, plan: FaultSinkPlan) -> Result<(PackReport, Vec<u8>)> {
    let (sink, bytes) = MemorySink::new();
    let (sink, _) = FaultSink::new(Box::new(sink), plan);
    let report = pack_to(packer, rules, Box::new(sink))?;
    Ok((report, bytes.finished().expect("a pack that succeeds finishes its sink")))
}

fn pack_to(packer: &Packer, rules: Rules, sink: Box<dyn AppendSink>) -> Result<PackReport> {
    let options = ReadOptions { choice: IoChoice::Pread, ..ReadOptions::default() };
    let backend = open_backend(&options).unwrap().0;
    packer.pack_with(Box::new(Fault::new(backend, rules)), Vec::new(), sink)
}

/// Runs `body` in so many interleavings: half of them at random, half with few preemptions at random places; the same ones each
/// time, but for what `SHUTTLE_RANDOM_SEED` asks for.
fn explore(runs: usize, body: impl Fn() + Send + Sync + 'static) {
    let body = Arc::new(body);
    let schedulers: [Box<dyn Scheduler + Send>; 2] = [
        Box::new(RandomScheduler::new_from_seed(SEED, runs / 2)),
        Box::new(PctScheduler::new_from_seed(SEED, 3, runs / 2)),
    ];
    for scheduler in schedulers {
        let mut config = shuttle::Config::new();
        config.stack_size = 1 << 20;
        let body = Arc::clone(&body);
        shuttle::Runner::new(scheduler, config).run(move || body());
    }
}

/// What every run has to come to.
fn expected(packer: &Packer) -> Vec<u8> {
    let found = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (packer, bytes) = (packer.clone(), Arc::clone(&found));
    explore(2, move || *bytes.lock().unwrap() = pack(&packer, Rules::new(1), FaultSinkPlan::default()).unwrap().1);
    let bytes = found.lock().unwrap().clone();
    assert!(bytes.len() > 10_000);
    bytes
}

#[test]
fn every_interleaving_gives_the_same_archive() {
    let dir = place();
    let pieces = packer(&dir).dedup(Dedup::Chunk).chunk_size(1 << 10);
    for packer in [packer(&dir).threads(1), packer(&dir), packer(&dir).threads(3).slots(3), pieces] {
        let expected = expected(&packer);
        explore(1000, move || {
            let (report, bytes) = pack(&packer, Rules::new(1), FaultSinkPlan::default()).unwrap();
            assert!(report.warnings.is_empty() && bytes == expected);
        });
    }
}

#[test]
fn reads_that_fail_and_come_late_are_warnings_in_every_interleaving() {
    let dir = place();
    let packer = packer(&dir);
    explore(1000, move || {
        let rules = Rules::new(7)
            .shuffled()
            .rule(When::Path(b"b".to_vec()), Harm::Errno(EIO))
            .rule(When::Nth(1), Harm::Late(3));
        let (report, _) = pack(&packer, rules, FaultSinkPlan::default()).unwrap();
        let paths: Vec<_> = report.warnings.iter().map(|warning| &warning.path[..]).collect();
        assert_eq!(paths, [b"b"]);
    });
}

#[test]
fn a_sink_that_fails_ends_every_run() {
    let dir = place();
    for nth in 1..6 {
        let packer = packer(&dir);
        explore(400, move || {
            let plan = FaultSinkPlan { fail_append: Some((nth, EIO)), ..FaultSinkPlan::default() };
            let error = pack(&packer, Rules::new(1), plan).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Output, "{error}");
        });
    }
}

/// A sink that does something at its nth append.
struct Then<F> {
    inner: MemorySink,
    appends: u32,
    nth: u32,
    then: F,
}

impl<F: FnMut() + Send> AppendSink for Then<F> {
    fn append(&mut self, parts: &[&[u8]]) -> std::io::Result<()> {
        if self.appends == self.nth {
            (self.then)();
        }
        self.appends += 1;
        self.inner.append(parts)
    }

    fn written(&self) -> u64 {
        self.inner.written()
    }

    fn finish(self: Box<Self>) -> std::io::Result<()> {
        Box::new(self.inner).finish()
    }

    fn abort(self: Box<Self>) {
        Box::new(self.inner).abort();
    }

    fn identity(&self) -> Option<(u64, u64)> {
        None
    }
}

#[test]
fn a_run_that_is_stopped_ends_in_every_interleaving() {
    let dir = place();
    for nth in 1..4 {
        let packer = packer(&dir);
        explore(400, move || {
            let cancel = Cancel::new();
            let control = Control { cancel: cancel.clone(), ..Control::default() };
            let sink = Then { inner: MemorySink::new().0, appends: 0, nth, then: move || cancel.cancel() };
            let error: Error =
                pack_to(&packer.clone().control(control), Rules::new(1), Box::new(sink)).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        });
    }
}

#[test]
fn a_sink_that_panics_leaves_no_thread_behind() {
    let dir = place();
    let packer = packer(&dir);
    explore(400, move || {
        let sink = Then {
            inner: MemorySink::new().0,
            appends: 0,
            nth: 2,
            then: || std::panic::resume_unwind(Box::new("sink")),
        };
        let ended = catch_unwind(AssertUnwindSafe(|| pack_to(&packer, Rules::new(1), Box::new(sink)).map(drop)));
        assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"sink"));
    });
}
