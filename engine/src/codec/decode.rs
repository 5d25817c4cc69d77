//! Stored bytes in, raw bytes out: exactly as many as promised, or an error. The stored bytes may be anything.

use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};
use zstd_safe::{find_frame_compressed_size, get_error_name, get_frame_content_size};

use super::trial::grow;
use super::{CodecError, CodecId, DecoderDictionary, Form, error_code, lzma};
use crate::limits::BLOCK_SIZE_MAX;

/// The widest window for which decoding a prefix allocates memory, as a power of two: that of the largest block. A
/// frame that asks for more is refused.
const WINDOW_LOG_MAX: u32 = BLOCK_SIZE_MAX.ilog2();

/// Decompresses blocks one after the other. Holds zstd's context (about 100 KB, made when it is first needed); after
/// [`decode_prefix`](Self::decode_prefix) also the window of a zstd frame or a whole lz4 block, up to the largest block;
/// of filtered blocks a copy, and a second one where bytes were shuffled.
#[derive(Default)]
pub struct Decoder {
    zstd: Option<DCtx<'static>>,
    scratch: Vec<u8>,
    /// A prefix with what must be known behind it to undo its filters.
    longer: Vec<u8>,
}

impl Decoder {
    /// A decoder of every codec.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decompresses a whole block into `out`, whose length is the raw length that the frame promises. After an error
    /// the bytes of `out` are unspecified. Allocates nothing for a block, but for spare room where bytes were shuffled.
    ///
    /// # Errors
    /// [`CodecError::UnknownCodec`], [`CodecError::UnknownFilter`], [`CodecError::Length`], [`CodecError::Malformed`];
    /// [`CodecError::Failed`] when there is no memory for a context.
    pub fn decode(&mut self, form: impl Into<Form>, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        self.decode_with(None, form, stored, out)
    }

    /// As [`decode`](Self::decode), with the dictionary that the frame names.
    ///
    /// # Errors
    /// As [`decode`](Self::decode); [`CodecError::Malformed`] too when the codec takes no dictionary.
    pub fn decode_with(
        &mut self,
        dictionary: Option<&DecoderDictionary>,
        form: impl Into<Form>,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let Form { codec, filters } = form.into();
        filters.reach(0, 0)?;
        match dictionary {
            None => self.decompress(codec, stored, out)?,
            Some(dictionary) => self.decompress_with(dictionary, codec, stored, out)?,
        }
        grow(&mut self.scratch, filters.spare_len(out.len()));
        filters.undo(out, &mut self.scratch)
    }

    /// Decompresses the first `out.len()` bytes of a block of `raw_len` raw bytes, and no more than is needed for them:
    /// zstd stops behind the first 128 KiB piece that suffices; lz4 always takes the whole block, and so does a shuffle.
    /// What lies behind the prefix is not checked. After an error the bytes of `out` are unspecified.
    ///
    /// The caller has compared `raw_len` with its limits: it sizes a buffer.
    ///
    /// # Errors
    /// As for [`decode`](Self::decode); [`CodecError::Length`] too when `out` is longer than `raw_len`;
    /// [`CodecError::Malformed`] too when a zstd frame's window is wider than the largest block.
    pub fn decode_prefix(
        &mut self,
        form: impl Into<Form>,
        stored: &[u8],
        raw_len: usize,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        self.decode_prefix_with(None, form, stored, raw_len, out)
    }

