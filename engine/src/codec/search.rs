//! How zstd searches a block: where its own parameters for a level are not the best for blocks as long as ours.
//!
//! In: a level, a block's bytes. Out: a [`Search`], by these alone. zstd chooses its tables for streams of any length; a block
//! here has a length that is known, is as a rule longer than the window that zstd gives the fast levels, and holds many files of
//! one kind. What each change brings: `docs/performance-size.md`.

use super::sample::pieces;

/// The level at which blocks are compressed and what differs from zstd's own parameters for it, which 0 stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Search {
    /// zstd's level.
    pub level: i32,
    /// How far back a match may lie, as a power of two.
    pub window: u32,
    /// Entries of the hash table, as a power of two.
    pub hash: u32,
    /// Bytes that the hash is made of.
    pub hashed: u32,
}

/// The first level whose window is never shorter than the block; those below are there for speed alone.
pub(super) const LONG_WINDOW_LEVEL: i32 = 1;
/// Levels whose hash table has other lengths: the level, the block from whose length on (bytes, beyond it), entries as a
/// power of two. Fast levels remember twice as much of the block, in tables that nearly fit into a core's own cache; those of
/// zstd's levels 7 to 9 are made for windows of 2 and 4 MiB.
const HASHES: [(i32, usize, u32); 5] =
    [(1, 256 << 10, 15), (3, 1 << 20, 18), (7, 16 << 20, 22), (8, 16 << 20, 22), (9, 16 << 20, 22)];
/// Levels that search rows of a hash table, where text gets a hash of six bytes: its short matches are more frequent than can be
/// looked at, and hide the long ones. Below, matches are looked for in one or two places only; above, they are all found.
const TEXT_LEVELS: std::ops::RangeInclusive<i32> = 5..=12;
/// Bytes of that hash.
const TEXT_HASHED: u32 = 6;
/// Shorter blocks keep what zstd chooses for short inputs, bytes.
const SHORT: usize = 256 << 10;
/// Bytes that are looked at in one place, and bytes from place to place.
const PLACE: (usize, usize) = (128, 16 << 10);
/// A block is no text where more than one byte in so many is a control character. Machine code has one in 14 and more; blocks
/// with fewer than one in 30 all gained.
const CONTROL_SHARE: usize = 32;

/// How to search the block `raw` at `level`; `window` is zstd's own for that level, as a power of two.
pub(super) fn search(level: i32, window: u32, raw: &[u8]) -> Search {
    let len = raw.len();
    let window = if level >= LONG_WINDOW_LEVEL && len > 1 << window { len.next_power_of_two().ilog2() } else { 0 };
    let hashed = if TEXT_LEVELS.contains(&level) && len > SHORT && is_text(raw) { TEXT_HASHED } else { 0 };
    Search { level, window, hash: hash_log(level, len).unwrap_or(0), hashed }
}

/// Entries of the hash table, as a power of two, where they are not zstd's own.
pub(super) fn hash_log(level: i32, len: usize) -> Option<u32> {
    HASHES.into_iter().find(|&(at, beyond, _)| at == level && len > beyond).map(|(_, _, log)| log)
}

/// Whether hardly any byte is a control character, by a look at a few places.
fn is_text(raw: &[u8]) -> bool {
    let (mut seen, mut control) = (0, 0);
    for place in pieces(raw, raw.len() / PLACE.1, PLACE.0) {
        seen += place.len();
        control += place.iter().filter(|&&byte| byte < b'\t').count();
    }
    control <= seen / CONTROL_SHARE
}

#[cfg(test)]
mod tests {
    use super::super::{Codec, Encoded, Encoder};
    use super::*;

    #[test]
    fn text_is_known_and_machine_words_are_not() {
        let text = b"hold the deck and mind the keel, ".repeat(40_000);
        assert!(is_text(&text) && is_text(b"x") && is_text(&[]));
        let words: Vec<u8> = (0..300_000_u32).flat_map(|n| (n % 1000).to_le_bytes()).collect();
        assert!(!is_text(&words));
        // A thirtieth of control characters is too much, a hundredth is not.
        let with = |every: usize| {
            let mut mixed = text.clone();
            mixed.iter_mut().step_by(every).for_each(|byte| *byte = 0);
            is_text(&mixed)
        };
        assert!(!with(25) && with(100));
        assert_eq!(search(9, 22, &text).hashed, TEXT_HASHED);
        assert_eq!(search(9, 22, &words).hashed, 0);
        assert_eq!(search(9, 22, &text[..SHORT]).hashed, 0);
        assert_eq!(search(13, 22, &text).hashed, 0);
    }

    #[test]
    fn the_window_follows_the_block_from_level_1_on() {
        let raw = vec![b'a'; (3 << 20) + 1];
        assert_eq!(search(1, 19, &raw), Search { level: 1, window: 22, hash: 15, hashed: 0 });
        assert_eq!(search(3, 21, &raw), Search { level: 3, window: 22, hash: 18, hashed: 0 });
        assert_eq!(search(3, 21, &raw[..1 << 20]), Search { level: 3, ..Search::default() });
        assert_eq!(search(-1, 19, &raw), Search { level: -1, ..Search::default() });
    }

    #[test]
    fn what_was_searched_before_does_not_show() {
        let text = b"hold the deck and mind the keel, ".repeat(50_000);
        let words: Vec<u8> = (0..400_000_u32).flat_map(|n| (n % 1000).to_le_bytes()).collect();
        let noise = crate::codec::tests::noise(1 << 20, 3);
        let mut out = vec![0; words.len()];
        for level in [1, 3, 9] {
            let codec = Codec::Zstd { level };
            let mut used = Encoder::new(codec).unwrap();
            for raw in [&text[..], &words, &noise, &text, &words[..SHORT], &noise[..SHORT], &words] {
                let mut encode = |encoder: &mut Encoder| match encoder.encode(raw, &mut out).unwrap() {
                    Encoded::Compressed { len, .. } => out[..len].to_vec(),
                    Encoded::Stored => Vec::new(),
                };
                assert!(encode(&mut used) == encode(&mut Encoder::new(codec).unwrap()), "level {level}");
            }
        }
    }
}
