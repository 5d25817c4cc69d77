//! A frame: header, directory, payload, zeros up to the next multiple of 64.
//!
//! ```text
//!   0   8 magic 89 'C' 'R' 'K' 'F' 0D 0A 1A       52   4 directory stored length
//!   8  16 archive id                              56   8 dictionary: its frame's seq + 1, 0 = none
//!  24   8 seq                                     64  32 digest: BLAKE3(directory ‖ payload, as stored)
//!  32   1 kind                                    96  24 reserved, zero
//!  33   1 codec of the payload                   120   8 checksum: first 8 bytes of BLAKE3(bytes 0..120)
//!  34   1 codec of the directory
//!  35   1 reserved, zero                         128     directory as stored
//!  36   4 filters                                        payload as stored
//!  40   4 raw length    44  4 stored length              zeros
//!  48   4 directory raw length
//! ```
//!
//! A header stands alone: magic, checksum and archive id let a scan find frames where the index is gone.

use super::align;
use super::error::{ContainerError, Hex};
use super::id::ArchiveId;
use crate::digest::Digest;
use crate::limits::{BLOCK_SIZE_MAX, DICTIONARY_LEN_MAX, DIRECTORY_LEN_MAX, FRAMES_MAX, directory_decoded_max};

/// First bytes of every frame. Not valid UTF-8, and damaged by every kind of text conversion.
pub const MAGIC: [u8; 8] = [0x89, b'C', b'R', b'K', b'F', 0x0D, 0x0A, 0x1A];
/// Length of a frame's header, bytes.
pub const HEADER_LEN: usize = 128;
/// The codec that stores bytes as they are: the only one whose number the container itself knows.
pub const CODEC_STORE: u8 = 0;
/// Where the checksum stands; what lies before it is what it covers.
const CHECKSUM_AT: usize = 120;

/// What a frame's payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A block of file contents.
    Block = 0,
    /// A dictionary that codecs of other frames use.
    Dictionary = 1,
    /// No payload: a directory alone, for entries that have no contents.
    Table = 2,
    /// Parity over other frames.
    Parity = 3,
}

impl FrameKind {
    /// Every kind, in the order of its number.
    pub const ALL: [FrameKind; 4] = [FrameKind::Block, FrameKind::Dictionary, FrameKind::Table, FrameKind::Parity];

    /// The kind of that number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word that stands for it in the blocks table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Dictionary => "dictionary",
            Self::Table => "table",
            Self::Parity => "parity",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What stands in front of a frame. All lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The archive that the frame belongs to.
    pub archive_id: ArchiveId,
    /// Number of the frame, counted over frames of all kinds.
    pub seq: u64,
    /// What the payload is.
    pub kind: FrameKind,
    /// Number of the payload's codec.
    pub codec: u8,
    /// Number of the directory's codec.
    pub directory_codec: u8,
    /// Numbers of the filters that were applied, in order, before the codec; zero = none, at the end only.
    pub filters: [u8; 4],
    /// Length of the payload, uncompressed.
    pub raw_len: u32,
    /// Length of the payload as stored: at most `raw_len`, and `raw_len` itself for [`CODEC_STORE`].
    pub stored_len: u32,
    /// Length of the directory, uncompressed.
    pub directory_raw_len: u32,
    /// Length of the directory as stored: at most `directory_raw_len`.
    pub directory_stored_len: u32,
    /// Seq of the dictionary's frame, an earlier one.
    pub dictionary: Option<u64>,
    /// [`digest_of`] the directory and the payload.
    pub digest: Digest,
}

/// The digest of a frame: BLAKE3 of the stored directory followed by the stored payload.
#[must_use]
pub fn digest_of(directory: &[u8], payload: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(directory).update(payload);
    Digest(*hasher.finalize().as_bytes())
}

