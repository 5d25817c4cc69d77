//! Sink into a file that appears whole or not at all.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::AppendSink;
use super::calls::{Call, Calls, Watcher};
use super::target::{Old, Place, Target, locate};
use super::temporary::Temporary;
use super::vectored::write_all;
use super::writeback::Writeback;
use crate::os;
use crate::witness::Witness;

/// How a [`FileSink`] treats its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSinkOptions {
    /// Replace a file that is there. Without it an existing target is an error at once, and one that appears meanwhile
    /// is an error at the end; neither is touched.
    pub force: bool,
    /// `fsync` the file before it becomes visible, and the folder after. Without it a power cut may lose the archive
    /// or leave an incomplete one.
    pub sync: bool,
}

impl Default for FileSinkOptions {
    fn default() -> Self {
        Self { force: false, sync: true }
    }
}

/// Appends to a file without a name (or with a hidden one, where the file system cannot do without), readable by nobody
/// else; [`finish`](AppendSink::finish) makes it durable, gives it its permissions and puts it in its place in one step.
///
/// The permissions of a new file are what the umask leaves of 0666. A file that replaces another takes over its
/// permissions, and its owner and group as far as this process may set them.
#[derive(Debug)]
pub struct FileSink {
    temporary: Temporary,
    target: Target,
    options: FileSinkOptions,
    calls: Calls,
    identity: (u64, u64),
    written: u64,
    writeback: Writeback,
    /// An append failed: there may be bytes beyond `written`, and `finish` refuses.
    broken: bool,
}

impl FileSink {
    /// Prepares to write `target`, and tries out now whatever can be tried: better an error before hours of work.
    /// When `target` is a symlink to a file (and `force` is given), that file is replaced and the link stays.
    ///
    /// # Errors
    /// All name the target: it exists and is not to be replaced ([`io::ErrorKind::AlreadyExists`]), is a folder, its
    /// folder does not exist or cannot be written to, it is a link to nothing, or neither a file nor absent
    /// ([`super::create`] writes to devices and pipes).
    pub fn create(target: &Path, options: FileSinkOptions) -> io::Result<Self> {
        Self::calling(target, options, Calls::default())
    }

    /// [`create`](Self::create) with somebody who watches every call that changes the file system, and can have it fail: for
    /// tests of what is left then, and of what a power cut may leave.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn watched(target: &Path, options: FileSinkOptions, watcher: Arc<dyn Watcher>) -> io::Result<Self> {
        Self::calling(target, options, Calls::watched(watcher))
    }

    fn calling(target: &Path, options: FileSinkOptions, calls: Calls) -> io::Result<Self> {
        match locate(target, options.force)? {
            Place::File(place) => Self::at(place, options, calls),
            Place::Stream(_) => {
                let shown = os::show(target.as_os_str().as_encoded_bytes());
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{shown}: is not a regular file")))
            }
        }
    }

    pub(super) fn at(target: Target, options: FileSinkOptions, calls: Calls) -> io::Result<Self> {
        Self::with(Temporary::create(Arc::clone(&target.folder), calls.clone()), target, options, calls)
    }

    /// The second half of [`at`](Self::at); tests call it with the kind of temporary file that they want.
    pub(super) fn with(
        temporary: io::Result<Temporary>,
        target: Target,
        options: FileSinkOptions,
        calls: Calls,
    ) -> io::Result<Self> {
        let named = |error| os::context(format!("{}: cannot make a file in its folder", target.shown), error);
        let temporary = temporary.map_err(named)?;
        let witness = Witness::of_fd(temporary.file.as_fd()).map_err(named)?;
        let identity = (witness.dev, witness.ino);
        let writeback = Writeback::default();
        Ok(Self { temporary, target, options, calls, identity, written: 0, writeback, broken: false })
    }

    fn set_permissions(&self) -> io::Result<()> {
        let fd = self.temporary.file.as_fd();
        let mode = match self.target.old {
            None => 0o666 & !os::umask(),
            Some(old) => take_over(fd, old, &self.calls)?,
        };
        Ok(self.calls.make(Call::Metadata, || rustix::fs::fchmod(fd, os::mode(mode)))?)
    }

    /// Makes the new name durable.
    fn sync_folder(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if !self.target.folder_reads {
            // A folder that may not be read cannot be synced by itself; its file system as a whole can.
            return Ok(self.calls.make(Call::SyncFolder, || rustix::fs::syncfs(&self.temporary.file))?);
        }
        match self.calls.make(Call::SyncFolder, || rustix::fs::fsync(&self.target.folder)) {
            // The file system has nothing to sync in folders.
            Err(Errno::INVAL) => Ok(()),
            result => Ok(result?),
        }
    }

    fn try_finish(&mut self) -> Result<(), (&'static str, io::Error)> {
        self.set_permissions().map_err(|error| ("cannot set permissions", error))?;
        if self.options.sync {
            let file = &self.temporary.file;
            self.calls
                .sync(Call::SyncFile, || file.sync_all())
                .map_err(|errno| ("cannot make it durable; nothing was left behind", errno.into()))?;
        }
        self.temporary.publish(&self.target, self.options.force).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ("appeared meanwhile and was left alone", error),
            _ => ("cannot put it in its place", error),
        })?;
        if self.options.sync {
            self.sync_folder().map_err(|error| ("is complete, but its name may not survive a power cut", error))?;
        }
        Ok(())
    }
}

