//! The system calls of [`xattr`](super), by folder and name, and by `/proc`.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::os;

/// Number of `getxattrat`, the same on every architecture that Rust knows (Linux 6.13, `include/uapi/asm-generic/unistd.h`).
const SYS_GETXATTRAT: libc::c_long = 464;
/// Number of `listxattrat`, likewise.
const SYS_LISTXATTRAT: libc::c_long = 465;

/// `struct xattr_args` of the kernel.
#[repr(C, align(8))]
struct Args {
    value: u64,
    size: u32,
    flags: u32,
}

/// The calls by folder and name have not been refused yet.
static HAS_AT: AtomicBool = AtomicBool::new(true);

/// What the call by folder and name gave, unless the kernel does not know it (which is remembered) or a filter of system
/// calls may keep it away: then the other way has to tell.
fn settled(result: Result<usize, Errno>) -> Option<io::Result<usize>> {
    match result {
        Err(Errno::NOSYS) => {
            HAS_AT.store(false, Ordering::Relaxed);
            None
        }
        Err(Errno::PERM) => None,
        result => Some(result.map_err(io::Error::from)),
    }
}

pub(super) fn list(folder: BorrowedFd<'_>, name: &CStr, follow: bool, buffer: &mut [u8]) -> io::Result<usize> {
    if HAS_AT.load(Ordering::Relaxed)
        && let Some(result) = settled(list_at(folder, name, follow, buffer))
    {
        return result;
    }
    list_by_proc(folder, name, follow, buffer)
}

pub(super) fn get(
    folder: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    follow: bool,
    buffer: &mut [u8],
) -> io::Result<usize> {
    if HAS_AT.load(Ordering::Relaxed)
        && let Some(result) = settled(get_at(folder, name, attribute, follow, buffer))
    {
        return result;
    }
    get_by_proc(folder, name, attribute, follow, buffer)
}

/// A path that leads through the descriptor and never grows too long.
fn path(folder: BorrowedFd<'_>, name: &CStr) -> Vec<u8> {
    [os::proc_path(folder).as_bytes(), b"/", name.to_bytes()].concat()
}

pub(super) fn list_by_proc(folder: BorrowedFd<'_>, name: &CStr, follow: bool, buffer: &mut [u8]) -> io::Result<usize> {
    let path = path(folder, name);
    Ok(if follow { rustix::fs::listxattr(path, buffer)? } else { rustix::fs::llistxattr(path, buffer)? })
}

pub(super) fn get_by_proc(
    folder: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    follow: bool,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let path = path(folder, name);
    Ok(match follow {
        true => rustix::fs::getxattr(path, attribute, buffer)?,
        false => rustix::fs::lgetxattr(path, attribute, buffer)?,
    })
}

fn at_flags(follow: bool) -> libc::c_uint {
    if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW as libc::c_uint }
}

/// The number that a call gave back, as a length or an error.
fn length(returned: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(returned).map_err(|_| {
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        Errno::from_raw_os_error(errno)
    })
}

fn list_at(folder: BorrowedFd<'_>, name: &CStr, follow: bool, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the name ends with a NUL and the kernel writes no more than the buffer's length into it; both outlive the
    // call. The descriptor is open as long as it is borrowed.
    length(unsafe {
        libc::syscall(
            SYS_LISTXATTRAT,
            folder.as_raw_fd(),
            name.as_ptr(),
            at_flags(follow),
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    })
}

fn get_at(
    folder: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    follow: bool,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let size = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    let mut args = Args { value: buffer.as_mut_ptr() as u64, size, flags: 0 };
    // SAFETY: both names end with a NUL, `args` has the shape and length that the kernel expects and names a buffer of
    // at least `size` bytes, and all of them outlive the call. The descriptor is open as long as it is borrowed.
    length(unsafe {
        libc::syscall(
            SYS_GETXATTRAT,
            folder.as_raw_fd(),
            name.as_ptr(),
            at_flags(follow),
            attribute.as_ptr(),
            &raw mut args,
            size_of::<Args>(),
        )
    })
}

/// For the test: the call by folder and name alone, unsupported where the kernel has none.
#[cfg(test)]
pub(super) fn list_at_or_not(
    folder: BorrowedFd<'_>,
    name: &CStr,
    follow: bool,
    buffer: &mut [u8],
) -> io::Result<usize> {
    list_at(folder, name, follow, buffer).map_err(or_unsupported)
}

/// Likewise.
#[cfg(test)]
pub(super) fn get_at_or_not(
    folder: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    follow: bool,
    buffer: &mut [u8],
) -> io::Result<usize> {
    get_at(folder, name, attribute, follow, buffer).map_err(or_unsupported)
}

#[cfg(test)]
fn or_unsupported(errno: Errno) -> io::Error {
    if errno == Errno::NOSYS { io::ErrorKind::Unsupported.into() } else { errno.into() }
}
