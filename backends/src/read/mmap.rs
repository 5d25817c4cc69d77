//! Reading through mappings: each request maps its bytes, copies them into its buffer, and unmaps them.
//!
//! What flows in: an open file, a place in it, a buffer. What flows out: the bytes, copied before anybody looks at
//! them. What it does not know: requests and their order.
//!
//! Touching a mapping behind the end of its file, or where the disk fails, raises SIGBUS. So this process never
//! touches one: the kernel does the copying (`process_vm_readv` on ourselves) and says where it got stuck instead of
//! raising a signal. Where the kernel refuses that call, the backend reads with `pread` and says so in its `caps`.
//! What cannot be mapped (some network and pseudo file systems) is read with `pread` as well, file by file.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags};

use super::open::{Fetch, Plain, Source};
use super::pread::{Files, Serial, delegate};
use crate::witness::Witness;

/// Reads through mappings on the calling thread, one request after the other. See the [module](self).
#[derive(Debug)]
pub struct Mmap(Serial<Files<Mapped>>);

impl Mmap {
    /// A backend that finds out when it is attached whether it can map.
    #[must_use]
    pub fn new() -> Self {
        Self(Serial::new("mmap", Files::new(Mapped { refused: false })))
    }
}

impl Default for Mmap {
    fn default() -> Self {
        Self::new()
    }
}

delegate!(Mmap);

/// Copies out of a mapping made for the purpose.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// The kernel will not copy for us: everything is read with `pread`.
    refused: bool,
}

impl Fetch for Mapped {
    fn attach(&mut self) -> Vec<String> {
        match probe() {
            Ok(()) => Vec::new(),
            Err(error) => {
                self.refused = true;
                vec![format!(
                    "files are read with pread and not mapped: the kernel refuses process_vm_readv, without which a \
                     file that shrinks would kill the process ({error})"
                )]
            }
        }
    }

    fn fetch(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if self.refused {
            return Plain.fetch(file, offset, buf);
        }
        fetch_mapped(file, offset, buf, || ())
    }
}

/// Maps, copies, unmaps. `mapped` is called in between: there a test changes the file.
fn fetch_mapped(file: &Source, offset: u64, buf: &mut [u8], mapped: impl FnOnce()) -> io::Result<usize> {
    let end = offset.saturating_add(buf.len() as u64);
    // Only a buffer that reaches beyond what was seen at opening is worth another question.
    let size = if end <= file.size() { file.size() } else { size_now(file)? };
    let len = bytes_between(offset, size, buf.len());
    let mapping = if len == 0 { None } else { Mapping::of(file.as_fd(), offset, len).ok() };
    let Some(mapping) = mapping else {
        // Nothing to map, or nothing that can be mapped.
        return Plain.fetch(file, offset, buf);
    };
    mapped();
    let copied = mapping.copy_to(&mut buf[..len]);
    drop(mapping);
    // The page in which a file ends goes on with zeros. Bytes behind the end as it is now are not the file's.
    let valid = bytes_between(offset, size_now(file)?, len);
    if copied >= valid {
        return Ok(valid);
    }
    // The copying got stuck at bytes that the file should have: `pread` reads them or says what is wrong.
    let rest = Plain.fetch(file, offset + copied as u64, &mut buf[copied..len])?;
    Ok(copied + rest)
}

fn size_now(file: &Source) -> io::Result<u64> {
    Ok(Witness::of_fd(file.as_fd())?.size)
}

/// How many bytes lie from `offset` up to `end`, at most `limit`.
fn bytes_between(offset: u64, end: u64, limit: usize) -> usize {
    usize::try_from(end.saturating_sub(offset)).map_or(limit, |len| len.min(limit))
}

/// Bytes of a file, mapped read-only; unmapped when dropped.
///
/// **Invariant.** `start` and `len` describe one mapping that this value alone made and will unmap. No reference to
/// its bytes is ever formed: only the kernel reads them.
struct Mapping {
    start: NonNull<c_void>,
    len: usize,
    /// Where in the mapping the wanted bytes begin: mappings begin at pages.
    skip: usize,
}

impl Mapping {
    /// Maps `len` bytes from `offset`.
    fn of(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<Self> {
        let page = rustix::param::page_size() as u64;
        let skip = (offset % page) as usize;
        let len = len.checked_add(skip).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel chooses an address where nothing else is mapped, so no memory in use changes.
        let start = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, file, offset - skip as u64)
        }?;
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, skip })
    }

    /// Copies from the first wanted byte into `buf` and says how far it got: short where pages cannot be had.
    fn copy_to(&self, buf: &mut [u8]) -> usize {
        let mut copied = 0;
        while copied < buf.len() {
            let at = self.skip + copied;
            debug_assert!(at < self.len);
            match copy_from_address(self.start.as_ptr().wrapping_byte_add(at), &mut buf[copied..]) {
                Ok(0) | Err(_) => break,
                Ok(n) => copied += n,
            }
        }
        copied
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping that `of` made, and no reference into it exists (the type's invariant).
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr(), self.len) };
    }
}

