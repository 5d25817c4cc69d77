//! Sink into anything that takes bytes once: standard output, pipes, devices.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::AppendSink;
use super::vectored::write_all;
use crate::os;
use crate::witness::Witness;

/// Appends to a [`Write`]. What has been written cannot be taken back: [`abort`](AppendSink::abort) only stops.
/// [`finish`](AppendSink::finish) flushes; it does not wait for a disk.
#[derive(Debug)]
pub struct StreamSink<W> {
    writer: W,
    name: String,
    identity: Option<(u64, u64)>,
    written: u64,
    broken: bool,
}

impl<W: Write + Send> StreamSink<W> {
    /// Appends to `writer`. It should not buffer: the engine appends long runs. `name` is what errors call it.
    pub fn new(writer: W, name: impl Into<String>) -> Self {
        Self { writer, name: name.into(), identity: None, written: 0, broken: false }
    }
}

impl StreamSink<File> {
    pub(super) fn named(file: File, path: &Path) -> Self {
        Self::new(file, os::show(path.as_os_str().as_encoded_bytes()))
    }
}

/// Standard output, unbuffered. Has an identity when it leads into a regular file, which may lie within the very tree
/// that is packed.
///
/// # Errors
/// When this process has no standard output or no descriptor to spare.
pub fn stdout() -> io::Result<StreamSink<File>> {
    use std::os::fd::AsFd;
    let named = |error| os::context("standard output".to_owned(), error);
    let fd = io::stdout().as_fd().try_clone_to_owned().map_err(named)?;
    let stat = rustix::fs::fstat(&fd).map_err(|errno| named(errno.into()))?;
    let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
    let mut sink = StreamSink::new(File::from(fd), "standard output");
    let witness = Witness::from(stat);
    sink.identity = regular.then_some((witness.dev, witness.ino));
    Ok(sink)
}

impl<W: Write + Send> AppendSink for StreamSink<W> {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let Self { writer, .. } = self;
        match write_all(parts, |slices, _| writer.write_vectored(slices)) {
            Ok(len) => {
                self.written += len;
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                Err(os::context(format!("cannot write to {}", self.name), error))
            }
        }
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn identity(&self) -> Option<(u64, u64)> {
        self.identity
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other(format!("{}: a write failed before", self.name)));
        }
        self.writer.flush().map_err(|error| os::context(format!("cannot write to {}", self.name), error))
    }

    fn abort(self: Box<Self>) {}
}
