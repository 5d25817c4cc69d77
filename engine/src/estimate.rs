//! What packing would come to, from a sample, before anybody waits for it.
//!
//! In: a walked tree, settings. Out: [`Estimate`]s of size and time with their intervals. Blocks of the plan are drawn
//! at random, one from each of as many equal stretches as the sample has blocks; they are read, hashed and compressed as a packing
//! run would, on as many threads, and kept nowhere. What is drawn does not depend on the clock, but how much is: the sample
//! ends when its time is up.
//!
//! Equal files elsewhere in the tree are looked for by size, head and tail of the files in the sample; equal pieces are not, so with
//! [`Dedup::Chunk`](crate::pack::Dedup::Chunk) the size is one that packing does not exceed. The time is that of a tree that lies in
//! memory: what must come from a disk first comes no faster than that.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use carrack_backends::path::PathId;
use rustix::fs::{Mode, OFlags};

use crate::codec::{Codec, CodecError, Encoded, Encoder, FilterChoice};
use crate::dictionaries::{self, Dictionaries, Dictionary};
use crate::digest::Digest;
use crate::entry::{Entries, Kind};
use crate::plan::{Chunk, Plan, Random, draw};

/// What an entry takes in the index and in the directory of its block, bytes: what is left of an archive of `corpus/source` besides
/// its blocks, an entry.
const ENTRY_BYTES: f64 = 80.0;
/// A frame's header and its row in the table of blocks, bytes.
const FRAME_BYTES: f64 = 200.0;
/// A dictionary takes one part in so many of its length: 0.33 to 0.35 of it with sources, up to 0.55 with machine code.
const DICTIONARY_RATIO: usize = 3;
/// Bytes at either end of a file that tell it from others of its size.
const END: usize = 4096;
/// So many files of one size are compared at most.
const TWINS_MAX: usize = 8;
/// How often the sample is drawn anew from itself for an interval.
const RESAMPLES: usize = 1000;
/// So many blocks are looked at however long it takes: fewer say nothing about how much they differ.
const BLOCKS_LEAST: usize = 2;

/// A value, and between which two it lies in 95 of 100 samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The most likely value.
    pub value: f64,
    /// Not less than this.
    pub low: f64,
    /// Not more than this.
    pub high: f64,
}

/// What packing would come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Bytes of the archive.
    pub archive_bytes: Interval,
    /// Wall time, seconds, of a tree that lies in memory.
    pub seconds: Interval,
    /// Share of the content that lies elsewhere in the tree already, as whole files.
    pub duplicates: f64,
    /// Bytes of content in the sample.
    pub sample_bytes: u64,
    /// Blocks in the sample.
    pub sample_blocks: usize,
    /// Blocks of the whole.
    pub blocks: usize,
}

/// With what to pack, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How blocks are compressed.
    pub codec: Codec,
    /// How they are filtered before that.
    pub filter: FilterChoice,
    /// The longest dictionary that blocks of one kind may share, bytes.
    pub dictionary: Option<u32>,
    /// Whether equal files are stored once.
    pub dedup: bool,
    /// Threads that hash and compress, at least 1.
    pub threads: usize,
    /// Bytes of content to look at, at most: but never fewer than some blocks.
    pub sample: u64,
    /// How long to look.
    pub time: Duration,
}

/// One block of the sample.
#[derive(Clone, Copy, Debug, Default)]
struct Drawn {
    raw: f64,
    /// Bytes as stored, without what is stored elsewhere already.
    stored: f64,
    duplicate: f64,
    /// Thread time, seconds, without what compressing duplicates took.
    seconds: f64,
}