/// Lets the kernel copy from an address of this process, which need not be readable, and says how many bytes it did.
fn copy_from_address(address: *const c_void, buf: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let remote = libc::iovec { iov_base: address.cast_mut(), iov_len: buf.len() };
    // Asked each time: after a fork, the number kept from before would mean the parent's memory.
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: one valid iovec is passed on each side. The kernel writes at most `buf.len()` bytes, to `buf`, which is
    // borrowed mutably. It only reads at `address` and reports what it cannot read instead of faulting.
    let copied = unsafe { libc::process_vm_readv(own, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(copied).map_err(|_| io::Error::last_os_error())
}

/// Whether the kernel copies for us.
fn probe() -> io::Result<()> {
    let (from, mut to) = ([0x5a_u8; 16], [0_u8; 16]);
    let copied = copy_from_address(from.as_ptr().cast(), &mut to)?;
    if copied == from.len() && from == to {
        return Ok(());
    }
    Err(io::Error::other(format!("expected {} bytes copied, found {copied}", from.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::{Base, PathId, PathTable};
    use crate::read::conformance::{self, pattern};
    use std::fs::File;
    use std::sync::Arc;

    #[test]
    fn conforms() {
        conformance::run(&mut |_| Box::new(Mmap::new()));
    }

    #[test]
    fn conforms_when_the_kernel_will_not_copy() {
        conformance::run(&mut |_| Box::new(Serial::new("mmap", Files::new(Refused(Mapped { refused: true })))));
    }

    /// Skips the probe, which would succeed.
    struct Refused(Mapped);

    impl Fetch for Refused {
        fn fetch(&mut self, file: &Source, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            self.0.fetch(file, offset, buf)
        }
    }

    struct Fixture {
        _folder: tempfile::TempDir,
        file: File,
        source: Source,
    }

    fn fixture(bytes: &[u8]) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("file");
        std::fs::write(&name, bytes).unwrap();
        let file = File::options().write(true).open(&name).unwrap();
        let mut paths = PathTable::new();
        let base = paths.push_base(Base { folder: Arc::new(File::open(folder.path()).unwrap().into()), skip: 0 });
        paths.push(base, b"file");
        let source = Source::open(&paths, PathId(0)).unwrap();
        Fixture { _folder: folder, file, source }
    }

    #[test]
    fn a_file_that_shrinks_under_its_mapping_is_read_short_without_a_signal() {
        let bytes = pattern(1, 5 * 65_536);
        // In front of the range, in it, in its last page, and not at all.
        for (shrunk_to, expected) in [(0, 0), (900, 0), (1000, 0), (1001, 1), (70_000, 69_000), (200_999, 199_999)] {
            let fixture = fixture(&bytes);
            let mut buf = vec![0xa5; 200_000];
            let shrink = || fixture.file.set_len(shrunk_to).unwrap();
            let filled = fetch_mapped(&fixture.source, 1000, &mut buf, shrink).unwrap();
            assert_eq!(filled, expected, "shrunk to {shrunk_to}");
            assert!(buf[..filled] == bytes[1000..1000 + filled], "shrunk to {shrunk_to}");
        }
    }

    #[test]
    fn the_kernel_stops_copying_where_the_pages_end() {
        if let Err(error) = probe() {
            println!("skipped: the kernel does not copy here ({error})");
            return;
        }
        let page = rustix::param::page_size();
        let fixture = fixture(&pattern(2, 3 * page));
        let mapping = Mapping::of(fixture.source.as_fd(), 10, 3 * page - 10).unwrap();
        fixture.file.set_len(page as u64 + 1).unwrap();
        let mut buf = vec![0; 3 * page - 10];
        assert_eq!(mapping.copy_to(&mut buf), 2 * page - 10, "a loop over these bytes would have been killed");
        fixture.file.set_len(0).unwrap();
        assert_eq!(mapping.copy_to(&mut buf), 0);
    }

    #[test]
    fn a_file_that_has_grown_is_read_to_its_new_end() {
        let fixture = fixture(b"short");
        fixture.file.set_len(10_000).unwrap();
        let mut buf = vec![1; 20_000];
        assert_eq!(fetch_mapped(&fixture.source, 0, &mut buf, || ()).unwrap(), 10_000);
        assert!(buf.starts_with(b"short\0") && buf[5..10_000].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_states_no_size_is_read_all_the_same() {
        let mut paths = PathTable::new();
        let base = paths.push_base(Base { folder: Arc::new(File::open("/proc/self").unwrap().into()), skip: 0 });
        paths.push(base, b"status");
        let source = Source::open(&paths, PathId(0)).unwrap();
        let mut buf = vec![0; 65_536];
        let filled = fetch_mapped(&source, 0, &mut buf, || ()).unwrap();
        assert!(buf[..filled].starts_with(b"Name:"));
    }

    #[test]
    fn copying_from_nowhere_is_an_error_and_not_a_signal() {
        let nowhere = std::ptr::without_provenance(rustix::param::page_size());
        assert!(copy_from_address(nowhere, &mut [0; 8]).is_err());
    }
}
