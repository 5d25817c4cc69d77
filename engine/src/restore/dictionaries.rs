//! The dictionaries of an open archive, read when the first block asks for them and kept for the next ones.
//!
//! In: the seq of a dictionary's frame. Out: what decoders need of it, or why there is none: then the blocks that name it are
//! lost, and no others. A few are kept, so that no archive can make a reader hold more than [`KEPT`] of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::frames::{FrameBytes, FrameError};
use crate::codec::{Decoder, DecoderDictionary};
use crate::container::error::ContainerError;
use crate::container::frame::FrameKind;
use crate::container::id::ArchiveId;
use crate::container::source::Source;
use crate::index::BlockRow;

/// How many dictionaries are kept: twice as many as writers make. Each takes at most
/// [`DICTIONARY_LEN_MAX`](crate::limits::DICTIONARY_LEN_MAX) bytes and some 30 KB.
pub const KEPT: usize = 16;

/// The dictionaries that were asked for last, by the seq of their frames.
#[derive(Debug, Default)]
pub struct Dictionaries(Mutex<VecDeque<(u64, Arc<DecoderDictionary>)>>);

impl Dictionaries {
    /// The dictionary that a block needs, if it needs one. `row` tells where a frame stands.
    ///
    /// # Errors
    /// What is wrong with the dictionary's frame, or with what stands in it.
    pub fn of(
        &self,
        block: &BlockRow,
        source: &dyn Source,
        archive_id: ArchiveId,
        row: &dyn Fn(u64) -> Result<BlockRow, ContainerError>,
    ) -> Result<Option<Arc<DecoderDictionary>>, FrameError> {
        let Some(seq) = block.dictionary else { return Ok(None) };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, dictionary)) = kept.iter().find(|(kept, _)| *kept == seq) {
            return Ok(Some(Arc::clone(dictionary)));
        }
        // Read under the lock: who else waits for it needs it too, as a rule.
        let dictionary =
            Arc::new(read(row(seq), source, archive_id).map_err(|error| FrameError::dictionary(seq, error))?);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((seq, Arc::clone(&dictionary)));
        Ok(Some(dictionary))
    }
}

fn read(
    row: Result<BlockRow, ContainerError>,
    source: &dyn Source,
    archive_id: ArchiveId,
) -> Result<DecoderDictionary, FrameError> {
    let row = row.map_err(FrameError::Container)?;
    if row.kind != FrameKind::Dictionary {
        let error = ContainerError::damaged("frame", row.offset, "a dictionary", row.kind.name());
        return Err(FrameError::Container(error));
    }
    let mut frame = FrameBytes::default();
    frame.read(source, &row)?;
    let proved = frame.check(&row, archive_id)?;
    let (mut decoder, mut buffer) = (Decoder::new(), Vec::new());
    DecoderDictionary::new(proved.block(None, &mut decoder, &mut buffer)?).map_err(FrameError::Codec)
}
