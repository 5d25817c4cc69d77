//! Columns of ascending 4-byte numbers, compressed with zstd: the offsets of an index.
//!
//! zstd's own search finds little in them: 4, 8, 12, … has no four bytes twice, and where it finds three, it looks for
//! them far back. But the upper three bytes of a number mostly equal those of the number before. So the matches are not
//! searched: each is what follows, three bytes or more, from four bytes back. What zstd makes of that is an ordinary frame
//! with one literal a number, where its own level 3 takes more than two bytes (`docs/performance.md` has the figures), and
//! takes a fraction of the time.
//!
//! This is `ZSTD_compressSequences` of zstd's `lib/zstd.h`, for which there is no safe function.

use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;

use zstd_safe::get_error_name;
use zstd_safe::zstd_sys::{self, ZSTD_CCtx, ZSTD_Sequence, ZSTD_cParameter};

use super::{CodecError, CodecId};

/// Bytes of a number.
const WIDTH: usize = 4;

/// Shortest match of the format, bytes.
const MATCH_LEN_MIN: usize = 3;

/// What the context is told. The level decides how the entropy coder chooses its tables; the tables of a search that never
/// runs are as small as may be. Sequences are validated, so that a wrong one is an error and nothing worse.
const PARAMETERS: [(ZSTD_cParameter, c_int); 5] = [
    (ZSTD_cParameter::ZSTD_c_compressionLevel, 6),
    (ZSTD_cParameter::ZSTD_c_minMatch, MATCH_LEN_MIN as c_int),
    (ZSTD_cParameter::ZSTD_c_hashLog, 6),
    (ZSTD_cParameter::ZSTD_c_chainLog, 6),
    // ZSTD_c_validateSequences.
    (ZSTD_cParameter::ZSTD_c_experimentalParam12, 1),
];

/// Compresses columns one after the other. What comes out depends on the column alone.
pub struct NumberEncoder {
    context: NonNull<ZSTD_CCtx>,
    sequences: Vec<ZSTD_Sequence>,
}

impl NumberEncoder {
    /// An encoder, with a context of some 100 KiB.
    ///
    /// # Errors
    /// [`CodecError::Failed`] when there is no memory for it.
    pub fn new() -> Result<Self, CodecError> {
        // SAFETY: it takes nothing and gives a context, or null.
        let context = unsafe { zstd_sys::ZSTD_createCCtx() };
        let context = NonNull::new(context).ok_or_else(|| failed("no memory for a context"))?;
        let encoder = Self { context, sequences: Vec::new() };
        for (parameter, value) in PARAMETERS {
            // SAFETY: the context is alive until `drop`.
            check(unsafe { zstd_sys::ZSTD_CCtx_setParameter(encoder.context.as_ptr(), parameter, value) })?;
        }
        Ok(encoder)
    }

    /// Appends one zstd frame that holds `raw` to `out`. Any bytes will do; little-endian numbers that ascend do best.
    ///
    /// # Errors
    /// [`CodecError::Failed`] when the compressor runs out of memory.
    pub fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        parse(raw, &mut self.sequences);
        let (start, room) = (out.len(), zstd_safe::compress_bound(raw.len()));
        out.resize(start + room, 0);
        // SAFETY: the context is alive and used by nobody else; each pointer stands with the length of its slice, the
        // sequences cover no more than `raw`, and zstd validates them.
        let len = check(unsafe {
            zstd_sys::ZSTD_compressSequences(
                self.context.as_ptr(),
                out[start..].as_mut_ptr().cast(),
                room,
                self.sequences.as_ptr(),
                self.sequences.len(),
                raw.as_ptr().cast(),
                raw.len(),
            )
        })?;
        out.truncate(start + len);
        Ok(())
    }
}

impl Drop for NumberEncoder {
    fn drop(&mut self) {
        // SAFETY: the context was created by zstd and is freed once.
        unsafe { zstd_sys::ZSTD_freeCCtx(self.context.as_ptr()) };
    }
}

// SAFETY: the context belongs to this encoder alone, and zstd ties it to no thread.
unsafe impl Send for NumberEncoder {}

impl fmt::Debug for NumberEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NumberEncoder").finish_non_exhaustive()
    }
}

/// The matches, each with the literals in front of it. What is behind the last one is literals.
fn parse(raw: &[u8], sequences: &mut Vec<ZSTD_Sequence>) {
    sequences.clear();
    let (mut at, mut literals) = (WIDTH, 0);
    while at + MATCH_LEN_MIN <= raw.len() {
        let len = raw[at..].iter().zip(&raw[at - WIDTH..]).take_while(|(a, b)| a == b).count();
        if len < MATCH_LEN_MIN {
            at += 1;
            continue;
        }
        sequences.push(ZSTD_Sequence {
            offset: WIDTH as u32,
            litLength: (at - literals) as u32,
            matchLength: len as u32,
            rep: 0,
        });
        at += len;
        literals = at;
    }
}

fn check(code: usize) -> Result<usize, CodecError> {
    // SAFETY: it looks at the number alone.
    match unsafe { zstd_sys::ZSTD_isError(code) } {
        0 => Ok(code),
        _ => Err(failed(get_error_name(code))),
    }
}

#[cold]
fn failed(why: &str) -> CodecError {
    CodecError::Failed { codec: CodecId::ZSTD, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{Codec, Decoder, Encoded, Encoder};

    fn round_trip(encoder: &mut NumberEncoder, raw: &[u8]) -> usize {
        let mut out = b"before".to_vec();
        encoder.encode(raw, &mut out).unwrap();
        let mut back = vec![1; raw.len()];
        Decoder::default().decode(CodecId::ZSTD, &out[6..], &mut back).unwrap();
        assert!(out.starts_with(b"before") && back == raw);
        out.len() - 6
    }

    fn column(steps: impl Iterator<Item = u32>) -> Vec<u8> {
        steps.scan(0u32, |at, step| Some(std::mem::replace(at, *at + step))).flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn even_steps_take_less_than_a_byte_each() {
        let mut encoder = NumberEncoder::new().unwrap();
        let mut usual = Encoder::new(Codec::Zstd { level: 3 }).unwrap();
        for (count, step, most) in [(4097, 0, 40), (4097, 4, 4097), (16_385, 4, 16_385), (4097, 12, 4500)] {
            let raw = column(std::iter::repeat_n(step, count));
            let len = round_trip(&mut encoder, &raw);
            assert!(len <= most, "{count} steps of {step}: {len} bytes");
            let Encoded::Compressed { len: usual, .. } = usual.encode(&raw, &mut vec![0; raw.len()]).unwrap() else {
                panic!("not compressed at all")
            };
            assert!(step == 0 || 2 * len < usual, "{count} steps of {step}: {len} bytes, {usual} by the search");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn columns_come_back(steps in vec(prop_oneof![Just(4u32), Just(0), 0..200u32, 0..100_000u32], 0..5000)) {
            let raw = column(steps.into_iter());
            let mut encoder = NumberEncoder::new().unwrap();
            let len = round_trip(&mut encoder, &raw);
            prop_assert_eq!(round_trip(&mut encoder, &raw), len);
        }

        #[test]
        fn any_bytes_come_back(raw in vec(0..3u8, 0..300)) {
            round_trip(&mut NumberEncoder::new().unwrap(), &raw);
        }
    }

    #[test]
    fn a_column_of_several_zstd_blocks_comes_back() {
        round_trip(&mut NumberEncoder::new().unwrap(), &column((0..200_000).map(|at| at % 7 * (at % 3))));
    }
}
