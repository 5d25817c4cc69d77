//! The seal: 128 bytes directly in front of the Arrow footer. It says where the tables are and holds the digest of the
//! footer, so that nothing is parsed before it is known to be what the writer wrote.
//!
//! ```text
//!   0   8 magic 89 'C' 'R' 'K' 'S' 0D 0A 1A       56   4 footer length (flatbuffer)
//!   8   2 format version                          60   4 reserved, zero
//!  10   2 oldest reader version                   64  32 digest: BLAKE3(end of seal .. end of file)
//!  12   4 reserved, zero                          96   8 offset of the seal before + 1, 0 = none
//!  16  16 archive id                             104  16 reserved, zero
//!  32   8 offset of the blocks table             120   8 checksum: first 8 bytes of BLAKE3(bytes 0..120)
//!  40   8 length of the blocks table
//!  48   8 offset of the first entries batch
//! ```

use super::align;
use super::error::ContainerError;
use super::frame::{HEADER_LEN, check_envelope, checksum, field};
use super::id::ArchiveId;
use crate::digest::Digest;
use crate::limits::FOOTER_LEN_MAX;

/// First bytes of every seal.
pub const MAGIC: [u8; 8] = [0x89, b'C', b'R', b'K', b'S', 0x0D, 0x0A, 0x1A];
/// Length of a seal, bytes.
pub const SEAL_LEN: usize = HEADER_LEN;
/// Bytes behind the footer's flatbuffer: its length, then `ARROW1`.
pub const TRAILER_LEN: usize = 10;
/// The version of the format that this code writes, and the newest that it reads.
pub const VERSION: u16 = 1;
/// The oldest reader version that can read what this code writes.
pub const READER_VERSION_MIN: u16 = 1;

/// Where the tables are, and what proves the footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Version of the format that the writer knew.
    pub version: u16,
    /// Oldest reader version that may read the archive.
    pub reader_version_min: u16,
    /// The archive that the seal belongs to.
    pub archive_id: ArchiveId,
    /// Where the blocks table begins, bytes from the start of the archive.
    pub blocks_offset: u64,
    /// Its length without padding, bytes.
    pub blocks_len: u64,
    /// Where the first entries batch begins (or would), bytes.
    pub entries_offset: u64,
    /// Length of the footer's flatbuffer, bytes.
    pub footer_len: u32,
    /// BLAKE3 of everything behind the seal.
    pub digest: Digest,
    /// Where the seal begins that this one takes the place of, if something was appended behind it.
    pub previous: Option<u64>,
}

impl Seal {
    /// The seal as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SEAL_LEN] {
        let mut bytes = [0; SEAL_LEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(8, &self.version.to_le_bytes());
        put(10, &self.reader_version_min.to_le_bytes());
        put(16, &self.archive_id.0);
        put(32, &self.blocks_offset.to_le_bytes());
        put(40, &self.blocks_len.to_le_bytes());
        put(48, &self.entries_offset.to_le_bytes());
        put(56, &self.footer_len.to_le_bytes());
        put(64, &self.digest.0);
        put(96, &self.previous.map_or(0, |offset| offset + 1).to_le_bytes());
        let checksum = checksum(&bytes);
        bytes[120..].copy_from_slice(&checksum);
        bytes
    }

    /// The seal that these bytes hold; `offset` is where they stand.
    ///
    /// # Errors
    /// [`ContainerError::Damaged`] when magic, checksum or a place is wrong; [`ContainerError::NewerVersion`] when the
    /// writer asks for a newer reader; [`ContainerError::Unsupported`] for a reserved byte in use.
    pub fn decode(bytes: &[u8; SEAL_LEN], offset: u64) -> Result<Self, ContainerError> {
        check_envelope("seal", bytes, &MAGIC, offset)?;
        let seal = Self {
            version: u16::from_le_bytes(field(bytes, 8)),
            reader_version_min: u16::from_le_bytes(field(bytes, 10)),
            archive_id: ArchiveId(field(bytes, 16)),
            blocks_offset: u64::from_le_bytes(field(bytes, 32)),
            blocks_len: u64::from_le_bytes(field(bytes, 40)),
            entries_offset: u64::from_le_bytes(field(bytes, 48)),
            footer_len: u32::from_le_bytes(field(bytes, 56)),
            digest: Digest(field(bytes, 64)),
            previous: u64::from_le_bytes(field(bytes, 96)).checked_sub(1),
        };
        if seal.reader_version_min > VERSION {
            return Err(ContainerError::NewerVersion { needed: seal.reader_version_min, supported: VERSION });
        }
        for at in (12..16).chain(60..64).chain(104..120) {
            if bytes[at] != 0 {
                return Err(ContainerError::unsupported("reserved byte of the seal", offset + at as u64, bytes[at]));
            }
        }
        seal.check(offset)?;
        Ok(seal)
    }

