//! Places in an archive: frames, tables and batches begin at multiples of [`ALIGN`] bytes, and
//! what lies between them is zero.

use super::error::ContainerError;
use super::source::Source;
use crate::limits::ALIGN;

/// As many zeros as padding may ever need.
static ZEROS: [u8; ALIGN as usize] = [0; ALIGN as usize];

/// The next place at or behind `offset` where something may begin, or `None` beyond 2⁶⁴.
#[must_use]
pub fn up(offset: u64) -> Option<u64> {
    offset.checked_next_multiple_of(ALIGN)
}

/// Whether something may begin at `offset`.
#[must_use]
pub fn is_aligned(offset: u64) -> bool {
    offset.is_multiple_of(ALIGN)
}

/// The zeros that follow something that ends at `end`, up to the next place where something may begin.
#[must_use]
pub fn padding(end: u64) -> &'static [u8] {
    let over = (end % ALIGN) as usize;
    if over == 0 { &[] } else { &ZEROS[over..] }
}

/// Checks that the bytes from `from` to `to` are zero.
///
/// # Errors
/// [`ContainerError::Damaged`] with the first byte that is not; what the source says.
pub fn check_zeros(source: &dyn Source, what: &'static str, from: u64, to: u64) -> Result<(), ContainerError> {
    let mut at = from;
    while at < to {
        let mut buf = [0u8; ALIGN as usize];
        let part = (to - at).min(ALIGN) as usize;
        source.read(what, &mut buf[..part], at)?;
        if let Some(bad) = buf[..part].iter().position(|&byte| byte != 0) {
            return Err(ContainerError::damaged(what, at + bad as u64, "a zero byte of padding", buf[bad]));
        }
        at += part as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_reaches_the_next_boundary_and_no_further() {
        for (end, zeros) in [(0, 0), (1, 63), (63, 1), (64, 0), (65, 63), (u64::MAX, 1)] {
            assert_eq!(padding(end).len(), zeros, "behind {end}");
        }
        assert_eq!((up(0), up(1), up(64), up(65)), (Some(0), Some(64), Some(64), Some(128)));
        assert_eq!(up(u64::MAX), None);
        assert!(is_aligned(128) && !is_aligned(130));
    }

    #[test]
    fn a_byte_that_is_not_zero_is_named() {
        let mut bytes = vec![0u8; 300];
        check_zeros(&bytes, "padding", 0, 300).unwrap();
        bytes[200] = 7;
        check_zeros(&bytes, "padding", 0, 200).unwrap();
        check_zeros(&bytes, "padding", 201, 300).unwrap();
        let error = check_zeros(&bytes, "padding", 3, 300).unwrap_err();
        assert!(matches!(&error, ContainerError::Damaged(damage) if damage.offset == 200), "{error}");
    }
}
