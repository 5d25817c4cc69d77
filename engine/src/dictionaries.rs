//! Dictionaries for the blocks of a tree: which blocks share one, and what stands in it.
//!
//! In: the entries of a walk, their plan, a codec. Out: [`Dictionaries`], one for each group of files ([`Kinds`]) that gains
//! more by it than it takes. Blocks of the plan are drawn from the whole tree, one group after the other; most of them
//! train the dictionary, the others show what it brings. Nothing here depends on threads or the clock.
//!
//! A file that cannot be read is left out of the sample without a word: reading its contents will tell. What changes between the
//! sample and that makes a dictionary fit a little worse, nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use carrack_backends::path::PathId;
use carrack_backends::read::head::read_stretch;

use crate::codec::dictionary::{EncoderDictionary, TRAINING_BYTES, train};
use crate::codec::{Codec, CodecError, Encoded, Encoder, FilterChoice};
use crate::entry::Entries;
use crate::plan::{Chunk, GROUPS_MAX, Kinds, Plan, draw};

/// Contents that a group has at least, bytes: what is less saves less than a dictionary takes.
const GROUP_LEAST: u64 = 1 << 20;
/// One byte of dictionary for so many of contents at most: it must save more than it takes.
const CONTENTS_A_BYTE: u64 = 32;
/// So many times its length are looked at for a dictionary …
const SAMPLE_TIMES: u64 = 32;
/// … and no more than this, bytes: four times as much gains 0.2% (`docs/performance-size.md`).
const SAMPLE_MAX: u64 = 8 << 20;
/// A sample is given to the training in pieces of at most so many bytes.
const PIECE: usize = 16 << 10;
/// One of so many drawn blocks shows what the dictionary brings instead of training it.
const TRIAL_OF: usize = 8;
/// But no more than so many.
const TRIALS_MAX: usize = 24;
/// What a frame and its row in the table of blocks take besides the payload, bytes.
const FRAME_BYTES: u64 = 200;

/// The longest block that dictionaries are for, bytes: in a longer one, what lies before serves better.
pub const BLOCK_MAX: u32 = 1 << 20;

/// How to make dictionaries.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How blocks are compressed.
    pub codec: Codec,
    /// How they are filtered before that.
    pub filter: FilterChoice,
    /// Longest dictionary, bytes.
    pub len: u32,
    /// Threads to work with, at least 1.
    pub threads: usize,
}

/// One dictionary.
#[derive(Debug)]
pub struct Dictionary {
    bytes: Vec<u8>,
    encoder: EncoderDictionary,
}

impl Dictionary {
    /// The dictionary itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What encoders need of it.
    #[must_use]
    pub fn encoder(&self) -> &EncoderDictionary {
        &self.encoder
    }
}

/// The dictionaries of a tree, numbered from 0.
#[derive(Debug)]
pub struct Dictionaries {
    kinds: Kinds,
    of_group: [Option<usize>; GROUPS_MAX],
    all: Vec<Dictionary>,
}

impl Dictionaries {
    /// The group of the file in this row.
    #[must_use]
    pub fn group(&self, row: u32) -> Option<usize> {
        self.kinds.group(row)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Dictionary] {
        &self.all
    }

    /// The number of the one for blocks of this group.
    #[must_use]
    pub fn of_group(&self, group: Option<usize>) -> Option<usize> {
        group.and_then(|group| self.of_group[group])
    }

    /// The one for a block of these chunks.
    #[must_use]
    pub fn of_chunks(&self, chunks: &[Chunk]) -> Option<&Dictionary> {
        self.of_group(self.kinds.most(chunks)).map(|number| &self.all[number])
    }

    /// The groups of a tree whose blocks may share a dictionary.
    #[must_use]
    pub fn kinds(entries: &Entries) -> Kinds {
        Kinds::of(entries, GROUP_LEAST)
    }

    /// Bytes that the dictionaries of so many groups take at most, in a tree with so many rows.
    #[must_use]
    pub fn bytes_for(settings: &Settings, groups: usize, rows: u64) -> u64 {
        let len = settings.len as usize;
        let each = len + EncoderDictionary::memory_for(len, settings.codec);
        if groups == 0 { 0 } else { rows + (groups * each) as u64 }
    }

    /// Bytes that making them takes at most, while it lasts.
    #[must_use]
    pub fn bytes_to_make(settings: &Settings, groups: usize, block_size: u32) -> u64 {
        let (len, block) = (settings.len as usize, block_size as usize);
        let encoder = settings.codec.encoder_len(settings.filter, block + len);
        let each = SAMPLE_MAX as usize + TRAINING_BYTES + encoder + 2 * block + len;
        (settings.threads.min(groups) * each) as u64
    }

