//! Which pages of a file are in the page cache, by `mincore` on a mapping that nobody touches.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Bytes that are mapped at once: larger files are asked about piece by piece.
const PIECE: u64 = 256 << 20;

/// How many pages there are, and how many of them are in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) all: u64,
    pub(super) resident: u64,
}

impl Pages {
    pub(super) fn add(&mut self, other: Pages) {
        self.all += other.all;
        self.resident += other.resident;
    }

    /// `None` without pages.
    pub(super) fn share(self) -> Option<f64> {
        (self.all > 0).then(|| self.resident as f64 / self.all as f64)
    }
}

/// The pages of a file of `len` bytes. None at all for a file that this user neither owns nor may write: of such the kernel
/// says that everything is in memory, whatever is true (since Linux 5.2, against spying).
pub(super) fn pages(path: &Path, len: u64) -> io::Result<Pages> {
    let file = File::open(path)?;
    let user = rustix::process::geteuid();
    let owned = user.is_root() || file.metadata()?.uid() == user.as_raw();
    if !owned && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
        return Ok(Pages::default());
    }
    let mut sum = Pages::default();
    for offset in (0..len).step_by(PIECE as usize) {
        let piece = usize::try_from((len - offset).min(PIECE)).map_err(io::Error::other)?;
        sum.add(piece_pages(file.as_fd(), offset, piece)?);
    }
    Ok(sum)
}

/// The pages of `len` bytes from `offset`, which is a multiple of the page size.
fn piece_pages(file: std::os::fd::BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Pages> {
    let mut states = vec![0_u8; len.div_ceil(rustix::param::page_size())];
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, file, offset) }?;
    // SAFETY: start..start + len is the mapping made above, page-aligned; `states` has a byte for each of its pages. No
    // byte of the mapping is touched, so a file that shrinks meanwhile raises no signal.
    let result = unsafe { libc::mincore(start, len, states.as_mut_ptr()) };
    let error = (result != 0).then(io::Error::last_os_error);
    // SAFETY: exactly the mapping made above, to which no reference exists.
    unsafe { munmap(start, len) }?;
    match error {
        Some(error) => Err(error),
        // The lowest bit says it; the others are reserved.
        None => Ok(Pages {
            all: states.len() as u64,
            resident: states.iter().filter(|state| **state & 1 == 1).count() as u64,
        }),
    }
}
