//! The table of contents kept so far: which digest lies where.
//!
//! In: the identity of each chunk in the order of their placing. Out: the extent of the first chunk with the same
//! identity, if there is one. It knows neither bytes nor blocks. The first one wins, so the answer depends only on
//! the order of the questions.
//!
//! Memory: a record of 44 bytes for each distinct chunk, in pages that never move, and 5 bytes for each place in a hash
//! table that is at most ⅞ full and doubles when it is: at most 56 bytes a chunk, 64 while the table doubles,
//! besides one page of [`PAGE_RECORDS`] records.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::digest::Digest;
use crate::entry::Extent;

/// Bytes that the table takes at most, also for a moment while it doubles, once it holds so many distinct chunks.
#[must_use]
pub fn bytes_for(chunks: u64) -> u64 {
    let page = PAGE_RECORDS as u64;
    let records = chunks.div_ceil(page) * page * size_of::<Record>() as u64;
    // A place has a number of 4 bytes and 1 byte of hash; at most ⅞ of a power of two of them are taken.
    let places = (chunks.saturating_mul(8) / 7 + 1).next_power_of_two().max(4);
    records + places * 5 / 2 * 3 + 64
}

/// Records in a page; one page is 360 kB.
pub const PAGE_RECORDS: usize = 8192;

#[derive(Clone, Copy)]
struct Record {
    key: Digest,
    extent: Extent,
}

const _: () = assert!(size_of::<Record>() == 44);

/// All distinct chunks so far.
pub struct Table {
    /// Numbers of records.
    index: HashTable<u32>,
    /// All pages are full but the last.
    pages: Vec<Vec<Record>>,
    /// Makes the places of records unforeseeable: with bits of the digest alone, somebody who chooses the files could
    /// make them all meet in one place.
    hasher: RandomState,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// An empty table; it takes no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self { index: HashTable::new(), pages: Vec::new(), hasher: RandomState::new() }
    }

    /// Number of distinct chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no chunk yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes of memory that the table takes at the moment.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.index.allocation_size() + self.pages.len() * PAGE_RECORDS * size_of::<Record>()
    }

    /// The extent of an earlier chunk with the same `key` and length (in bytes), or `None` when this is the first one:
    /// then it is kept under the extent that `extent_if_new` gives.
    ///
    /// `key` is the BLAKE3 digest of a whole file, or what [`key_of`](super::key_of) says, so equal keys mean equal bytes.
    ///
    /// # Panics
    /// Beyond 2³² distinct chunks; a plan has no more. In debug builds, when the new extent is not `len` bytes long.
    pub fn find_or_insert(&mut self, key: &Digest, len: u32, extent_if_new: impl FnOnce() -> Extent) -> Option<Extent> {
        let Self { index, pages, hasher } = self;
        let hash = place(hasher, key);
        if let Some(&at) = index.find(hash, |&at| {
            let record = record(pages, at);
            record.key == *key && record.extent.len == len
        }) {
            return Some(record(pages, at).extent);
        }
        let extent = extent_if_new();
        debug_assert_eq!(extent.len, len, "an extent that is not as long as its chunk");
        let number = u32::try_from(index.len()).expect("fewer than 2^32 chunks");
        if pages.last().is_none_or(|page| page.len() == PAGE_RECORDS) {
            pages.push(Vec::with_capacity(PAGE_RECORDS));
        }
        if let Some(page) = pages.last_mut() {
            page.push(Record { key: *key, extent });
        }
        index.insert_unique(hash, number, |&at| place(hasher, &record(pages, at).key));
        None
    }
}

impl Table {
    /// Whether there is a chunk with this `key` and length (in bytes).
    #[must_use]
    pub fn contains(&self, key: &Digest, len: u32) -> bool {
        let found = self.index.find(place(&self.hasher, key), |&at| {
            let record = record(&self.pages, at);
            record.key == *key && record.extent.len == len
        });
        found.is_some()
    }
}

fn record(pages: &[Vec<Record>], at: u32) -> &Record {
    &pages[at as usize / PAGE_RECORDS][at as usize % PAGE_RECORDS]
}

fn place(hasher: &RandomState, key: &Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    hasher.hash_one(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).field("memory_bytes", &self.memory_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn extent(n: u32, len: u32) -> Extent {
        Extent { block: n / 100, offset: n, len }
    }

    #[test]
    fn the_first_of_equal_chunks_wins() {
        let mut table = Table::new();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(table.find_or_insert(&a, 1, || extent(0, 1)), None);
        assert_eq!(table.find_or_insert(&b, 1, || extent(1, 1)), None);
        assert_eq!(table.find_or_insert(&a, 1, || panic!("it is there")), Some(extent(0, 1)));
        assert_eq!(table.find_or_insert(&b, 1, || panic!("it is there")), Some(extent(1, 1)));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn digests_that_begin_alike_stay_apart() {
        let mut table = Table::new();
        for n in 0..200_u8 {
            let mut key = Digest([7; 32]);
            key.0[31] = n;
            assert_eq!(table.find_or_insert(&key, 1, || extent(u32::from(n), 1)), None);
        }
        assert_eq!(table.len(), 200);
    }

    #[test]
    fn a_chunk_costs_as_many_bytes_as_is_stated() {
        let mut table = Table::new();
        for n in 0..150_000_u32 {
            assert_eq!(table.find_or_insert(&Digest::of(&n.to_le_bytes()), 1, || extent(n, 1)), None);
            let page = PAGE_RECORDS * size_of::<Record>();
            let limit = 56 * table.len() + page + 256;
            let said = bytes_for(u64::from(n) + 1);
            assert!(
                table.memory_bytes() as u64 <= said,
                "{} bytes for {} chunks, {said} said",
                table.memory_bytes(),
                n + 1
            );
            assert!(table.memory_bytes() <= limit, "{} bytes for {} chunks", table.memory_bytes(), table.len());
        }
        for n in (0..150_000_u32).rev() {
            assert_eq!(table.find_or_insert(&Digest::of(&n.to_le_bytes()), 1, || unreachable!()), Some(extent(n, 1)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_answers_as_an_ordered_map_does(questions in prop::collection::vec((0..300_u16, 1..3_u32), 0..1500)) {
            let mut table = Table::new();
            let mut model = BTreeMap::new();
            for (n, (content, len)) in questions.into_iter().enumerate() {
                let key = Digest::of(&content.to_le_bytes());
                let new = extent(n as u32, len);
                let known = model.get(&(key, len)).copied();
                model.entry((key, len)).or_insert(new);
                prop_assert_eq!(table.find_or_insert(&key, len, || new), known);
                prop_assert_eq!(table.len(), model.len());
            }
        }
    }
}