    /// Makes the dictionaries of a tree with these groups. `progress` is told from any thread how many of how many groups are done. None at all soon
    /// after `stop` returned true.
    ///
    /// # Errors
    /// [`CodecError`] for a level that there is not, or no memory.
    pub fn train(
        entries: &Entries,
        plan: &Plan,
        kinds: Kinds,
        settings: &Settings,
        progress: &(dyn Fn(usize, usize) + Sync),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, CodecError> {
        let groups = kinds.len();
        let tree = Tree { entries, plan, settings, blocks: blocks_of(plan, &kinds), stop };
        let made: Vec<Mutex<Option<Dictionary>>> = (0..groups).map(|_| Mutex::new(None)).collect();
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || -> Result<(), CodecError> {
            let mut trainer = None;
            loop {
                let group = next.fetch_add(1, Ordering::Relaxed);
                if group >= groups || stop() {
                    return Ok(());
                }
                let trainer = match &mut trainer {
                    Some(trainer) => trainer,
                    none => none.insert(Trainer::new(&tree)?),
                };
                let dictionary = trainer.make(group, kinds.bytes(group))?;
                *made[group].lock().unwrap_or_else(PoisonError::into_inner) = dictionary;
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, groups);
            }
        };
        thread::scope(|scope| {
            let others = (1..settings.threads.min(groups)).map(|_| scope.spawn(work)).collect::<Vec<_>>();
            let mine = work();
            let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
            joined.fold(mine, Result::and)
        })?;
        let mut of_group = [None; GROUPS_MAX];
        let mut all = Vec::new();
        for (group, made) in made.into_iter().enumerate().filter(|_| !stop()) {
            if let Some(dictionary) = made.into_inner().unwrap_or_else(PoisonError::into_inner) {
                of_group[group] = Some(all.len());
                all.push(dictionary);
            }
        }
        Ok(Self { kinds, of_group, all })
    }
}

/// The planned blocks of each group.
fn blocks_of(plan: &Plan, kinds: &Kinds) -> Vec<Vec<u32>> {
    let mut blocks = vec![Vec::new(); kinds.len()];
    for block in 0..plan.blocks() {
        if let Some(group) = kinds.most(&plan.chunks()[plan.block(block)]) {
            blocks[group].push(block as u32);
        }
    }
    blocks
}

/// What there is to draw from.
struct Tree<'a> {
    entries: &'a Entries,
    plan: &'a Plan,
    settings: &'a Settings,
    blocks: Vec<Vec<u32>>,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl Tree<'_> {
    /// Appends what can be read of a planned block, and how long each piece of it is.
    fn read(&self, block: u32, bytes: &mut Vec<u8>, lens: &mut Vec<usize>) {
        let chunks = &self.plan.chunks()[self.plan.block(block as usize)];
        for chunk in chunks.iter().filter(|chunk| chunk.data_len() > 0) {
            let start = bytes.len();
            bytes.resize(start + chunk.data_len() as usize, 0);
            let read = read_stretch(&self.entries.paths, PathId(chunk.row()), chunk.offset(), &mut bytes[start..]);
            bytes.truncate(start + read.unwrap_or(0));
            lens.extend(bytes[start..].chunks(PIECE).map(<[u8]>::len));
        }
    }
}

/// What one thread needs.
struct Trainer<'a> {
    tree: &'a Tree<'a>,
    encoder: Encoder,
    bytes: Vec<u8>,
    lens: Vec<usize>,
    out: Vec<u8>,
}

impl<'a> Trainer<'a> {
    fn new(tree: &'a Tree<'a>) -> Result<Self, CodecError> {
        let Settings { codec, filter, len, .. } = *tree.settings;
        let out = vec![0; tree.plan.block_size().max(len) as usize];
        let encoder = Encoder::with_filter(codec, filter)?;
        Ok(Self { tree, encoder, bytes: Vec::new(), lens: Vec::new(), out })
    }

    /// The dictionary of a group that has so many bytes of contents, if it pays.
    fn make(&mut self, group: usize, contents: u64) -> Result<Option<Dictionary>, CodecError> {
        let Settings { codec, len, .. } = *self.tree.settings;
        let len = u64::from(len).min(1 << (contents / CONTENTS_A_BYTE).max(1).ilog2());
        let sample = (len * SAMPLE_TIMES).min(SAMPLE_MAX);
        let blocks = &self.tree.blocks[group];
        let drawn = usize::try_from(sample / u64::from(self.tree.plan.block_size())).unwrap_or(usize::MAX);
        let drawn = draw(blocks.len(), drawn.max(2 * TRIAL_OF).min(blocks.len()));
        let (trials, samples) = drawn.split_at(drawn.len().div_ceil(TRIAL_OF).min(TRIALS_MAX));

        self.bytes.clear();
        self.lens.clear();
        for &at in samples {
            if (self.tree.stop)() || self.bytes.len() as u64 >= SAMPLE_MAX {
                break;
            }
            self.tree.read(blocks[at], &mut self.bytes, &mut self.lens);
        }
        let Some(bytes) = train(&self.bytes, &self.lens, len as usize, codec)? else { return Ok(None) };
        let dictionary = Dictionary { encoder: EncoderDictionary::new(&bytes, codec)?, bytes };
        let saved = self.saved(&dictionary, blocks, trials)? * contents as f64;
        let takes = self.stored_len(None, &dictionary.bytes)? as u64 + FRAME_BYTES;
        Ok((saved > takes as f64).then_some(dictionary))
    }

    /// What part of their bytes blocks take less with a dictionary.
    fn saved(&mut self, dictionary: &Dictionary, blocks: &[u32], trials: &[usize]) -> Result<f64, CodecError> {
        let (mut raw, mut without, mut with) = (0, 0, 0);
        for &at in trials {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            self.tree.read(blocks[at], &mut bytes, &mut self.lens);
            raw += bytes.len();
            without += self.stored_len(None, &bytes)?;
            with += self.stored_len(Some(&dictionary.encoder), &bytes)?;
            self.bytes = bytes;
        }
        Ok((without as f64 - with as f64) / raw.max(1) as f64)
    }

    fn stored_len(&mut self, dictionary: Option<&EncoderDictionary>, raw: &[u8]) -> Result<usize, CodecError> {
        Ok(match self.encoder.encode_with(dictionary, raw, &mut self.out[..raw.len()])? {
            Encoded::Stored => raw.len(),
            Encoded::Compressed { len, .. } => len,
        })
    }
}
