//! How much memory a compressor takes, before there is one.
//!
//! In: a setting, the longest block. Out: bytes. The rules are zstd 1.5.7's own: the parameters of each level for
//! inputs of more than 256 KiB (`clevels.h`), how they shrink with the input (`ZSTD_adjustCParams_internal`), and what
//! is allocated for them (`ZSTD_estimateCCtxSize_usingCCtxParams_internal`). A test compares them with contexts.

use super::filter::detect;
use super::probe;
use super::search::{LONG_WINDOW_LEVEL, hash_log};
use super::trial::Trial;
use super::{Codec, FilterChoice, ZSTD_LEVEL_DEFAULT, lzma};

/// Window, chain table and hash table of each level as powers of two, 0 being all negative levels.
const LOGS: [(u32, u32, u32); 23] = [
    (19, 12, 13),
    (19, 13, 14),
    (20, 15, 16),
    (21, 16, 17),
    (21, 18, 18),
    (21, 18, 19),
    (21, 18, 19),
    (21, 19, 20),
    (21, 19, 20),
    (22, 20, 21),
    (22, 21, 22),
    (22, 21, 22),
    (22, 22, 23),
    (22, 22, 22),
    (22, 22, 23),
    (22, 23, 23),
    (22, 22, 22),
    (23, 23, 22),
    (23, 23, 22),
    (23, 24, 22),
    (25, 25, 23),
    (26, 26, 24),
    (27, 27, 25),
];

/// Levels that search rows of a hash table, which has a byte of tag an entry and no chain table.
const ROWS: std::ops::RangeInclusive<usize> = 5..=12;
/// The first level that searches binary trees, where two entries of the chain table belong to one byte of the window.
const TREES: usize = 13;
/// The first level that looks for the best parse, and what it holds for that, bytes.
const BEST: (usize, usize) = (16, 600 << 10);
/// The first level that has a table for matches of three bytes, and its entries as a power of two.
const THREE: (usize, u32) = (18, 17);
/// The context itself, tables of the entropy stage, the literals and sequences of one zstd block of 128 KiB, bytes.
const CONSTANT: usize = 1 << 20;
/// Up to this length of a block zstd has other parameters, bytes. Theirs are one step further here: never too little.
const SHORT: usize = 256 << 10;
/// The first level of which that step may lead to trees and the best parse.
const SHORT_TREES: usize = 5;

/// What looking at blocks takes, bytes.
const TRIAL: usize = Trial::memory_max(probe::SAMPLE_MAX, detect::SAMPLE_MAX);

impl Codec {
    /// Bytes that an [`Encoder`](super::Encoder) of this setting, given output buffers as long as the block, holds at
    /// most, once it has seen blocks of `longest`
    /// bytes and chooses filters like this.
    #[must_use]
    pub fn encoder_len(self, filter: FilterChoice, longest: usize) -> usize {
        // A filtered copy of the block. It is shuffled with the output buffer's help, if that is as long as the block.
        let copies = match filter {
            FilterChoice::Off => 0,
            FilterChoice::Auto => longest * usize::from(filter.detects(self)),
            FilterChoice::These(_) => longest,
        };
        let context = match self {
            Codec::Store => 0,
            // The table, and where the caller's buffer has no room for the worst case, a buffer of its own.
            Codec::Lz4 => (16 << 10) + lz4_flex::block::get_maximum_output_size(longest),
            Codec::Zstd { level } => zstd_len(if level == 0 { ZSTD_LEVEL_DEFAULT } else { level }, longest),
            Codec::Lzma { .. } => lzma::encoder_len(longest),
        };
        let trial = if self.is_probed() || filter.detects(self) { TRIAL } else { 0 };
        context + copies + trial
    }
}

/// zstd's own window for long blocks at a level, as a power of two.
pub(super) fn window_log(level: i32) -> u32 {
    LOGS[usize::try_from(level).unwrap_or(0).min(LOGS.len() - 1)].0
}

fn zstd_len(level: i32, longest: usize) -> usize {
    let (is_long, own_hash) = (level >= LONG_WINDOW_LEVEL, hash_log(level, longest));
    let level = usize::try_from(level).unwrap_or(0).min(LOGS.len() - 1);
    let (window, chain, hash) = LOGS[level];
    let hash = own_hash.unwrap_or(hash);
    let longest_log = longest.max(1).next_power_of_two().ilog2();
    let window = if is_long { longest_log } else { window.min(longest_log) };
    let short = longest <= SHORT;
    let short_trees = short && level >= SHORT_TREES;
    let tree = u32::from(level >= TREES || short_trees);
    let entries = |log: u32, most: u32| 4_usize << log.min(most);
    let mut len = CONSTANT + entries(hash + u32::from(short), window + 1);
    if ROWS.contains(&level) && !short {
        len += entries(hash, window + 1) / 4;
    } else {
        len += entries(chain + u32::from(short), window + tree);
    }
    if level >= BEST.0 || short_trees {
        len += BEST.1;
    }
    if level >= THREE.0 || short_trees {
        len += entries(THREE.1, window);
    }
    len
}

#[cfg(test)]
mod tests {
    use super::super::{Encoded, Encoder, ZSTD_LEVEL_MAX};
    use super::*;

    /// Bytes in which some matches are found, far and near.
    fn text(len: usize) -> Vec<u8> {
        (0..len as u32).map(|n| (n.wrapping_mul(0x9e37_79b1) >> (8 + n / 997 % 13)) as u8).collect()
    }

    fn noise(len: usize) -> Vec<u8> {
        crate::codec::tests::noise(len, 7)
    }

    #[test]
    fn no_context_takes_more_than_is_said_nor_much_less() {
        let all = -1..=ZSTD_LEVEL_MAX;
        let lengths = [(4 << 10, 4 << 20), (256 << 10, 4 << 20), (1 << 20, 1 << 20), (4 << 20, 1 << 20)];
        let lengths = lengths.map(|(longest, slack)| (longest, slack, all.clone()));
        for (longest, slack, levels) in lengths.into_iter().chain([(17 << 20, 1 << 20, 7..=9)]) {
            let raw = text(longest);
            let noise = noise(longest);
            let mut out = vec![0; longest];
            for level in levels {
                let codec = Codec::Zstd { level };
                let mut encoder = Encoder::new(codec).unwrap();
                // What looks like noise is tried on a sample first, which takes a context too.
                assert_eq!(encoder.encode(&noise, &mut out).unwrap(), Encoded::Stored);
                // Shorter blocks first: what they need must not add up with what longer ones need.
                for len in [longest / 5, longest] {
                    encoder.encode(&raw[..len], &mut out).unwrap();
                }
                let (said, held) = (codec.encoder_len(FilterChoice::Off, longest), encoder.memory_bytes());
                assert!(held <= said, "level {level}, {longest} bytes: holds {held}, said to hold {said}");
                assert!(said <= held + held / 4 + slack, "level {level}, {longest} bytes: {said} for {held}");
            }
        }
    }

    #[test]
    fn the_other_codecs_hold_little() {
        let raw = text(1 << 20);
        let mut out = vec![0; 1 << 20];
        for codec in [Codec::Store, Codec::Lz4] {
            let mut encoder = Encoder::new(codec).unwrap();
            encoder.encode(&raw, &mut out).unwrap();
            let (said, held) = (codec.encoder_len(FilterChoice::Off, 1 << 20), encoder.memory_bytes());
            assert!(held <= said && said <= held + held / 4, "{codec}: {said} for {held}");
        }
    }
}
