//! Filters: reversible transforms of raw bytes that a codec then compresses better. They never change their number.
//!
//! What flows in: a block's bytes and up to four [`FilterId`]s. What flows out: the filtered bytes, and on the way back
//! the same bytes that went in. What this module does not know: which filter suits a block (`detect` does), codecs,
//! frames.
//!
//! Every filter is a function of the bytes and their places in the block alone. All but the shuffles need only a few
//! bytes behind a place to undo what was done before it ([`Filters::reach`]), so that a prefix of a block can be had
//! without the rest.

mod arm64;
mod delta;
pub(super) mod detect;
mod shuffle;
mod x86;

use std::fmt;

use super::CodecError;

/// Most filters that a frame can name.
pub const FILTERS_MAX: usize = 4;

/// Distances and widths that delta and shuffle have numbers for are 1 (delta) or 2 (shuffle) to this, bytes.
const STRIDE_MAX: u8 = 16;
/// The number of a delta is this and its distance.
const DELTA: u8 = 32;
/// The number of a shuffle is this and its width.
const SHUFFLE: u8 = 64;
/// The numbers of the filter of ARM64 are this and where in a word of four bytes instructions begin.
const ARM64: u8 = 8;

/// The number that names a filter on a frame. 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(pub u8);

/// What a number stands for.
enum Kind {
    X86,
    /// Where in a word instructions begin, 0 to 3.
    Arm64(usize),
    /// The distance.
    Delta(usize),
    /// The width.
    Shuffle(usize),
}

impl FilterId {
    /// Distances in calls, jumps and addressing of x86 code become places.
    pub const X86: FilterId = FilterId(1);

    /// Distances in calls and addressing of ARM64 code become places; instructions begin at `phase` in each four bytes.
    ///
    /// # Panics
    /// When `phase` is above 3.
    #[must_use]
    pub const fn arm64(phase: u8) -> FilterId {
        assert!(phase < 4);
        FilterId(ARM64 + phase)
    }

    /// Each byte less the one `stride` bytes before.
    ///
    /// # Panics
    /// When `stride` is not 1 to 16.
    #[must_use]
    pub const fn delta(stride: u8) -> FilterId {
        assert!(stride >= 1 && stride <= STRIDE_MAX);
        FilterId(DELTA + stride)
    }

    /// All first bytes of values of `width` bytes, then all second ones, and so on.
    ///
    /// # Panics
    /// When `width` is not 2 to 16.
    #[must_use]
    pub const fn shuffle(width: u8) -> FilterId {
        assert!(width >= 2 && width <= STRIDE_MAX);
        FilterId(SHUFFLE + width)
    }

    /// Every filter of this version, in order of number.
    pub fn all() -> impl Iterator<Item = FilterId> {
        (1..=u8::MAX).map(FilterId).filter(|id| id.kind().is_some())
    }

    fn kind(self) -> Option<Kind> {
        match self.0 {
            1 => Some(Kind::X86),
            n if (ARM64..ARM64 + 4).contains(&n) => Some(Kind::Arm64(usize::from(n - ARM64))),
            n if (DELTA + 1..=DELTA + STRIDE_MAX).contains(&n) => Some(Kind::Delta(usize::from(n - DELTA))),
            n if (SHUFFLE + 2..=SHUFFLE + STRIDE_MAX).contains(&n) => Some(Kind::Shuffle(usize::from(n - SHUFFLE))),
            _ => None,
        }
    }

    /// Bytes behind a place that may have to be known to undo the filter before it; `None` for the whole block.
    fn reach(self) -> Option<usize> {
        match self.kind()? {
            Kind::X86 => Some(x86::REACH),
            Kind::Arm64(_) => Some(arm64::REACH),
            Kind::Delta(_) => Some(0),
            Kind::Shuffle(_) => None,
        }
    }

    /// Filters `bytes` in place; `spare` is as [`Filters::spare_len`] says.
    fn apply(self, bytes: &mut [u8], spare: &mut [u8]) -> Result<(), CodecError> {
        match self.kind().ok_or(CodecError::UnknownFilter(self))? {
            Kind::X86 => x86::apply(bytes),
            Kind::Arm64(phase) => arm64::apply(bytes, phase),
            Kind::Delta(stride) => delta::apply(bytes, stride),
            Kind::Shuffle(width) => shuffle::apply(bytes, width, spare),
        }
        Ok(())
    }

