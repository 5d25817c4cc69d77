//! Reads of files that are held open: the ranges of large files, and whole files where chains are not to be had.
//!
//! What flows in: how a read ended. What flows out: the next read of the same request, or how the request ends.
//! What it does not know: the ring, and the order in which requests are carried out.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use super::job::HeldRead;
use super::ring::Target;
use crate::arena::Lease;
use crate::path::{PathId, PathTable};
use crate::read::direct::Direct;
use crate::read::open::Source;
use crate::read::ranges::RangeFile;

/// The longest single read, in bytes; the kernel cuts longer ones anyhow.
pub(super) const READ_MAX: usize = 1 << 30;

/// How often an interrupted read is tried again before it counts as failed: a regular file has no reason for it.
const INTERRUPTED_MAX: u32 = 100;

/// An open file.
#[derive(Debug)]
pub(super) enum File {
    /// Shared by the ranges of one file.
    Range(Arc<RangeFile>),
    /// For one whole-file request.
    Whole(Box<Source>),
}

impl File {
    /// The open file.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub(super) fn source(&self, paths: &PathTable, path: PathId) -> io::Result<&Source> {
        match self {
            Self::Range(file) => file.source(paths, path),
            Self::Whole(source) => Ok(source),
        }
    }
}

/// What it takes to get at the file of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenFile<'p> {
    pub(super) paths: &'p PathTable,
    pub(super) path: PathId,
    pub(super) direct: &'p Direct,
}

/// One read to be submitted: `len` bytes at `offset` to the buffer from `at` on.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) target: Target,
    pub(super) at: *mut u8,
    pub(super) len: u32,
    pub(super) offset: u64,
}

/// How a request on a held file goes on.
#[derive(Debug)]
pub(super) enum Next {
    /// With another read.
    Read,
    /// Not at all.
    Done(io::Result<u32>),
}

impl HeldRead {
    pub(super) fn new(file: File) -> Self {
        Self { file, filled: 0, want: 0, direct: false, may_direct: true, interrupted: 0 }
    }

    /// The next read of a request for the bytes from `offset` on. `buf` must not be full.
    ///
    /// # Errors
    /// Why the file could not be opened.
    pub(super) fn next(&mut self, file: OpenFile<'_>, offset: u64, buf: &mut Lease) -> io::Result<Read> {
        let source = self.file.source(file.paths, file.path)?;
        let rest = &mut buf[self.filled..];
        let offset = offset.saturating_add(self.filled as u64);
        let at = rest.as_mut_ptr();
        let most = rest.len().min(READ_MAX);
        let direct = if self.may_direct { file.direct.file(source) } else { None };
        let aligned = direct.map_or(0, |file| file.alignment.direct_len(at, offset, most));
        let (fd, len) = match direct {
            Some(file) if aligned > 0 => (file.as_fd(), aligned),
            _ => (source.as_fd(), most),
        };
        self.want = len;
        self.direct = aligned > 0;
        let len = u32::try_from(len).expect("at most READ_MAX");
        Ok(Read { target: Target::Fd(fd.as_raw_fd()), at, len, offset })
    }

    /// What follows from the result of a read (bytes, or a negative errno) into a buffer of `len` bytes.
    pub(super) fn after(&mut self, file: OpenFile<'_>, result: i32, len: usize) -> Next {
        match result {
            0 => Next::Done(Ok(self.filled as u32)),
            1.. => {
                self.filled += result.unsigned_abs() as usize;
                self.interrupted = 0;
                // A short direct read ends where the file ends, off the alignment: what is left goes the ordinary way.
                self.may_direct &= !self.direct || result.unsigned_abs() as usize == self.want;
                if self.filled >= len { Next::Done(Ok(self.filled as u32)) } else { Next::Read }
            }
            _ => match -result {
                libc::EINTR | libc::EAGAIN | libc::ECANCELED if self.interrupted < INTERRUPTED_MAX => {
                    self.interrupted += 1;
                    Next::Read
                }
                libc::EINVAL if self.direct => {
                    if let Ok(source) = self.file.source(file.paths, file.path) {
                        file.direct.refuse(source, "the kernel refused an aligned read");
                    }
                    self.may_direct = false;
                    Next::Read
                }
                errno => Next::Done(Err(io::Error::from_raw_os_error(errno))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::path::Base;

    /// Calls `case` with a fresh request on a file of 10,000 bytes, and the paths and policy it belongs to.
    fn with_request(case: impl FnOnce(&mut HeldRead, OpenFile<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), [3; 10_000]).unwrap();
        let mut paths = PathTable::new();
        let folder = Arc::new(std::fs::File::open(dir.path()).unwrap().into());
        let base = paths.push_base(Base { folder, skip: 0 });
        let path = paths.push(base, b"file");
        let direct = Direct::from(1);
        let mut held = HeldRead::new(File::Whole(Box::new(Source::open(&paths, path).unwrap())));
        case(&mut held, OpenFile { paths: &paths, path, direct: &direct });
    }

    #[test]
    fn a_short_read_goes_on_where_it_ended_and_the_end_of_the_file_ends_it() {
        with_request(|held, file| {
            let mut buf = Arena::new(1, 12_000).unwrap().lease(0).unwrap();
            let first = held.next(file, 100, &mut buf).unwrap();
            assert_eq!((first.offset, first.len, first.at), (100, 12_000, buf.as_mut_ptr()));
            assert!(matches!(held.after(file, 4000, buf.len()), Next::Read));
            let second = held.next(file, 100, &mut buf).unwrap();
            assert_eq!((second.offset, second.len, second.at), (4100, 8000, buf[4000..].as_mut_ptr()));
            assert!(matches!(held.after(file, 5900, buf.len()), Next::Read));
            held.next(file, 100, &mut buf).unwrap();
            assert!(matches!(held.after(file, 0, buf.len()), Next::Done(Ok(9900))));
        });
    }

    #[test]
    fn a_full_buffer_ends_it() {
        with_request(|held, file| assert!(matches!(held.after(file, 64, 64), Next::Done(Ok(64)))));
    }

    #[test]
    fn interruptions_are_tried_again_but_not_for_ever() {
        with_request(|held, file| {
            for _ in 0..INTERRUPTED_MAX {
                assert!(matches!(held.after(file, -libc::EINTR, 64), Next::Read));
            }
            assert!(matches!(held.after(file, -libc::EINTR, 64), Next::Done(Err(_))));
        });
        with_request(|held, file| assert!(matches!(held.after(file, -libc::EIO, 64), Next::Done(Err(_)))));
    }

    #[test]
    fn a_refused_or_short_direct_read_goes_on_through_the_page_cache() {
        for result in [-libc::EINVAL, 1808] {
            with_request(|held, file| {
                let mut buf = Arena::new(1, 12_000).unwrap().lease(0).unwrap();
                let first = held.next(file, 8192, &mut buf).unwrap();
                if !held.direct {
                    return; // The file system of temporary files refuses direct reads.
                }
                assert_eq!(first.len % 512, 0);
                assert!(matches!(held.after(file, result, buf.len()), Next::Read));
                held.next(file, 8192, &mut buf).unwrap();
                assert!(!held.direct);
                assert_eq!(file.direct.take_notes().len(), usize::from(result < 0));
            });
        }
        with_request(|held, file| {
            assert!(matches!(held.after(file, -libc::EINVAL, 64), Next::Done(Err(_))), "not of a direct read");
        });
    }
}
