//! The settings of a [`Packer`], one method each. What flows in: values as the caller gives them. What flows out: the
//! same, kept; they are checked against one another when packing begins.

use std::path::PathBuf;

use carrack_backends::read::choose::{IoChoice, ReadOptions};

use super::{Dedup, Packer};
use crate::codec::{Codec, FilterChoice};
use crate::control::Control;
use crate::entry::XattrChoice;
use crate::plan::Order;
use crate::profile::{Choice, DictionaryChoice, Profile};

impl Packer {
    /// Default settings: [`Profile::Balanced`], the best backend there is.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inputs: Vec::new(),
            base_dir: None,
            choice: Choice::default(),
            read: ReadOptions::default(),
            slots: None,
            slot_size: None,
            threads: None,
            memory_limit: None,
            exclude: Vec::new(),
            one_file_system: false,
            xattrs: XattrChoice::ALL,
            force: false,
            sync: true,
            verify: false,
            stats: true,
            control: Control::default(),
        }
    }

    /// Adds a file or folder.
    #[must_use]
    pub fn input(mut self, path: impl Into<PathBuf>) -> Self {
        self.inputs.push(path.into());
        self
    }

    /// Relative inputs start from here, not from the working folder.
    #[must_use]
    pub fn base_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.base_dir = Some(dir.into());
        self
    }

    /// What matters most. What is set by itself, before or after this, goes before it.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.choice.profile = profile;
        self
    }

    /// Profile and dials, in place of all that were set.
    #[must_use]
    pub fn choice(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// How blocks are compressed.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.choice.codec = Some(codec);
        self
    }

    /// Whether blocks are filtered before they are compressed.
    #[must_use]
    pub fn filter(mut self, filter: FilterChoice) -> Self {
        self.choice.filter = Some(filter);
        self
    }

    /// Uncompressed size of a block at most, bytes: a power of two. What reading one byte may cost. Without it as
    /// the profile says.
    #[must_use]
    pub fn block_size(mut self, bytes: u32) -> Self {
        self.choice.block_size = Some(bytes);
        self
    }

    /// How many bytes may have to be decoded for any one byte, at most: where the profile's blocks are larger, they become
    /// so large.
    #[must_use]
    pub fn max_block_decode(mut self, bytes: u64) -> Self {
        self.choice.max_block_decode = Some(bytes);
        self
    }

    /// What is stored only once. Without it as the profile says.
    #[must_use]
    pub fn dedup(mut self, dedup: Dedup) -> Self {
        self.choice.dedup = Some(dedup);
        self
    }

    /// Mean length, bytes, of the pieces that contents are cut into with [`Dedup::Chunk`]: a power of two from 1 KiB to
    /// 16 MiB. Without it 16 KiB, and longer where there are more than 32 GiB to pack, so that their table stays
    /// below 120 MB. Under a memory limit pieces become longer until their table takes at most a quarter of it.
    #[must_use]
    pub fn chunk_size(mut self, bytes: u32) -> Self {
        self.choice.chunk_size = Some(bytes);
        self
    }

    /// The order in which contents are stored. It shows in the archive's bytes; entries are listed by path whatever it is.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.choice.order = Some(order);
        self
    }

    /// Whether blocks of one kind of files share a dictionary, which lets short blocks keep most of what long ones save.
    #[must_use]
    pub fn dictionary(mut self, dictionary: DictionaryChoice) -> Self {
        self.choice.dictionary = dictionary;
        self
    }

    /// The read backend. The archive's bytes do not depend on it.
    #[must_use]
    pub fn io(mut self, io: IoChoice) -> Self {
        self.read.choice = io;
        self
    }

    /// Number of threads of the `pool` backend.
    #[must_use]
    pub fn readers(mut self, threads: usize) -> Self {
        self.read.threads = threads;
        self
    }

    /// Reads that the `uring` backend has in flight at once.
    #[must_use]
    pub fn depth(mut self, depth: u32) -> Self {
        self.read.depth = depth;
        self
    }

    /// Reads files of at least so many bytes past the page cache (O_DIRECT).
    #[must_use]
    pub fn direct(mut self, threshold: Option<u64>) -> Self {
        self.read.direct = threshold;
        self
    }

    /// NUM_SLOTS: how many slots reads can run ahead. The archive's bytes do not depend on it.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Bytes in a slot, rounded up to whole blocks. The archive's bytes do not depend on it.
    #[must_use]
    pub fn slot_size(mut self, bytes: u32) -> Self {
        self.slot_size = Some(bytes);
        self
    }

    /// Number of threads that hash and compress. More than one beyond the cores are not started: they bring nothing. The
    /// archive's bytes do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Bytes of memory that the process may take at its peak, the program itself included. Slots, frames and threads
    /// become fewer until everything fits; what was asked for by name stays. `None`, which is the default, trims slots
    /// and frames to what [`budget::limit_default`](crate::budget::limit_default) says and fails for nothing. The archive's
    /// bytes do not depend on it.
    #[must_use]
    pub fn memory_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.memory_limit = bytes.into();
        self
    }

    /// Leaves out what matches one of these globs.
    #[must_use]
    pub fn exclude(mut self, globs: impl IntoIterator<Item = String>) -> Self {
        self.exclude.extend(globs);
        self
    }

    /// Does not descend into folders on other file systems than their input.
    #[must_use]
    pub fn one_file_system(mut self, yes: bool) -> Self {
        self.one_file_system = yes;
        self
    }

    /// Which extended attributes are stored; all but labels of security modules by default.
    #[must_use]
    pub fn xattrs(mut self, choice: XattrChoice) -> Self {
        self.xattrs = choice;
        self
    }

    /// Replaces an existing target.
    #[must_use]
    pub fn force(mut self, yes: bool) -> Self {
        self.force = yes;
        self
    }

    /// Whether the archive is made durable before it gets its name (the default).
    #[must_use]
    pub fn sync(mut self, yes: bool) -> Self {
        self.sync = yes;
        self
    }

    /// Reads the archive back from the disk before it gets its name, and proves every byte of it. Takes a target that can
    /// be read back: a file.
    #[must_use]
    pub fn verify(mut self, yes: bool) -> Self {
        self.verify = yes;
        self
    }

    /// Whether to record how long each stage takes (the default): [`PackReport::stages`](super::PackReport::stages).
    /// Without, no clock is read for it.
    #[must_use]
    pub fn stats(mut self, yes: bool) -> Self {
        self.stats = yes;
        self
    }

    /// Progress and cancellation.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.control = control;
        self
    }
}
