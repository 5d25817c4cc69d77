//! Opens folders and files for the walk: never through a symlink in the last component, never blocking, and at any
//! depth.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// Longest path in one system call, bytes, without the NUL.
pub(super) const CALL_LEN_MAX: usize = 4095;

const COMMON: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK);
const FOLDER: OFlags = COMMON.union(OFlags::DIRECTORY);

/// Folders that are only gone through: no permission to list them is needed where the system knows the difference.
#[cfg(target_os = "linux")]
const PASS: OFlags = FOLDER.union(OFlags::PATH);
#[cfg(not(target_os = "linux"))]
const PASS: OFlags = FOLDER;

/// Opens a folder to look things up in it, following symlinks.
pub(super) fn base(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, PASS, Mode::empty())?)
}

/// Opens a folder to list it: `path` relative to `base`, itself if empty, of any length. With `follow`, the folder may be
/// a symlink to one.
pub(super) fn listable(base: BorrowedFd<'_>, path: &[u8], follow: bool) -> io::Result<OwnedFd> {
    let last = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    at_any_depth(base, path, OFlags::RDONLY.union(FOLDER).union(last))
}

/// Opens a folder to look things up in it: `path` relative to `base`, of any length.
pub(super) fn passable(base: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    at_any_depth(base, path, PASS.union(OFlags::NOFOLLOW))
}

/// Opens a file, not through a symlink, and without waiting for the other end of a FIFO.
pub(super) fn file(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, OFlags::RDONLY.union(COMMON).union(OFlags::NOFOLLOW), Mode::empty())?)
}

/// How many descriptors the process may have.
pub(super) fn descriptors_max() -> usize {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |max| usize::try_from(max).unwrap_or(usize::MAX))
}

fn at_any_depth(base: BorrowedFd<'_>, mut path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let mut passed: Option<OwnedFd> = None;
    while path.len() > CALL_LEN_MAX {
        let at = path[..=CALL_LEN_MAX].iter().rposition(|&b| b == b'/').ok_or(rustix::io::Errno::NAMETOOLONG)?;
        let from = passed.as_ref().map_or(base, AsFd::as_fd);
        passed = Some(openat(from, &path[..at], PASS.union(OFlags::NOFOLLOW), Mode::empty())?);
        path = &path[at + 1..];
    }
    let from = passed.as_ref().map_or(base, AsFd::as_fd);
    let path = if path.is_empty() { b"." } else { path };
    Ok(openat(from, path, flags, Mode::empty())?)
}
