//! Reading past the page cache (`O_DIRECT`), for large files whose bytes nobody will want again.
//!
//! What flows in: an open file, where a read would start and where it would put its bytes. What flows out: how much of
//! it can go directly, and the descriptor for that. What it does not know: who reads, and how.
//!
//! The kernel takes direct reads only at aligned offsets, in aligned lengths, to aligned memory, and says per file
//! what aligned means. So each file keeps two descriptors: the direct one for the aligned part of a range, the
//! ordinary one for the rest, and for everything where the file system refuses. That refusal is told once for each
//! file system.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

#[cfg(target_os = "linux")]
use super::ahead::{Cached, read_cached};
use super::open::{Fetch, Source, read_full};

/// From which size on files are read directly, when direct reading was asked for, in bytes.
pub const DIRECT_THRESHOLD: u64 = 8 << 20;

/// Assumed alignment in bytes where the kernel does not tell: that of the largest common sector and page.
const ALIGNMENT_UNTOLD: u32 = 4096;

/// Larger alignments than this, in bytes, are not believed.
const ALIGNMENT_MAX: u32 = 1 << 20;

/// What the kernel wants of direct reads of one file. Powers of two, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alignment {
    memory: u32,
    offset: u32,
}

impl Alignment {
    fn new(memory: u32, offset: u32) -> Option<Self> {
        let sound = |n: u32| n.is_power_of_two() && n <= ALIGNMENT_MAX;
        (sound(memory) && sound(offset)).then_some(Self { memory, offset })
    }

    /// How many of `len` bytes at `offset` can be read directly to `address`: all but an unaligned tail, or none.
    pub(crate) fn direct_len(self, address: *const u8, offset: u64, len: usize) -> usize {
        let fits = address.addr().is_multiple_of(self.memory as usize) && offset.is_multiple_of(self.offset.into());
        if fits { len - len % self.offset as usize } else { 0 }
    }
}

/// A second descriptor of an open file, for direct reads.
#[derive(Debug)]
pub(crate) struct DirectFile {
    fd: OwnedFd,
    /// What reads through it must keep to.
    pub(crate) alignment: Alignment,
}

impl DirectFile {
    /// Opens the very file that `fd` has open once more, whatever its path leads to by now.
    #[cfg(target_os = "linux")]
    fn reopen(fd: BorrowedFd<'_>) -> Result<Self, String> {
        use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, openat, statx};
        use std::os::fd::AsRawFd;

        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::DIRECT;
        let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let fd = openat(CWD, name.as_str(), flags, Mode::empty()).map_err(|errno| match errno {
            Errno::INVAL => "its file system does not support O_DIRECT".to_owned(),
            Errno::NOENT => "/proc, through which it is opened again, is not mounted".to_owned(),
            other => io::Error::from(other).to_string(),
        })?;
        let told = match statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) {
            Ok(stat) if stat.stx_mask & StatxFlags::DIOALIGN.bits() != 0 => {
                Some((stat.stx_dio_mem_align, stat.stx_dio_offset_align))
            }
            // Linux before 6.1, or a file system that does not say.
            _ => None,
        };
        let alignment = match told {
            Some((0, _) | (_, 0)) => return Err("its file system says that O_DIRECT is not supported".into()),
            Some((memory, offset)) => Alignment::new(memory, offset)
                .ok_or_else(|| format!("its file system wants an alignment of {memory} and {offset} bytes"))?,
            None => Alignment { memory: ALIGNMENT_UNTOLD, offset: ALIGNMENT_UNTOLD },
        };
        Ok(Self { fd, alignment })
    }

    #[cfg(not(target_os = "linux"))]
    fn reopen(_: BorrowedFd<'_>) -> Result<Self, String> {
        Err("it is supported on Linux only".into())
    }
}

impl AsFd for DirectFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// When to read directly, and what was refused. Clones share what was refused.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    threshold: u64,
    /// Whether the kernel has not yet refused to say what is in the page cache.
    can_tell: bool,
    refused: Arc<Mutex<Refused>>,
}

