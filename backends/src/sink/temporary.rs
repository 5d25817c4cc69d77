//! A file that nobody sees until it gets its name.
//!
//! On Linux it has no name at all (`O_TMPFILE`): a process that is killed leaves nothing behind, not even after hours,
//! and nobody can open a half-written archive. Where the file system or the kernel cannot do that (this is tried out,
//! not guessed, and before any work is done), it has a hidden name of its own.
//!
//! What flows in: an open folder. What flows out: an open, empty file; later a name in that folder. What it does not
//! know: what is in the file.

use std::ffi::CStr;
#[cfg(target_os = "linux")]
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::calls::{Call, Calls};
use super::target::Target;
use crate::os;
use crate::transient::{self, Place, Transient};

/// Permissions while it is being written: nobody else's business.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The file and the hidden name that it has at the moment, if any. Dropping it removes that name.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) file: File,
    folder: Arc<OwnedFd>,
    name: Option<Hidden>,
    calls: Calls,
}

/// A name that goes away with the process.
type Hidden = (String, Transient);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(hidden) = self.name.take() {
            // Nothing to be done when it fails: the folder may be gone, or read-only by now.
            let _ = remove(&self.folder, hidden, &self.calls);
        }
    }
}

impl Temporary {
    /// A new empty file in `folder`, mode 0600, open for reading and writing.
    pub(super) fn create(folder: Arc<OwnedFd>, calls: Calls) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if can_be_nameless(&folder, &calls)
            && let Ok(file) = nameless(folder.as_fd(), &calls)
        {
            return Ok(Self { file, folder, name: None, calls });
        }
        Self::named(folder, calls)
    }

    /// The same with a hidden name.
    pub(super) fn named(folder: Arc<OwnedFd>, calls: Calls) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (fd, hidden) = hidden(&folder, |name| {
            calls.make(Call::Create(name.as_bytes()), || openat(folder.as_fd(), name, flags, PRIVATE))
        })?;
        Ok(Self { file: File::from(fd), folder, name: Some(hidden), calls })
    }

    /// Gives the file its place in the folder: exclusively, so that nothing that appeared meanwhile is lost, or, when
    /// `replace`, over what is there. Whoever looks sees the old file or the whole new one.
    pub(super) fn publish(&mut self, target: &Target, replace: bool) -> io::Result<()> {
        let (folder, calls) = (self.folder.as_fd(), &self.calls);
        #[cfg(target_os = "linux")]
        if self.name.is_none() {
            match transient::unless_ending(|| link(&self.file, folder, &target.name, calls)) {
                // A link cannot replace; a hidden name can be moved over the old file.
                Err(Errno::EXIST) if replace => {
                    self.name = Some(link_hidden(&self.file, &self.folder, calls)?);
                }
                result => return Ok(result?),
            }
        }
        let Some((hidden, transient)) = &mut self.name else { return Err(io::ErrorKind::NotFound.into()) };
        transient.end(|| match replace {
            true => {
                let call = Call::Rename(hidden.as_bytes(), target.name.as_bytes());
                Ok(calls.make(call, || renameat(folder, hidden.as_str(), folder, target.name.as_c_str()))?)
            }
            false => rename_exclusively(folder, hidden, &target.name, calls),
        })?;
        self.name = None;
        Ok(())
    }
}

/// Calls `make` with one hidden name after the other until it finds one that is not taken.
fn hidden<T>(folder: &Arc<OwnedFd>, make: impl FnMut(&str) -> rustix::io::Result<T>) -> io::Result<(T, Hidden)> {
    let place = Arc::clone(folder) as Place;
    let ((made, name), transient) = transient::make(&place, || {
        let (made, name) = os::with_hidden_name(make)?;
        Ok::<_, io::Error>(((made, name.clone()), name.into_bytes()))
    })?;
    Ok((made, (name, transient)))
}

fn remove(folder: &Arc<OwnedFd>, (name, mut transient): Hidden, calls: &Calls) -> rustix::io::Result<()> {
    transient.end(|| unlink(folder.as_fd(), &name, calls))
}

fn unlink(folder: BorrowedFd<'_>, name: &str, calls: &Calls) -> rustix::io::Result<()> {
    calls.make(Call::Unlink(name.as_bytes()), || unlinkat(folder, name, AtFlags::empty()))
}

#[cfg(target_os = "linux")]
fn nameless(folder: BorrowedFd<'_>, calls: &Calls) -> rustix::io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    calls.make(Call::Nameless, || openat(folder, ".", flags, PRIVATE)).map(File::from)
}

/// Names an open file that has no name yet; fails with `EXIST` rather than replace anything.
#[cfg(target_os = "linux")]
fn link(file: &File, folder: BorrowedFd<'_>, name: &CStr, calls: &Calls) -> rustix::io::Result<()> {
    // The direct way, AT_EMPTY_PATH, needs a capability; through /proc anyone may.
    calls.make(Call::Link(name.to_bytes()), || {
        rustix::fs::linkat(rustix::fs::CWD, os::proc_path(file.as_fd()), folder, name, AtFlags::SYMLINK_FOLLOW)
    })
}

/// Gives an open file that has no name yet a hidden one.
#[cfg(target_os = "linux")]
fn link_hidden(file: &File, folder: &Arc<OwnedFd>, calls: &Calls) -> io::Result<Hidden> {
    let link = |name: &str| {
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        link(file, folder.as_fd(), &name, calls)
    };
    hidden(folder, link).map(|((), hidden)| hidden)
}

/// Does with an empty file what [`Temporary::publish`] will have to do: some file systems make nameless files and then
/// cannot name them, and /proc may not be there.
#[cfg(target_os = "linux")]
fn can_be_nameless(folder: &Arc<OwnedFd>, calls: &Calls) -> bool {
    let Ok(file) = nameless(folder.as_fd(), calls) else { return false };
    link_hidden(&file, folder, calls).is_ok_and(|hidden| remove(folder, hidden, calls).is_ok())
}

/// The two numbers are one and the same on Linux, but not everywhere.
fn unsupported(errno: Errno) -> bool {
    errno == Errno::NOSYS || errno == Errno::NOTSUP || errno == Errno::OPNOTSUPP
}

/// Renames, but fails with `EXIST` when something has the new name.
fn rename_exclusively(folder: BorrowedFd<'_>, hidden: &str, name: &CStr, calls: &Calls) -> io::Result<()> {
    let (from, to) = (hidden.as_bytes(), name.to_bytes());
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    match calls.make(Call::RenameExclusively(from, to), || {
        rustix::fs::renameat_with(folder, hidden, folder, name, rustix::fs::RenameFlags::NOREPLACE)
    }) {
        // Not every file system can; a second name and the removal of the first come to the same.
        Err(errno) if errno == Errno::INVAL || unsupported(errno) => {}
        result => return Ok(result?),
    }
    let link = || rustix::fs::linkat(folder, hidden, folder, name, AtFlags::empty());
    match calls.make(Call::LinkName(from, to), link) {
        Ok(()) => Ok(unlink(folder, hidden, calls)?),
        // FAT and its like have no second names either. What is left is to look first; a file that appears between
        // the two calls is lost.
        Err(errno) if errno == Errno::PERM || unsupported(errno) => {
            match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => Ok(calls.make(Call::Rename(from, to), || renameat(folder, hidden, folder, name))?),
                Ok(_) => Err(Errno::EXIST.into()),
                Err(errno) => Err(errno.into()),
            }
        }
        Err(errno) => Err(errno.into()),
    }
}
