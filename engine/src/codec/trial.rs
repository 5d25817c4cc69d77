//! Compressing a sample on trial, to see what a block or a filter is worth.
//!
//! What flows in: pieces of a block. What flows out: how long they are at a fast level, as one.

use zstd_safe::CCtx;

use super::CodecError;
use super::encode::{encode_zstd, zstd_context};
use super::filter::Filters;

/// Level of a trial: the ratio of two results is near that of higher levels, at a tenth of their time.
const LEVEL: i32 = 1;

/// A small compressor with its buffers, used again and again.
pub(super) struct Trial {
    context: CCtx<'static>,
    sample: Vec<u8>,
    filtered: Vec<u8>,
    spare: Vec<u8>,
    out: Vec<u8>,
}

impl Trial {
    /// Without buffers yet.
    ///
    /// # Errors
    /// [`CodecError::Failed`] when there is no memory for its context.
    pub(super) fn new() -> Result<Self, CodecError> {
        let [sample, filtered, spare, out] = [const { Vec::new() }; 4];
        Ok(Self { context: zstd_context(LEVEL)?, sample, filtered, spare, out })
    }

    /// Bytes that trials of samples of at most `plain` bytes, and of at most `filtered` with filters, hold at most: their
    /// buffers, and zstd's context.
    pub(super) const fn memory_max(plain: usize, filtered: usize) -> usize {
        2 * plain + 2 * filtered + (256 << 10)
    }

    /// Bytes that it holds at the moment.
    pub(super) fn memory_bytes(&self) -> usize {
        let buffers = [&self.sample, &self.filtered, &self.spare, &self.out];
        self.context.sizeof() + buffers.map(Vec::capacity).iter().sum::<usize>()
    }

    /// Takes these pieces as the sample, and says how long they are together, raw and compressed.
    ///
    /// # Errors
    /// [`CodecError::Failed`] when the compressor runs out of memory.
    pub(super) fn len_of<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> Result<(usize, usize), CodecError> {
        self.sample.clear();
        for piece in pieces {
            self.sample.extend_from_slice(piece);
        }
        let Self { context, sample, out, .. } = self;
        Ok((sample.len(), compressed_len(context, sample, out)?))
    }

    /// How long the sample is when it is filtered and then compressed.
    ///
    /// # Errors
    /// As [`len_of`](Self::len_of); [`CodecError::UnknownFilter`].
    pub(super) fn len_filtered(&mut self, filters: Filters) -> Result<usize, CodecError> {
        let Self { context, sample, filtered, spare, out } = self;
        filtered.clear();
        filtered.extend_from_slice(sample);
        grow(spare, filters.spare_len(sample.len()));
        filters.apply(filtered, spare)?;
        compressed_len(context, filtered, out)
    }
}

/// The length of `raw` itself where it does not shrink.
fn compressed_len(context: &mut CCtx<'static>, raw: &[u8], out: &mut Vec<u8>) -> Result<usize, CodecError> {
    grow(out, raw.len());
    Ok(encode_zstd(context, raw, &mut out[..raw.len()])?.unwrap_or(raw.len()))
}

/// Makes a buffer at least `len` bytes long.
pub(super) fn grow(buffer: &mut Vec<u8>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
}
