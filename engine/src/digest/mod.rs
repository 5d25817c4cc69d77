//! BLAKE3: content identity and corruption check.
//!
//! What flows in: bytes, whole or piece by piece. What flows out: [`Digest`]s of 32 bytes and checksums of 8.
//! What it does not know: files, blocks, frames, and which thread hashes what.
//!
//! [`Hasher`] takes bytes in order. [`part`] and [`zeros`] hash the pieces of one large file independently of each
//! other, and [`Joiner`] makes the same digest of them; [`span`] and [`Splicer`] do so for pieces that begin anywhere.

mod splice;
mod tree;

use std::fmt;
use std::str::FromStr;

pub use splice::{Span, Splicer, span};
pub use tree::{Joiner, LEAF, Part, part, zeros};

/// A BLAKE3 digest, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of some bytes: what `b3sum` prints for a file that holds them.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of several byte strings, one behind the other with nothing between them.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        Hasher::new().chain(parts)
    }

    /// The digest of several byte strings, one behind the other, in BLAKE3's derive-key mode: no two contexts ever
    /// share a digest, and none has one that [`Digest::of`] could give.
    ///
    /// Nothing marks where one part ends and the next begins. Give parts of fixed length, or their lengths as well.
    #[must_use]
    pub fn derive(context: &str, parts: &[&[u8]]) -> Self {
        Hasher::derive(context).chain(parts)
    }

    /// The digest of several byte strings, one behind the other, in BLAKE3's keyed mode.
    ///
    /// Nothing marks where one part ends and the next begins. Give parts of fixed length, or their lengths as well.
    #[must_use]
    pub fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Self {
        Hasher::keyed(key).chain(parts)
    }
}

/// A corruption check of a header: the first 8 bytes of the digest of `bytes`.
#[must_use]
pub fn checksum(bytes: &[u8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = Digest::of(bytes).0;
    [a, b, c, d, e, f, g, h]
}

/// Takes bytes in order and gives the digest of them all.
#[derive(Clone, Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// A hasher that gives what [`Digest::of`] gives.
    #[must_use]
    pub fn new() -> Self {
        Self(blake3::Hasher::new())
    }

    /// A hasher that gives what [`Digest::derive`] gives.
    #[must_use]
    pub fn derive(context: &str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    /// A hasher that gives what [`Digest::keyed`] gives.
    #[must_use]
    pub fn keyed(key: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(key))
    }

    /// Takes in the next bytes. Give many at once: from 16 KiB on all lanes of the processor are in use.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// Takes in `len` zero bytes.
    pub fn update_zeros(&mut self, len: u64) -> &mut Self {
        tree::update_zeros(&mut self.0, len);
        self
    }

    /// Bytes taken in so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// The digest of all bytes so far; more may follow.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }

    fn chain(mut self, parts: &[&[u8]]) -> Digest {
        for part in parts {
            self.0.update(part);
        }
        self.digest()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was given for a digest is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADigest {
    /// How many bytes were given.
    pub len: usize,
}

impl fmt::Display for NotADigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 64 {
            f.write_str("a digest: expected 64 hexadecimal digits, found another character among them")
        } else {
            write!(f, "a digest: expected 64 hexadecimal digits, found {} bytes", self.len)
        }
    }
}

impl std::error::Error for NotADigest {}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(hex: &str) -> Result<Self, NotADigest> {
        let hash = blake3::Hash::from_hex(hex).map_err(|_| NotADigest { len: hex.len() })?;
        Ok(Self(*hash.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_string_has_the_published_digest() {
        let hex = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_string(), hex);
        assert_eq!(hex.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn parts_hash_like_the_whole() {
        let whole = Digest::of(b"hold and deck");
        assert_eq!(Digest::of_parts(&[b"hold ", b"", b"and deck"]), whole);
        let mut hasher = Hasher::new();
        hasher.update(b"hold").update(b" and deck");
        assert_eq!((hasher.count(), hasher.digest()), (13, whole));
    }

    #[test]
    fn contexts_and_keys_keep_domains_apart() {
        let parts: [&[u8]; 2] = [b"a", b"b"];
        let all = [
            Digest::of_parts(&parts),
            Digest::derive("carrack test one", &parts),
            Digest::derive("carrack test two", &parts),
            Digest::keyed(&[0; 32], &parts),
            Digest::keyed(&[1; 32], &parts),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "domain {i} collides with an earlier one");
        }
        assert_eq!(all[1].0, blake3::derive_key("carrack test one", b"ab"));
        assert_eq!(all[4].0, *blake3::keyed_hash(&[1; 32], b"ab").as_bytes());
    }

    #[test]
    fn zeros_hash_like_written_ones() {
        for len in [0usize, 1, 1023, 1024, 1025, 65_535, 65_536, 65_537, 200_001] {
            let mut hasher = Hasher::new();
            hasher.update(b"x").update_zeros(len as u64).update(b"y");
            let mut whole = vec![0; len + 2];
            whole[0] = b'x';
            whole[len + 1] = b'y';
            assert_eq!(hasher.digest(), Digest::of(&whole), "{len} zeros");
        }
    }

    #[test]
    fn a_checksum_is_the_head_of_the_digest() {
        assert_eq!(checksum(b"keel"), Digest::of(b"keel").0[..8]);
    }

    #[test]
    fn what_is_no_digest_is_refused_with_what_was_found() {
        assert_eq!("abcd".parse::<Digest>(), Err(NotADigest { len: 4 }));
        assert!("g".repeat(64).parse::<Digest>().unwrap_err().to_string().contains("another character"));
        assert!("".parse::<Digest>().unwrap_err().to_string().contains("found 0 bytes"));
    }
}
