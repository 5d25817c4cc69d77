//! Which filters suit a block.
//!
//! What flows in: a block's bytes. What flows out: the filters to apply, by the bytes alone, most often none. Names and
//! kinds of files are not asked for: a block may hold several, and what counts is what most of it looks like.
//!
//! 1. Pieces of 1 KiB, evenly spread. Where less than a quarter of them hold control bytes, as text never does, no
//!    filter is of use.
//! 2. What is left is counted: calls of x86 and ARM64 code ([`x86::calls`], [`arm64::calls`]), and how far each byte is
//!    from those some bytes before it, by the distance, which shows arrays of numbers, samples and pixels.
//! 3. What that suggests is tried on a sample of those pieces' neighbourhood with a fast compression, and taken where
//!    it saves enough of what the sample has without.

use super::super::CodecError;
use super::super::sample::pieces;
use super::super::trial::Trial;
use super::{FilterId, Filters, arm64, x86};

/// Length of a piece, bytes.
const PIECE: usize = 1 << 10;
/// Bytes of a block for each piece, and the fewest and most pieces.
const SPACING: usize = 64 << 10;
const PIECES: (usize, usize) = (16, 64);
/// Shorter blocks are left alone, bytes.
const SHORTEST: usize = 16 << 10;
/// A piece with so many control bytes is not text.
const CONTROLS: usize = 24;
/// One piece of so many must not be text, or hold code, for a filter to be considered.
const SHARE: usize = 4;
/// A piece with as many calls is code: x86, ARM64.
const CALLS: (usize, usize) = (5, 7);
/// Distances at which bytes of arrays are alike …
const STRIDES: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];
/// … and those of no array, to compare with.
const ODD: [usize; 4] = [5, 7, 11, 13];
/// A stride is tried where bytes at that distance differ by less than this share of what they do at odd ones, percent.
const ALIKE: u64 = 88;
/// Strides that are tried at most.
const TRIED: usize = 2;
/// Pieces of a trial, and their length, bytes.
const TRIAL: (usize, usize) = (8, 4 << 10);
/// Bytes of a sample at most.
pub(in crate::codec) const SAMPLE_MAX: usize = TRIAL.0 * TRIAL.1;
/// Filters for numbers must save one part in so many of the sample's compressed length; they cost time to undo.
const GAIN: usize = 32;

/// The filters for `raw`.
///
/// # Errors
/// [`CodecError::Failed`] when the compressor of the trial runs out of memory.
pub(in crate::codec) fn detect(raw: &[u8], trial: &mut Trial) -> Result<Filters, CodecError> {
    if raw.len() < SHORTEST {
        return Ok(Filters::NONE);
    }
    let count = (raw.len() / SPACING).clamp(PIECES.0, PIECES.1);
    let mut found = Found::default();
    for piece in pieces(raw, count, PIECE) {
        found.look(piece);
    }
    if let Some(code) = found.code(count) {
        // Shown to be code, which a short sample shows less of than a whole block: no harm is enough.
        let (_, plain) = trial.len_of(pieces(raw, TRIAL.0, TRIAL.1))?;
        let filters = Filters::of(&[code]);
        return Ok(if trial.len_filtered(filters)? <= plain { filters } else { Filters::NONE });
    }
    let strides = found.strides(count);
    if strides == [None; TRIED] {
        return Ok(Filters::NONE);
    }
    let (_, plain) = trial.len_of(pieces(raw, TRIAL.0, TRIAL.1))?;
    let mut best = (plain - plain / GAIN, Filters::NONE);
    for stride in strides.into_iter().flatten() {
        for filters in for_numbers(stride as u8).into_iter().flatten() {
            let len = trial.len_filtered(filters)?;
            if len < best.0 {
                best = (len, filters);
            }
        }
    }
    Ok(best.1)
}

/// What may suit values of `stride` bytes.
fn for_numbers(stride: u8) -> [Option<Filters>; 3] {
    let delta = FilterId::delta(stride);
    let shuffle = (stride >= 2).then(|| FilterId::shuffle(stride));
    [
        Some(Filters::of(&[delta])),
        shuffle.map(|shuffle| Filters::of(&[shuffle])),
        shuffle.map(|shuffle| Filters::of(&[delta, shuffle])),
    ]
}

/// What the pieces of a block have shown.
#[derive(Default)]
struct Found {
    /// Pieces that are not text.
    binary: usize,
    /// Pieces that are x86 code.
    x86: usize,
    /// Pieces that are ARM64 code, by the phase of instructions.
    arm64: [usize; 4],
    /// Sums of differences at each of [`STRIDES`], over the pieces that are not text.
    strides: [u64; STRIDES.len()],
    /// The same at [`ODD`] ones, together.
    odd: u64,
}

impl Found {
    fn look(&mut self, piece: &[u8]) {
        if controls(piece) < CONTROLS {
            return;
        }
        self.binary += 1;
        self.x86 += usize::from(x86::calls(piece) >= CALLS.0);
        for (phase, count) in self.arm64.iter_mut().enumerate() {
            // Pieces need not begin where words do: what counts is the place in the block.
            *count += usize::from(arm64::calls(piece, phase) >= CALLS.1);
        }
        for (sum, &stride) in self.strides.iter_mut().zip(&STRIDES) {
            *sum += difference(piece, stride);
        }
        self.odd += ODD.iter().map(|&stride| difference(piece, stride)).sum::<u64>();
    }

    /// The filter for code, where enough of the pieces are code.
    fn code(&self, count: usize) -> Option<FilterId> {
        if self.x86 * SHARE >= count {
            return Some(FilterId::X86);
        }
        let (phase, &most) = self.arm64.iter().enumerate().max_by_key(|&(_, count)| count)?;
        (most * SHARE >= count).then(|| FilterId::arm64(phase as u8))
    }

    /// The strides at which bytes are most alike, if they are at any.
    fn strides(&self, count: usize) -> [Option<usize>; TRIED] {
        let mut strides = [None; TRIED];
        if self.binary * SHARE < count {
            return strides;
        }
        let odd = self.odd / ODD.len() as u64;
        let mut alike: [(u64, usize); STRIDES.len()] = std::array::from_fn(|at| (self.strides[at], STRIDES[at]));
        alike.sort_unstable();
        let alike = alike.into_iter().filter(|&(sum, _)| sum * 100 < odd * ALIKE);
        for (place, (_, stride)) in strides.iter_mut().zip(alike) {
            *place = Some(stride);
        }
        strides
    }
}

/// How many bytes are control characters that text does not use.
fn controls(piece: &[u8]) -> usize {
    let is_control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B);
    piece.iter().filter(|&&byte| is_control(byte)).count()
}

/// The sum of the distances between bytes that stand `stride` apart.
fn difference(piece: &[u8], stride: usize) -> u64 {
    let pairs = piece.iter().zip(piece.get(stride..).unwrap_or_default());
    pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
}
