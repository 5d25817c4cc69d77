//! Several requests on one thread, their waits for the disk side by side.
//!
//! What flows in: requests, one by one. What flows out: completions, at once for what is in the page cache, else when
//! the kernel, asked to fetch it beforehand, has it there. What it does not know: queues, other threads.
//!
//! Whether a file is cached is never guessed from times: the read itself is tried with `RWF_NOWAIT`, which gives what is
//! there and starts nothing. So a cached file costs the same system calls as by [`perform`], and one that is not costs
//! two more (the try, and `POSIX_FADV_WILLNEED`), while the thread goes on to the next one instead of sleeping.

use std::io;
use std::sync::Arc;

use super::open::{Fetch, Source, complete, perform};
use super::ranges::RangeFile;
use super::{Completion, Op, Request};
use crate::clock::now_ns;
use crate::path::PathTable;

/// A request whose bytes are on their way from the disk.
#[derive(Debug)]
pub(crate) struct Waiting {
    request: Request,
    source: Source,
    /// Bytes at the start of the buffer that were there at once.
    filled: usize,
    submitted_ns: u64,
}

/// How far a request came without waiting.
#[derive(Debug)]
pub(crate) enum Begun {
    /// All the way.
    Done(Completion),
    /// Its bytes were asked for: [`Waiting::finish`] waits for them.
    Waiting(Box<Waiting>),
}

/// Begins a request on the calling thread: carries it out if that takes no waiting for the disk.
///
/// A range is carried out in any case, as by [`perform`]: it is large enough to keep the disk busy by itself.
pub(crate) fn begin(
    fetch: &mut impl Fetch,
    paths: &PathTable,
    file: Option<&Arc<RangeFile>>,
    mut request: Request,
) -> Begun {
    let Op::Whole { path } = request.op else {
        return Begun::Done(perform(fetch, paths, file.map(Arc::as_ref), request));
    };
    let submitted_ns = now_ns();
    let source = match Source::open(paths, path) {
        Ok(source) => source,
        Err(error) => return Begun::Done(complete(request, submitted_ns, Err(error), None)),
    };
    match fetch.fetch_cached(&source, 0, &mut request.buf) {
        Ok(Cached::All(filled)) => {
            let witness = source.witness();
            Begun::Done(complete(request, submitted_ns, Ok(filled), witness))
        }
        Ok(Cached::Part(filled)) => Begun::Waiting(Box::new(Waiting { request, source, filled, submitted_ns })),
        Err(error) => {
            let witness = source.witness();
            Begun::Done(complete(request, submitted_ns, Err(error), witness))
        }
    }
}

impl Waiting {
    /// Waits for the rest of the bytes.
    pub(crate) fn finish(mut self, fetch: &mut impl Fetch) -> Completion {
        let result = fetch.fetch(&self.source, self.filled as u64, &mut self.request.buf[self.filled..]);
        let witness = self.source.witness();
        complete(self.request, self.submitted_ns, result.map(|rest| self.filled + rest), witness)
    }
}

/// What a read brought without waiting for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// Everything up to the end of the buffer or of the file: so many bytes.
    All(usize),
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux can tell"))]
    /// So many bytes; the kernel was asked to fetch what follows them.
    Part(usize),
}

