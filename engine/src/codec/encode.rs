//! Raw bytes in, compressed bytes out, with one context that is used again and again.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{CCtx, CParameter, get_error_name};

use super::{Codec, CodecError, CodecId, error_code};

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// Compressing does not pay: store the raw bytes, with [`CodecId::STORE`]. The output buffer holds nothing of use.
    Stored,
    /// The first `len` bytes of the output buffer are to be stored.
    Compressed {
        /// The codec that the frame must name.
        codec: CodecId,
        /// Bytes.
        len: usize,
    },
}

/// The longest stored form, bytes, that is worth having for `raw_len` raw bytes: compressing must save 1/128 of them,
/// and at least one byte. What saves less is stored raw, because reading raw bytes back costs nothing.
#[must_use]
pub fn paying_len(raw_len: usize) -> usize {
    raw_len - (raw_len / 128).max(1).min(raw_len)
}

/// Compresses blocks one after the other. Holds the compressor's context: with blocks of 4 MiB, zstd wants 0.6 MB at
/// level 1, 1.3 MB at 3, 11 MB at 9, 34 MB at 13, 52 MB at 19 and 68 MB at 22 (with blocks of 64 MiB 85 MB at 19 and
/// 672 MB at 22); lz4 16 KiB and, where the caller's buffer is too small to work in, 1.1 times the longest block.
pub struct Encoder {
    codec: Codec,
    context: Context,
}

enum Context {
    Store,
    Lz4 { table: CompressTable, scratch: Vec<u8> },
    Zstd(CCtx<'static>),
}

impl Encoder {
    /// An encoder of one setting.
    ///
    /// # Errors
    /// [`CodecError::BadLevel`]; [`CodecError::Failed`] when there is no memory for its context.
    pub fn new(codec: Codec) -> Result<Self, CodecError> {
        let context = match codec.checked()? {
            Codec::Store => Context::Store,
            // The large table for short blocks too: a table that changes with what came before would make the output
            // depend on it.
            Codec::Lz4 => Context::Lz4 { table: CompressTable::large(), scratch: Vec::new() },
            Codec::Zstd { level } => Context::Zstd(zstd_context(level)?),
        };
        Ok(Self { codec, context })
    }

    /// The setting.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Bytes that the context holds at the moment. [`Codec::encoder_len`] tells it in advance.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        match &self.context {
            Context::Store => 0,
            Context::Lz4 { scratch, .. } => (16 << 10) + scratch.capacity(),
            Context::Zstd(context) => context.sizeof(),
        }
    }

    /// Compresses `raw` into the front of `out`, or says that it does not pay.
    ///
    /// A good length of `out` is that of `raw` for every codec. When `out` is shorter than [`paying_len`], results that
    /// do not fit count as not paying, so the outcome depends on the length of `out`; otherwise it never does.
    ///
    /// # Errors
    /// [`CodecError::TooLong`]; [`CodecError::Failed`] when the compressor runs out of memory.
    pub fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<Encoded, CodecError> {
        if u32::try_from(raw.len()).is_err() {
            return Err(CodecError::TooLong { found: raw.len() as u64 });
        }
        let room = paying_len(raw.len()).min(out.len());
        let len = match &mut self.context {
            _ if room == 0 => None,
            Context::Store => None,
            Context::Lz4 { table, scratch } => encode_lz4(table, scratch, raw, out, room)?,
            Context::Zstd(context) => encode_zstd(context, raw, &mut out[..room])?,
        };
        Ok(match len {
            Some(len) => Encoded::Compressed { codec: self.codec.id(), len },
            None => Encoded::Stored,
        })
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// `None` when the result is longer than `room`. lz4_flex wants room for the worst case before it begins: in `out` if
/// that is long enough, else in `scratch`.
fn encode_lz4(
    table: &mut CompressTable,
    scratch: &mut Vec<u8>,
    raw: &[u8],
    out: &mut [u8],
    room: usize,
) -> Result<Option<usize>, CodecError> {
    let worst = get_maximum_output_size(raw.len());
    let failed = |e: lz4_flex::block::CompressError| CodecError::Failed { codec: CodecId::LZ4, why: e.to_string() };
    if out.len() >= worst {
        let len = compress_into_with_table(raw, out, table).map_err(failed)?;
        return Ok(Some(len).filter(|&len| len <= room));
    }
    if scratch.len() < worst {
        scratch.resize(worst, 0);
    }
    let len = compress_into_with_table(raw, scratch, table).map_err(failed)?;
    Ok((len <= room).then(|| {
        out[..len].copy_from_slice(&scratch[..len]);
        len
    }))
}

fn zstd_context(level: i32) -> Result<CCtx<'static>, CodecError> {
    let mut context = CCtx::try_create()
        .ok_or_else(|| CodecError::Failed { codec: CodecId::ZSTD, why: "no memory for a context".to_owned() })?;
    let parameters = [
        CParameter::CompressionLevel(level),
        CParameter::ContentSizeFlag(true),
        CParameter::ChecksumFlag(false),
        CParameter::DictIdFlag(false),
    ];
    for parameter in parameters {
        context.set_parameter(parameter).map_err(zstd_failed)?;
    }
    Ok(context)
}

/// `None` when the result does not fit.
fn encode_zstd(context: &mut CCtx<'static>, raw: &[u8], out: &mut [u8]) -> Result<Option<usize>, CodecError> {
    // One call with all the input: zstd knows the length and chooses its parameters for it.
    match context.compress2(out, raw) {
        Ok(len) => Ok(Some(len)),
        Err(code) if code == error_code(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => Ok(None),
        Err(code) => Err(zstd_failed(code)),
    }
}

#[cold]
fn zstd_failed(code: usize) -> CodecError {
    CodecError::Failed { codec: CodecId::ZSTD, why: get_error_name(code).to_owned() }
}