    /// Undoes [`apply`](Self::apply), likewise in place.
    fn undo(self, bytes: &mut [u8], spare: &mut [u8]) -> Result<(), CodecError> {
        match self.kind().ok_or(CodecError::UnknownFilter(self))? {
            Kind::X86 => x86::undo(bytes),
            Kind::Arm64(phase) => arm64::undo(bytes, phase),
            Kind::Delta(stride) => delta::undo(bytes, stride),
            Kind::Shuffle(width) => shuffle::undo(bytes, width, spare),
        }
        Ok(())
    }
}

/// `x86`, `arm64+2`, `delta4`, `shuffle8`.
impl fmt::Display for FilterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Some(Kind::X86) => f.write_str("x86"),
            Some(Kind::Arm64(0)) => f.write_str("arm64"),
            Some(Kind::Arm64(phase)) => write!(f, "arm64+{phase}"),
            Some(Kind::Delta(stride)) => write!(f, "delta{stride}"),
            Some(Kind::Shuffle(width)) => write!(f, "shuffle{width}"),
            None => write!(f, "unknown filter {}", self.0),
        }
    }
}

impl fmt::Debug for FilterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The filters of a block, in the order in which they were applied, as a frame names them: a zero is none, and only
/// zeros stand behind one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Filters(pub [u8; FILTERS_MAX]);

impl Filters {
    /// None at all.
    pub const NONE: Filters = Filters([0; FILTERS_MAX]);

    /// These, in this order.
    ///
    /// # Panics
    /// When there are more than [`FILTERS_MAX`].
    #[must_use]
    pub fn of(ids: &[FilterId]) -> Filters {
        let mut numbers = [0; FILTERS_MAX];
        for (number, id) in numbers[..ids.len()].iter_mut().zip(ids) {
            *number = id.0;
        }
        Filters(numbers)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Filters::NONE
    }

    /// In the order in which they were applied.
    pub fn ids(self) -> impl DoubleEndedIterator<Item = FilterId> {
        self.0.into_iter().filter(|&number| number != 0).map(FilterId)
    }

    /// How many bytes of a filtered block of `raw_len` must be known to get its first `len` raw ones.
    ///
    /// # Errors
    /// [`CodecError::UnknownFilter`].
    pub fn reach(self, len: usize, raw_len: usize) -> Result<usize, CodecError> {
        self.ids().try_fold(len, |needed, id| {
            id.kind().ok_or(CodecError::UnknownFilter(id))?;
            Ok(id.reach().map_or(raw_len, |reach| needed.saturating_add(reach).min(raw_len)))
        })
    }

    /// How many bytes of spare room filtering a block of `len` bytes takes, either way: 0 but for the shuffles.
    #[must_use]
    pub fn spare_len(self, len: usize) -> usize {
        if self.ids().any(|id| matches!(id.kind(), Some(Kind::Shuffle(_)))) { len } else { 0 }
    }

    /// Filters a whole block in place. After an error its bytes are unspecified.
    ///
    /// # Errors
    /// [`CodecError::UnknownFilter`].
    ///
    /// # Panics
    /// When `spare` is shorter than [`spare_len`](Self::spare_len).
    pub fn apply(self, bytes: &mut [u8], spare: &mut [u8]) -> Result<(), CodecError> {
        self.ids().try_for_each(|id| id.apply(bytes, spare))
    }

    /// Undoes [`apply`](Self::apply), on a whole block or on so many of its first bytes as [`reach`](Self::reach) says.
    /// After an error the bytes are unspecified.
    ///
    /// # Errors
    /// [`CodecError::UnknownFilter`].
    ///
    /// # Panics
    /// When `spare` is shorter than [`spare_len`](Self::spare_len).
    pub fn undo(self, bytes: &mut [u8], spare: &mut [u8]) -> Result<(), CodecError> {
        self.ids().rev().try_for_each(|id| id.undo(bytes, spare))
    }
}

/// `x86`, `delta2 shuffle2`; nothing for none.
impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, id) in self.ids().enumerate() {
            write!(f, "{}{id}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
