//! The calls by which a file sink changes the file system, with a place where a test can watch them and have them fail.
//!
//! What flows in: a call and what it is about. What flows out: what the call says. What it does not know: why it is made.
//!
//! The code that calls is the same whether somebody watches or not: what a test records is what happens on disk. Without a
//! watcher it costs one branch.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;

use rustix::io::{Errno, Result};

/// A call that changes the file system, or makes a change durable. There is one file, the one that is being written, and one
/// folder; names are names in that folder.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    /// Makes a file without a name.
    Nameless,
    /// Makes the file under a name.
    Create(&'a [u8]),
    /// Gives the file a name, which fails when that is taken.
    Link(&'a [u8]),
    /// Gives the file that has the first name the second one too, which fails when that is taken.
    LinkName(&'a [u8], &'a [u8]),
    /// Takes a name away.
    Unlink(&'a [u8]),
    /// Moves the first name to the second, over what is there.
    Rename(&'a [u8], &'a [u8]),
    /// Moves the first name to the second, which fails when that is taken.
    RenameExclusively(&'a [u8], &'a [u8]),
    /// Writes bytes, one slice behind the other, from an offset on. Fewer may be written.
    Write(u64, &'a [IoSlice<'a>]),
    /// Changes permissions or owner of the file.
    Metadata,
    /// Brings contents and length of the file to the disk.
    SyncData,
    /// Brings the file to the disk with its metadata.
    SyncFile,
    /// Brings the names in the folder to the disk.
    SyncFolder,
}

/// Watches the calls of a sink. Methods are called by the thread that makes the call.
pub trait Watcher: fmt::Debug + Send + Sync {
    /// Before a call is made. With an error number of the system (`EIO` is 5, `ENOSPC` 28 on Linux) it is not made, and
    /// fails with that.
    fn before(&self, call: &Call<'_>) -> Option<i32>;

    /// After a call that succeeded; `written` is the number of bytes of a [`Call::Write`], otherwise 0.
    fn after(&self, call: &Call<'_>, written: usize);
}

/// Makes calls, watched or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Option<Arc<dyn Watcher>>);

impl Calls {
    pub(super) fn watched(watcher: Arc<dyn Watcher>) -> Self {
        Self(Some(watcher))
    }

    /// Makes a call.
    pub(super) fn make<T>(&self, call: Call<'_>, make: impl FnOnce() -> Result<T>) -> Result<T> {
        self.count(call, |_| 0, make)
    }

    /// Makes a call that writes.
    pub(super) fn write(
        &self,
        offset: u64,
        slices: &[IoSlice<'_>],
        make: impl FnOnce() -> Result<usize>,
    ) -> Result<usize> {
        self.count(Call::Write(offset, slices), |written| *written, make)
    }

    /// Makes a call whose errors are the standard library's.
    pub(super) fn sync(&self, call: Call<'_>, make: impl FnOnce() -> io::Result<()>) -> Result<()> {
        self.make(call, || make().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO)))
    }

    fn count<T>(&self, call: Call<'_>, count: impl FnOnce(&T) -> usize, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(watcher) = &self.0 else { return make() };
        if let Some(number) = watcher.before(&call) {
            return Err(Errno::from_raw_os_error(number));
        }
        let made = make()?;
        watcher.after(&call, count(&made));
        Ok(made)
    }
}