    /// As [`decode_prefix`](Self::decode_prefix), with the dictionary that the frame names: then the whole block is decoded, as
    /// those that have one are short.
    ///
    /// # Errors
    /// As [`decode_prefix`](Self::decode_prefix) and [`decode_with`](Self::decode_with).
    pub fn decode_prefix_with(
        &mut self,
        dictionary: Option<&DecoderDictionary>,
        form: impl Into<Form>,
        stored: &[u8],
        raw_len: usize,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let Form { codec, filters } = form.into();
        if out.len() > raw_len {
            return Err(CodecError::Length { codec, expected: out.len() as u64, found: raw_len as u64 });
        }
        let mut needed = filters.reach(out.len(), raw_len)?;
        if filters.is_empty() && dictionary.is_none() {
            return self.decompress_prefix(codec, stored, raw_len, out);
        }
        if dictionary.is_some() {
            needed = raw_len;
        }
        // Taken out, so that the buffers can be lent beside the contexts.
        let mut longer = std::mem::take(&mut self.longer);
        let decoded = check_promise(codec, stored, raw_len).and_then(|()| {
            grow(&mut longer, needed);
            let longer = &mut longer[..needed];
            match dictionary {
                None => self.decompress_prefix(codec, stored, raw_len, longer)?,
                Some(dictionary) => self.decompress_with(dictionary, codec, stored, longer)?,
            }
            grow(&mut self.scratch, filters.spare_len(needed));
            filters.undo(longer, &mut self.scratch)?;
            out.copy_from_slice(&longer[..out.len()]);
            Ok(())
        });
        self.longer = longer;
        decoded
    }

    /// A whole block, without its filters.
    fn decompress(&mut self, id: CodecId, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let found = match id {
            CodecId::STORE => {
                check_len(id, out.len(), stored.len() as u64)?;
                out.copy_from_slice(stored);
                return Ok(());
            }
            CodecId::LZ4 => decode_lz4(stored, out)?,
            CodecId::ZSTD => {
                check_zstd_frame(stored, out.len())?;
                self.zstd()?.decompress(out, stored).map_err(zstd_failed)?
            }
            CodecId::LZMA => {
                lzma::check(stored, out.len())?;
                lzma::decode(stored, out.len(), out)?
            }
            _ => return Err(CodecError::UnknownCodec(id)),
        };
        check_len(id, out.len(), found as u64)
    }

    /// A whole block with a dictionary, without its filters.
    fn decompress_with(
        &mut self,
        dictionary: &DecoderDictionary,
        id: CodecId,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        if id != CodecId::ZSTD {
            return Err(CodecError::Malformed { codec: id, why: "it takes no dictionary".to_owned() });
        }
        check_zstd_frame(stored, out.len())?;
        let found = self.zstd()?.decompress_using_ddict(out, stored, dictionary.tables()).map_err(zstd_failed)?;
        check_len(id, out.len(), found as u64)
    }

    /// The front of a block, without its filters.
    fn decompress_prefix(
        &mut self,
        id: CodecId,
        stored: &[u8],
        raw_len: usize,
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        if out.len() == raw_len {
            return self.decompress(id, stored, out);
        }
        match id {
            CodecId::STORE => {
                check_len(id, raw_len, stored.len() as u64)?;
                out.copy_from_slice(&stored[..out.len()]);
                Ok(())
            }
            CodecId::LZ4 => {
                check_lz4_expansion(stored, raw_len)?;
                grow(&mut self.scratch, raw_len);
                let found = decode_lz4(stored, &mut self.scratch[..raw_len])?;
                check_len(id, raw_len, found as u64)?;
                out.copy_from_slice(&self.scratch[..out.len()]);
                Ok(())
            }
            CodecId::ZSTD => {
                check_zstd_frame(stored, raw_len)?;
                stream_zstd(self.zstd()?, stored, out)
            }
            CodecId::LZMA => {
                lzma::check(stored, raw_len)?;
                let found = lzma::decode(stored, raw_len, out)?;
                check_len(id, out.len(), found as u64)
            }
            _ => Err(CodecError::UnknownCodec(id)),
        }
    }

