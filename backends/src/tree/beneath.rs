//! Opens folders beneath a folder, so that nothing can lead out: no symlink, no magic link, no `..`.
//!
//! What flows in: an open folder and a checked relative path. What flows out: an open folder that lay beneath it at
//! that moment. What it does not know: what is done there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;
#[cfg(target_os = "linux")]
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};

/// Flags that open a folder as a place to make things in, and nothing that is not a folder. (`O_PATH` also opens
/// folders that may be searched and written, but not listed.)
#[cfg(target_os = "linux")]
pub(super) const PLACE: OFlags = OFlags::PATH.union(FOLDER);
#[cfg(not(target_os = "linux"))]
pub(super) const PLACE: OFlags = OFlags::RDONLY.union(FOLDER);
/// Flags that open a folder, in order to change its metadata.
pub(super) const READABLE: OFlags = OFlags::RDONLY.union(FOLDER);
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Longest path that one system call takes, bytes without its NUL.
#[cfg(target_os = "linux")]
const PATH_MAX: usize = 4095;

/// Opens folders; remembers what the kernel cannot do.
#[derive(Debug)]
pub(super) struct Opener {
    /// `openat2` has not been refused yet.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    direct: AtomicBool,
}

impl Opener {
    pub(super) fn new() -> Self {
        Self { direct: AtomicBool::new(cfg!(target_os = "linux")) }
    }

    /// One that acts as on a kernel without `openat2`.
    #[cfg(test)]
    pub(super) fn stepwise() -> Self {
        Self { direct: AtomicBool::new(false) }
    }

    /// Opens the folder `path` (checked, not empty) beneath `root`. A component that is a symlink or no folder is
    /// `NOTDIR`.
    pub(super) fn open(&self, root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        if self.direct.load(Ordering::Relaxed) {
            match walk(root, path, flags, long_step, open_direct) {
                // Too old, or forbidden by a seccomp filter: never asked again.
                Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => self.direct.store(false, Ordering::Relaxed),
                // A rename somewhere in the system got in the way; single steps do not care.
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        walk(root, path, flags, short_step, open_single)
    }
}

/// Opens `path` in steps. Every step starts from a folder beneath the root and leads only downwards, so each ends
/// beneath it too.
fn walk(
    root: BorrowedFd<'_>,
    mut path: &[u8],
    flags: OFlags,
    step: fn(&[u8]) -> usize,
    open: fn(BorrowedFd<'_>, &[u8], OFlags) -> Result<OwnedFd>,
) -> Result<OwnedFd> {
    let mut held: Option<OwnedFd> = None;
    loop {
        let here = held.as_ref().map_or(root, AsFd::as_fd);
        let len = step(path);
        let last = len == path.len();
        let next = open(here, &path[..len], if last { flags } else { PLACE }).map_err(|errno| match errno {
            Errno::LOOP => Errno::NOTDIR,
            other => other,
        })?;
        if last {
            return Ok(next);
        }
        path = &path[len + 1..];
        held = Some(next);
    }
}

/// One component.
fn short_step(path: &[u8]) -> usize {
    path.iter().position(|&byte| byte == b'/').unwrap_or(path.len())
}

fn open_single(here: BorrowedFd<'_>, component: &[u8], flags: OFlags) -> Result<OwnedFd> {
    // With O_DIRECTORY and O_NOFOLLOW a symlink is an error, never followed and never opened itself.
    openat(here, component, flags, Mode::empty())
}

/// As many whole components as one call takes. (A component has 255 bytes at most, so there is always one.)
#[cfg(target_os = "linux")]
fn long_step(path: &[u8]) -> usize {
    if path.len() <= PATH_MAX {
        return path.len();
    }
    path[..=PATH_MAX].iter().rposition(|&byte| byte == b'/').unwrap_or_else(|| short_step(path))
}

#[cfg(target_os = "linux")]
fn open_direct(here: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    // Not NO_XDEV: what is mounted beneath the destination belongs to it.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(here, path, flags, Mode::empty(), resolve)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn long_paths_are_cut_between_components() {
        let component = [b'x'; 255].as_slice();
        for count in 1..40 {
            let path = vec![component; count].join(b"/".as_slice());
            let mut rest = path.as_slice();
            loop {
                let len = long_step(rest);
                assert!(len <= PATH_MAX);
                if len == rest.len() {
                    break;
                }
                assert_eq!(rest[len], b'/');
                rest = &rest[len + 1..];
            }
        }
        let mut exact = vec![b'a'; PATH_MAX];
        assert_eq!(long_step(&exact), PATH_MAX);
        exact[4000] = b'/';
        exact.push(b'b');
        assert_eq!(long_step(&exact), 4000);
        exact[4000] = b'a';
        exact[PATH_MAX] = b'/';
        exact.push(b'b');
        assert_eq!(long_step(&exact), PATH_MAX);
    }
}
