//! Reading alone: each backend × {many tiny files, one large file}, everything in the page cache. Rings and arenas are
//! made outside the measured time, and every backend rotates through the same number of buffers.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use carrack_backends::arena::{Arena, Lease};
use carrack_backends::clock::now_ns;
use carrack_backends::path::{Base, PathId, PathTable};
use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_backends::read::{Op, ReadBackend, Request};
use carrack_fixtures::rng::Rng;
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

const SLOTS: u32 = 16;
const SLOT_SIZE: usize = 1 << 20;
const TINY_FILES: u32 = 4_000;
const LARGE: u64 = 64 << 20;
/// Length of a range of the large file, bytes.
const RANGE: usize = 256 << 10;

/// A backend at work, with the reads that it repeats.
struct Reading {
    backend: Box<dyn ReadBackend>,
    arena: Arc<Arena>,
    ops: Vec<(Op, usize)>,
}

impl Reading {
    /// `None` when this machine does not have the backend.
    fn new(choice: IoChoice, paths: &Arc<PathTable>, ops: Vec<(Op, usize)>) -> Option<Self> {
        let (mut backend, _) = open_backend(&ReadOptions { choice, ..ReadOptions::default() }).ok()?;
        let arena = Arena::new(SLOTS, SLOT_SIZE).expect("16 MiB can be had");
        backend.attach(&arena, paths).expect("a backend that opens can be attached");
        Some(Self { backend, arena, ops })
    }

    /// Reads everything once; says how many bytes that were.
    fn round(&mut self) -> u64 {
        let (mut queue, mut out) = (VecDeque::new(), Vec::new());
        let mut ops = self.ops.iter();
        let mut slots = (0..SLOTS).cycle();
        let mut room: Option<Lease> = None;
        let mut next = ops.next();
        let mut bytes = 0;
        while next.is_some() || !queue.is_empty() || self.backend.in_flight() > 0 {
            // Requests for as long as there is room in the arena.
            while let Some(&(op, len)) = next {
                if room.as_ref().is_none_or(|room| room.len() < len) {
                    // A slot is free again when all reads into it are done.
                    let Some(fresh) = slots.next().and_then(|slot| self.arena.lease(slot)) else { break };
                    room = Some(fresh);
                }
                let Some(mut buf) = room.take() else { break };
                room = Some(buf.split_off(len));
                queue.push_back(Request { tag: 0, op, buf, queued_ns: now_ns() });
                next = ops.next();
            }
            self.backend.submit(&mut queue).expect("the backend works");
            self.backend.reap(1, None, &mut out).expect("the backend works");
            for done in out.drain(..) {
                bytes += u64::from(done.result.expect("the files are there"));
            }
        }
        bytes
    }
}

fn table(folder: &Path) -> (PathTable, u32) {
    let mut paths = PathTable::new();
    let open = fs::File::open(folder).expect("the folder was just made");
    let base = paths.push_base(Base { folder: Arc::new(open.into()), skip: 0 });
    (paths, base)
}

fn tiny(folder: &Path) -> (Arc<PathTable>, Vec<(Op, usize)>, u64) {
    let (mut paths, base) = table(folder);
    let mut rng = Rng::new(1);
    let mut total = 0;
    let ops = (0..TINY_FILES).map(|number| {
        let (name, len) = (format!("{number:05}"), rng.range(1, 1024) as usize);
        fs::write(folder.join(&name), vec![7; len]).expect("a temporary folder can be written");
        total += len as u64;
        (Op::Whole { path: paths.push(base, name.as_bytes()) }, len)
    });
    let ops = ops.collect();
    (Arc::new(paths), ops, total)
}

fn large(folder: &Path) -> (Arc<PathTable>, Vec<(Op, usize)>) {
    let (mut paths, base) = table(folder);
    fs::write(folder.join("large"), common::bytes("random", LARGE)).expect("a temporary folder can be written");
    let path: PathId = paths.push(base, b"large");
    let offsets = (0..LARGE).step_by(RANGE);
    let ops = offsets.map(|offset| {
        let last = offset + RANGE as u64 == LARGE;
        (Op::Range { path, offset, last }, RANGE)
    });
    let ops = ops.collect();
    (Arc::new(paths), ops)
}

pub(crate) fn backend(criterion: &mut Criterion) {
    let place = tempfile::tempdir().expect("there is a temporary folder");
    let (tiny_paths, tiny_ops, tiny_bytes) = tiny(place.path());
    let (large_paths, large_ops) = large(place.path());
    for choice in IoChoice::ALL.into_iter().filter(|choice| *choice != IoChoice::Auto) {
        let mut group = criterion.benchmark_group(format!("backend/{choice}"));
        if let Some(mut reading) = Reading::new(choice, &tiny_paths, tiny_ops.clone()) {
            group.throughput(Throughput::Elements(u64::from(TINY_FILES)));
            group.bench_function(BenchmarkId::new("tiny", "hot"), |bencher| {
                bencher.iter(|| assert_eq!(reading.round(), tiny_bytes));
            });
        }
        if let Some(mut reading) = Reading::new(choice, &large_paths, large_ops.clone()) {
            group.throughput(Throughput::Bytes(LARGE));
            group.bench_function(BenchmarkId::new("large", "hot"), |bencher| {
                bencher.iter(|| assert_eq!(reading.round(), LARGE));
            });
        }
        group.finish();
    }
}