    /// Checks that the places named lie in order, aligned, in front of the seal.
    fn check(&self, offset: u64) -> Result<(), ContainerError> {
        let wrong =
            |at: u64, expected: String, found: u64| Err(ContainerError::damaged("seal", offset + at, expected, found));
        if self.version < self.reader_version_min || self.reader_version_min == 0 {
            let expected = format!("a version of at least {}", self.reader_version_min.max(1));
            return wrong(8, expected, self.version.into());
        }
        if !align::is_aligned(self.blocks_offset) {
            return wrong(32, "a multiple of 64".into(), self.blocks_offset);
        }
        let Some(end) = self.blocks_offset.checked_add(self.blocks_len).and_then(align::up) else {
            return wrong(40, "a table that ends in front of the seal".into(), self.blocks_len);
        };
        if end != self.entries_offset {
            return wrong(48, format!("entries right behind the blocks table, at {end}"), self.entries_offset);
        }
        if self.entries_offset >= offset {
            return wrong(48, format!("an offset in front of the seal at {offset}"), self.entries_offset);
        }
        if self.footer_len > FOOTER_LEN_MAX {
            return wrong(56, format!("a footer of at most {FOOTER_LEN_MAX} bytes"), self.footer_len.into());
        }
        if let Some(previous) = self.previous
            && (previous >= self.blocks_offset || !align::is_aligned(previous))
        {
            return wrong(96, format!("a multiple of 64 below {}", self.blocks_offset), previous);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 64_000;

    fn sample() -> Seal {
        Seal {
            version: VERSION,
            reader_version_min: READER_VERSION_MIN,
            archive_id: ArchiveId::derive(b"sample"),
            blocks_offset: 1280,
            blocks_len: 1000,
            entries_offset: 2304,
            footer_len: 500,
            digest: Digest::of(b"footer"),
            previous: None,
        }
    }

    #[test]
    fn a_seal_comes_back_from_its_bytes() {
        for seal in [sample(), Seal { previous: Some(0), ..sample() }, Seal { version: 9, ..sample() }] {
            assert_eq!(Seal::decode(&seal.encode(), AT).unwrap(), seal);
        }
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let good = sample().encode();
        for bit in 0..SEAL_LEN * 8 {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Seal::decode(&bytes, AT).unwrap_err().is_damage(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let seal = Seal { version: 2, reader_version_min: 2, ..sample() };
        let error = Seal::decode(&seal.encode(), AT).unwrap_err();
        assert!(matches!(error, ContainerError::NewerVersion { needed: 2, supported: 1 }), "{error}");
    }

    #[test]
    fn a_sound_checksum_does_not_excuse_wrong_places() {
        let good = sample();
        let wrong = [
            Seal { version: 0, ..good },
            Seal { reader_version_min: 0, ..good },
            Seal { blocks_offset: 1281, ..good },
            Seal { blocks_len: 1100, ..good },
            Seal { blocks_len: u64::MAX - 2000, ..good },
            Seal { entries_offset: 2368, ..good },
            Seal { footer_len: FOOTER_LEN_MAX + 1, ..good },
            Seal { previous: Some(1280), ..good },
            Seal { previous: Some(3), ..good },
        ];
        for seal in wrong {
            let error = Seal::decode(&seal.encode(), AT).unwrap_err();
            assert!(matches!(error, ContainerError::Damaged(_)), "{seal:?}: {error}");
        }
        assert!(Seal::decode(&good.encode(), 2304).is_err(), "tables behind the seal");
        let mut bytes = good.encode();
        bytes[60] = 1;
        let sum = checksum(&bytes);
        bytes[120..].copy_from_slice(&sum);
        assert!(matches!(Seal::decode(&bytes, AT), Err(ContainerError::Unsupported { .. })));
    }
}
