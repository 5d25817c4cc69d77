//! Sketches of contents: few bytes that tell how much two files have in common, without comparing the files.
//!
//! In: the bytes of a file, or its first ones. Out: a [`Sketch`] of 64 bytes. It knows no files and no order; equal bytes
//! give equal sketches, on every machine.
//!
//! A rolling hash ("gear": Xia et al., "Ddelta", Performance Evaluation 2014) looks at every passage of
//! `PASSAGE` bytes and picks one in `ONE_IN` by its value, so that the same passages are picked wherever they stand. Of
//! what was picked, the least value under each of [`VALUES`] hash functions is kept (MinHash: Broder, "On the resemblance
//! and containment of documents", SEQUENCES 1997): the share of values that two sketches have in common is the share of
//! picked passages that the contents have in common, give or take an eighth.

/// Values in a sketch.
pub const VALUES: usize = 16;
/// Bytes of a passage: long enough that common words alone make no likeness.
const PASSAGE: u32 = 32;
/// One in so many passages is picked: a power of two.
const ONE_IN: u64 = 32;

/// What was picked of some contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch([u32; VALUES]);

impl Default for Sketch {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Sketch {
    /// Of contents without any passage that was picked: like nothing else, not even another of these.
    pub const EMPTY: Sketch = Sketch([u32::MAX; VALUES]);

    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut least = [u32::MAX; VALUES];
        let mut rolling = 0_u64;
        for &byte in bytes {
            // Each step moves a byte's share one bit up; after 64 steps, or 32 here, it is gone.
            rolling = (rolling << 1).wrapping_add(GEAR[byte as usize]);
            let passage = rolling << (u64::BITS - PASSAGE);
            if passage < u64::MAX / ONE_IN {
                let passage = mix(passage);
                for (least, factor) in least.iter_mut().zip(FACTORS) {
                    *least = (*least).min((passage.wrapping_mul(factor) >> 32) as u32);
                }
            }
        }
        Self(least)
    }

    /// One of the values; none where nothing was picked.
    ///
    /// # Panics
    /// From [`VALUES`] on.
    #[must_use]
    pub fn value(&self, at: usize) -> Option<u32> {
        Some(self.0[at]).filter(|_| *self != Self::EMPTY)
    }

    /// How many of their [`VALUES`] values two sketches have in common.
    #[must_use]
    pub fn common(&self, other: &Sketch) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| u32::from(a == b)).sum()
    }
}

/// Scatters a number over 64 bits (the finaliser of MurmurHash3, by Austin Appleby, public domain).
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

/// The numbers of SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", OOPSLA 2014) from a seed on.
const fn numbers<const N: usize>(seed: u64) -> [u64; N] {
    let mut numbers = [0; N];
    let mut at = 0;
    while at < N {
        let state = seed.wrapping_add((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let number = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        numbers[at] = number ^ (number >> 31);
        at += 1;
    }
    numbers
}

/// What each byte adds to the rolling hash.
static GEAR: [u64; 256] = numbers(1);
/// One for each hash function, odd so that no value is lost.
const FACTORS: [u64; VALUES] = {
    let mut factors = numbers(2);
    let mut at = 0;
    while at < VALUES {
        factors[at] |= 1;
        at += 1;
    }
    factors
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that have nothing in common with those of another seed.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        (0..len as u64).map(|at| mix(seed << 32 | at) as u8).collect()
    }

    #[test]
    fn equal_bytes_have_all_in_common_and_strangers_nothing() {
        let (one, other) = (Sketch::of(&noise(1, 20_000)), Sketch::of(&noise(2, 20_000)));
        assert_eq!((one.common(&one), one.common(&other)), (VALUES as u32, 0));
        assert_eq!(one, Sketch::of(&noise(1, 20_000)));
    }

    #[test]
    fn what_is_moved_is_recognised() {
        let bytes = noise(3, 20_000);
        let moved = [&noise(4, 1001)[..], &bytes[7..]].concat();
        let common = Sketch::of(&bytes).common(&Sketch::of(&moved));
        assert!(common >= 12, "{common} of {VALUES} in common");
    }

    #[test]
    fn the_more_two_have_in_common_the_more_values_they_share() {
        let bytes = noise(5, 64_000);
        let common: Vec<u32> = [0, 16_000, 32_000, 48_000, 64_000]
            .map(|same| Sketch::of(&bytes).common(&Sketch::of(&[&bytes[..same], &noise(6, 64_000 - same)].concat())))
            .into();
        assert!(common.is_sorted() && common[0] == 0 && common[4] == VALUES as u32, "{common:?}");
        // A half in common is a third of what both have together.
        assert!((2..=9).contains(&common[2]), "{common:?}");
    }

    #[test]
    fn too_short_contents_are_like_nothing() {
        let empty = Sketch::of(b"");
        assert_eq!((empty, empty.value(0)), (Sketch::EMPTY, None));
        assert!(Sketch::of(&noise(7, 20_000)).value(VALUES - 1).is_some());
    }

    #[test]
    fn sketches_are_the_same_on_every_machine() {
        // Archives depend on them: a new algorithm must be a decision, not an accident.
        let text: Vec<u8> = (0..2000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let Sketch(values) = Sketch::of(&text);
        assert_eq!([values[0], values[7], values[15]], [21_547_571, 60_035_970, 9_805_584]);
    }
}
