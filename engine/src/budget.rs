//! The memory budget: how many slots, frames and threads fit under a limit, and what to say when they do not.
//!
//! In: what was asked for, what the tables of a walk and its plan take, a limit. Out: [`Settings`], or an error that
//! says what is needed and what to lower. It allocates nothing itself and knows no files; the archive's bytes depend on
//! none of what it decides.
//!
//! The peak of a run is estimated as `BASE + tables + slots × slot + frames × frame + threads × thread`. What each of
//! them stands for was measured (`docs/performance-scale.md`); `cli/tests/memory/` holds real processes to it.

mod restoring;

use std::fmt;

use crate::codec::{Codec, FilterChoice};
use crate::dedup::{self, PieceSizes};
use crate::dictionaries::{self, Dictionaries};
use crate::entry::Entries;
use crate::error::{Error, ErrorKind, Result};
use crate::pack::threads;
use crate::pipeline::{extents_most, frames_default, pending_bytes};
use crate::plan::{Order, Plan};
use crate::scan;

pub(crate) use restoring::Restoring;

/// The limit where none is given, bytes: so much for each core that the process may use …
pub const LIMIT_A_CORE: u64 = 64_000_000;
/// … and at least this. It trims slots and frames, but never a thread and nothing that was asked for by name.
pub const LIMIT_LEAST: u64 = 256_000_000;

/// Least memory that all slots together get by default, bytes: enough for reads to run ahead of compression. More only
/// costs: each page must be zeroed by the kernel once, and falls out of the cache until its turn comes again.
const SLOTS_BYTES_DEFAULT: usize = 8 << 20;
/// Least size of a slot by default, bytes: hand-overs between threads cost microseconds, so they should be rare.
pub const SLOT_SIZE_DEFAULT: usize = 1 << 20;

/// The program, its libraries, stacks and rings; the batch of rows being filled and those that wait, bytes.
const BASE: u64 = 24 << 20;
/// What a worker takes besides its compressors: its stack, and a batch of rows while it is encoded, bytes.
const WORKER: u64 = 5 << 20;
/// Directories are compressed at this level (`pipeline/tasks.rs`), and are about this long at most, bytes.
const DIRECTORY: (Codec, usize) = (Codec::Zstd { level: 3 }, 1 << 20);
/// Bytes of a frame's directory, uncompressed, that a file takes, and of each of the two buffers for it.
const DIRECTORY_ENTRY: u64 = 48;
/// Bytes that a chunk takes in a load: its identity, its buffer, how much was read.
const LOAD_CHUNK: u64 = 72;
/// Bytes that a request takes in the reader's queue.
const REQUEST: u64 = 128;
/// Bytes of a row in an encoded batch of the index: its digest, and what is left of all the rest.
const INDEX_ROW: u64 = 46;
/// Bytes of an extent in an encoded batch.
const INDEX_EXTENT: u64 = 8;
/// What the tables of an entry take at least, bytes: a walk that finds more entries than fit by this is given up.
const ENTRY_LEAST: u64 = 64;

/// NUM_SLOTS by default, for slots of so many bytes (more than 0) and so many threads that hash and compress.
#[must_use]
pub fn slots_default(threads: usize, slot_size: usize) -> u32 {
    // A few for reading, one a worker under compression, one a worker in between; of long ones fewer, as each holds enough to do
    // for a while, and what is read falls out of the cache before its turn comes.
    let by_threads = if slot_size > SLOT_SIZE_DEFAULT {
        threads.saturating_add(threads / 2).saturating_add(3)
    } else {
        threads.saturating_mul(2).saturating_add(4)
    };
    u32::try_from(by_threads.max(SLOTS_BYTES_DEFAULT / slot_size)).unwrap_or(u32::MAX)
}

/// What a run was asked to take. What is `None` is chosen here.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Bytes that the process may take at its peak; `None` stands for the default, which nothing fails for.
    pub limit: Option<u64>,
    /// How blocks are compressed.
    pub codec: Codec,
    /// Whether blocks are filtered.
    pub filter: FilterChoice,
    /// Bytes in a block at most.
    pub block_size: u32,
    /// Whether equal chunks are stored once.
    pub dedup: bool,
    /// The order in which contents are stored.
    pub order: Order,
    /// The longest dictionary that blocks of one kind may share, bytes.
    pub dictionary: Option<u32>,
    /// NUM_SLOTS.
    pub slots: Option<u32>,
    /// Bytes in a slot, before it is rounded up to whole blocks.
    pub slot_size: Option<u32>,
    /// Threads that hash and compress.
    pub threads: Option<usize>,
    /// Cores that the process may use.
    pub cores: usize,
}

