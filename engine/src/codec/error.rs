//! What can go wrong between raw and stored bytes.

use std::fmt;

use super::{CodecId, FilterId, LZMA_LEVEL_MAX, ZSTD_LEVEL_MAX, ZSTD_LEVEL_MIN};

/// An error of a codec. It does not know which frame or file it is about: the caller adds that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// No codec has this name.
    UnknownName(String),
    /// A level was given for a codec that has none.
    NoLevels(CodecId),
    /// The level given for a codec is no number that it has.
    BadLevel {
        /// The codec.
        codec: CodecId,
        /// What was given.
        found: String,
    },
    /// A frame names a codec that this version does not know.
    UnknownCodec(CodecId),
    /// A frame names a filter that this version does not know.
    UnknownFilter(FilterId),
    /// The stored bytes promise, or hold, another number of raw bytes than expected.
    Length {
        /// The codec they are stored with.
        codec: CodecId,
        /// Raw bytes expected.
        expected: u64,
        /// Raw bytes found.
        found: u64,
    },
    /// The stored bytes are not what the codec writes.
    Malformed {
        /// The codec they should be stored with.
        codec: CodecId,
        /// What the decompressor says.
        why: String,
    },
    /// More raw bytes than a frame can hold: its lengths have 32 bits.
    TooLong {
        /// Bytes given.
        found: u64,
    },
    /// The codec's library failed through no fault of the bytes: there is no memory for its context.
    Failed {
        /// The codec.
        codec: CodecId,
        /// What the library says.
        why: String,
    },
}

impl CodecError {
    /// Whether the bytes may be sound, but need a newer version.
    #[must_use]
    pub fn needs_newer(&self) -> bool {
        matches!(self, Self::UnknownCodec(_) | Self::UnknownFilter(_))
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName(name) => {
                write!(f, "unknown codec {name:?}: expected ")?;
                for (i, id) in CodecId::ALL.into_iter().enumerate() {
                    let last = i + 1 == CodecId::ALL.len();
                    write!(
                        f,
                        "{}{id}",
                        if i == 0 {
                            ""
                        } else if last {
                            " or "
                        } else {
                            ", "
                        }
                    )?;
                }
                Ok(())
            }
            Self::NoLevels(id) => write!(f, "codec {id} has no levels: leave the level out, or use zstd"),
            Self::BadLevel { codec, found } => {
                let (min, max) = match *codec {
                    CodecId::LZMA => (0, LZMA_LEVEL_MAX),
                    _ => (ZSTD_LEVEL_MIN, ZSTD_LEVEL_MAX),
                };
                write!(f, "{codec} level {found}: expected a whole number from {min} to {max}")
            }
            Self::UnknownCodec(id) => {
                write!(f, "codec number {} is unknown to this version, which knows", id.0)?;
                for (i, id) in CodecId::ALL.into_iter().enumerate() {
                    write!(f, "{} {} ({id})", if i == 0 { "" } else { "," }, id.0)?;
                }
                f.write_str("; a newer one is needed")
            }
            Self::UnknownFilter(id) => {
                write!(f, "filter number {} is unknown to this version; a newer one is needed", id.0)
            }
            Self::Length { codec, expected, found } => {
                write!(f, "{codec}: expected {expected} raw bytes, found {found}")
            }
            Self::Malformed { codec, why } => write!(f, "malformed {codec} data: {why}"),
            Self::TooLong { found } => {
                write!(f, "{found} bytes in one block: expected at most {} (lengths have 32 bits)", u32::MAX)
            }
            Self::Failed { codec, why } => write!(f, "the {codec} library failed: {why}"),
        }
    }
}

impl std::error::Error for CodecError {}
