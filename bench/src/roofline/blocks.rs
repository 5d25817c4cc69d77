//! Digests and codec on the blocks of a tree that lie in memory.
//!
//! In: what the walk found, a plan, a codec. Out: the processor time that all threads together spent in digests and in the codec,
//! and counts. Reading, and leaving out equal chunks, happen between the measured spans.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use carrack_backends::path::PathId;
use carrack_engine::codec::{Codec, Encoded, Encoder};
use carrack_engine::container::frame::digest_of;
use carrack_engine::dedup;
use carrack_engine::digest::{self, Digest};
use carrack_engine::entry::Entries;
use carrack_engine::plan::{BlockFiller, Chunk, ChunkKind, Plan};
use carrack_measure::error::{Context, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

/// Bytes in memory at once.
const PORTION: usize = 128 << 20;

/// What the blocks of a tree cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Processor time in digests and codec, of all threads together, ns.
    pub(super) service_ns: u64,
    pub(super) blocks: u64,
    /// Bytes of content, holes included.
    pub(super) bytes: u64,
    pub(super) stored_bytes: u64,
}

/// Chunks in memory, those of one planned block after the other.
struct Portion {
    bytes: Vec<u8>,
    /// For each chunk its place in `bytes`; empty for a hole and for what could not be read.
    chunks: Vec<(Chunk, Range<usize>)>,
    /// For each planned block the index behind its last chunk.
    ends: Vec<usize>,
}

/// Goes through the whole tree once.
pub(super) fn run(entries: &Entries, plan: &Plan, codec: Codec, threads: usize) -> Result<Work> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().doing("start threads")?;
    let mut work = Work::default();
    let mut known = HashSet::new();
    let mut portion = Portion { bytes: vec![0; PORTION], chunks: Vec::new(), ends: Vec::new() };
    let mut next = 0;
    while next < plan.blocks() {
        next = portion.read(entries, plan, next);
        let digests = portion.hash(&pool, &mut work);
        let blocks = portion.place(&digests, &mut known, plan.block_size());
        compress(&portion.bytes, &blocks, codec, &pool, &mut work)?;
    }
    Ok(work)
}

impl Portion {
    /// Reads planned blocks from `first` on, as many as there is room for; says which comes next.
    fn read(&mut self, entries: &Entries, plan: &Plan, first: usize) -> usize {
        self.chunks.clear();
        self.ends.clear();
        let (mut at, mut next) = (0, first);
        let mut open: Option<(u32, File)> = None;
        while next < plan.blocks() && at + plan.block_len(next) as usize <= self.bytes.len() {
            for chunk in &plan.chunks()[plan.block(next)] {
                let len = chunk.data_len() as usize;
                if len > 0 && open.as_ref().is_none_or(|(row, _)| *row != chunk.row()) {
                    let (folder, path) = entries.paths.source(PathId(chunk.row()));
                    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
                    let file = rustix::fs::openat(folder, path, flags, Mode::empty());
                    open = file.ok().map(|file| (chunk.row(), File::from(file)));
                }
                let to = at..at + len;
                let read =
                    open.as_ref().map(|(_, file)| file.read_exact_at(&mut self.bytes[to.clone()], chunk.offset()));
                let is_read = len > 0 && matches!(read, Some(Ok(())));
                self.chunks.push((*chunk, if is_read { to } else { at..at }));
                at += if is_read { len } else { 0 };
            }
            self.ends.push(self.chunks.len());
            next += 1;
        }
        next
    }