/// What a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// NUM_SLOTS.
    pub slots: u32,
    /// Bytes in a slot.
    pub slot_size: usize,
    /// Blocks under compression or waiting to be written.
    pub frames: usize,
    /// Threads that hash and compress.
    pub threads: usize,
    /// Bytes that the process is expected to take at its peak.
    pub bytes: u64,
}

/// What must be held for each entry, chunk and block, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Rows.
    pub entries: u64,
    /// All tables together, bytes.
    pub bytes: u64,
    /// Most chunks in one planned block.
    pub most_chunks: u64,
    /// Planned blocks.
    pub blocks: u64,
    /// Groups of files whose blocks may share a dictionary.
    pub groups: usize,
}

impl Tables {
    /// Of a walk alone, and of what it takes to put its files into the order that is wanted.
    #[must_use]
    pub fn of_order(entries: &Entries, wish: &Wish) -> Self {
        Self {
            entries: entries.len() as u64,
            bytes: entries.memory_bytes() + wish.ordering_bytes(entries),
            ..Self::default()
        }
    }

    /// Of a walk and its plan, with what deduplication, files that come before their rows and the index will add, or with
    /// what their order took if that was more.
    #[must_use]
    pub fn of(entries: &Entries, plan: &Plan, wish: &Wish, pieces: Option<PieceSizes>, groups: usize) -> Self {
        let (rows, extents) = (entries.len() as u64, extents_most(plan, pieces));
        let known = if wish.dedup { Self::known_bytes(plan, pieces) } else { 0 };
        let pending = if plan.is_by_row() { 0 } else { pending_bytes(plan.files().into(), extents) };
        let index = rows * INDEX_ROW + entries.path_bytes() / 4 + extents * INDEX_EXTENT;
        let running = plan.memory_bytes() + known + pending + index;
        Self {
            entries: rows,
            bytes: entries.memory_bytes() + running.max(wish.ordering_bytes(entries)),
            most_chunks: plan.most_chunks() as u64,
            blocks: plan.blocks() as u64,
            groups,
        }
    }

    /// What deduplication will take for the chunks of a plan, or for the pieces they are cut into.
    pub(crate) fn known_bytes(plan: &Plan, pieces: Option<PieceSizes>) -> u64 {
        dedup::bytes_for(extents_most(plan, pieces))
    }
}

/// What each part of a run takes, bytes.
struct Parts {
    tables: u64,
    /// Before the pipeline begins, besides the tables.
    before: u64,
    slot: u64,
    frame: u64,
    thread: u64,
}

impl Parts {
    fn new(wish: &Wish, tables: &Tables, slot_size: usize) -> Self {
        let block = u64::from(wish.block_size);
        let per_slot = (slot_size as u64 / block).min(tables.blocks.max(1));
        let directory = (tables.most_chunks * DIRECTORY_ENTRY).min(DIRECTORY.1 as u64);
        let (codec, len) = DIRECTORY;
        // With a dictionary, tables as for a block that follows it in one.
        let longest = wish.block_size as usize + wish.dictionary.unwrap_or_default() as usize;
        let blocks = wish.codec.encoder_len(wish.filter, wish.block_size as usize);
        let blocks = blocks.max(wish.codec.encoder_len(wish.filter, longest));
        let contexts = blocks + codec.encoder_len(FilterChoice::Off, len);
        let (kept, making) = wish.dictionaries().map_or((0, 0), |settings| {
            let kept = Dictionaries::bytes_for(&settings, tables.groups, tables.entries);
            (kept, Dictionaries::bytes_to_make(&settings, tables.groups, wish.block_size))
        });
        Self {
            tables: tables.bytes + 2 * tables.most_chunks * REQUEST + kept,
            before: making,
            slot: slot_size as u64 + per_slot * tables.most_chunks * LOAD_CHUNK,
            frame: block + 2 * directory,
            thread: contexts as u64 + WORKER,
        }
    }

