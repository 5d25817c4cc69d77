//! The grid that is searched. What flows in: which knobs may be turned, and facts about the machine. What flows out:
//! candidates, each with its settings. What this module does not know: what any of them is worth.

use std::num::{NonZeroU32, NonZeroUsize};

use carrack_backends::read::DIRECT_THRESHOLD;
use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_engine::budget::{SLOT_SIZE_DEFAULT, slots_default};
use carrack_engine::codec::Codec;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_measure::tune::grid::{DEFAULT, Grid};
use serde::Serialize;

use super::args::{Knob, Operation};
use super::settings::{Settings, io_name};
use crate::args::IoName;

/// More memory than this is never tried for all slots together, bytes: the search is for what suits a machine that does
/// other things too.
const SLOTS_BYTES_MAX: u64 = 256 << 20;

/// Nor more than this part of the machine's memory.
const SLOTS_OF_MEMORY: u64 = 8;

/// What a run has when no flag is given.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) threads: usize,
    pub(crate) slots: u32,
    /// Bytes.
    pub(crate) slot_size: u32,
    pub(crate) readers: usize,
    pub(crate) depth: u32,
    /// Why the kernel refuses io_uring, if it does.
    pub(crate) no_uring: Option<String>,
}

impl Defaults {
    /// Looks around.
    pub(crate) fn of_this_machine() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // A slot holds whole blocks: what is smaller than one would be tried several times over.
        let slot_size = Codec::default().block_size_default().max(SLOT_SIZE_DEFAULT as u32);
        let read = ReadOptions::default();
        let uring = open_backend(&ReadOptions { choice: IoChoice::Uring, ..read.clone() });
        Self {
            threads,
            slots: slots_default(threads, slot_size as usize),
            slot_size,
            readers: read.threads,
            depth: read.depth,
            no_uring: uring.err().map(|error| error.to_string()),
        }
    }

    /// What `--io auto` comes to.
    fn io(&self) -> IoName {
        if self.no_uring.is_none() { IoName::Uring } else { IoName::Pool }
    }
}

/// A way to read, with the number of its own.
type Way = (IoName, Option<u32>);

/// Levels of every knob; the first of each is the default.
#[derive(Debug)]
struct Levels {
    ways: Vec<Way>,
    slots: Vec<u32>,
    slot_sizes: Vec<u32>,
    threads: Vec<usize>,
    direct: Vec<Option<u64>>,
}

/// All that is tried.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) grid: Grid,
    levels: Levels,
    only: Vec<Knob>,
    operation: Operation,
    defaults: Defaults,
}

impl Space {
    /// The grid of an operation; `only` restricts it unless it is empty. `memory` is the machine's, bytes, 0 for unknown.
    ///
    /// # Errors
    /// Of kind `Usage`, when nothing can be turned.
    pub(crate) fn new(operation: Operation, only: &[Knob], defaults: Defaults, memory: u64) -> Result<Self> {
        let mut only = only.to_vec();
        only.sort_unstable();
        only.dedup();
        let levels = Levels::new(operation, &only, &defaults);
        let most = if memory == 0 { SLOTS_BYTES_MAX } else { SLOTS_BYTES_MAX.min(memory / SLOTS_OF_MEMORY) };
        let counts = levels.counts();
        let grid = Grid::new(&counts, |point| levels.makes_sense(point, most));
        let space = Self { grid, levels, only, operation, defaults };
        if space.grid.is_empty() { Err(space.nothing()) } else { Ok(space) }
    }

    /// Why there is nothing to search.
    fn nothing(&self) -> Error {
        let refused = match &self.defaults.no_uring {
            Some(why) if self.only.contains(&Knob::Depth) => format!(": {why}"),
            _ => String::new(),
        };
        let message = match self.operation {
            Operation::Pack => format!("--only leaves nothing to search for pack{refused}"),
            Operation::Unpack => "--only leaves nothing to search for unpack, which has --threads alone".to_owned(),
        };
        Error::new(ErrorKind::Usage, message)
    }

