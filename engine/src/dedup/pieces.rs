//! Cuts the bytes of a chunk into pieces where their content says so.
//!
//! In: the bytes of one chunk. Out: pieces, in order, that cover every byte once. Where a piece ends depends on the bytes
//! near its end alone, so two files that differ in a few places are cut alike everywhere else.
//!
//! The places are those of MinCDC (Orson Peters, crate `mincdc`): of all places that give a piece a legal length, the one
//! behind the four bytes with the least hash. Its lengths are spread evenly between least and greatest, which keeps their
//! number foreseeable. Against FastCDC (v2020) it found as many duplicates at a sixth of the cost: `docs/dedup.md`.

use std::fmt;

use mincdc::{MinCdcHash4, SliceChunker};

/// Least mean length of pieces, bytes.
pub const PIECE_MEAN_MIN: u32 = 1 << 10;
/// Greatest mean length of pieces, bytes.
pub const PIECE_MEAN_MAX: u32 = 16 << 20;

/// Mean length where none is asked for and there is no more than [`PIECES_MANY`] of them, bytes: measured in `docs/dedup.md`.
const PIECE_MEAN_DEFAULT: u32 = 16 << 10;
/// So many pieces by default at most: more bytes are cut into longer ones. Their table takes some 120 MB.
const PIECES_MANY: u64 = 2 << 20;

/// How long pieces are: from half the mean to one and a half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceSizes {
    mean: u32,
}

/// The mean length asked for cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceSizesError(u32);

impl fmt::Display for PieceSizesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pieces of {} bytes: expected a power of two from 1 KiB to 16 MiB", self.0)
    }
}

impl std::error::Error for PieceSizesError {}

impl PieceSizes {
    /// Pieces of `mean` bytes on average.
    ///
    /// # Errors
    /// When that is no power of two from [`PIECE_MEAN_MIN`] to [`PIECE_MEAN_MAX`].
    pub fn new(mean: u32) -> Result<Self, PieceSizesError> {
        let is_legal = mean.is_power_of_two() && (PIECE_MEAN_MIN..=PIECE_MEAN_MAX).contains(&mean);
        if is_legal { Ok(Self { mean }) } else { Err(PieceSizesError(mean)) }
    }

    /// The default for so many bytes in all: 16 KiB, and twice that for each doubling beyond 32 GiB.
    #[must_use]
    pub fn default_for(bytes: u64) -> Self {
        let mut sizes = Self { mean: PIECE_MEAN_DEFAULT };
        while bytes / u64::from(sizes.mean) > PIECES_MANY
            && let Some(longer) = sizes.longer()
        {
            sizes = longer;
        }
        sizes
    }

    /// Pieces twice as long, if that is not beyond the limit.
    #[must_use]
    pub fn longer(self) -> Option<Self> {
        Self::new(self.mean * 2).ok()
    }

    /// The mean length, bytes.
    #[must_use]
    pub fn mean(self) -> u32 {
        self.mean
    }

    /// Whether so many bytes are cut at all: what is shorter than the mean is one piece.
    #[must_use]
    pub fn cuts(self, len: u32) -> bool {
        len > self.mean
    }

    /// About how many pieces so many bytes make.
    #[must_use]
    pub fn expected(self, len: u32) -> u64 {
        // One piece more than the mean says, as the last one is short, and a tenth for the spread.
        if self.cuts(len) { u64::from(len) * 11 / 10 / u64::from(self.mean) + 1 } else { 1 }
    }

    /// The pieces of `bytes`, in order.
    pub fn cut(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mean = self.mean as usize;
        let (min, max) = (mean / 2, mean + mean / 2);
        // One piece: the least length is that of everything.
        let min = if bytes.len() <= mean { bytes.len().max(1) } else { min };
        let chunker = SliceChunker::new(bytes, min, max.max(min), MinCdcHash4::new());
        chunker.map(|piece| &bytes[piece.offset()..piece.offset() + piece.len()])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn only_powers_of_two_within_the_limits_are_legal() {
        for mean in [0, 1, 512, 1025, 3 << 10, 32 << 20, u32::MAX] {
            assert_eq!(PieceSizes::new(mean), Err(PieceSizesError(mean)));
        }
        for mean in [PIECE_MEAN_MIN, PIECE_MEAN_MAX] {
            assert_eq!(PieceSizes::new(mean).unwrap().mean(), mean);
        }
    }

    #[test]
    fn more_bytes_are_cut_into_longer_pieces_so_that_their_number_stays() {
        let means: Vec<u32> = [0, 1, 32 << 30, 33 << 30, 64 << 30, 1 << 40, 1 << 60, u64::MAX]
            .into_iter()
            .map(|bytes| PieceSizes::default_for(bytes).mean() >> 10)
            .collect();
        assert_eq!(means, [16, 16, 16, 32, 32, 512, 16384, 16384]);
    }

    #[test]
    fn an_inserted_byte_moves_few_places() {
        let sizes = PieceSizes::new(4096).unwrap();
        let mut bytes = noise(1 << 20, 7);
        let before: std::collections::HashSet<Vec<u8>> = sizes.cut(&bytes).map(<[u8]>::to_vec).collect();
        bytes.insert(300_000, b'!');
        let after: Vec<&[u8]> = sizes.cut(&bytes).collect();
        let new = after.iter().filter(|piece| !before.contains(**piece)).count();
        assert!((1..=4).contains(&new), "{new} of {} pieces are new", after.len());
        assert!((200..=320).contains(&after.len()), "{} pieces", after.len());
        let expected = sizes.expected(1 << 20);
        assert!(after.len() as u64 <= expected, "{} pieces, {expected} expected", after.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn pieces_cover_every_byte_once(len in 0..30_000_usize, seed in any::<u64>(), flat in any::<bool>()) {
            let sizes = PieceSizes::new(1024).unwrap();
            let bytes = if flat { vec![7; len] } else { noise(len, seed) };
            let pieces: Vec<&[u8]> = sizes.cut(&bytes).collect();
            prop_assert_eq!(&pieces.concat(), &bytes);
            let longest = 1536;
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= longest));
            let short = pieces.iter().rev().skip(1).filter(|piece| piece.len() < 512).count();
            prop_assert_eq!(short, 0);
            prop_assert_eq!(pieces.len() > 1, sizes.cuts(len as u32));
        }
    }
}