/// What is not yet told, and the file systems (device numbers) for which it was.
#[derive(Debug, Default)]
struct Refused {
    told: HashSet<u64>,
    notes: Vec<String>,
}

impl Direct {
    /// Direct reads for files of at least `threshold` bytes.
    pub(crate) fn from(threshold: u64) -> Self {
        Self { threshold, can_tell: true, refused: Arc::default() }
    }

    /// No direct reads.
    pub(crate) fn never() -> Self {
        Self::from(u64::MAX)
    }

    /// From which size on files are read directly, in bytes.
    pub(crate) fn threshold(&self) -> u64 {
        self.threshold
    }

    /// The direct descriptor of a file, opened at its first use; `None` for small files and where it was refused.
    pub(crate) fn file<'s>(&self, source: &'s Source) -> Option<&'s DirectFile> {
        if source.size() < self.threshold {
            return None;
        }
        let open = || DirectFile::reopen(source.as_fd()).map_err(|reason| self.refuse(source, &reason)).ok();
        source.direct().get_or_init(open).as_ref()
    }

    /// Notes, once for each file system, that files on it are read through the page cache after all.
    pub(crate) fn refuse(&self, source: &Source, reason: &str) {
        let device = source.witness().map_or(0, |witness| witness.dev);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.told.insert(device) {
            let device = device_name(device);
            refused
                .notes
                .push(format!("direct reads: files of device {device} are read through the page cache: {reason}"));
        }
    }

    /// What was refused since the last call.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        if self.threshold == u64::MAX {
            return Vec::new();
        }
        std::mem::take(&mut self.refused.lock().unwrap_or_else(PoisonError::into_inner).notes)
    }
}

/// A device number as `/proc/self/mountinfo` shows it.
#[cfg(target_os = "linux")]
fn device_name(device: u64) -> String {
    format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
}

#[cfg(not(target_os = "linux"))]
fn device_name(device: u64) -> String {
    device.to_string()
}

