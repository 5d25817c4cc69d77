//! In which order frames are read.
//!
//! In: which frames are needed. Out: the same, window by window, and within a window from as many stretches in turn as
//! there are workers. What it does not know: bytes.
//!
//! Blocks follow the order of paths. Read one after the other, two neighbours would be written at the same time: mostly
//! files of the same folder, or parts of one large file, and the kernel lets only one thread at a time into a folder
//! to add a name, and into a file to write. Taken in turn from distant stretches, the blocks that are under way at the
//! same time hold different folders.

use std::ops::Range;

use super::Job;

/// Frames a lane has in one window: far enough apart to lie in different folders, near enough for a disk that has to
/// move its head.
const STRETCH: usize = 128;

/// Every frame that is needed, in order of its number, with the uses of its bytes.
pub(super) fn needed(job: &Job<'_>) -> impl Iterator<Item = (u64, Range<usize>)> {
    let mut used = job.wanted.blocks().iter().peekable();
    let mut next = 0;
    std::iter::from_fn(move || {
        let seq = match job.all_frames {
            true => (next < job.index.frames()).then_some(next)?,
            false => used.peek().map(|(block, _)| u64::from(*block))?,
        };
        next = seq + 1;
        let range = used.next_if(|(block, _)| u64::from(*block) == seq).map_or(0..0, |(_, range)| range.clone());
        Some((seq, range))
    })
}

/// How many frames a window of so many lanes has.
pub(super) fn window(lanes: usize) -> usize {
    lanes * STRETCH
}

/// The order within a window of `len` frames: one of each of `lanes` stretches in turn.
pub(super) fn turns(len: usize, lanes: usize) -> impl Iterator<Item = usize> {
    let stretch = len.div_ceil(lanes.max(1)).max(1);
    (0..stretch).flat_map(move |at| (at..len).step_by(stretch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_take_turns() {
        assert_eq!(turns(7, 3).collect::<Vec<_>>(), [0, 3, 6, 1, 4, 2, 5]);
        assert_eq!(turns(4, 2).collect::<Vec<_>>(), [0, 2, 1, 3]);
        assert_eq!(turns(3, 1).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn every_frame_has_its_turn_once() {
        for lanes in 0..9 {
            for len in 0..40 {
                let mut order: Vec<usize> = turns(len, lanes).collect();
                order.sort_unstable();
                assert!(order.into_iter().eq(0..len), "{len} frames in {lanes} lanes");
            }
        }
    }
}
