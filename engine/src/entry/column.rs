//! Numbers in little room: a column of whole numbers that can be had in any order.
//!
//! In: numbers, one after the other. Out: any of them. Every 128 of them are kept as what they exceed their
//! smallest by, all in as few bytes as the largest of these needs ("frame of reference" coding: Goldstein et al.,
//! "Compressing relations and indexes", ICDE 1998). Neighbours in a tree have the same owner, inodes and times close
//! to one another, and small sizes: where eight bytes would be two thirds zeros, these take two or three.

use carrack_backends::witness::{Time, Witness};

/// Numbers in one group: about as many as a folder has entries.
const GROUP: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Group {
    /// The smallest number.
    base: u64,
    /// Where in the bytes the group begins, times 16, and how many bytes a number takes.
    place: u64,
}

/// A column of numbers; the last ones, until there is a group of them, are kept as they are.
#[derive(Clone, Debug, Default)]
pub struct Column {
    groups: Vec<Group>,
    /// What the numbers of full groups exceed their bases by, least byte first.
    bytes: Vec<u8>,
    open: Vec<u64>,
}

impl Column {
    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len() * GROUP + self.open.len()
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a number.
    pub fn push(&mut self, number: u64) {
        self.open.push(number);
        if self.open.len() == GROUP {
            self.close();
        }
    }

    fn close(&mut self) {
        let (low, high) = self.open.iter().fold((u64::MAX, 0), |(low, high), &n| (low.min(n), high.max(n)));
        let width = (u64::BITS - (high - low).leading_zeros()).div_ceil(8) as usize;
        self.groups.push(Group { base: low, place: (self.bytes.len() as u64) << 4 | width as u64 });
        for number in self.open.drain(..) {
            self.bytes.extend_from_slice(&(number - low).to_le_bytes()[..width]);
        }
    }

    /// The number at a place.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, at: usize) -> u64 {
        let Some(&Group { base, place }) = self.groups.get(at / GROUP) else {
            return self.open[at - self.groups.len() * GROUP];
        };
        let width = (place & 15) as usize;
        let start = (place >> 4) as usize + at % GROUP * width;
        let mut number = [0; 8];
        number[..width].copy_from_slice(&self.bytes[start..start + width]);
        base + u64::from_le_bytes(number)
    }

    /// All numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.groups.len() * size_of::<Group>() + self.bytes.len() + self.open.capacity() * 8) as u64
    }
}

/// A column of 32-bit numbers.
#[derive(Clone, Debug, Default)]
pub struct Column32(Column);

impl Column32 {
    /// Adds a number.
    pub fn push(&mut self, number: u32) {
        self.0.push(number.into());
    }

    /// The number at a place.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, at: usize) -> u32 {
        // What goes in are 32 bits.
        self.0.get(at) as u32
    }

    /// All numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|number| number as u32)
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.0.memory_bytes()
    }
}

/// A column of witnesses. They come back bit by bit as they went in.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    dev: Column,
    ino: Column,
    size: Column,
    mtime: Times,
    ctime: Times,
}

#[derive(Clone, Debug, Default)]
struct Times {
    sec: Column,
    nsec: Column,
}

/// Turns the order of signed numbers into that of unsigned ones, so that times just before 1970 are close to those after.
const SIGN: u64 = 1 << 63;

impl Times {
    fn push(&mut self, time: Time) {
        self.sec.push(time.sec.cast_unsigned() ^ SIGN);
        self.nsec.push(time.nsec.into());
    }

    fn get(&self, at: usize) -> Time {
        Time { sec: (self.sec.get(at) ^ SIGN).cast_signed(), nsec: self.nsec.get(at) as u32 }
    }
}

impl Witnesses {
    /// Adds a witness.
    pub fn push(&mut self, witness: Witness) {
        let Witness { dev, ino, size, mtime, ctime } = witness;
        self.dev.push(dev);
        self.ino.push(ino);
        self.size.push(size);
        self.mtime.push(mtime);
        self.ctime.push(ctime);
    }

    /// The witness at a place.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn get(&self, at: usize) -> Witness {
        Witness {
            dev: self.dev.get(at),
            ino: self.ino.get(at),
            size: self.size.get(at),
            mtime: self.mtime.get(at),
            ctime: self.ctime.get(at),
        }
    }

    /// The size at a place, bytes.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn size(&self, at: usize) -> u64 {
        self.size.get(at)
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let Self { dev, ino, size, mtime, ctime } = self;
        [dev, ino, size, &mtime.sec, &mtime.nsec, &ctime.sec, &ctime.nsec]
            .iter()
            .map(|column| column.memory_bytes())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..3_u64, 1000..1300_u64, any::<u64>(), Just(u64::MAX), Just(0)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(number(), 0..3 * GROUP)) {
            let mut column = Column::default();
            numbers.iter().for_each(|&number| column.push(number));
            prop_assert_eq!(column.len(), numbers.len());
            prop_assert_eq!(column.iter().collect::<Vec<_>>(), numbers);
        }

        #[test]
        fn witnesses_come_back(parts in prop::collection::vec((number(), any::<i64>(), 0..=u32::MAX), 0..2 * GROUP)) {
            let mut column = Witnesses::default();
            let witness = |&(n, sec, nsec): &(u64, i64, u32)| Witness {
                dev: n,
                ino: n ^ 5,
                size: n / 2,
                mtime: Time { sec, nsec },
                ctime: Time { sec: sec / 3, nsec: nsec / 7 },
            };
            parts.iter().for_each(|part| column.push(witness(part)));
            for (at, part) in parts.iter().enumerate() {
                prop_assert_eq!(column.get(at), witness(part));
                prop_assert_eq!(column.size(at), witness(part).size);
            }
        }
    }

    #[test]
    fn neighbours_take_few_bytes() {
        let (mut same, mut near) = (Column32::default(), Witnesses::default());
        for n in 0..100 * GROUP as u64 {
            same.push(1000);
            let time = Time { sec: -3 + (n / 100) as i64, nsec: 7 };
            near.push(Witness { dev: 64769, ino: 9_000_000 + n, size: n % 1000, mtime: time, ctime: time });
        }
        let rows = 100 * GROUP as u64;
        assert!(same.memory_bytes() < rows / 4, "{}", same.memory_bytes());
        assert!(near.memory_bytes() < rows * 8, "{} for {rows}", near.memory_bytes());
    }
}
