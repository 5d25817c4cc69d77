//! What tells equal bytes from others, wherever they lie in their files.
//!
//! In: some bytes. Out: their key: their BLAKE3 digest, or, where all of them are zeros, one that follows from their number.
//! Files of zeros are common (images of disks, files made ahead of their contents), and looking at bytes costs a fraction
//! of hashing them.

use crate::digest::Digest;

/// Separates the keys of zeros from every other use of BLAKE3: no other bytes have such a key.
const ZEROS_CONTEXT: &str = "carrack 1 key of zeros";
/// Looked at in one go: so many that the processor takes several at once, so few that others are known soon.
const STEP: usize = 256;

/// A strong identity of some bytes: equal for equal bytes, and for no others.
#[must_use]
pub fn key_of(bytes: &[u8]) -> Digest {
    if is_zeros(bytes) {
        return Digest::derive(ZEROS_CONTEXT, &[&(bytes.len() as u64).to_le_bytes()]);
    }
    Digest::of(bytes)
}

/// Whether all of these bytes are 0. Bytes that are not are as a rule known by the first few.
#[must_use]
pub fn is_zeros(bytes: &[u8]) -> bool {
    bytes.chunks(STEP).all(|some| some.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_anywhere_is_seen() {
        for len in [1, 2, STEP - 1, STEP, STEP + 1, 3 * STEP + 7] {
            let mut bytes = vec![0; len];
            assert!(is_zeros(&bytes));
            for at in 0..len {
                bytes[at] = 1;
                assert!(!is_zeros(&bytes), "{at} of {len}");
                assert_eq!(key_of(&bytes), Digest::of(&bytes));
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn zeros_have_keys_by_their_number_and_nothing_else_has_them() {
        let mut keys: Vec<Digest> = (1..2000).map(|len| key_of(&vec![0; len])).collect();
        assert_eq!(keys[99], key_of(&[0; 100]));
        keys.extend((1..2000).map(|len| Digest::of(&vec![0; len])));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 2 * 1999);
    }
}
