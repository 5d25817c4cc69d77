//! Frames found by their magic, wherever they stand and whatever stands between them.
//!
//! In: the bytes of what was an archive. Out: every frame whose header and digest are right, by archive, and the stretches
//! in which there is none. A frame inside the payload of an intact one is that one's business and not looked for.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem::Finder;

use crate::container::frame::{FrameHeader, HEADER_LEN, MAGIC};
use crate::container::id::ArchiveId;
use crate::container::source::Source;
use crate::index::{BlockRow, IndexError};
use crate::restore::frames::{FrameBytes, FrameError, Proved};

/// Bytes that are searched at a time.
const WINDOW: usize = 1 << 20;

/// Looks at every byte of `source` that is not part of an intact frame, and gives each such frame to `each`, in the order in which
/// they stand. `progress` is told how far it came, and says whether to go on. Returns the stretches without any frame, bytes.
///
/// # Errors
/// [`IndexError::Io`] when the source fails.
pub(super) fn frames(
    source: &dyn Source,
    each: &mut dyn FnMut(&BlockRow, &Proved<'_>),
    progress: &dyn Fn(u64) -> bool,
) -> Result<Vec<Range<u64>>, IndexError> {
    let finder = Finder::new(&MAGIC);
    let mut window = vec![0; WINDOW];
    let mut frame = FrameBytes::default();
    let (mut gaps, mut at, mut gap) = (Vec::new(), 0, 0);
    while at < source.len() && progress(at) {
        let len = (source.len() - at).min(WINDOW as u64) as usize;
        source.read("what is left of an archive", &mut window[..len], at)?;
        let Some(found) = finder.find(&window[..len]) else {
            // A magic may begin at the end of this window.
            at += if len < WINDOW { len } else { len - (MAGIC.len() - 1) } as u64;
            continue;
        };
        at += found as u64;
        let Some(row) = intact(source, at, &mut frame)? else {
            at += 1;
            continue;
        };
        if gap < at {
            gaps.push(gap..at);
        }
        let proved = frame.check(&row.0, row.1).expect("it was checked a moment ago");
        each(&row.0, &proved);
        at += row.0.frame_len;
        gap = at;
    }
    if gap < source.len() {
        gaps.push(gap..source.len());
    }
    Ok(gaps)
}

/// The frame that begins at `at`, if header and digest are right.
fn intact(source: &dyn Source, at: u64, frame: &mut FrameBytes) -> Result<Option<(BlockRow, ArchiveId)>, IndexError> {
    let mut header = [0; HEADER_LEN];
    match source.read("frame header", &mut header, at) {
        Ok(()) => {}
        Err(IndexError::Truncated { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    let Ok(header) = FrameHeader::decode(&header, at) else { return Ok(None) };
    if at + header.frame_len() > source.len() {
        return Ok(None);
    }
    let row = BlockRow::of(&header, at);
    match frame.read(source, &row).and_then(|()| frame.check(&row, header.archive_id).map(drop)) {
        Ok(()) => Ok(Some((row, header.archive_id))),
        Err(FrameError::Container(error @ IndexError::Io { .. })) => Err(error),
        Err(_) => Ok(None),
    }
}

/// The archive that most of the bytes belong to; of several the one with the least id.
pub(super) fn largest(bytes: &HashMap<ArchiveId, u64>) -> Option<ArchiveId> {
    bytes.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.0.cmp(&a.0.0))).map(|(id, _)| *id)
}
