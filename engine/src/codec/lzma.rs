//! LZMA2, by liblzma: a raw stream of chunks that ends with its end marker, nothing around it.
//!
//! What flows in and out: as for the other codecs. The dictionary is not written down: it is as long as the block,
//! rounded up to a power of two ([`dictionary_len`]); the rest of what a decoder must know stands in the chunks.
//!
//! liblzma keeps nothing from block to block, so a stream is made for each: its tables are allocated anew, which takes
//! about a thousandth of what filling them does.

use liblzma::stream::{Action, Error, Filters, LzmaOptions, Status, Stream};

use super::{CodecError, CodecId};

/// Shortest dictionary that liblzma takes, bytes.
const DICTIONARY_MIN: usize = 4 << 10;

/// Length of the dictionary for a block of `raw_len` bytes.
pub(super) fn dictionary_len(raw_len: usize) -> usize {
    raw_len.max(DICTIONARY_MIN).next_power_of_two()
}

/// Bytes that an encoder holds at most for a block of `raw_len` bytes. By the manual of xz 5.4 a preset takes less than
/// 12 times its dictionary and 2 MiB besides.
pub(super) fn encoder_len(raw_len: usize) -> usize {
    12 * dictionary_len(raw_len) + (2 << 20)
}

/// Compresses `raw` with the preset `level`; `None` when it does not fit into `out`.
pub(super) fn encode(level: i32, raw: &[u8], out: &mut [u8]) -> Result<Option<usize>, CodecError> {
    let mut stream = Stream::new_raw_encoder(&chain(level, raw.len())?).map_err(failed)?;
    loop {
        let before = (stream.total_in(), stream.total_out());
        let (read, written) = (before.0 as usize, before.1 as usize);
        match stream.process(&raw[read..], &mut out[written..], Action::Finish) {
            Ok(Status::StreamEnd) => return Ok(Some(stream.total_out() as usize)),
            Ok(_) if stream.total_out() as usize == out.len() => return Ok(None),
            Ok(_) if before == (stream.total_in(), stream.total_out()) => return Err(failed(Error::Program)),
            Ok(_) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Checks that the stored bytes are chunks and an end marker, nothing behind it, and promise `raw_len` raw bytes: by the
/// chunks' headers alone, as `lzma2_decoder.c` of xz reads them.
pub(super) fn check(stored: &[u8], raw_len: usize) -> Result<(), CodecError> {
    let (mut rest, mut found) = (stored, 0_u64);
    loop {
        let (&control, behind) = rest.split_first().ok_or_else(|| malformed("the stream is cut short"))?;
        let (header, raw, len) = match (control, behind) {
            (0, []) => break,
            (0, _) => return Err(malformed("more bytes behind the stream")),
            // Bytes as they are: their number less one.
            (1 | 2, [a, b, ..]) => (2, number(0, *a, *b), number(0, *a, *b)),
            (3..=0x7F, _) => return Err(malformed("a chunk of an unknown kind")),
            // Compressed: number of raw bytes less one, number of stored ones less one, from C0 on a byte of properties.
            (_, [a, b, c, d, ..]) if control >= 0x80 => {
                (4 + usize::from(control >= 0xC0), number(control & 0x1F, *a, *b), number(0, *c, *d))
            }
            _ => return Err(malformed("the stream is cut short")),
        };
        rest = behind.get(header + len..).ok_or_else(|| malformed("the stream is cut short"))?;
        found += raw as u64;
    }
    if found == raw_len as u64 {
        return Ok(());
    }
    Err(CodecError::Length { codec: CodecId::LZMA, expected: raw_len as u64, found })
}

/// One more than the number that these bytes are, the highest first.
fn number(high: u8, middle: u8, low: u8) -> usize {
    u32::from_be_bytes([0, high, middle, low]) as usize + 1
}

/// Decompresses the first `out.len()` bytes of a block of `raw_len` whose chunks were [`check`]ed; of a whole block the
/// end is read too. Says how many bytes were found.
pub(super) fn decode(stored: &[u8], raw_len: usize, out: &mut [u8]) -> Result<usize, CodecError> {
    let mut stream = Stream::new_raw_decoder(&chain(0, raw_len)?).map_err(failed)?;
    let is_whole = out.len() == raw_len;
    loop {
        let before = (stream.total_in(), stream.total_out());
        let (read, written) = (before.0 as usize, before.1 as usize);
        if written == out.len() && !is_whole {
            return Ok(written);
        }
        match stream.process(&stored[read..], &mut out[written..], Action::Run) {
            Ok(Status::StreamEnd) => return Ok(stream.total_out() as usize),
            Ok(_) if before != (stream.total_in(), stream.total_out()) => {}
            Ok(_) => return Err(malformed("the stream goes on where it should end")),
            Err(Error::Mem | Error::MemLimit) => return Err(failed(Error::Mem)),
            Err(error) => return Err(malformed(&error.to_string())),
        }
    }
}

/// The preset with the dictionary for a block of `raw_len` bytes.
fn chain(level: i32, raw_len: usize) -> Result<Filters, CodecError> {
    let preset = u32::try_from(level).map_err(|_| failed(Error::Options))?;
    let mut options = LzmaOptions::new_preset(preset).map_err(failed)?;
    options.dict_size(u32::try_from(dictionary_len(raw_len)).map_err(|_| failed(Error::Options))?);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    Ok(filters)
}

#[cold]
fn failed(error: Error) -> CodecError {
    CodecError::Failed { codec: CodecId::LZMA, why: error.to_string() }
}

#[cold]
fn malformed(why: &str) -> CodecError {
    CodecError::Malformed { codec: CodecId::LZMA, why: why.to_owned() }
}
