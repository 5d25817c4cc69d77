//! The scan: looks at the beginning of every file, for the order in which contents are stored.
//!
//! In: the paths and sizes of a walk. Out: a [`Sketch`] of each file that has any content, in order of row. It does not know
//! what they are for. A file that cannot be opened or read has an empty sketch and no error: reading its contents will
//! tell. What changes between the scan and that may lie in a worse place, nothing else.
//!
//! It costs one opening and one read of at most [`HEAD`] bytes a file, by several threads, four a core as in the walk, so
//! that a disk has something to do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use carrack_backends::path::PathId;
use carrack_backends::read::head::read_head;

use crate::entry::Entries;
use crate::sketch::Sketch;

/// Bytes of a file that are looked at: two files that have much in common as a rule begin to at once, and one that is longer
/// than this fills blocks of its own.
pub const HEAD: usize = 256 << 10;

/// Files that a thread takes at a time.
const FILES: usize = 64;

/// Bytes that the threads of a scan take at most.
#[must_use]
pub fn bytes_for(cores: usize) -> u64 {
    (threads(cores) * (HEAD + STACK)) as u64
}

/// What the stack of a thread comes to, bytes.
const STACK: usize = 64 << 10;

fn threads(cores: usize) -> usize {
    (cores * 4).clamp(1, 16)
}

/// Looks at the files in `rows`, with as many threads as suit so many cores. `progress` is told from any thread how many
/// files were looked at and how many bytes of them. `None` soon after `stop` returned true.
pub fn sketches(
    entries: &Entries,
    rows: &[u32],
    cores: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Sketch>> {
    let mut sketches = vec![Sketch::EMPTY; rows.len()];
    let work = Mutex::new(rows.chunks(FILES).zip(sketches.chunks_mut(FILES)));
    let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let look = || {
        let mut buffer = vec![0; HEAD];
        // Taken out of the lock before anything is read.
        let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some((rows, sketches)) = next() {
            if stop() {
                return;
            }
            for (&row, sketch) in rows.iter().zip(sketches) {
                if let Ok(len) = read_head(&entries.paths, PathId(row), &mut buffer) {
                    *sketch = Sketch::of(&buffer[..len]);
                    bytes.fetch_add(len as u64, Ordering::Relaxed);
                }
            }
            let done = files.fetch_add(rows.len() as u64, Ordering::Relaxed) + rows.len() as u64;
            progress(done, bytes.load(Ordering::Relaxed));
        }
    };
    thread::scope(|scope| {
        // A thread that the system refuses is done without: this one alone can look at everything.
        for _ in 1..threads(cores).min(rows.len().div_ceil(FILES)) {
            if thread::Builder::new().name("carrack-scan".to_owned()).spawn_scoped(scope, look).is_err() {
                break;
            }
        }
        look();
    });
    (!stop()).then_some(sketches)
}