    /// The identity of each chunk; `None` for holes and what could not be read.
    fn hash(&self, pool: &ThreadPool, work: &mut Work) -> Vec<Option<Digest>> {
        let service_ns = AtomicU64::new(0);
        let next = AtomicUsize::new(0);
        let found = pool.broadcast(|_| {
            let mut mine = Vec::new();
            loop {
                let block = next.fetch_add(1, Relaxed);
                let Some(&end) = self.ends.get(block) else { return mine };
                let start = block.checked_sub(1).map_or(0, |before| self.ends[before]);
                let begun_ns = now_ns();
                for (at, (chunk, place)) in (start..end).zip(&self.chunks[start..end]) {
                    mine.push((at, identity(chunk, &self.bytes[place.clone()])));
                }
                service_ns.fetch_add(now_ns() - begun_ns, Relaxed);
            }
        });
        work.service_ns += service_ns.into_inner();
        let mut digests = vec![None; self.chunks.len()];
        for (at, digest) in found.into_iter().flatten() {
            digests[at] = digest;
        }
        let content = |(chunk, place): &(Chunk, Range<usize>)| match chunk.kind() {
            ChunkKind::Hole => u64::from(chunk.len()),
            ChunkKind::Data => place.len() as u64,
        };
        work.bytes += self.chunks.iter().map(content).sum::<u64>();
        digests
    }

    /// Leaves out what is known and moves the rest together, by the engine's rule. The blocks that come of it.
    fn place(
        &mut self,
        digests: &[Option<Digest>],
        known: &mut HashSet<(Digest, u32)>,
        size: u32,
    ) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let mut filler = BlockFiller::new(size);
        let (mut begin, mut to, mut chunk) = (0, 0, 0);
        for &end in &self.ends {
            for ((_, place), digest) in self.chunks[chunk..end].iter().zip(&digests[chunk..end]) {
                let len = place.len() as u32;
                if digest.is_none_or(|digest| !known.insert((digest, len))) {
                    continue;
                }
                if filler.put(len).closed.is_some() {
                    blocks.push(begin..to);
                    begin = to;
                }
                self.bytes.copy_within(place.clone(), to);
                to += place.len();
            }
            chunk = end;
            if filler.end_of_planned().is_some() {
                blocks.push(begin..to);
                begin = to;
            }
        }
        blocks.push(begin..to);
        blocks.retain(|block| !block.is_empty());
        blocks
    }
}

/// As the engine's workers do it.
fn identity(chunk: &Chunk, bytes: &[u8]) -> Option<Digest> {
    if chunk.kind() == ChunkKind::Hole {
        std::hint::black_box(digest::zeros(u64::from(chunk.len()), chunk.offset()));
        return None;
    }
    match bytes {
        [] => None,
        bytes if chunk.is_whole() => Some(Digest::of(bytes)),
        bytes => {
            std::hint::black_box(digest::part(bytes, chunk.offset()));
            Some(dedup::key_of(bytes))
        }
    }
}

fn compress(bytes: &[u8], blocks: &[Range<usize>], codec: Codec, pool: &ThreadPool, work: &mut Work) -> Result<()> {
    let (service_ns, stored) = (AtomicU64::new(0), AtomicU64::new(0));
    let next = AtomicUsize::new(0);
    let results = pool.broadcast(|_| -> Result<()> {
        let mut encoder = Encoder::new(codec).doing("make an encoder")?;
        let mut out = Vec::new();
        while let Some(block) = blocks.get(next.fetch_add(1, Relaxed)) {
            let raw = &bytes[block.clone()];
            out.resize(out.len().max(raw.len()), 0);
            let begun_ns = now_ns();
            let payload = match encoder.encode(raw, &mut out[..raw.len()]).doing("compress")? {
                Encoded::Stored => raw,
                Encoded::Compressed { len, .. } => &out[..len],
            };
            std::hint::black_box(digest_of(&[], payload));
            service_ns.fetch_add(now_ns() - begun_ns, Relaxed);
            stored.fetch_add(payload.len() as u64, Relaxed);
        }
        Ok(())
    });
    results.into_iter().collect::<Result<()>>()?;
    work.service_ns += service_ns.into_inner();
    work.stored_bytes += stored.into_inner();
    work.blocks += blocks.len() as u64;
    Ok(())
}

/// Processor time of this thread, ns: whatever else runs on the machine does not count.
fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
