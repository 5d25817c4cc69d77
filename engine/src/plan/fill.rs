//! Fills blocks, one chunk after the other, by the next-fit rule.
//!
//! In: lengths of chunks. Out: the offset of each in its block, and when a block is closed. It is a counter and knows
//! neither bytes nor files; the plan and the placement of what remains after deduplication both ask it, so that
//! without duplicates they agree on every block.

/// How many bytes of holes a block may gather: bounds the hashing that belongs to one block.
pub const HOLES_PER_BLOCK_MAX: u64 = super::HOLE_CHUNK_MAX;

/// The open block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockFiller {
    size: u32,
    used: u32,
    holes: u64,
}

/// Where a chunk went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// When the chunk did not fit: the length in bytes of the block that was closed, to which the chunk does not
    /// belong. Zero when that block had nothing but holes.
    pub closed: Option<u32>,
    /// Offset of the chunk in its block, bytes.
    pub offset: u32,
}

impl BlockFiller {
    /// An empty block of at most `block_size` bytes is open.
    #[must_use]
    pub fn new(block_size: u32) -> Self {
        Self { size: block_size, used: 0, holes: 0 }
    }

    /// Bytes of data in the open block.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Whether so many more bytes of data fit in the open block.
    #[must_use]
    pub fn fits(&self, len: u32) -> bool {
        len <= self.size - self.used
    }

    /// Adds a data chunk, to the open block if it fits, else to a new one.
    ///
    /// # Panics
    /// When the chunk is longer than a block: the cutter makes none such.
    pub fn put(&mut self, len: u32) -> Put {
        assert!(len <= self.size, "a chunk of {len} bytes for blocks of {} bytes", self.size);
        let closed = (!self.fits(len)).then(|| self.close());
        let offset = self.used;
        self.used += len;
        Put { closed, offset }
    }

    /// Adds a hole. It takes no room, but when the open block has gathered too many bytes of holes it is closed first
    /// and its length in bytes returned (zero when it had nothing but holes).
    pub fn put_hole(&mut self, len: u32) -> Option<u32> {
        let full = self.holes > 0 && self.holes + u64::from(len) > HOLES_PER_BLOCK_MAX;
        let closed = full.then(|| self.close());
        self.holes += u64::from(len);
        closed
    }

    /// Closes the open block, opens an empty one, and returns the length in bytes of the closed one: zero when it
    /// held no data.
    pub fn close(&mut self) -> u32 {
        let used = self.used;
        *self = Self::new(self.size);
        used
    }

    /// To be called where a planned block ends: closes the open block when it is at least three quarters full and
    /// returns its length in bytes. After duplicates were left out, this brings the blocks back in step with the
    /// plan; without duplicates it changes nothing, as the next chunk would not fit anyway.
    pub fn end_of_planned(&mut self) -> Option<u32> {
        let close = u64::from(self.used) * 4 >= u64::from(self.size) * 3;
        close.then(|| self.close())
    }
}