    fn zstd(&mut self) -> Result<&mut DCtx<'static>, CodecError> {
        match &mut self.zstd {
            Some(context) => Ok(context),
            none => Ok(none.insert(zstd_context()?)),
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

fn check_len(codec: CodecId, expected: usize, found: u64) -> Result<(), CodecError> {
    if expected as u64 == found { Ok(()) } else { Err(CodecError::Length { codec, expected: expected as u64, found }) }
}

/// Whether the stored bytes can be a block of `raw_len` at all, before a buffer is sized by it.
fn check_promise(codec: CodecId, stored: &[u8], raw_len: usize) -> Result<(), CodecError> {
    match codec {
        CodecId::STORE => check_len(codec, raw_len, stored.len() as u64),
        CodecId::LZ4 => check_lz4_expansion(stored, raw_len),
        CodecId::ZSTD => check_zstd_frame(stored, raw_len),
        CodecId::LZMA => lzma::check(stored, raw_len),
        _ => Err(CodecError::UnknownCodec(codec)),
    }
}

fn decode_lz4(stored: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
    use lz4_flex::block::DecompressError;
    lz4_flex::block::decompress_into(stored, out).map_err(|error| match error {
        // lz4_flex calls the length that it found the expected one.
        DecompressError::OutputTooSmall { expected: found, actual: expected } => {
            CodecError::Length { codec: CodecId::LZ4, expected: expected as u64, found: found as u64 }
        }
        error => CodecError::Malformed { codec: CodecId::LZ4, why: error.to_string() },
    })
}

/// One stored byte stands for at most 255 raw ones, so a promise beyond that is a lie and must not size a buffer.
fn check_lz4_expansion(stored: &[u8], raw_len: usize) -> Result<(), CodecError> {
    let most = stored.len().saturating_mul(255);
    if raw_len <= most {
        return Ok(());
    }
    Err(CodecError::Length { codec: CodecId::LZ4, expected: raw_len as u64, found: most as u64 })
}

fn zstd_context() -> Result<DCtx<'static>, CodecError> {
    let mut context = DCtx::try_create()
        .ok_or_else(|| CodecError::Failed { codec: CodecId::ZSTD, why: "no memory for a context".to_owned() })?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(zstd_failed)?;
    Ok(context)
}

/// The stored bytes must be one frame, which says how long its content is, and says what the container says.
fn check_zstd_frame(stored: &[u8], raw_len: usize) -> Result<(), CodecError> {
    match get_frame_content_size(stored) {
        Ok(Some(found)) => check_len(CodecId::ZSTD, raw_len, found)?,
        Ok(None) => return Err(zstd_malformed("the frame header has no content size")),
        Err(_) => return Err(zstd_malformed("no frame header")),
    }
    let frame_len = find_frame_compressed_size(stored).map_err(zstd_failed)?;
    if frame_len == stored.len() { Ok(()) } else { Err(zstd_malformed("more bytes behind the frame")) }
}

fn stream_zstd(context: &mut DCtx<'static>, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
    context.reset(ResetDirective::SessionOnly).map_err(zstd_failed)?;
    let mut input = InBuffer::around(stored);
    let mut output = OutBuffer::around(out);
    while output.pos() < output.capacity() {
        let before = (input.pos(), output.pos());
        let left = context.decompress_stream(&mut output, &mut input).map_err(zstd_failed)?;
        let ended = left == 0 || before == (input.pos(), output.pos());
        if ended && output.pos() < output.capacity() {
            let (expected, found) = (output.capacity() as u64, output.pos() as u64);
            return Err(CodecError::Length { codec: CodecId::ZSTD, expected, found });
        }
    }
    Ok(())
}

/// What an error code of zstd says about the stored bytes, or about the machine.
#[cold]
fn zstd_failed(code: usize) -> CodecError {
    let why = get_error_name(code);
    if code == error_code(ZSTD_ErrorCode::ZSTD_error_memory_allocation) {
        return CodecError::Failed { codec: CodecId::ZSTD, why: why.to_owned() };
    }
    zstd_malformed(why)
}

#[cold]
fn zstd_malformed(why: &str) -> CodecError {
    CodecError::Malformed { codec: CodecId::ZSTD, why: why.to_owned() }
}
