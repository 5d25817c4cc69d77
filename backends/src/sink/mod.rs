//! Where an archive is appended to.
//!
//! What flows in: runs of bytes, in order. What flows out: a file that is there as a whole or not at all, bytes in a
//! pipe, bytes in memory. What it does not know: what the bytes mean.
//!
//! | sink | what it is for |
//! |---|---|
//! | [`FileSink`] | an archive in a file: durable and visible at [`finish`](AppendSink::finish), nothing before it |
//! | [`StreamSink`] | standard output, pipes, devices: what is written is gone |
//! | [`MemorySink`] | tests and small archives |
//! | [`FaultSink`] | tests: another sink that fails when told to |
//!
//! A [`Watcher`] sees every call by which a [`FileSink`] changes the file system, and can have it fail: for tests.
//! [`create`] chooses between the first two by what the path names already.

mod calls;
mod fault;
mod file;
mod memory;
mod stream;
mod target;
mod temporary;
#[cfg(test)]
mod tests;
mod vectored;
#[allow(unsafe_code)]
mod writeback;

use std::fs::File;
use std::io;
use std::path::Path;

pub use calls::{Call, Watcher};
pub use fault::{FaultSink, FaultSinkPlan, SinkEvent, SinkLog};
pub use file::{FileSink, FileSinkOptions};
pub use memory::{MemoryBytes, MemorySink};
pub use stream::{StreamSink, stdout};

/// Something that bytes are appended to. Dropping it before [`finish`](Self::finish) is [`abort`](Self::abort).
pub trait AppendSink: Send {
    /// Appends all `parts`, one behind the other. After an error the sink is broken: it may hold some of the bytes,
    /// refuses to be finished, and can only be aborted.
    ///
    /// # Errors
    /// What the system says, with the target's name and the kind kept: [`io::ErrorKind::StorageFull`] for a full disk,
    /// [`io::ErrorKind::BrokenPipe`] for a reader that went away.
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()>;

    /// Bytes appended so far; the offset at which the next ones will lie.
    fn written(&self) -> u64;

    /// Device and inode number of the file being written, so that a walk can leave it out. `None` when no walk can
    /// meet it: a pipe, memory.
    fn identity(&self) -> Option<(u64, u64)>;

    /// Device and inode number of the file that [`finish`](Self::finish) will replace: a walk leaves this one out too,
    /// or each archive would hold the one before it.
    fn replaces(&self) -> Option<(u64, u64)> {
        None
    }

    /// The bytes appended so far for reading them back, as the disk has them: everything is written to it first, and then
    /// dropped from the page cache. `None` where nothing can be read back: a pipe, memory. A file system in memory has
    /// nothing but its pages; what it gives is read as it is.
    ///
    /// # Errors
    /// When the bytes cannot be brought to the disk. The sink can only be aborted then.
    fn reread(&mut self) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// Makes everything durable and visible.
    ///
    /// # Errors
    /// When something could not be made so; the target is then as it was, unless the error says otherwise. A failed
    /// `fsync` is final: the kernel has forgotten the lost pages, and to try again would prove nothing.
    fn finish(self: Box<Self>) -> io::Result<()>;

    /// Leaves nothing behind, as far as the sink can take bytes back (a pipe cannot).
    fn abort(self: Box<Self>);
}

/// A sink for what the user called `target`: a [`FileSink`] when it is or will be a regular file, a [`StreamSink`] when
/// it is a named pipe or a device (`/dev/null`, `/dev/stdout` in a pipeline, `>(…)` of a shell), which is written
/// straight to, since it can neither be replaced nor taken back. Opening a named pipe waits for its reader. A block
/// device is written over only with `force`.
///
/// # Errors
/// As [`FileSink::create`]; also for a socket.
pub fn create(target: &Path, options: FileSinkOptions) -> io::Result<Box<dyn AppendSink>> {
    Ok(match target::locate(target, options.force)? {
        target::Place::File(place) => Box::new(FileSink::at(place, options, calls::Calls::default())?),
        target::Place::Stream(file) => Box::new(StreamSink::named(file, target)),
    })
}