    /// The settings of a candidate: nothing set for the default; for others every knob that may be turned, so that what
    /// was measured does not move when defaults do.
    pub(crate) fn settings(&self, candidate: usize) -> Settings {
        let mut settings = Settings::default();
        if candidate == DEFAULT {
            return settings;
        }
        let [way, slots, slot_size, threads, direct] = self.places(candidate);
        let turns = |knobs: &[Knob]| self.only.is_empty() || knobs.iter().any(|knob| self.only.contains(knob));
        if turns(&[Knob::Threads]) {
            settings.threads = NonZeroUsize::new(self.levels.threads[threads]);
        }
        if self.operation == Operation::Unpack {
            return settings;
        }
        if turns(&[Knob::Io, Knob::Readers, Knob::Depth]) {
            let (io, number) = self.levels.ways[way];
            settings.io = Some(io);
            match io {
                IoName::Pool => settings.readers = number.and_then(|n| NonZeroUsize::new(n as usize)),
                IoName::Uring => settings.depth = number.and_then(NonZeroU32::new),
                IoName::Auto | IoName::Pread | IoName::Mmap => {}
            }
        }
        if turns(&[Knob::Slots]) {
            settings.slots = NonZeroU32::new(self.levels.slots[slots]);
            settings.slot_size = NonZeroU32::new(self.levels.slot_sizes[slot_size]);
        }
        if turns(&[Knob::Direct]) {
            settings.direct = self.levels.direct[direct];
        }
        settings
    }

    /// The candidate with these settings, if it is in the grid.
    pub(crate) fn find(&self, settings: &Settings) -> Option<usize> {
        (0..self.grid.len()).find(|&candidate| self.settings(candidate) == *settings)
    }

    /// A candidate in numbers: what a run with its settings has.
    pub(crate) fn numbers(&self, candidate: usize) -> Numbers {
        let [way, slots, slot_size, threads, direct] = self.places(candidate);
        let threads = self.levels.threads[threads];
        if self.operation == Operation::Unpack {
            return Numbers { threads, ..Numbers::default() };
        }
        let (io, number) = self.levels.ways[way];
        Numbers {
            io: Some(io_name(io)),
            slots: Some(self.levels.slots[slots]),
            slot_size: Some(self.levels.slot_sizes[slot_size]),
            readers: number.filter(|_| io == IoName::Pool),
            depth: number.filter(|_| io == IoName::Uring),
            threads,
            direct: self.levels.direct[direct],
        }
    }

    fn places(&self, candidate: usize) -> [usize; 5] {
        let point = self.grid.point(candidate);
        std::array::from_fn(|knob| usize::from(point[knob]))
    }
}

/// Settings as numbers, for programs; none where a knob has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Numbers {
    io: Option<String>,
    slots: Option<u32>,
    slot_size: Option<u32>,
    readers: Option<u32>,
    depth: Option<u32>,
    threads: usize,
    direct: Option<u64>,
}

impl Levels {
    fn new(operation: Operation, only: &[Knob], defaults: &Defaults) -> Self {
        let pack = operation == Operation::Pack;
        let turns = |knob| only.is_empty() || only.contains(&knob);
        let threads = if turns(Knob::Threads) { threads(operation, defaults.threads) } else { vec![defaults.threads] };
        let slots = pack && turns(Knob::Slots);
        let n = defaults.slots;
        Self {
            ways: if pack { ways(&turns, defaults) } else { vec![(IoName::Auto, None)] },
            slots: if slots { distinct(&[n, n / 2, n.saturating_mul(2), n.saturating_mul(4)]) } else { vec![n] },
            slot_sizes: if slots {
                [1, 2, 4, 8].map(|times| times * defaults.slot_size).to_vec()
            } else {
                vec![defaults.slot_size]
            },
            threads,
            direct: if pack && turns(Knob::Direct) { vec![None, Some(DIRECT_THRESHOLD)] } else { vec![None] },
        }
    }

    fn counts(&self) -> [u8; 5] {
        let lens = [self.ways.len(), self.slots.len(), self.slot_sizes.len(), self.threads.len(), self.direct.len()];
        lens.map(|len| u8::try_from(len).unwrap_or(u8::MAX))
    }

    fn makes_sense(&self, point: &[u8], most: u64) -> bool {
        let at = |knob: usize| usize::from(point[knob]);
        let mapped_direct = self.ways[at(0)].0 == IoName::Mmap && self.direct[at(4)].is_some();
        let bytes = u64::from(self.slots[at(1)]) * u64::from(self.slot_sizes[at(2)]);
        let is_default = at(1) == 0 && at(2) == 0;
        !mapped_direct && (is_default || bytes <= most)
    }
}

fn ways(turns: &impl Fn(Knob) -> bool, defaults: &Defaults) -> Vec<Way> {
    let uring = |depth| (IoName::Uring, Some(depth));
    let pool = |readers: usize| (IoName::Pool, u32::try_from(readers).ok());
    let first = match defaults.io() {
        IoName::Uring => uring(defaults.depth),
        _ => pool(defaults.readers),
    };
    let mut ways = vec![first];
    if turns(Knob::Io) {
        ways.extend([pool(defaults.readers), (IoName::Pread, None), (IoName::Mmap, None)]);
    }
    if turns(Knob::Readers) {
        ways.extend([defaults.readers, defaults.readers / 2, defaults.readers * 2].map(pool));
    }
    if turns(Knob::Depth) && defaults.no_uring.is_none() {
        ways.extend([defaults.depth / 4, defaults.depth * 4].map(uring));
    }
    distinct(&ways)
}