/// Estimates what packing `entries` by `plan` would come to. `walked` is how long the walk took.
///
/// # Errors
/// [`CodecError`] for a level that there is not, or no memory.
pub fn estimate(entries: &Entries, plan: &Plan, settings: &Settings, walked: Duration) -> Result<Estimate, CodecError> {
    let order = draw(plan.blocks(), blocks_wanted(plan, settings.sample));
    let twins = if settings.dedup { Twins::of(entries, plan, &order) } else { Twins::default() };
    let begun = Instant::now();
    let dictionaries = dictionaries(entries, plan, settings)?;
    let before = walked + begun.elapsed();
    let drawn = measure(entries, plan, settings, dictionaries.as_ref(), &order, &twins)?;
    let sum = |of: fn(&Drawn) -> f64| drawn.iter().map(of).sum::<f64>();
    let raw = sum(|block| block.raw).max(1.0);
    let data = plan.data_bytes() as f64;
    let kept: usize = dictionaries
        .iter()
        .flat_map(Dictionaries::all)
        .map(|dictionary| dictionary.bytes().len() / DICTIONARY_RATIO)
        .sum();
    let fixed = entries.len() as f64 * ENTRY_BYTES + plan.blocks() as f64 * FRAME_BYTES + kept as f64;
    let is_all = drawn.len() == plan.blocks();
    let spread = |of: fn(&Drawn) -> f64, scale: f64, fixed: f64| {
        let value = sum(of) / raw * data * scale + fixed;
        if is_all {
            return Interval { value, low: value, high: value };
        }
        let (low, high) = resampled(&drawn, of);
        Interval { value, low: low * data * scale + fixed, high: high * data * scale + fixed }
    };
    Ok(Estimate {
        archive_bytes: spread(|block| block.stored, 1.0, fixed),
        seconds: spread(|block| block.seconds, 1.0 / settings.threads.max(1) as f64, before.as_secs_f64()),
        duplicates: sum(|block| block.duplicate) / raw,
        sample_bytes: raw as u64,
        sample_blocks: drawn.len(),
        blocks: plan.blocks(),
    })
}

fn blocks_wanted(plan: &Plan, sample: u64) -> usize {
    let mean = (plan.data_bytes() / plan.blocks().max(1) as u64).max(1);
    usize::try_from(sample / mean).unwrap_or(usize::MAX).max(4 * BLOCKS_LEAST).min(plan.blocks())
}

/// What blocks of one kind have in common, as a packing run would find out.
fn dictionaries(entries: &Entries, plan: &Plan, settings: &Settings) -> Result<Option<Dictionaries>, CodecError> {
    let &Settings { codec, filter, dictionary: Some(len), threads, .. } = settings else { return Ok(None) };
    let settings = dictionaries::Settings { codec, filter, len, threads };
    Dictionaries::train(entries, plan, Dictionaries::kinds(entries), &settings, &|_, _| {}, &|| false).map(Some)
}

/// Reads, hashes and compresses blocks on all threads until all are done or the time is up.
fn measure(
    entries: &Entries,
    plan: &Plan,
    settings: &Settings,
    dictionaries: Option<&Dictionaries>,
    order: &[usize],
    twins: &Twins,
) -> Result<Vec<Drawn>, CodecError> {
    let until = Instant::now() + settings.time;
    let next = AtomicUsize::new(0);
    let drawn = Mutex::new(Vec::new());
    let work = || -> Result<(), CodecError> {
        let mut encoder = Encoder::with_filter(settings.codec, settings.filter)?;
        let mut raw = vec![0; plan.block_size() as usize];
        let mut out = vec![0; plan.block_size() as usize];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let is_late = at >= BLOCKS_LEAST && Instant::now() >= until;
            let Some(&block) = order.get(at).filter(|_| !is_late) else { return Ok(()) };
            let chunks = &plan.chunks()[plan.block(block)];
            let dictionary = dictionaries.and_then(|dictionaries| dictionaries.of_chunks(chunks));
            let mut encode =
                |raw: &[u8], out: &mut [u8]| encoder.encode_with(dictionary.map(Dictionary::encoder), raw, out);
            let found = one(entries, chunks, &mut encode, (&mut raw, &mut out), twins)?;
            drawn.lock().unwrap_or_else(PoisonError::into_inner).push(found);
        }
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..settings.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let joined =
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.fold(mine, Result::and)
    })?;
    Ok(drawn.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Compresses a block into room for it.
type Encode<'a> = dyn FnMut(&[u8], &mut [u8]) -> Result<Encoded, CodecError> + 'a;

/// What a block comes to. A file that cannot be read has no bytes here.
fn one(
    entries: &Entries,
    chunks: &[Chunk],
    encode: &mut Encode<'_>,
    (raw, out): (&mut [u8], &mut [u8]),
    twins: &Twins,
) -> Result<Drawn, CodecError> {
    let (mut len, mut duplicate) = (0, 0.0);
    let begun = Instant::now();
    let mut comparing = Duration::ZERO;
    let mut open: Option<(u32, File)> = None;
    for chunk in chunks.iter().filter(|chunk| chunk.data_len() > 0) {
        if open.as_ref().is_none_or(|(row, _)| *row != chunk.row()) {
            open = open_row(entries, chunk.row()).ok().map(|file| (chunk.row(), file));
        }
        let Some((_, file)) = &open else { continue };
        let bytes = &mut raw[len..len + chunk.data_len() as usize];
        if file.read_exact_at(bytes, chunk.offset()).is_err() {
            continue;
        }
        let _ = std::hint::black_box(Digest::of(bytes));
        let compared = Instant::now();
        if chunk.is_whole() && twins.has(entries, chunk.row(), bytes) {
            duplicate += bytes.len() as f64;
        }
        comparing += compared.elapsed();
        len += chunk.data_len() as usize;
    }
    let read = begun.elapsed().saturating_sub(comparing);
    let begun = Instant::now();
    let stored = match encode(&raw[..len], &mut out[..len])? {
        Encoded::Stored => len,
        Encoded::Compressed { len, .. } => len,
    };
    let new = if len == 0 { 1.0 } else { 1.0 - duplicate / len as f64 };
    Ok(Drawn {
        raw: len as f64,
        stored: stored as f64 * new,
        duplicate,
        seconds: read.as_secs_f64() + begun.elapsed().as_secs_f64() * new,
    })
}

fn open_row(entries: &Entries, row: u32) -> io::Result<File> {
    let (folder, path) = entries.paths.source(PathId(row));
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::openat(folder, path, flags, Mode::empty())?))
}