    fn total(&self, slots: u32, frames: usize, threads: usize) -> u64 {
        self.run(slots, frames, threads).max(self.before).saturating_add(BASE + self.tables)
    }

    /// What the pipeline takes.
    fn run(&self, slots: u32, frames: usize, threads: usize) -> u64 {
        let sum = [
            u64::from(slots).saturating_mul(self.slot),
            (frames as u64).saturating_mul(self.frame),
            (threads as u64).saturating_mul(self.thread),
        ];
        sum.into_iter().fold(0, u64::saturating_add)
    }
}

impl Wish {
    /// Whether the run could fit under the limit if there was nothing to pack: checked before a long walk.
    ///
    /// # Errors
    /// As [`settings`](Self::settings), and for 0 threads.
    pub fn check(&self) -> Result<()> {
        threads(self.threads)?;
        self.settings(&Tables { blocks: u64::from(u32::MAX), ..Tables::default() }).map(drop)
    }

    /// How dictionaries are made, if they are.
    fn dictionaries(&self) -> Option<dictionaries::Settings> {
        let threads = self.threads.unwrap_or(self.cores).max(1);
        self.dictionary.map(|len| dictionaries::Settings { codec: self.codec, filter: self.filter, len, threads })
    }

    /// Bytes that it takes for a while to put all files into their order, a scan of them included.
    fn ordering_bytes(&self, entries: &Entries) -> u64 {
        let scan = if self.order == Order::Similar { scan::bytes_for(self.cores) } else { 0 };
        self.order.bytes_for(entries.len() as u64) + scan
    }

    /// How many entries may be walked before it is certain that they do not fit.
    #[must_use]
    pub fn entries_max(&self) -> Option<u64> {
        self.limit.map(|limit| limit / ENTRY_LEAST)
    }

    /// The error for more entries than [`entries_max`](Self::entries_max).
    #[cold]
    pub(crate) fn too_many_entries(&self) -> Error {
        let text = format!(
            "a memory limit of {}: there are more than {} entries, whose tables alone take more; raise the limit, or pack \
             fewer entries at once",
            Mib(self.limit.unwrap_or_default()),
            self.entries_max().unwrap_or_default(),
        );
        Error::new(ErrorKind::Usage, text)
    }

    /// Slots, frames and threads that fit under the limit: as many as by default if they do, else fewer slots and
    /// frames, then fewer threads. What was asked for by name stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when a limit was given and even the least does not fit under it.
    pub fn settings(&self, tables: &Tables) -> Result<Settings> {
        let block_size = self.block_size.max(1) as usize;
        let slot_size = self.slot_size.map_or(SLOT_SIZE_DEFAULT, |bytes| bytes as usize);
        let slot_size = slot_size.max(1).checked_next_multiple_of(block_size).unwrap_or(usize::MAX);
        let parts = Parts::new(self, tables, slot_size);
        let most = self.threads.unwrap_or(self.cores).max(1);
        let limit = self.limit.unwrap_or_else(|| limit_default(self.cores));
        let least = if self.threads.is_some() || self.limit.is_none() { most } else { 1 };
        let mut settings = self.fit(&parts, tables, slot_size, most, limit);
        for threads in (least..most).rev() {
            if settings.bytes <= limit {
                break;
            }
            settings = self.fit(&parts, tables, slot_size, threads, limit);
        }
        if self.limit.is_some() && settings.bytes > limit {
            return Err(self.too_little(limit, &settings, &parts, tables));
        }
        Ok(settings)
    }