impl FrameHeader {
    /// Length of the whole frame without its padding, bytes.
    #[must_use]
    pub fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.directory_stored_len) + u64::from(self.stored_len)
    }

    /// The header as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(8, &self.archive_id.0);
        put(24, &self.seq.to_le_bytes());
        put(32, &[self.kind as u8, self.codec, self.directory_codec, 0]);
        put(36, &self.filters);
        put(40, &self.raw_len.to_le_bytes());
        put(44, &self.stored_len.to_le_bytes());
        put(48, &self.directory_raw_len.to_le_bytes());
        put(52, &self.directory_stored_len.to_le_bytes());
        put(56, &self.dictionary.map_or(0, |seq| seq + 1).to_le_bytes());
        put(64, &self.digest.0);
        let checksum = checksum(&bytes);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum);
        bytes
    }

    /// The header that these bytes hold; `offset` is where they stand, for errors alone.
    ///
    /// # Errors
    /// [`ContainerError::Damaged`] when magic, checksum, a reserved byte or a length is wrong;
    /// [`ContainerError::Unsupported`] for an unknown kind.
    pub fn decode(bytes: &[u8; HEADER_LEN], offset: u64) -> Result<Self, ContainerError> {
        check_envelope("frame header", bytes, &MAGIC, offset)?;
        let kind = bytes[32];
        let header = Self {
            archive_id: ArchiveId(field(bytes, 8)),
            seq: u64::from_le_bytes(field(bytes, 24)),
            kind: FrameKind::from_number(kind)
                .ok_or_else(|| ContainerError::unsupported("kind of frame", offset + 32, kind))?,
            codec: bytes[33],
            directory_codec: bytes[34],
            filters: field(bytes, 36),
            raw_len: u32::from_le_bytes(field(bytes, 40)),
            stored_len: u32::from_le_bytes(field(bytes, 44)),
            directory_raw_len: u32::from_le_bytes(field(bytes, 48)),
            directory_stored_len: u32::from_le_bytes(field(bytes, 52)),
            dictionary: u64::from_le_bytes(field(bytes, 56)).checked_sub(1),
            digest: Digest(field(bytes, 64)),
        };
        for at in std::iter::once(35).chain(96..CHECKSUM_AT) {
            if bytes[at] != 0 {
                return Err(ContainerError::unsupported(
                    "reserved byte of a frame header",
                    offset + at as u64,
                    bytes[at],
                ));
            }
        }
        header.check(offset)?;
        Ok(header)
    }

    /// Checks every field against the others and against [`limits`](crate::limits).
    fn check(&self, offset: u64) -> Result<(), ContainerError> {
        let wrong = |at: u64, expected: String, found: &dyn std::fmt::Display| {
            Err(ContainerError::damaged("frame header", offset + at, expected, found))
        };
        if self.seq >= FRAMES_MAX {
            return wrong(24, format!("a seq below {FRAMES_MAX}"), &self.seq);
        }
        if let Some(at) = self.filters.iter().position(|&filter| filter == 0)
            && self.filters[at..] != [0; 4][at..]
        {
            return wrong(36, "no filter behind an empty place".into(), &Hex(&self.filters));
        }
        check_lengths(self.codec, self.raw_len, self.stored_len, BLOCK_SIZE_MAX, offset + 40)?;
        check_lengths(
            self.directory_codec,
            self.directory_raw_len,
            self.directory_stored_len,
            DIRECTORY_LEN_MAX,
            offset + 48,
        )?;
        let most = directory_decoded_max(self.directory_stored_len);
        if u64::from(self.directory_raw_len) > most {
            return wrong(48, format!("a directory of at most {most} bytes"), &self.directory_raw_len);
        }
        if self.kind == FrameKind::Table && self.raw_len != 0 {
            return wrong(40, "no payload in a table".into(), &self.raw_len);
        }
        if self.kind == FrameKind::Dictionary && !(1..=DICTIONARY_LEN_MAX).contains(&self.raw_len) {
            return wrong(40, format!("a dictionary of 1 to {DICTIONARY_LEN_MAX} bytes"), &self.raw_len);
        }
        if self.kind == FrameKind::Dictionary && self.directory_raw_len != 0 {
            return wrong(48, "no directory with a dictionary".into(), &self.directory_raw_len);
        }
        if let Some(seq) = self.dictionary {
            if seq >= self.seq {
                return wrong(56, format!("a dictionary before frame {}", self.seq), &seq);
            }
            if self.kind != FrameKind::Block || self.codec == CODEC_STORE {
                return wrong(56, "a dictionary with compressed blocks alone".into(), &seq);
            }
        }
        Ok(())
    }
}