/// Gives the new file the owner and group of the old one if this process may, and says which permissions it may have:
/// the old one's, but none for a group that it was not meant for.
fn take_over(fd: std::os::fd::BorrowedFd<'_>, old: Old, calls: &Calls) -> rustix::io::Result<u32> {
    let now = rustix::fs::fstat(fd)?;
    let (uid, gid) = (rustix::fs::Uid::from_raw_unchecked(old.uid), rustix::fs::Gid::from_raw_unchecked(old.gid));
    let give = |uid, gid| calls.make(Call::Metadata, || rustix::fs::fchown(fd, uid, gid));
    let group_kept = now.st_gid == old.gid || give(None, Some(gid)).is_ok();
    if now.st_uid != old.uid {
        let _ = give(Some(uid), None);
    }
    Ok(if group_kept { old.mode } else { old.mode & !0o070 })
}

impl AppendSink for FileSink {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let (fd, start) = (self.temporary.file.as_fd(), self.written);
        let write = |slices: &[IoSlice<'_>], done| {
            let at = start + done;
            Ok(self.calls.write(at, slices, || rustix::io::pwritev(fd, slices, at))?)
        };
        match write_all(parts, write) {
            Ok(len) => {
                self.written += len;
                if self.options.sync {
                    self.writeback.written(&self.temporary.file, self.written);
                }
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                let what = format!("cannot write {} at offset {}", self.target.shown, self.written);
                Err(os::context(what, error))
            }
        }
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn identity(&self) -> Option<(u64, u64)> {
        Some(self.identity)
    }

    fn replaces(&self) -> Option<(u64, u64)> {
        self.target.old.map(|old| (old.dev, old.ino))
    }

    fn reread(&mut self) -> io::Result<Option<File>> {
        let file = &self.temporary.file;
        let synced = self.calls.sync(Call::SyncData, || file.sync_data());
        let result = synced.map_err(io::Error::from).and_then(|()| {
            // Only what is on the disk already can be dropped.
            #[cfg(target_os = "linux")]
            rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?;
            file.try_clone()
        });
        result.map(Some).map_err(|error| {
            self.broken = true;
            os::context(format!("{}: cannot bring it to the disk", self.target.shown), error)
        })
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(format!(
                "{}: a write failed before; nothing was left behind",
                self.target.shown
            )));
        }
        self.try_finish().map_err(|(what, error)| os::context(format!("{}: {what}", self.target.shown), error))
    }

    fn abort(self: Box<Self>) {}
}
