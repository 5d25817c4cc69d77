//! In which order frames are read.
//!
//! In: which frames are needed. Out: the same, window by window, and within a window from as many stretches in turn as
//! there are workers; a frame whose bytes are needed very often comes several times, each time for some of them. What it does not know: bytes.
//!
//! Blocks follow the order of paths. Read one after the other, two neighbours would be written at the same time: mostly
//! files of the same folder, or parts of one large file, and the kernel lets only one thread at a time into a folder
//! to add a name, and into a file to write. Taken in turn from distant stretches, the blocks that are under way at the
//! same time hold different folders.

use std::ops::Range;

use super::{Job, Use};

/// Frames a lane has in one window: far enough apart to lie in different folders, near enough for a disk that has to
/// move its head.
const STRETCH: usize = 128;

/// How often a block's bytes are delivered by one worker at most. A block that is used more often, such as one of zeros in
/// a large file of zeros, is read and decoded by several, each for its share of the uses.
const TIMES: u64 = 32;

/// A frame, or a share of what it is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// The frame.
    pub seq: u64,
    /// Which uses of its bytes this is about.
    pub uses: Range<usize>,
    /// Whether no share of this frame came before.
    pub is_first: bool,
}

/// Every frame that is needed, in order of its number, with the uses of its bytes.
pub(super) fn needed(job: &Job<'_>) -> impl Iterator<Item = Need> {
    let mut used = job.wanted.blocks().iter().peekable();
    let mut next = 0;
    let frames = std::iter::from_fn(move || {
        let seq = match job.all_frames {
            true => (next < job.index.frames()).then_some(next)?,
            false => used.peek().map(|(block, _)| u64::from(*block))?,
        };
        next = seq + 1;
        let range = used.next_if(|(block, _)| u64::from(*block) == seq).map_or(0..0, |(_, range)| range.clone());
        Some((seq, range))
    });
    frames.flat_map(|(seq, range)| {
        let first = range.start;
        let shares = shares(job.wanted.uses(range.clone()));
        shares.map(move |share| Need { seq, uses: first + share.start..first + share.end, is_first: share.start == 0 })
    })
}

/// Cuts the uses of a block, at least into one share, each of at most [`TIMES`] as many bytes as the block has, or of one use.
fn shares(uses: &[Use]) -> impl Iterator<Item = Range<usize>> {
    let end = |used: &Use| u64::from(used.offset) + u64::from(used.len);
    let most = uses.iter().map(end).max().unwrap_or(0).saturating_mul(TIMES);
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        let mut bytes = 0;
        let fits = uses[start..].iter().take_while(|used| {
            bytes += u64::from(used.len);
            bytes <= most
        });
        let end = (start + fits.count().max(1)).min(uses.len());
        next = (end < uses.len()).then_some(end);
        Some(start..end)
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
    fn a_block_that_is_used_often_is_shared_and_no_other() {
        let uses = |count: u32, len| {
            let used = move |part| Use { block: 0, offset: 0, len, file: 0, part };
            (0..count).map(used).collect::<Vec<_>>()
        };
        let cut = |uses: &[Use]| shares(uses).map(|share| (share.start, share.end)).collect::<Vec<_>>();
        assert_eq!(cut(&[]), [(0, 0)], "a frame without uses is read as well");
        assert_eq!(cut(&uses(1, 7)), [(0, 1)]);
        assert_eq!(cut(&uses(32, 1 << 20)), [(0, 32)]);
        assert_eq!(cut(&uses(70, u32::MAX)), [(0, 32), (32, 64), (64, 70)]);
        assert_eq!(cut(&uses(1000, 0)), [(0, 1000)]);
        let mut mixed = uses(300, 1);
        mixed.push(Use { offset: 1, ..uses(1, 9)[0] });
        assert_eq!(cut(&mixed), [(0, 301)], "ten bytes in all, used 31 times");
    }

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