/// Checks a raw and a stored length, which stand behind one another at `offset`.
fn check_lengths(codec: u8, raw: u32, stored: u32, limit: u32, offset: u64) -> Result<(), ContainerError> {
    if raw > limit {
        return Err(ContainerError::damaged("frame header", offset, format!("a raw length of at most {limit}"), raw));
    }
    if stored > raw || (codec == CODEC_STORE && stored != raw) {
        let relation = if codec == CODEC_STORE { "exactly" } else { "at most" };
        let expected = format!("a stored length of {relation} {raw}");
        return Err(ContainerError::damaged("frame header", offset + 4, expected, stored));
    }
    Ok(())
}

/// Bytes `at..at + N`.
pub(super) fn field<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// First 8 bytes of the BLAKE3 of everything before the checksum.
pub(super) fn checksum(bytes: &[u8; HEADER_LEN]) -> [u8; 8] {
    let mut checksum = [0; 8];
    checksum.copy_from_slice(&blake3::hash(&bytes[..CHECKSUM_AT]).as_bytes()[..8]);
    checksum
}

/// Checks magic and checksum.
pub(super) fn check_envelope(
    what: &'static str,
    bytes: &[u8; HEADER_LEN],
    magic: &[u8; 8],
    offset: u64,
) -> Result<(), ContainerError> {
    if bytes[..8] != *magic {
        return Err(ContainerError::damaged(what, offset, format_args!("magic {}", Hex(magic)), Hex(&bytes[..8])));
    }
    let (expected, found) = (checksum(bytes), &bytes[CHECKSUM_AT..]);
    if expected != found {
        let expected = format!("checksum {}", Hex(&expected));
        return Err(ContainerError::damaged(what, offset + CHECKSUM_AT as u64, expected, Hex(found)));
    }
    Ok(())
}

/// The parts of one frame, in the order in which they are appended. Nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct FrameParts<'a> {
    /// Where the frame begins, bytes from the start of the archive.
    pub offset: u64,
    /// Header, directory, payload, padding.
    pub parts: [&'a [u8]; 4],
}

impl FrameParts<'_> {
    /// Length of all parts, padding included, bytes.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }
}

/// Lays frames out one behind the other: keeps the offset, the archive id and the next seq.
#[derive(Debug)]
pub struct FrameWriter {
    archive_id: ArchiveId,
    offset: u64,
    next_seq: u64,
    header: [u8; HEADER_LEN],
}

impl FrameWriter {
    /// Starts at `offset`, the end of the head, with frame 0.
    ///
    /// # Panics
    /// When `offset` is not a multiple of 64.
    #[must_use]
    pub fn new(archive_id: ArchiveId, offset: u64) -> Self {
        Self::resume(archive_id, offset, 0)
    }

    /// Goes on at `offset`, behind what an archive already holds, with frame `next_seq`.
    ///
    /// # Panics
    /// When `offset` is not a multiple of 64.
    #[must_use]
    pub fn resume(archive_id: ArchiveId, offset: u64, next_seq: u64) -> Self {
        assert!(align::is_aligned(offset), "frames begin at multiples of 64");
        Self { archive_id, offset, next_seq, header: [0; HEADER_LEN] }
    }

    /// Where the next frame, or what follows the last one, begins, bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Seq of the next frame; the number of frames so far.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The parts of the next frame, to be appended at once.
    ///
    /// # Panics
    /// When the header is of another archive, not next in order, or has other lengths than the parts.
    pub fn frame<'a>(&'a mut self, header: &FrameHeader, directory: &'a [u8], payload: &'a [u8]) -> FrameParts<'a> {
        assert_eq!((header.archive_id, header.seq), (self.archive_id, self.next_seq), "frames come in order of seq");
        assert_eq!(
            header.directory_stored_len as usize,
            directory.len(),
            "the directory is as long as its header says"
        );
        assert_eq!(header.stored_len as usize, payload.len(), "the payload is as long as its header says");
        self.header = header.encode();
        let offset = self.offset;
        let end = offset + header.frame_len();
        let padding = align::padding(end);
        self.offset = end + padding.len() as u64;
        self.next_seq += 1;
        FrameParts { offset, parts: [&self.header, directory, payload, padding] }
    }
}

#[cfg(test)]
mod tests;
