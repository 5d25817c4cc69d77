//! What can be wrong with an archive, told apart by what a caller can do about it.
//!
//! The container does not know which file it reads: whoever opened it puts the name in front.

use std::fmt;
use std::io;

use super::rules::Fault;

/// Why bytes are not what the format says they should be, or could not be had.
#[derive(Debug)]
pub enum ContainerError {
    /// Not an archive at all; `found` says what was there instead.
    NotAnArchive {
        /// What was found.
        found: String,
    },
    /// An archive whose writer asks for a newer reader.
    NewerVersion {
        /// The oldest reader version that may read it.
        needed: u16,
        /// The version of this reader.
        supported: u16,
    },
    /// Sound, but uses a kind, codec or tag that this version does not know.
    Unsupported {
        /// What is unknown.
        what: &'static str,
        /// Where it stands, bytes from the start of the archive (or of the directory, for its records).
        offset: u64,
        /// Its value.
        found: String,
    },
    /// The bytes end before they should.
    Truncated {
        /// What is cut.
        what: &'static str,
        /// Where it begins, bytes.
        offset: u64,
        /// How many bytes it needs.
        needed: u64,
        /// How many bytes there are in all.
        len: u64,
    },
    /// Bytes are there, but wrong.
    Damaged(Box<Damage>),
    /// An entry that is to be written breaks a rule of the format.
    Refused {
        /// The entry's path, escaped.
        path: String,
        /// The rule.
        fault: Box<Fault>,
    },
    /// Something to be written does not fit into the format.
    TooLarge {
        /// What does not fit.
        what: &'static str,
        /// Its size, in the unit of `limit`.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The source could not be read.
    Io {
        /// What was being read.
        what: &'static str,
        /// Where, bytes.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// Where an archive is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong, such as "frame header".
    pub what: &'static str,
    /// Where it stands, bytes from the start of the archive (or of the directory, for its records).
    pub offset: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl ContainerError {
    /// A [`ContainerError::Damaged`].
    #[cold]
    pub fn damaged(what: &'static str, offset: u64, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Damaged(Box::new(Damage { what, offset, expected: expected.to_string(), found: found.to_string() }))
    }

    /// A [`ContainerError::Unsupported`].
    #[cold]
    pub fn unsupported(what: &'static str, offset: u64, found: impl fmt::Display) -> Self {
        Self::Unsupported { what, offset, found: found.to_string() }
    }

    /// Whether the archive itself is at fault: cut short or wrong, rather than foreign, newer or unreadable.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Truncated { .. })
    }
}

impl fmt::Display for ContainerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArchive { found } => write!(f, "not a Carrack archive: found {found}"),
            Self::NewerVersion { needed, supported } => {
                write!(f, "the archive needs a reader of version {needed}; this one has version {supported}")
            }
            Self::Unsupported { what, offset, found } => {
                write!(f, "{what} at offset {offset}: {found} is unknown to this version")
            }
            Self::Truncated { what, offset, needed, len } => {
                write!(f, "{what} at offset {offset}: needs {needed} bytes, but the bytes end at {len}")
            }
            Self::Damaged(damage) => damage.fmt(f),
            Self::Refused { path, fault } => write!(f, "{path}: cannot be stored: {fault}"),
            Self::TooLarge { what, size, limit } => write!(f, "{what}: {size} is more than the format's {limit}"),
            Self::Io { what, offset, source } => write!(f, "{what} at offset {offset}: {source}"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, offset, expected, found } = self;
        write!(f, "{what} at offset {offset}: expected {expected}, found {found}")
    }
}

impl std::error::Error for ContainerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The `N` bytes that `text` spells in hexadecimal digits.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    vec_from_hex(text).filter(|found| found.len() == N).map(|found| {
        bytes.copy_from_slice(&found);
        bytes
    })
}

/// The bytes that `text` spells in lower-case hexadecimal digits.
pub(crate) fn vec_from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_what_was_expected_and_what_was_found() {
        let error = ContainerError::damaged("frame header", 4096, "checksum 01", Hex(&[0xab, 0x0c]));
        assert_eq!(error.to_string(), "frame header at offset 4096: expected checksum 01, found ab0c");
        assert!(error.is_damage());
        let error = ContainerError::Truncated { what: "seal", offset: 10, needed: 128, len: 100 };
        assert_eq!(error.to_string(), "seal at offset 10: needs 128 bytes, but the bytes end at 100");
        assert!(error.is_damage());
        assert!(!ContainerError::NotAnArchive { found: "a text".into() }.is_damage());
    }
}
