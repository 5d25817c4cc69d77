//! Block compressors: what turns the bytes of a block into the payload of a frame, and back.
//!
//! What flows in: raw bytes and a [`Codec`] setting; on the way back stored bytes and the [`CodecId`] that the frame
//! names. What flows out: compressed bytes in a buffer of the caller's, or the word that compressing does not pay; on
//! the way back exactly as many raw bytes as the frame promised, or an error.
//! What this module does not know: frames, files, paths, threads, digests.
//!
//! An [`Encoder`] and a [`Decoder`] hold contexts that are made once and reused: one of each a worker. What an encoder
//! gives depends on the setting and the raw bytes alone, never on what it encoded before.
//!
//! **Stored forms.** `store`: the raw bytes. `lz4`: one LZ4 block (no LZ4 frame around it). `zstd`: one Zstandard
//! frame with its content size, without checksum (the container's digests do that) and without a dictionary's number (the container names it). `lzma`: one
//! LZMA2 stream with its end marker, nothing around it; its dictionary is as long as the block, rounded up to a power of two.

mod decode;
#[allow(unsafe_code)]
pub mod dictionary;
mod encode;
mod error;
pub mod filter;
mod lzma;
#[allow(unsafe_code)]
mod numbers;
mod probe;
mod room;
mod sample;
mod search;
mod trial;

use std::fmt;
use std::str::FromStr;

use crate::limits;

pub use decode::Decoder;
pub use dictionary::{DecoderDictionary, EncoderDictionary};
pub use encode::{Encoded, Encoder, paying_len};
pub use error::CodecError;
pub use filter::{FilterId, Filters};
pub use numbers::NumberEncoder;

/// The number that names a codec on every frame.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodecId(pub u8);

impl CodecId {
    /// Raw bytes as they are.
    pub const STORE: CodecId = CodecId(0);
    /// LZ4 block format.
    pub const LZ4: CodecId = CodecId(1);
    /// Zstandard, RFC 8878.
    pub const ZSTD: CodecId = CodecId(2);
    /// LZMA2.
    pub const LZMA: CodecId = CodecId(3);
    /// Every codec of this version, in order of number.
    pub const ALL: [CodecId; 4] = [CodecId::STORE, CodecId::LZ4, CodecId::ZSTD, CodecId::LZMA];

    /// The word that stands for it in the index and on the command line; `None` for a number this version does not know.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            CodecId::STORE => Some("store"),
            CodecId::LZ4 => Some("lz4"),
            CodecId::ZSTD => Some("zstd"),
            CodecId::LZMA => Some("lzma"),
            _ => None,
        }
    }

    /// The codec of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<CodecId> {
        CodecId::ALL.into_iter().find(|id| id.name() == Some(name))
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "unknown codec {}", self.0),
        }
    }
}

impl fmt::Debug for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a block is stored: its codec, and the filters that were applied before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The codec.
    pub codec: CodecId,
    /// The filters.
    pub filters: Filters,
}

/// Without filters.
impl From<CodecId> for Form {
    fn from(codec: CodecId) -> Self {
        Self { codec, filters: Filters::NONE }
    }
}

/// Whether blocks are filtered before they are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum FilterChoice {
    /// Each block as its bytes suggest, with lzma and from zstd's level 5 on; the others are there for speed.
    #[default]
    Auto,
    /// No block.
    Off,
    /// Every block with these, whatever it holds and whatever the codec, where the result pays.
    These(Filters),
}

impl FilterChoice {
    /// Whether blocks are looked at with this codec.
    #[must_use]
    pub fn detects(self, codec: Codec) -> bool {
        self == FilterChoice::Auto && matches!(codec, Codec::Zstd { level: FILTER_LEVEL.. } | Codec::Lzma { .. })
    }
}

/// `auto`, `off`, or the filters.
impl fmt::Display for FilterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterChoice::Auto => f.write_str("auto"),
            FilterChoice::Off => f.write_str("off"),
            FilterChoice::These(filters) => filters.fmt(f),
        }
    }
}

/// Lowest zstd level: the fastest.
pub const ZSTD_LEVEL_MIN: i32 = -7;
/// Highest zstd level: the smallest output.
pub const ZSTD_LEVEL_MAX: i32 = 22;
/// zstd level where none is asked for.
pub const ZSTD_LEVEL_DEFAULT: i32 = 3;

/// Highest lzma level; the lowest is 0.
pub const LZMA_LEVEL_MAX: i32 = 9;
/// lzma level where none is asked for.
pub const LZMA_LEVEL_DEFAULT: i32 = 6;

/// The level of zstd from which on blocks are looked at for filters: below, filtering code costs a fifth of the time.
const FILTER_LEVEL: i32 = 5;
/// The level of zstd from which on a block is probed before it is searched. Up to level 4 zstd hurries over noise, but the look
/// costs a tenth of that, and next to nothing where a block is worth compressing.
const PROBE_LEVEL: i32 = 1;
/// The highest level for blocks that promise little.
const CHEAP_LEVEL: i32 = 5;

/// The level of zstd from which on blocks are longer than where time is all: 4 MiB.
const BLOCK_LEVEL: i32 = 3;
/// The levels of zstd from which on longer blocks stand for each byte saved by no more time, only memory: 8, 16, 32 MiB.
const BLOCK_LEVELS: [i32; 3] = [12, 16, 20];

