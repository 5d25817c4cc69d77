//! A file on disk that is written in pieces.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{AtFlags, ftruncate};
use rustix::io::Errno;

use super::attributes::Origin;
use super::dir::{Fresh, failed};
use super::folders::Folder;
use super::refusals::Refusals;
use super::{Attributes, FileWriter};
use crate::witness::Witness;

/// Permissions of a file until it is finished.
pub(super) const FIRST_MODE: u32 = 0o600;

/// See [`FileWriter`].
#[derive(Debug)]
pub(super) struct DirFile {
    pub(super) fd: OwnedFd,
    pub(super) folder: Arc<Folder>,
    /// Where it is: under its own name, or a hidden one until it replaces what has its own.
    pub(super) fresh: Fresh,
    pub(super) path: Box<[u8]>,
    pub(super) dest: Arc<Path>,
    pub(super) origin: Origin,
    pub(super) refusals: Arc<Refusals>,
    /// Bytes that it may have.
    pub(super) size: u64,
    /// End of the last byte written.
    pub(super) end: AtomicU64,
    pub(super) broken: AtomicBool,
    pub(super) finished: bool,
}

impl DirFile {
    fn try_finish(&mut self, size: u64, attributes: &Attributes) -> io::Result<()> {
        attributes.check()?;
        if *self.broken.get_mut() {
            return Err(io::Error::other("a write failed before"));
        }
        if *self.end.get_mut() != size {
            ftruncate(&self.fd, size)?;
        }
        let noting = self.refusals.of(&self.path);
        self.origin.apply_to_new(self.fd.as_fd(), &self.folder, FIRST_MODE, attributes, noting)?;
        self.fresh.settle(&self.folder, super::name::split(&self.path).1)?;
        self.finished = true;
        Ok(())
    }
}

impl FileWriter for DirFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= self.size);
        let result = match end {
            Some(_) => write_all_at(self.fd.as_fd(), bytes, offset).map_err(io::Error::from),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} bytes at offset {offset} in a file of {} bytes", bytes.len(), self.size),
            )),
        };
        match (result, end) {
            (Ok(()), Some(end)) => {
                self.end.fetch_max(end, Ordering::Relaxed);
                Ok(())
            }
            (Err(error), _) => {
                self.broken.store(true, Ordering::Relaxed);
                Err(failed(&self.dest, &self.path, error))
            }
            (Ok(()), None) => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>, size: u64, attributes: &Attributes) -> io::Result<()> {
        self.try_finish(size, attributes).map_err(|error| failed(&self.dest, &self.path, error))
    }
}

impl Drop for DirFile {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let name = super::name::split(&self.path).1;
        // Only what was made here: somebody may have moved it and put something else in its place.
        let ours = Witness::of_fd(self.fd.as_fd()).map(|witness| (witness.dev, witness.ino));
        let there =
            rustix::fs::statat(&self.folder, self.fresh.here(name), AtFlags::SYMLINK_NOFOLLOW).map(Witness::from);
        if let (Ok(ours), Ok(there)) = (ours, there)
            && ours == (there.dev, there.ino)
        {
            // When it fails there is nobody to tell: the error that led here is the one to report.
            let _ = self.fresh.remove(&self.folder, name);
        }
    }
}

/// Writes all of `bytes`, however many calls it takes.
pub(super) fn write_all_at(fd: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            // The system gives no reason for it, and to go on would be to go on for ever.
            Ok(0) => return Err(Errno::IO),
            Ok(len) => {
                bytes = &bytes[len.min(bytes.len())..];
                offset += len as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
