//! The end of packing: tables and footer, the proof that the disk has them, and the archive's name.

use std::io;
use std::sync::Arc;

use carrack_backends::sink::AppendSink;

use super::{Packer, cancelled};
use crate::archive::Archive;
use crate::container::source::FileSource;
use crate::control::Cancel;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::index::IndexWriter;
use crate::verify::VerifyOptions;

/// Writes the tables and the footer, and gives back what proves the whole archive.
pub(super) fn append_tail(sink: &mut dyn AppendSink, index: IndexWriter) -> Result<Digest> {
    let tail = index
        .finish(sink.written())
        .map_err(|error| Error::with(ErrorKind::Output, "the index cannot be written", error))?;
    for part in &tail.parts {
        sink.append(&[part]).map_err(|error| Error::with(ErrorKind::Output, "cannot write the archive", error))?;
    }
    Ok(tail.root)
}

/// Gives the archive its name, and says how many bytes it has.
pub(super) fn finish(sink: Box<dyn AppendSink>, cancel: &Cancel) -> Result<u64> {
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    let bytes = sink.written();
    sink.finish().map_err(|error| Error::with(ErrorKind::Output, "cannot finish the archive", error))?;
    Ok(bytes)
}

impl Packer {
    /// Reads back what was written, from the disk, and proves every byte of it, as long as the archive has no name.
    pub(super) fn verify_written(&self, sink: &mut dyn AppendSink, root: Digest) -> Result<()> {
        let unreadable = |error| Error::with(ErrorKind::Output, "cannot read back what was written", error);
        let file = sink.reread().map_err(unreadable)?.ok_or_else(|| unreadable(io::ErrorKind::Unsupported.into()))?;
        let source = FileSource::new(file).map_err(unreadable)?;
        let archive = Archive::from_source("what was written", Arc::new(source))?;
        let options = VerifyOptions {
            threads: self.threads,
            memory_limit: self.memory_limit,
            stats: false,
            control: self.control.clone(),
            ..VerifyOptions::default()
        };
        let report = archive.verify(&options)?;
        let wrong_root = (archive.summary().root != root).then(|| "it is another archive: its root differs".to_owned());
        let Some(first) = report.damage.into_iter().chain(wrong_root).next() else { return Ok(()) };
        let what = format!("the disk does not give back what was written; nothing was left behind: {first}");
        Err(Error::new(ErrorKind::Damaged, what))
    }
}