/// How blocks are to be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all.
    Store,
    /// LZ4, its fast mode: it has no levels.
    Lz4,
    /// Zstandard, with its own parameters for the level and the length of the block, but for three: the window (how far back
    /// a match may lie) is from level 1 on the block rounded up to a power of two; levels 1, 3 and 7 to 9 have larger hash
    /// tables in blocks of more than 256 KiB, 1 MiB and 16 MiB; levels 5 to 12 hash six bytes of text. From level 5 on, blocks that promise little get
    /// level 5, or are stored.
    Zstd {
        /// [`ZSTD_LEVEL_MIN`]`..=`[`ZSTD_LEVEL_MAX`]; 0 means zstd's own default, which is 3.
        level: i32,
    },
    /// LZMA2, with the settings of xz's presets but for the dictionary: smaller than Zstandard's highest levels at their
    /// speed, and several times slower to decode.
    Lzma {
        /// 0 to [`LZMA_LEVEL_MAX`].
        level: i32,
    },
}

impl Default for Codec {
    fn default() -> Self {
        Codec::Zstd { level: ZSTD_LEVEL_DEFAULT }
    }
}

impl Codec {
    /// The setting that a name and a level stand for: `parse("zstd", Some(19))`.
    ///
    /// # Errors
    /// [`CodecError::UnknownName`], [`CodecError::NoLevels`] when the codec has none and one is given,
    /// [`CodecError::BadLevel`].
    pub fn parse(name: &str, level: Option<i32>) -> Result<Self, CodecError> {
        let id = CodecId::from_name(name).ok_or_else(|| CodecError::UnknownName(name.to_owned()))?;
        let codec = match id {
            CodecId::STORE => Codec::Store,
            CodecId::LZ4 => Codec::Lz4,
            CodecId::LZMA => Codec::Lzma { level: level.unwrap_or(LZMA_LEVEL_DEFAULT) },
            _ => Codec::Zstd { level: level.unwrap_or(ZSTD_LEVEL_DEFAULT) },
        };
        if level.is_some() && codec.level().is_none() {
            return Err(CodecError::NoLevels(id));
        }
        codec.checked()
    }

    /// The number that frames compressed this way carry.
    #[must_use]
    pub fn id(self) -> CodecId {
        match self {
            Codec::Store => CodecId::STORE,
            Codec::Lz4 => CodecId::LZ4,
            Codec::Zstd { .. } => CodecId::ZSTD,
            Codec::Lzma { .. } => CodecId::LZMA,
        }
    }

    /// Uncompressed size of a block where none is asked for, bytes: 1 MiB, from zstd's level 3 on 4 MiB, from 12 on 8 MiB,
    /// from 16 on 16 MiB, from 20 on 32 MiB; with lzma 16 MiB, at level 8 32 MiB, at 9 64 MiB, as are the dictionaries of
    /// xz's presets.
    #[must_use]
    pub fn block_size_default(self) -> u32 {
        match self {
            Codec::Zstd { level: 0 | BLOCK_LEVEL.. } => {
                let doubled = BLOCK_LEVELS.into_iter().filter(|&from| self.level() >= Some(from)).count();
                limits::BLOCK_SIZE_SMALL << doubled
            }
            Codec::Lzma { level } => (16 << 20) << (level - 7).clamp(0, 2),
            _ => limits::BLOCK_SIZE_FAST,
        }
    }

    /// Whether blocks are looked at before they are compressed, for what they are worth.
    fn is_probed(self) -> bool {
        matches!(self, Codec::Zstd { level: PROBE_LEVEL.. } | Codec::Lzma { .. })
    }

    /// The level, where the codec has levels.
    #[must_use]
    pub fn level(self) -> Option<i32> {
        match self {
            Codec::Zstd { level } | Codec::Lzma { level } => Some(level),
            Codec::Store | Codec::Lz4 => None,
        }
    }

    /// This setting, if its level is one that the codec has.
    fn checked(self) -> Result<Self, CodecError> {
        match self {
            Codec::Zstd { level } if !(ZSTD_LEVEL_MIN..=ZSTD_LEVEL_MAX).contains(&level) => {
                Err(CodecError::BadLevel { codec: self.id(), found: level.to_string() })
            }
            Codec::Lzma { level } if !(0..=LZMA_LEVEL_MAX).contains(&level) => {
                Err(CodecError::BadLevel { codec: self.id(), found: level.to_string() })
            }
            _ => Ok(self),
        }
    }
}

/// `store`, `lz4`, `zstd`, `lzma` or, with its level, `zstd:19`.
impl FromStr for Codec {
    type Err = CodecError;

    fn from_str(text: &str) -> Result<Self, CodecError> {
        let Some((name, level)) = text.split_once(':') else { return Codec::parse(text, None) };
        let codec = CodecId::from_name(name).unwrap_or(CodecId::ZSTD);
        let level = level.parse().map_err(|_| CodecError::BadLevel { codec, found: level.to_owned() })?;
        Codec::parse(name, Some(level))
    }
}

/// The form that [`FromStr`] takes.
impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Codec::Zstd { level } | Codec::Lzma { level } => write!(f, "{}:{level}", self.id()),
            _ => fmt::Display::fmt(&self.id(), f),
        }
    }
}

/// The longest that zstd may make so many bytes.
pub(crate) fn zstd_len_max(raw_len: usize) -> usize {
    zstd_safe::compress_bound(raw_len)
}

/// How zstd's functions return an error: negated, in a `size_t`.
fn error_code(code: zstd_safe::zstd_sys::ZSTD_ErrorCode) -> usize {
    (code as usize).wrapping_neg()
}

#[cfg(test)]
mod tests;