fn threads(operation: Operation, cores: usize) -> Vec<usize> {
    let half = (cores / 2).max(1);
    match operation {
        Operation::Pack => distinct(&[cores, half, cores * 2]),
        // The only knob there is: looked at more closely, but with no more than are confirmed anyhow.
        Operation::Unpack => distinct(&[cores, half, cores + half, cores * 2]),
    }
}

/// Each value where it comes first.
fn distinct<T: PartialEq + Copy>(values: &[T]) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(values.len());
    for &value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        Defaults { threads: 4, slots: 12, slot_size: 1 << 20, readers: 16, depth: 128, no_uring: None }
    }

    fn space(operation: Operation, only: &[Knob]) -> Space {
        Space::new(operation, only, defaults(), 0).unwrap()
    }

    #[test]
    fn the_default_sets_nothing_and_all_others_differ() {
        for operation in [Operation::Pack, Operation::Unpack] {
            let space = space(operation, &[]);
            assert!(space.settings(DEFAULT).is_default());
            for candidate in 1..space.grid.len() {
                let settings = space.settings(candidate);
                assert!(!settings.is_default());
                assert_eq!(space.find(&settings), Some(candidate), "{settings}");
            }
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_not_tried() {
        let space = space(Operation::Pack, &[]);
        for settings in (1..space.grid.len()).map(|candidate| space.settings(candidate)) {
            let bytes = u64::from(settings.slots.unwrap().get()) * u64::from(settings.slot_size.unwrap().get());
            assert!(bytes <= SLOTS_BYTES_MAX, "{settings}");
            assert!(settings.direct.is_none() || settings.io != Some(IoName::Mmap), "{settings}");
            assert!(settings.readers.is_none() || settings.io == Some(IoName::Pool), "{settings}");
            assert!(settings.depth.is_none() || settings.io == Some(IoName::Uring), "{settings}");
        }
    }

    #[test]
    fn only_what_is_named_is_turned() {
        let slots = space(Operation::Pack, &[Knob::Slots]);
        // Of 4 × 4 the largest would take 384 MiB.
        assert_eq!(slots.grid.len(), 15);
        for settings in (1..15).map(|candidate| slots.settings(candidate)) {
            assert!(settings.slots.is_some() && settings.slot_size.is_some());
            assert_eq!((settings.io, settings.threads, settings.direct), (None, None, None));
        }
        let depths = space(Operation::Pack, &[Knob::Depth]);
        let all: Vec<_> = (0..depths.grid.len()).map(|at| depths.settings(at).depth.map(NonZeroU32::get)).collect();
        assert_eq!(all, [None, Some(32), Some(512)]);
        let readers = space(Operation::Pack, &[Knob::Readers]);
        assert_eq!(readers.grid.len(), 4);
    }

    #[test]
    fn without_io_uring_the_pool_is_the_default_and_depth_is_nothing_to_search() {
        let refused = || Defaults { no_uring: Some("the kernel says no".to_owned()), ..defaults() };
        let space = Space::new(Operation::Pack, &[Knob::Io], refused(), 0).unwrap();
        let ways: Vec<_> = (1..space.grid.len()).map(|at| space.settings(at).io).collect();
        assert_eq!(ways, [Some(IoName::Pread), Some(IoName::Mmap)]);
        assert_eq!(space.numbers(DEFAULT).io.as_deref(), Some("pool"));
        let error = Space::new(Operation::Pack, &[Knob::Depth], refused(), 0).unwrap_err();
        assert!(error.to_string().contains("the kernel says no"), "{error}");
        let error = Space::new(Operation::Unpack, &[Knob::Slots], defaults(), 0).unwrap_err();
        assert!(error.to_string().contains("--threads alone"), "{error}");
    }

    #[test]
    fn a_small_machine_gets_few_slots() {
        let small = Space::new(Operation::Pack, &[Knob::Slots], defaults(), 128 << 20).unwrap();
        assert!(small.grid.len() < 16);
        for settings in (1..small.grid.len()).map(|candidate| small.settings(candidate)) {
            assert!(settings.slots.unwrap().get() * settings.slot_size.unwrap().get() <= 16 << 20, "{settings}");
        }
    }
}
