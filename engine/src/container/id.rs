//! The archive id: 16 bytes on every frame and on the seal, so that a frame found by scanning is known to belong to
//! this archive and not to one that lay in the same place before, or that is stored inside it.

use std::fmt;

use super::error::Hex;

/// BLAKE3 derive-key context of archive ids.
const CONTEXT: &str = "carrack 1 archive id";

/// Ties frames to their archive. Derived from what is packed, never from the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ArchiveId(pub [u8; 16]);

impl ArchiveId {
    /// The id that follows from some bytes: what the writer knows before the first frame, such as options and a
    /// digest over paths, sizes and times.
    #[must_use]
    pub fn derive(bytes: &[u8]) -> Self {
        let mut hasher = ArchiveIdHasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The id that these 32 hexadecimal digits spell.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        super::error::from_hex(text).map(Self)
    }
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// [`ArchiveId::derive`] over bytes that come in pieces.
#[derive(Clone, Debug)]
pub struct ArchiveIdHasher(blake3::Hasher);

impl Default for ArchiveIdHasher {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key(CONTEXT))
    }
}

impl ArchiveIdHasher {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> ArchiveId {
        let mut id = [0; 16];
        self.0.finalize_xof().fill(&mut id);
        ArchiveId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_follows_from_the_bytes_alone() {
        let id = ArchiveId::derive(b"some bytes");
        let mut hasher = ArchiveIdHasher::default();
        hasher.update(b"some ");
        hasher.update(b"bytes");
        assert_eq!(hasher.finish(), id);
        assert_eq!(id.0[..], blake3::derive_key(CONTEXT, b"some bytes")[..16]);
        assert_ne!(ArchiveId::derive(b"other bytes"), id);
        assert_eq!(ArchiveId::from_hex(&id.to_string()), Some(id));
        assert_eq!(ArchiveId::from_hex("abc"), None);
    }
}
