//! What the synchronous backends share: opening a file safely, reading until full, carrying out one request.
//!
//! What flows in: a path of the table, an offset, a buffer. What flows out: filled bytes, witnesses, errors.
//! What it does not know: queues, threads, in which order requests are carried out.
//!
//! Errors of the operating system keep their number and do not repeat the path: whoever holds the table adds it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::ahead::Cached;
use super::direct::DirectFile;
use super::ranges::RangeFile;
use super::{Completion, Op, Request, Stamps};
use crate::clock::now_ns;
use crate::path::{PathId, PathTable};
use crate::witness::Witness;

/// How every file is opened for reading. Non-blocking, so that a FIFO opens without a writer and can be refused.
pub(crate) const READ_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// An open regular file.
#[derive(Debug)]
pub(crate) struct Source {
    fd: OwnedFd,
    size: u64,
    /// The same file once more for direct reads, where those are wanted and possible.
    direct: OnceLock<Option<DirectFile>>,
}

impl Source {
    /// Opens a path of the table and makes sure, before anything is read, that it is a regular file.
    ///
    /// # Errors
    /// `InvalidInput` for a folder, a symlink, a FIFO, a socket, a device and for the empty relative path; else what
    /// `openat` and `fstat` say.
    pub(crate) fn open(paths: &PathTable, path: PathId) -> io::Result<Self> {
        let (folder, name) = paths.source(path);
        if name.is_empty() {
            return Err(not_regular("a folder"));
        }
        let fd = rustix::fs::openat(folder, name, READ_FLAGS, Mode::empty()).map_err(open_error)?;
        // One more system call, paid so that no device, tape or FIFO is ever read from: reading can have effects.
        let stat = rustix::fs::fstat(&fd)?;
        check_regular(&stat)?;
        Ok(Self { fd, size: Witness::from(stat).size, direct: OnceLock::new() })
    }

    /// Size in bytes when the file was opened.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Where the descriptor for direct reads is kept, once somebody has tried to open it.
    pub(crate) fn direct(&self) -> &OnceLock<Option<DirectFile>> {
        &self.direct
    }

    /// What `fstat` says now; `None` when it fails.
    pub(crate) fn witness(&self) -> Option<Witness> {
        Witness::of_fd(self.fd.as_fd()).ok()
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The error for what can be opened but must not be read.
#[cold]
pub(crate) fn not_regular(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("expected a regular file, found {what}"))
}

/// What a failed `openat` with [`READ_FLAGS`] means: the numbers that prove that this is no regular file become
/// `InvalidInput`, the others stay as they are.
#[cold]
pub(crate) fn open_error(errno: Errno) -> io::Error {
    match errno {
        Errno::LOOP => not_regular("a symbolic link"),
        Errno::ISDIR => not_regular("a folder"),
        Errno::NXIO | Errno::NODEV => not_regular("a socket or a device"),
        other => other.into(),
    }
}

/// Refuses what is not a regular file.
///
/// # Errors
/// `InvalidInput`, naming what it is.
pub(crate) fn check_regular(stat: &rustix::fs::Stat) -> io::Result<()> {
    #[allow(clippy::unnecessary_cast)] // The mode is narrower on some systems.
    match FileType::from_raw_mode(stat.st_mode as _) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(not_regular("a folder")),
        FileType::Symlink => Err(not_regular("a symbolic link")),
        FileType::Fifo => Err(not_regular("a FIFO")),
        FileType::Socket => Err(not_regular("a socket")),
        FileType::BlockDevice | FileType::CharacterDevice => Err(not_regular("a device")),
        _ => Err(not_regular("something else")),
    }
}

/// Reads from `offset` until `buf` is full or the file ends, and says how many bytes that were.
///
/// A short read is followed by another one, except when it ended exactly at `size`, where the file was known to end.
/// No read follows once the buffer is full.
///
/// # Errors
/// What `pread` says; EINTR is tried again, EAGAIN is an error (a regular file is always ready).
pub(crate) fn read_full(fd: BorrowedFd<'_>, offset: u64, buf: &mut [u8], size: u64) -> io::Result<usize> {
    fill(buf, offset, size, |rest, at| rustix::io::pread(fd, rest, at))
}

