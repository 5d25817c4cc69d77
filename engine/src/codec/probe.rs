//! A cheap look at a block, before a codec that searches long spends its time on it.
//!
//! What flows in: a block's bytes. What flows out: a [`Verdict`], by the bytes alone. Up to level 4 zstd itself hurries over
//! what does not compress; above, it searches noise as long as text.
//!
//! Every 4 KiB a few bytes are looked at: where nearly all values differ, there is nothing to be had at that place
//! ([`is_dense`]). If such places are all but a 128th of the block, compressing cannot save that 128th which it must
//! save to pay ([`paying_len`](super::paying_len)), unless the dense places have values that are more frequent than
//! others, or repeat one another nearby: a fast compression of a few larger dense pieces decides that. What is not seen is a repetition
//! over a longer distance in bytes that look like noise otherwise: whole files and chunks of such are found by
//! deduplication, not by the codec.

use super::CodecError;
use super::sample::pieces;
use super::trial::Trial;

/// What a block is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is to be stored.
    Store,
    /// Little: a fast level gets nearly all of it.
    Cheap,
    /// The level asked for.
    Full,
}

/// Bytes that are looked at in one place.
const PLACE: usize = 128;
/// Bytes from place to place.
const SPACING: usize = 4 << 10;
/// As many different values among the bytes of a place make it dense. Noise has 101 on average with a deviation of 5,
/// JPEG and MP4 about 97, machine code 60, text 40.
const DENSE: u32 = 80;
/// A block is stored where fewer than one in so many places promise something …
const STORE_SHARE: usize = 128;
/// … and gets a fast level where fewer than one in so many do.
const CHEAP_SHARE: usize = 32;
/// Pieces that are compressed on trial, of how many that might be, and their length, bytes.
const TRIAL: (usize, usize, usize) = (4, 16, 16 << 10);
/// Bytes of a sample at most.
pub(super) const SAMPLE_MAX: usize = TRIAL.0 * TRIAL.2;
/// Shorter blocks are not worth a look, bytes.
const SHORTEST: usize = 32 << 10;

/// What compressing `raw` can be expected to bring.
///
/// # Errors
/// [`CodecError::Failed`] when the compressor of the trial runs out of memory.
pub(super) fn probe(raw: &[u8], trial: &mut Trial) -> Result<Verdict, CodecError> {
    if raw.len() < SHORTEST {
        return Ok(Verdict::Full);
    }
    let places = raw.len() / SPACING;
    let limit = places / CHEAP_SHARE;
    let mut promising = 0;
    for place in pieces(raw, places, PLACE) {
        promising += usize::from(!is_dense(place));
        if promising > limit {
            return Ok(Verdict::Full);
        }
    }
    let dense = pieces(raw, TRIAL.1, TRIAL.2).filter(|piece| piece.chunks(PLACE).step_by(8).all(is_dense));
    let (sampled, compressed) = trial.len_of(dense.take(TRIAL.0))?;
    if sampled == 0 {
        return Ok(Verdict::Full);
    }
    let saved = sampled.saturating_sub(compressed);
    Ok(if saved > sampled / CHEAP_SHARE {
        Verdict::Full
    } else if saved > sampled / STORE_SHARE || promising > places / STORE_SHARE {
        Verdict::Cheap
    } else {
        Verdict::Store
    })
}

/// Whether the bytes of a place have so many different values that they look like noise.
fn is_dense(place: &[u8]) -> bool {
    let mut seen = [0_u64; 4];
    for &byte in place {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }
    seen.iter().map(|bits| bits.count_ones()).sum::<u32>() >= DENSE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        crate::codec::tests::noise(len, 7)
    }

    fn verdict(raw: &[u8]) -> Verdict {
        probe(raw, &mut Trial::new().unwrap()).unwrap()
    }

    #[test]
    fn noise_is_stored_and_text_searched() {
        let text = b"hold the deck and mind the keel, ".repeat(40_000);
        for len in [SHORTEST, 200_000, 1 << 20] {
            assert_eq!(verdict(&noise(len)), Verdict::Store, "{len}");
            assert_eq!(verdict(&text[..len]), Verdict::Full, "{len}");
        }
        assert_eq!(verdict(&noise(SHORTEST - 1)), Verdict::Full, "too short for a look");
    }

    #[test]
    fn a_little_text_among_noise_is_seen_wherever_it_stands() {
        let len = 4 << 20;
        let with_text = |start: usize, text: usize| {
            let mut raw = noise(len);
            raw[start..start + text].fill(b'-');
            verdict(&raw)
        };
        for start in [0, 1 << 20, 3 << 20] {
            assert_eq!(with_text(start + 777, 8 << 10), Verdict::Store, "less than can pay");
            assert_eq!(with_text(start + 777, len / 64), Verdict::Cheap);
            assert_eq!(with_text(start + 777, len / 8), Verdict::Full);
        }
    }

    #[test]
    fn values_that_are_not_equally_frequent_are_seen() {
        // Every tenth byte is the same: dense enough to look at, but it saves a twentieth.
        let mut raw = noise(2 << 20);
        raw.iter_mut().step_by(10).for_each(|byte| *byte = 0);
        assert!(is_dense(&raw[..PLACE]));
        assert_eq!(verdict(&raw), Verdict::Full);
    }
}
