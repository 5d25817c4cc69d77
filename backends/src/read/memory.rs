//! Reading from memory: content without a disk, for tests and for measuring everything but the reading.
//!
//! What flows in: a map from archive path to content and witness. What flows out: completions, as if the content had
//! been read from files. What it does not know: file systems; the folders of the path table are not looked at.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::pread::{Serial, Serve, delegate};
use super::{Completion, Op, Request, Stamps};
use crate::clock::now_ns;
use crate::path::PathTable;
use crate::witness::Witness;

/// Content of one file in memory, and what a `stat` of it would say.
#[derive(Clone, Debug)]
pub struct Content {
    /// The bytes of the file.
    pub bytes: Arc<[u8]>,
    /// What every completion that carries a witness says; its size is not compared with the bytes.
    pub witness: Witness,
}

/// Reads from memory, one request after the other. See the [module](self).
///
/// A path that is not in the map is an error of kind `NotFound`. The witness of a file that is read by ranges comes
/// with the range marked `last`.
#[derive(Debug)]
pub struct Memory(Serial<Contents>);

impl Memory {
    /// A backend over content by archive path.
    #[must_use]
    pub fn new(files: HashMap<Vec<u8>, Content>) -> Self {
        Self(Serial::new("memory", Contents(files)))
    }
}

delegate!(Memory);

#[derive(Debug)]
struct Contents(HashMap<Vec<u8>, Content>);

impl Serve for Contents {
    fn serve(&mut self, paths: &PathTable, mut request: Request) -> Completion {
        let submitted_ns = now_ns();
        let (offset, with_witness) = match request.op {
            Op::Whole { .. } => (0, true),
            // Requests are served in order, so the range marked `last` is the one that completes last.
            Op::Range { offset, last, .. } => (offset, last),
        };
        let content = self.0.get(paths.path(request.op.path()));
        let result = match content {
            Some(content) => copy(&content.bytes, offset, &mut request.buf),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let witness = content.filter(|_| with_witness).map(|content| content.witness);
        let stamps = Stamps { queued_ns: request.queued_ns, submitted_ns, completed_ns: now_ns() };
        Completion { tag: request.tag, op: request.op, buf: request.buf, result, witness, stamps }
    }
}

/// Copies from `offset` until `buf` is full or the content ends.
fn copy(bytes: &[u8], offset: u64, buf: &mut [u8]) -> io::Result<u32> {
    let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
    let len = buf.len().min(bytes.len() - from);
    let filled = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    buf[..len].copy_from_slice(&bytes[from..from + len]);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::conformance;

    #[test]
    fn conforms_where_no_disk_is_needed() {
        // Left out: 4 GiB of content, what only a file system can hold, and content that changes.
        let skip = [
            "huge offsets",
            "a range file held open",
            "what is no regular file",
            "nothing stale",
            "a file that changes meanwhile",
        ];
        conformance::run_without(&skip, &mut |tree| {
            let content = |bytes: &[u8], witness| Content { bytes: bytes.into(), witness };
            let files = tree.files().map(|(path, bytes, witness)| (path.to_vec(), content(bytes, witness)));
            Box::new(Memory::new(files.collect()))
        });
    }

    #[test]
    fn ranges_behind_the_end_are_empty() {
        let mut buf = [7; 4];
        assert_eq!(copy(b"abcdef", 4, &mut buf).unwrap(), 2);
        assert_eq!(&buf, b"ef\x07\x07");
        for offset in [6, 7, u64::MAX] {
            assert_eq!(copy(b"abcdef", offset, &mut buf).unwrap(), 0);
        }
    }
}
