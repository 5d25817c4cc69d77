//! Dictionaries: bytes that many blocks have in common, known to zstd before the first byte of each of them.
//!
//! In: samples of such blocks, a length. Out: a dictionary as Zstandard defines it (RFC 8878, section 5), and what
//! encoders and decoders make of one once and use for many blocks. A short block tells little about what is to come; a
//! dictionary of what its like are made of gives back most of what a long block would have saved.
//!
//! The samples are searched for the stretches that hold most of what comes again and again (COVER: Liao, Petri, Moffat and Wirth, "Effective
//! construction of relative Lempel-Ziv dictionaries", WWW 2016) by zstd's `ZDICT_trainFromBuffer_fastCover`, for which with
//! these settings there is no safe function. Trying settings, as its optimiser does, takes five times as long and gains
//! nothing (`docs/performance-size.md`).

use std::ffi::{c_uint, c_void};
use std::fmt;

use zstd_safe::zstd_sys::{self, ZDICT_fastCover_params_t, ZDICT_params_t, ZSTD_ErrorCode};
use zstd_safe::{CDict, DDict};

use super::{Codec, CodecError, CodecId, error_code};

/// Bytes by which stretches are compared.
const PASSAGE: c_uint = 8;
/// Length of the stretches that a dictionary is made of, bytes.
const STRETCH: c_uint = 500;
/// Counters of passages, as a power of two; six bytes each while training.
const COUNTERS_LOG: c_uint = 20;
/// Every how many places a passage is counted, roughly.
const ACCELERATION: c_uint = 4;
/// Where the number of a dictionary stands in it, and its bytes.
const NUMBER: std::ops::Range<usize> = 4..8;

/// What training takes besides the samples, bytes.
pub const TRAINING_BYTES: usize = (6 << COUNTERS_LOG) + (2 << 20);

/// A dictionary of at most `len` bytes for blocks that are compressed by `codec`, from samples that lie one behind the other and have
/// these lengths; `None` where the samples are too few or have nothing in common. The same samples always give the same bytes. Its
/// number is 0, so that no frame repeats it.
///
/// # Errors
/// [`CodecError::Failed`] when there is no memory.
///
/// # Panics
/// When the lengths do not add up to the samples.
pub fn train(samples: &[u8], lens: &[usize], len: usize, codec: Codec) -> Result<Option<Vec<u8>>, CodecError> {
    assert_eq!(lens.iter().sum::<usize>(), samples.len(), "the lengths are those of the samples");
    let parameters = ZDICT_fastCover_params_t {
        k: STRETCH,
        d: PASSAGE,
        f: COUNTERS_LOG,
        steps: 0,
        nbThreads: 0,
        splitPoint: 0.0,
        accel: ACCELERATION,
        shrinkDict: 0,
        shrinkDictMaxRegression: 0,
        zParams: ZDICT_params_t {
            compressionLevel: codec.level().unwrap_or_default(),
            notificationLevel: 0,
            dictID: 0,
        },
    };
    let Ok(count) = c_uint::try_from(lens.len()) else { return Ok(None) };
    let mut dictionary = vec![0; len];
    // SAFETY: each pointer stands with the length of its slice: `count` lengths, which add up to the samples, as was just
    // checked. Nothing is kept.
    let found = unsafe {
        zstd_sys::ZDICT_trainFromBuffer_fastCover(
            dictionary.as_mut_ptr().cast::<c_void>(),
            len,
            samples.as_ptr().cast::<c_void>(),
            lens.as_ptr(),
            count,
            parameters,
        )
    };
    // SAFETY: it looks at the number alone.
    if unsafe { zstd_sys::ZDICT_isError(found) } != 0 {
        let no_memory = found == error_code(ZSTD_ErrorCode::ZSTD_error_memory_allocation);
        return if no_memory { Err(failed("no memory for training a dictionary")) } else { Ok(None) };
    }
    dictionary.truncate(found);
    if let Some(number) = dictionary.get_mut(NUMBER) {
        number.fill(0);
    }
    Ok(Some(dictionary))
}

/// What an encoder makes of a dictionary: the tables of its search, shared by all encoders of one codec.
pub struct EncoderDictionary {
    tables: CDict<'static>,
    codec: Codec,
}

impl EncoderDictionary {
    /// For blocks that are compressed by `codec`.
    ///
    /// # Errors
    /// [`CodecError::Failed`] for another codec than zstd, when the bytes are no dictionary, or there is no memory.
    pub fn new(dictionary: &[u8], codec: Codec) -> Result<Self, CodecError> {
        let Codec::Zstd { level } = codec.checked()? else { return Err(failed("only zstd takes dictionaries")) };
        let tables = CDict::try_create(dictionary, level).ok_or_else(|| failed("the dictionary cannot be loaded"))?;
        Ok(Self { tables, codec })
    }

    /// The tables, for encoders of the codec that they were made for.
    pub(super) fn tables(&self, codec: Codec) -> Option<&CDict<'static>> {
        (codec == self.codec).then_some(&self.tables)
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.tables.sizeof()
    }

    /// Bytes that one of `len` bytes will hold at most.
    #[must_use]
    pub fn memory_for(len: usize, codec: Codec) -> usize {
        // SAFETY: it takes two numbers.
        unsafe { zstd_sys::ZSTD_estimateCDictSize(len, codec.level().unwrap_or_default()) }
    }
}

impl fmt::Debug for EncoderDictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncoderDictionary").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// What a decoder makes of a dictionary: a copy, and some 30 KB of tables; shared by all decoders.
pub struct DecoderDictionary(DDict<'static>);

impl DecoderDictionary {
    /// The dictionary may be any bytes.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] for bytes that begin like a dictionary and are none.
    pub fn new(dictionary: &[u8]) -> Result<Self, CodecError> {
        let tables = DDict::try_create(dictionary).ok_or_else(|| CodecError::Malformed {
            codec: CodecId::ZSTD,
            why: "the dictionary cannot be loaded".to_owned(),
        })?;
        Ok(Self(tables))
    }

    pub(super) fn tables(&self) -> &DDict<'static> {
        &self.0
    }
}

impl fmt::Debug for DecoderDictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecoderDictionary").finish_non_exhaustive()
    }
}

fn failed(why: &str) -> CodecError {
    CodecError::Failed { codec: CodecId::ZSTD, why: why.to_owned() }
}

#[cfg(test)]
mod tests;