/// Files before those of the sample that have their sizes: rows by size, bytes.
#[derive(Debug, Default)]
struct Twins(HashMap<u64, Vec<u32>>);

impl Twins {
    fn of(entries: &Entries, plan: &Plan, blocks: &[usize]) -> Self {
        let chunks = blocks.iter().flat_map(|&block| &plan.chunks()[plan.block(block)]);
        let whole = chunks.filter(|chunk| chunk.is_whole());
        let mut twins: HashMap<u64, Vec<u32>> = whole.map(|chunk| (entries.size(chunk.row()), Vec::new())).collect();
        for row in (0..entries.len() as u32).filter(|&row| entries.kinds[row as usize] == Kind::File) {
            if let Some(rows) = twins.get_mut(&entries.size(row))
                && rows.len() < TWINS_MAX
            {
                rows.push(row);
            }
        }
        Self(twins)
    }

    /// Whether an earlier file has these bytes, as far as its two ends tell.
    fn has(&self, entries: &Entries, row: u32, bytes: &[u8]) -> bool {
        let rows = self.0.get(&(bytes.len() as u64)).map_or(&[][..], |rows| &rows[..]);
        let end = bytes.len().min(END);
        rows.iter().take_while(|&&twin| twin < row).any(|&twin| {
            let mut ends = [0; 2 * END];
            let (head, tail) = ends[..2 * end].split_at_mut(end);
            let read = open_row(entries, twin).and_then(|file| {
                file.read_exact_at(head, 0)?;
                file.read_exact_at(tail, (bytes.len() - end) as u64)
            });
            read.is_ok() && *head == bytes[..end] && *tail == bytes[bytes.len() - end..]
        })
    }
}

/// Between which two values the ratio of `of` to raw bytes lies in 95 of 100 samples drawn from this one.
fn resampled(drawn: &[Drawn], of: fn(&Drawn) -> f64) -> (f64, f64) {
    let mut random = Random(1);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let again = (0..drawn.len()).map(|_| &drawn[random.below(drawn.len())]);
            let (top, bottom) = again.fold((0.0, 0.0), |(top, bottom), block| (top + of(block), bottom + block.raw));
            top / f64::max(bottom, 1.0)
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    (ratios[RESAMPLES / 40], ratios[RESAMPLES - 1 - RESAMPLES / 40])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_are_alike_leave_no_doubt_and_others_do() {
        let block = |stored| Drawn { raw: 100.0, stored, ..Drawn::default() };
        assert_eq!(resampled(&[block(50.0); 9], |block| block.stored), (0.5, 0.5));
        let mixed: Vec<Drawn> = (0..10).map(|n| block(f64::from(n) * 10.0)).collect();
        let (low, high) = resampled(&mixed, |block| block.stored);
        assert!(low > 0.2 && low < 0.40 && high > 0.50 && high < 0.7, "{low} {high}");
    }
}
