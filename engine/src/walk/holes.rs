//! Where a sparse file has no data.
//!
//! In: a file and its size. Out: its holes, on multiples of 4096 bytes (but for the end of the file) whatever the
//! block size of the file system, so that the same file gives the same map wherever it lies, as far as that can be.

use std::ffi::CStr;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use crate::entry::Hole;

/// Edges of holes lie on multiples of this, bytes.
const GRAIN: u64 = 4096;

/// The holes of a file of `size` bytes. A file that cannot be opened or asked has none: it is read in full, and what
/// is wrong with it shows then.
pub(super) fn of_file(folder: BorrowedFd<'_>, name: &CStr, size: u64, stop: &dyn Fn() -> bool) -> Vec<Hole> {
    if size < GRAIN {
        return Vec::new();
    }
    let Ok(file) = super::open::file(folder, name) else { return Vec::new() };
    between(size, |at| if stop() { Err(io::ErrorKind::Interrupted.into()) } else { seek_data(&file, at) })
        .unwrap_or_default()
}

/// The first range of data at or behind `at`.
#[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
fn seek_data(file: &impl std::os::fd::AsFd, at: u64) -> io::Result<Option<Range<u64>>> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    match seek(file, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some(start..seek(file, SeekFrom::Hole(start))?)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
fn seek_data(_: &impl std::os::fd::AsFd, _: u64) -> io::Result<Option<Range<u64>>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What lies between the ranges of data that `next` finds, within `size` bytes. Data is rounded outward.
fn between(size: u64, mut next: impl FnMut(u64) -> io::Result<Option<Range<u64>>>) -> io::Result<Vec<Hole>> {
    let mut holes = Vec::new();
    let mut at = 0;
    while at < size {
        let data = next(at)?.unwrap_or(size..u64::MAX);
        if data.end <= at || data.is_empty() {
            return Err(io::Error::other("a range of data that leads nowhere"));
        }
        // Whatever begins at the end of the file or behind it is no data of the file as it was found.
        let start = if data.start >= size { size } else { data.start / GRAIN * GRAIN };
        if start >= at + GRAIN {
            holes.push(Hole { offset: at, len: start - at });
        }
        at = data.end.checked_next_multiple_of(GRAIN).unwrap_or(u64::MAX).min(size);
    }
    Ok(holes)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
mod tests {
    use super::*;

    fn holes(size: u64, data: &[Range<u64>]) -> Vec<(u64, u64)> {
        let next = |at| Ok(data.iter().find(|r| r.end > at).map(|r| r.start.max(at)..r.end));
        between(size, next).unwrap().into_iter().map(|hole| (hole.offset, hole.len)).collect()
    }

    #[test]
    fn data_is_rounded_outward() {
        assert_eq!(holes(20_000, &[5000..5001]), [(0, 4096), (8192, 11_808)]);
        assert_eq!(holes(20_000, &[4095..4096]), [(4096, 15_904)]);
        assert_eq!(holes(20_000, &[0..100, 8192..12_288]), [(4096, 4096), (12_288, 7712)]);
    }

    #[test]
    fn small_gaps_are_no_holes() {
        assert_eq!(holes(20_000, &[0..512, 1024..20_000]), []);
        assert_eq!(holes(20_000, &[0..512, 4608..20_000]), []);
        assert_eq!(holes(20_000, &[0..16_384]), [], "less than a page at the end");
        assert_eq!(holes(20_480, &[0..16_384]), [(16_384, 4096)]);
        assert_eq!(holes(4096, &[]), [(0, 4096)]);
    }

    #[test]
    fn data_behind_the_known_end_does_not_count() {
        assert_eq!(holes(10_000, &[50_000..60_000]), [(0, 10_000)]);
        assert_eq!(holes(10_000, &[8192..60_000]), [(0, 8192)]);
        assert_eq!(holes(10_000, &[10_000..60_000]), [(0, 10_000)]);
    }

    #[test]
    fn a_file_system_that_leads_nowhere_is_not_followed() {
        assert!(between(20_000, |_| Ok(Some(0..0))).is_err());
        assert!(between(20_000, |_| Ok(Some(0..4096))).is_err());
    }
}