/// `pread` past the page cache where that can be.
impl Fetch for Direct {
    fn fetch(&mut self, source: &Source, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        if let Some(direct) = self.file(source) {
            loop {
                let at = offset.saturating_add(filled as u64);
                let rest = &mut buf[filled..];
                let len = direct.alignment.direct_len(rest.as_ptr(), at, rest.len());
                if len == 0 {
                    break;
                }
                match rustix::io::pread(direct, &mut rest[..len], at) {
                    Ok(n) => {
                        filled += n;
                        // The end of the file, most likely; what is left goes the ordinary way, which finds out.
                        if n < len {
                            break;
                        }
                    }
                    Err(Errno::INTR) => {}
                    Err(Errno::INVAL) => {
                        self.refuse(source, "the kernel refused an aligned read");
                        break;
                    }
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        let rest = read_full(source.as_fd(), offset.saturating_add(filled as u64), &mut buf[filled..], source.size())?;
        Ok(filled + rest)
    }

    #[cfg(target_os = "linux")]
    fn fetch_cached(&mut self, source: &Source, offset: u64, buf: &mut [u8]) -> io::Result<Cached> {
        // What is read directly is not to come into the cache.
        if self.can_tell && source.size() < self.threshold {
            match read_cached(source, offset, buf) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => self.can_tell = false,
                other => return other,
            }
        }
        self.fetch(source, offset, buf).map(Cached::All)
    }

    fn take_notes(&mut self) -> Vec<String> {
        Direct::take_notes(self)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::arena::{Arena, Lease};
    use crate::path::{Base, PathId, PathTable};
    use crate::read::conformance::pattern;
    use std::fs::File;
    use std::path::Path;

    fn source(folder: &Path, name: &str) -> Source {
        let mut paths = PathTable::new();
        let base = paths.push_base(Base { folder: Arc::new(File::open(folder).unwrap().into()), skip: 0 });
        paths.push(base, name.as_bytes());
        Source::open(&paths, PathId(0)).unwrap()
    }

    /// Page-aligned memory.
    fn buffer(len: usize) -> Lease {
        Arena::new(1, len).unwrap().lease(0).unwrap()
    }

    #[test]
    fn only_the_aligned_part_goes_directly() {
        let alignment = Alignment::new(512, 4096).unwrap();
        let at = |address: usize| std::ptr::without_provenance::<u8>(address);
        assert_eq!(alignment.direct_len(at(512), 8192, 10_000), 8192);
        assert_eq!(alignment.direct_len(at(512), 8192, 4095), 0);
        assert_eq!(alignment.direct_len(at(256), 8192, 10_000), 0, "memory");
        assert_eq!(alignment.direct_len(at(512), 512, 10_000), 0, "offset");
        for unsound in [(0, 512), (512, 0), (512, 768), (1 << 21, 512)] {
            assert_eq!(Alignment::new(unsound.0, unsound.1), None);
        }
    }

    #[test]
    fn a_large_file_is_read_right_from_every_offset() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = pattern(1, 100_000);
        std::fs::write(dir.path().join("file"), &bytes).unwrap();
        let mut direct = Direct::from(100_000);
        let source = source(dir.path(), "file");
        let mut buf = buffer(1 << 17);
        for offset in [0, 1, 512, 4096, 8192, 65_536, 98_304, 99_999, 100_000, 200_000] {
            for len in [1, 4095, 4096, 4097, 50_000, 1 << 17] {
                let expected =
                    &bytes[offset.min(bytes.len())..(offset + len).min(bytes.len()).max(offset.min(bytes.len()))];
                let filled = direct.fetch(&source, offset as u64, &mut buf[..len]).unwrap();
                assert!(buf[..filled] == *expected, "{len} bytes at {offset}: {filled}");
            }
        }
    }

    #[test]
    fn small_files_are_left_to_the_page_cache() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), [1; 4096]).unwrap();
        let source = source(dir.path(), "file");
        assert!(Direct::from(4097).file(&source).is_none() && Direct::never().file(&source).is_none());
        assert!(source.direct().get().is_none(), "nothing was even tried");
    }

    #[test]
    fn a_refusal_is_noted_once_for_each_file_system_and_the_file_is_read_all_the_same() {
        let mut direct = Direct::from(0);
        let mut buf = buffer(1 << 16);
        // Pseudo files know no direct reads.
        for name in ["status", "limits", "stat"] {
            let source = source(Path::new("/proc/self"), name);
            assert!(direct.fetch(&source, 0, &mut buf).unwrap() > 0);
        }
        let notes = Direct::take_notes(&direct);
        assert!(notes.len() == 1 && notes[0].contains("does not support O_DIRECT"), "{notes:?}");
        assert!(Direct::take_notes(&direct).is_empty());
    }

    #[test]
    fn a_read_that_the_kernel_refuses_goes_through_the_page_cache() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = pattern(2, 20_000);
        std::fs::write(dir.path().join("file"), &bytes).unwrap();
        let mut direct = Direct::from(0);
        let source = source(dir.path(), "file");
        if direct.file(&source).is_none() {
            return; // This file system refuses anyhow: the test above says what then.
        }
        let source = {
            let mut wrong = DirectFile::reopen(source.as_fd()).unwrap();
            wrong.alignment = Alignment { memory: 1, offset: 1 };
            let again = self::source(dir.path(), "file");
            again.direct().set(Some(wrong)).unwrap();
            again
        };
        let mut buf = buffer(20_000);
        assert_eq!(direct.fetch(&source, 1, &mut buf[3..]).unwrap(), 19_997);
        assert!(buf[3..] == bytes[1..19_998]);
        assert!(Direct::take_notes(&direct)[0].contains("refused an aligned read"));
    }
}
