//! How a linked open → read → close ended.
//!
//! What flows in: the results of the three steps, and the buffer. What flows out: the request's result and the file's
//! witness. What it does not know: the ring, and how a chain is made.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::path::{PathId, PathTable};
use crate::read::open::{Source, check_regular, open_error, read_full};
use crate::witness::Witness;

/// A request's result, and the witness of its file.
pub(super) type Outcome = (io::Result<u32>, Option<Witness>);

/// Whether the descriptor was left open although it should not be: then somebody must clear its place.
pub(super) fn left_open(open: i32, close: i32) -> bool {
    open >= 0 && close < 0
}

/// Judges a finished chain by what its steps returned (bytes, or a negative errno).
///
/// The witness is asked for by path, after the read: an open file's own descriptor is gone by now, and `statx` in a
/// chain would cost a worker thread. A path that leads to another file than it did when the tree was walked gives
/// another witness, so nothing goes unnoticed. One plain `statx` a file is all that a chain costs beside its share of
/// the batch.
pub(super) fn outcome(paths: &PathTable, path: PathId, open: i32, read: i32, buf: &mut [u8]) -> Outcome {
    if open < 0 {
        return (Err(open_error(Errno::from_raw_os_error(-open))), None);
    }
    let (folder, name) = paths.source(path);
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    if let Some(Err(error)) = stat.as_ref().ok().map(check_regular) {
        return (Err(error), None);
    }
    let witness = stat.ok().map(Witness::from);
    match read {
        0.. => {
            let filled = read.unsigned_abs();
            let ended = witness.is_some_and(|witness| witness.size == u64::from(filled));
            if filled as usize == buf.len() || ended { (Ok(filled), witness) } else { again(paths, path, buf) }
        }
        // Cancelled by the patrol, interrupted, or not ready: whatever it is, opening it again finds out.
        _ if [libc::ECANCELED, libc::EINTR, libc::EAGAIN].contains(&-read) => again(paths, path, buf),
        _ => (Err(io::Error::from_raw_os_error(-read)), witness),
    }
}

/// Reads the whole file once more, synchronously and from its start: the rare way out for reads that ended early. The
/// descriptor is closed and the path may lead to another file, so reading on where the chain stopped could mix two.
#[cold]
fn again(paths: &PathTable, path: PathId, buf: &mut [u8]) -> Outcome {
    let source = match Source::open(paths, path) {
        Ok(source) => source,
        Err(error) => return (Err(error), None),
    };
    let filled = read_full(source.as_fd(), 0, buf, source.size());
    (filled.map(|filled| filled as u32), source.witness())
}