/// [`read_full`] over any way of reading once.
fn fill(
    buf: &mut [u8],
    offset: u64,
    size: u64,
    mut read_once: impl FnMut(&mut [u8], u64) -> Result<usize, Errno>,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        let at = offset.checked_add(filled as u64).ok_or(Errno::OVERFLOW)?;
        match read_once(&mut buf[filled..], at) {
            Ok(0) => break,
            Ok(n) => {
                filled += n;
                if size.checked_sub(at) == Some(n as u64) {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}

/// How the bytes of an open file get into a buffer: the one thing in which synchronous backends differ.
pub(crate) trait Fetch: Send {
    /// Makes ready; what cannot be had on this machine is described in the returned sentences.
    fn attach(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Fills `buf` from `offset` until it is full or the file ends, and says how many bytes that were.
    ///
    /// # Errors
    /// What the operating system says.
    fn fetch(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Fills what it can of `buf` from `offset` without waiting for the disk, and has the rest fetched meanwhile. Whoever
    /// cannot tell what takes waiting waits, and has everything.
    ///
    /// # Errors
    /// What the operating system says.
    fn fetch_cached(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<Cached> {
        self.fetch(file, offset, buf).map(Cached::All)
    }

    /// What turned out not to be had since the last call, one sentence each.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// `pread` straight into the buffer.
#[derive(Debug, Default)]
pub(crate) struct Plain;

impl Fetch for Plain {
    fn fetch(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_full(file.as_fd(), offset, buf, file.size())
    }
}

/// Carries out one request on the calling thread.
///
/// `file` is the held-open file of an [`Op::Range`] and is opened here at its first use. The witness of a range is
/// left out: only [`RangeFiles::leave`](super::ranges::RangeFiles::leave) knows which range is the last one.
pub(crate) fn perform(
    fetch: &mut impl Fetch,
    paths: &PathTable,
    file: Option<&RangeFile>,
    mut request: Request,
) -> Completion {
    let submitted_ns = now_ns();
    let (result, witness) = match (request.op, file) {
        (Op::Whole { path }, _) => match Source::open(paths, path) {
            Ok(source) => {
                let result = fetch.fetch(&source, 0, &mut request.buf);
                (result, source.witness())
            }
            Err(error) => (Err(error), None),
        },
        (Op::Range { path, offset, .. }, Some(file)) => {
            let source = file.source(paths, path);
            (source.and_then(|source| fetch.fetch(source, offset, &mut request.buf)), None)
        }
        (Op::Range { .. }, None) => unreachable!("a range comes with the file that RangeFiles::enter gave"),
    };
    complete(request, submitted_ns, result, witness)
}

/// Ends a request that was begun at `submitted_ns`.
pub(crate) fn complete(
    request: Request,
    submitted_ns: u64,
    result: io::Result<usize>,
    witness: Option<Witness>,
) -> Completion {
    let result = result.and_then(filled_len);
    let stamps = Stamps { queued_ns: request.queued_ns, submitted_ns, completed_ns: now_ns() };
    Completion { tag: request.tag, op: request.op, buf: request.buf, result, witness, stamps }
}

fn filled_len(filled: usize) -> io::Result<u32> {
    u32::try_from(filled).map_err(|_| {
        let text = format!("expected a buffer of less than 4 GiB, found {filled} bytes to fill");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_reads_and_interruptions_are_read_on_until_full() {
        let text = b"a file of some length";
        let mut calls = 0;
        let mut piecemeal = |rest: &mut [u8], at: u64| {
            calls += 1;
            if calls % 2 == 0 {
                return Err(Errno::INTR);
            }
            let from = &text[(at as usize).min(text.len())..];
            let n = from.len().min(rest.len()).min(3);
            rest[..n].copy_from_slice(&from[..n]);
            Ok(n)
        };
        let mut buf = [0; 10];
        assert_eq!(fill(&mut buf, 2, u64::MAX, &mut piecemeal).unwrap(), 10);
        assert_eq!(&buf, &text[2..12]);
        let mut long = [0; 64];
        assert_eq!(fill(&mut long, 2, u64::MAX, &mut piecemeal).unwrap(), text.len() - 2);
    }

    #[test]
    fn nothing_is_read_behind_a_full_buffer_or_a_known_end() {
        for (len, size, reads) in [(8, 100, 1), (9, 8, 1), (9, 100, 2)] {
            let mut calls = 0;
            let mut buf = vec![0; len];
            let filled = fill(&mut buf, 0, size, |rest, at| {
                calls += 1;
                Ok(rest.len().min(8 - at as usize))
            });
            assert_eq!((filled.unwrap(), calls), (8, reads), "buffer {len}, size {size}");
        }
    }

    #[test]
    fn other_errors_end_the_read() {
        for errno in [Errno::AGAIN, Errno::IO] {
            let error = fill(&mut [0; 4], 0, 0, |_, _| Err(errno)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
        }
        assert!(fill(&mut [0; 4], u64::MAX, 0, |_, _| Ok(1)).is_err(), "an offset that overflows");
    }

    /// A disk that gives the beginning of a file and then fails has not told where the file ends.
    #[test]
    fn an_error_behind_some_bytes_is_no_end() {
        let error = fill(&mut [0; 8], 0, 8, |_, at| if at == 0 { Ok(3) } else { Err(Errno::IO) }).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    }
}