    /// As many slots and frames as fit with so many threads, or the fewest.
    fn fit(&self, parts: &Parts, tables: &Tables, slot_size: usize, threads: usize, limit: u64) -> Settings {
        // No more than there is to read: a backend that registers the arena makes all of it resident.
        let loads = tables.blocks.div_ceil((slot_size / self.block_size.max(1) as usize).max(1) as u64);
        let loads = u32::try_from(loads).unwrap_or(u32::MAX).max(2);
        let mut slots = self.slots.unwrap_or_else(|| slots_default(threads, slot_size)).min(loads);
        let mut frames = frames_default(threads, self.block_size);
        // One being read and one a worker; alone, a worker must do with one of each.
        let alone = threads == 1;
        let fewest_slots = if alone { 2 } else { u32::try_from(threads.saturating_add(2)).unwrap_or(u32::MAX) };
        let fewest_slots = if self.slots.is_some() { slots } else { fewest_slots.min(slots) };
        let fewest_frames = if alone { 1 } else { threads.saturating_add(1) }.min(frames);
        while parts.total(slots, frames, threads) > limit {
            let (spare_slots, spare_frames) = ((slots - fewest_slots) as usize, frames - fewest_frames);
            if spare_slots + spare_frames == 0 {
                break;
            } else if spare_frames >= spare_slots {
                frames -= (spare_frames / 16).max(1);
            } else {
                slots -= (spare_slots as u32 / 16).max(1);
            }
        }
        Settings { slots, slot_size, frames, threads, bytes: parts.total(slots, frames, threads) }
    }

    /// Why a limit cannot be kept: what is needed for what, and which setting would help most.
    #[cold]
    fn too_little(&self, limit: u64, least: &Settings, parts: &Parts, tables: &Tables) -> Error {
        let Settings { slots, slot_size, frames, threads, bytes } = *least;
        let level = self.codec.level().map_or(String::new(), |level| format!(" at level {level}"));
        let shares = [
            (parts.tables, "pack fewer entries at once".to_owned()),
            (u64::from(slots).saturating_mul(parts.slot), self.about_slots(slot_size)),
            ((frames as u64).saturating_mul(parts.frame), "use a smaller block size".to_owned()),
            ((threads as u64).saturating_mul(parts.thread), self.about_threads(threads)),
        ];
        let help = if parts.before > parts.run(slots, frames, threads) {
            "do without dictionaries"
        } else {
            shares.iter().max_by_key(|share| share.0).map_or("", |share| &share.1)
        };
        let text = format!(
            "a memory limit of {}: at least {} are needed: {} for the program, {} for the tables of {} entries, {} \
             for {slots} slots of {}, {} for {frames} blocks of {} under way, {} for {threads} thread(s){level}; raise \
             the limit, or {help}",
            Mib(limit),
            Mib(bytes),
            Mib(BASE),
            Mib(shares[0].0),
            tables.entries,
            Mib(shares[1].0),
            Mib(slot_size as u64),
            Mib(shares[2].0),
            Mib(self.block_size.into()),
            Mib(shares[3].0),
        );
        Error::new(ErrorKind::Usage, text)
    }

    fn about_slots(&self, slot_size: usize) -> String {
        match (self.slots, self.slot_size) {
            (Some(_), _) => "ask for fewer slots".to_owned(),
            (None, Some(_)) if slot_size > self.block_size as usize => "ask for smaller slots".to_owned(),
            _ => "use a smaller block size".to_owned(),
        }
    }

    fn about_threads(&self, threads: usize) -> String {
        if self.threads.is_some() && threads > 1 {
            "ask for fewer threads".to_owned()
        } else {
            "use a lower level or a smaller block size".to_owned()
        }
    }

    /// Says what a limit that was given costs, if it does.
    #[must_use]
    pub fn note(&self, tables: &Tables, settings: &Settings) -> Option<String> {
        let limit = self.limit?;
        let free = Wish { limit: Some(u64::MAX), ..*self }.settings(tables).ok()?;
        let Settings { slots, frames, threads, .. } = *settings;
        ((slots, frames, threads) != (free.slots, free.frames, free.threads)).then(|| {
            format!(
                "a memory limit of {}: {slots} slots, not {}; {frames} blocks under way, not {}; {threads} of {} \
                 thread(s)",
                Mib(limit),
                free.slots,
                free.frames,
                free.threads,
            )
        })
    }
}

/// The limit where none is given, bytes, for a process that may use so many cores.
#[must_use]
pub fn limit_default(cores: usize) -> u64 {
    (cores as u64).saturating_mul(LIMIT_A_CORE).max(LIMIT_LEAST)
}

/// Bytes as MiB, rounded up where they are needed and as exact as they were given.
pub(crate) struct Mib(pub u64);

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1 << 20;
        if self.0 < MIB {
            write!(f, "{} KiB", self.0.div_ceil(1 << 10))
        } else {
            write!(f, "{} MiB", self.0.div_ceil(MIB))
        }
    }
}

#[cfg(test)]
mod tests;
