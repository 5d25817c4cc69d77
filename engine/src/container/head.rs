//! The head: the first bytes of every archive, the same for a version of the format.
//!
//! It is what makes the file an Arrow IPC file: `ARROW1`, two zeros, the schema message of the entries table, zeros up
//! to a multiple of 64. The bytes are kept as a file beside this one rather than built anew each time, so that no
//! newer Arrow library can change them by accident; the index proves by a test that they spell its schema.

use super::error::{ContainerError, Hex};
use super::source::Source;

/// Magic at the front of an Arrow IPC file, and at its end without the zeros.
pub const ARROW_MAGIC: [u8; 8] = *b"ARROW1\0\0";
/// The first bytes of an archive.
pub static HEAD: &[u8] = include_bytes!("head.bin");

/// Checks that a source begins with [`HEAD`].
///
/// # Errors
/// [`ContainerError::NotAnArchive`] when not even Arrow's magic is there, [`ContainerError::Damaged`] with the first
/// byte that differs, [`ContainerError::Truncated`] when the bytes end within it.
pub fn check(source: &dyn Source) -> Result<(), ContainerError> {
    let magic = source.bytes("head", 0, source.len().min(ARROW_MAGIC.len() as u64))?;
    if magic != ARROW_MAGIC {
        let found = if magic.is_empty() { "no bytes".into() } else { format!("bytes {}", Hex(&magic)) };
        return Err(ContainerError::NotAnArchive { found });
    }
    let found = source.bytes("head", 0, HEAD.len() as u64)?;
    match found.iter().zip(HEAD).position(|(a, b)| a != b) {
        Some(at) => Err(ContainerError::damaged("head", at as u64, Hex(&HEAD[at..=at]), Hex(&found[at..=at]))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_known_and_every_change_of_it_is_noticed() {
        let good = HEAD.to_vec();
        check(&good).unwrap();
        assert_eq!(HEAD.len() % 64, 0);
        for at in 0..HEAD.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            match check(&bytes).unwrap_err() {
                ContainerError::NotAnArchive { .. } => assert!(at < 8),
                ContainerError::Damaged(damage) => assert_eq!(damage.offset, at as u64),
                other => panic!("{other}"),
            }
            assert!(check(&HEAD[..at].to_vec()).is_err(), "cut to {at}");
        }
    }
}