/// Reads what the page cache holds of the bytes from `offset` on, and asks the kernel to fetch the rest.
///
/// # Errors
/// `Unsupported` where the kernel or the file system cannot tell; else what `preadv2` says.
#[cfg(target_os = "linux")]
pub(crate) fn read_cached(file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<Cached> {
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, fadvise};
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let len = buf.len();
    let read = preadv2(file, &mut [io::IoSliceMut::new(buf)], offset, ReadWriteFlags::NOWAIT);
    let filled = match read {
        Ok(filled) => filled,
        Err(Errno::AGAIN | Errno::INTR) => 0,
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Err(errno) => return Err(errno.into()),
    };
    // A file that was known to end here, or that now does (a read at its end gives nothing and would not wait).
    if filled == len || offset + filled as u64 == file.size() || matches!(read, Ok(0)) {
        return Ok(Cached::All(filled));
    }
    // Advice: where it is not taken, the read that follows simply waits for longer.
    let _ = fadvise(file, offset + filled as u64, NonZeroU64::new((len - filled) as u64), Advice::WillNeed);
    Ok(Cached::Part(filled))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::path::{Base, PathId};
    use crate::read::conformance::pattern;
    use crate::read::direct::Direct;
    use crate::read::open::read_full;
    use std::os::fd::AsFd;

    /// As if only so many bytes of each file were in the page cache.
    struct Holds {
        cached: usize,
        /// Offset and length of every read that may wait.
        waited: Vec<(u64, usize)>,
    }

    impl Fetch for Holds {
        fn fetch(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.waited.push((offset, buf.len()));
            read_full(file.as_fd(), offset, buf, file.size())
        }

        fn fetch_cached(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<Cached> {
            let len = self.cached.min(buf.len());
            let filled = read_full(file.as_fd(), offset, &mut buf[..len], file.size())?;
            Ok(if filled as u64 == file.size() { Cached::All(filled) } else { Cached::Part(filled) })
        }
    }

    fn tree(bytes: &[u8]) -> (tempfile::TempDir, PathTable) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), bytes).unwrap();
        let mut paths = PathTable::new();
        let folder = Arc::new(std::fs::File::open(dir.path()).unwrap().into());
        let base = paths.push_base(Base { folder, skip: 0 });
        paths.push(base, b"file");
        (dir, paths)
    }

    fn request(len: usize) -> Request {
        let buf = Arena::new(1, len).unwrap().lease(0).unwrap();
        Request { tag: 7, op: Op::Whole { path: PathId(0) }, buf, queued_ns: 1 }
    }

    #[test]
    fn what_is_missing_is_read_once_behind_what_was_there() {
        let bytes = pattern(3, 10_000);
        let (_dir, paths) = tree(&bytes);
        for (cached, waited) in [(0, vec![(0, 10_000)]), (4096, vec![(4096, 5904)]), (10_000, vec![])] {
            let mut holds = Holds { cached, waited: Vec::new() };
            let completion = match begin(&mut holds, &paths, None, request(10_000)) {
                Begun::Done(completion) => completion,
                Begun::Waiting(waiting) => {
                    assert_eq!(holds.waited, [], "nothing waits before all are begun");
                    waiting.finish(&mut holds)
                }
            };
            assert_eq!((completion.result.unwrap(), completion.tag), (10_000, 7));
            assert!(completion.buf[..] == bytes[..], "{cached} bytes cached");
            assert_eq!(completion.witness.unwrap().size, 10_000);
            assert_eq!(holds.waited, waited);
        }
    }

    #[test]
    fn a_change_between_the_two_reads_shows_in_the_witness() {
        let (dir, paths) = tree(&[1; 10_000]);
        let mut holds = Holds { cached: 4096, waited: Vec::new() };
        let before = Source::open(&paths, PathId(0)).unwrap().witness().unwrap();
        let Begun::Waiting(waiting) = begin(&mut holds, &paths, None, request(10_000)) else {
            panic!("it is not cached")
        };
        std::fs::write(dir.path().join("file"), [2; 5000]).unwrap();
        let completion = waiting.finish(&mut holds);
        assert_eq!(completion.result.unwrap(), 5000);
        let after = completion.witness.unwrap();
        assert!(after.size == 5000 && after != before);
    }

    #[test]
    fn a_cached_file_is_read_at_once_and_in_full() {
        let bytes = pattern(4, 70_000);
        let (_dir, paths) = tree(&bytes);
        let source = Source::open(&paths, PathId(0)).unwrap();
        let mut buf = vec![0; 80_000];
        // Just written, so it is in the cache, unless the machine is so short of memory that it is gone already.
        for (offset, len, filled) in [(0, 70_000, 70_000), (0, 80_000, 70_000), (60_000, 80_000, 10_000), (8, 100, 100)]
        {
            read_full(source.as_fd(), 0, &mut buf, source.size()).unwrap();
            buf.fill(0);
            match Direct::never().fetch_cached(&source, offset, &mut buf[..len]).unwrap() {
                Cached::All(n) => assert_eq!(n, filled, "{len} bytes at {offset}"),
                Cached::Part(n) => panic!("{n} of {len} bytes at {offset} right after they were read"),
            }
            assert!(buf[..filled] == bytes[offset as usize..][..filled]);
        }
    }

    #[test]
    fn what_cannot_be_opened_is_an_error_at_once() {
        let (dir, paths) = tree(b"");
        std::fs::remove_file(dir.path().join("file")).unwrap();
        let mut holds = Holds { cached: 0, waited: Vec::new() };
        let Begun::Done(completion) = begin(&mut holds, &paths, None, request(10)) else {
            panic!("nothing to wait for")
        };
        assert_eq!(completion.result.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(completion.witness.is_none() && holds.waited.is_empty());
    }
}
