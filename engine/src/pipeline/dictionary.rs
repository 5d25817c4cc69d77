//! The frames of dictionaries: they stand before every block, so that whoever reads a block has met its dictionary.

use super::Job;
use super::commit::Committer;
use super::error::PipelineError;
use crate::codec::{CodecError, CodecId, Encoded, Encoder};
use crate::container::frame::{FrameHeader, FrameKind, digest_of};
use crate::digest::Digest;

/// Appends the frames of all dictionaries of a job.
pub(super) fn append_all(job: &Job, committer: &mut Committer<'_>) -> Result<(), PipelineError> {
    for (seq, dictionary) in (0..).zip(job.dictionaries.iter().flat_map(|dictionaries| dictionaries.all())) {
        let (header, payload) =
            frame(job, seq, dictionary.bytes()).map_err(|error| PipelineError::Codec { block: seq, error })?;
        committer.dictionary(&header, &payload)?;
    }
    Ok(())
}

/// Header and payload of the frame of a dictionary.
fn frame(job: &Job, seq: u64, dictionary: &[u8]) -> Result<(FrameHeader, Vec<u8>), CodecError> {
    let mut payload = vec![0; dictionary.len()];
    let codec = match Encoder::new(job.codec)?.encode(dictionary, &mut payload)? {
        Encoded::Stored => {
            payload.copy_from_slice(dictionary);
            CodecId::STORE
        }
        Encoded::Compressed { codec, len, .. } => {
            payload.truncate(len);
            codec
        }
    };
    let len32 = |len: usize| u32::try_from(len).expect("dictionaries are bounded far below 4 GiB");
    let header = FrameHeader {
        archive_id: job.archive_id,
        seq,
        kind: FrameKind::Dictionary,
        codec: codec.0,
        directory_codec: CodecId::STORE.0,
        filters: [0; 4],
        raw_len: len32(dictionary.len()),
        stored_len: len32(payload.len()),
        directory_raw_len: 0,
        directory_stored_len: 0,
        dictionary: None,
        digest: Digest::default(),
    };
    Ok((FrameHeader { digest: digest_of(&[], &payload), ..header }, payload))
}
