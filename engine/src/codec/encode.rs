//! Raw bytes in, compressed bytes out, with one context that is used again and again.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{CCtx, CParameter, ResetDirective, get_error_name};

use super::filter::detect::detect;
use super::probe::{Verdict, probe};
use super::search::{Search, search};
use super::trial::{Trial, grow};
use super::{
    CHEAP_LEVEL, Codec, CodecError, CodecId, EncoderDictionary, FilterChoice, Filters, ZSTD_LEVEL_DEFAULT, error_code,
};
use super::{lzma, room};

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// Compressing does not pay: store the raw bytes, with [`CodecId::STORE`]. The output buffer holds nothing of use.
    Stored,
    /// The first `len` bytes of the output buffer are to be stored.
    Compressed {
        /// The codec that the frame must name.
        codec: CodecId,
        /// The filters that the frame must name: they were applied before the codec.
        filters: Filters,
        /// Whether the frame must name the dictionary that was given.
        dictionary: bool,
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
/// 672 MB at 22); lz4 16 KiB and, where the caller's buffer is too small to work in, 1.1 times the longest block. With
/// filters, the longest block too once one was filtered, and 1 MB to try them on samples.
pub struct Encoder {
    codec: Codec,
    filter: FilterChoice,
    context: Context,
    filtered: Vec<u8>,
}

enum Context {
    Store,
    Lz4 { table: CompressTable, scratch: Vec<u8> },
    Zstd(Zstd),
    Lzma { level: i32, trial: Trial },
}

/// zstd's context, and what looks at a block before it.
struct Zstd {
    context: CCtx<'static>,
    /// The level asked for.
    level: i32,
    /// What the context was told to do at the moment.
    set: Search,
    trial: Trial,
}

impl Encoder {
    /// An encoder of one setting, without filters.
    ///
    /// # Errors
    /// [`CodecError::BadLevel`]; [`CodecError::Failed`] when there is no memory for its context.
    pub fn new(codec: Codec) -> Result<Self, CodecError> {
        Self::with_filter(codec, FilterChoice::Off)
    }

    /// An encoder of one setting and this choice of filters.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_filter(codec: Codec, filter: FilterChoice) -> Result<Self, CodecError> {
        let context = match codec.checked()? {
            Codec::Store => Context::Store,
            // The large table for short blocks too: a table that changes with what came before would make the output
            // depend on it.
            Codec::Lz4 => Context::Lz4 { table: CompressTable::large(), scratch: Vec::new() },
            Codec::Zstd { level } => {
                let level = if level == 0 { ZSTD_LEVEL_DEFAULT } else { level };
                let set = Search { level, ..Search::default() };
                Context::Zstd(Zstd { context: zstd_context(level)?, level, set, trial: Trial::new()? })
            }
            Codec::Lzma { level } => Context::Lzma { level, trial: Trial::new()? },
        };
        Ok(Self { codec, filter, context, filtered: Vec::new() })
    }

    /// The setting.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Bytes that the context holds at the moment. [`Codec::encoder_len`] tells it in advance.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let context = match &self.context {
            Context::Store => 0,
            Context::Lz4 { scratch, .. } => (16 << 10) + scratch.capacity(),
            Context::Zstd(zstd) => zstd.context.sizeof() + zstd.trial.memory_bytes(),
            Context::Lzma { trial, .. } => trial.memory_bytes(),
        };
        context + self.filtered.capacity()
    }

    /// Compresses `raw` into the front of `out`, or says that it does not pay.
    ///
    /// A good length of `out` is that of `raw` for every codec. When `out` is shorter than [`paying_len`], results that
    /// do not fit count as not paying, so the outcome depends on the length of `out`; otherwise it never does.
    ///
    /// # Errors
    /// [`CodecError::TooLong`]; [`CodecError::UnknownFilter`] when such a one was asked for; [`CodecError::Failed`] when
    /// the compressor runs out of memory.
    pub fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<Encoded, CodecError> {
        self.encode_with(None, raw, out)
    }

    /// As [`encode`](Self::encode), with a dictionary that was made for this encoder's codec (another one is left aside). It is used
    /// for blocks that are worth the full level and are not filtered: it holds what unfiltered ones have in common.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with(
        &mut self,
        dictionary: Option<&EncoderDictionary>,
        raw: &[u8],
        out: &mut [u8],
    ) -> Result<Encoded, CodecError> {
        if u32::try_from(raw.len()).is_err() {
            return Err(CodecError::TooLong { found: raw.len() as u64 });
        }
        let room = paying_len(raw.len()).min(out.len());
        if room == 0 {
            return Ok(Encoded::Stored);
        }
        let mut filters = match self.filter {
            FilterChoice::These(filters) => filters,
            FilterChoice::Auto | FilterChoice::Off => Filters::NONE,
        };
        if !self.context.is_worth_it(raw)? {
            return Ok(Encoded::Stored);
        }
        if let Context::Zstd(Zstd { trial, .. }) | Context::Lzma { trial, .. } = &mut self.context
            && self.filter.detects(self.codec)
        {
            filters = detect(raw, trial)?;
        }
        let tables = dictionary.filter(|_| filters.is_empty()).and_then(|dictionary| dictionary.tables(self.codec));
        let tables = tables.filter(|_| self.context.is_at_full_level());
        let source = filtered(filters, raw, &mut self.filtered, out)?;
        let len = match &mut self.context {
            Context::Store => None,
            Context::Lz4 { table, scratch } => encode_lz4(table, scratch, source, out, room)?,
            Context::Zstd(zstd) => match tables {
                Some(tables) => fitting(zstd.context.compress_using_cdict(&mut out[..room], source, tables))?,
                None => encode_zstd(&mut zstd.context, source, &mut out[..room])?,
            },
            Context::Lzma { level, .. } => lzma::encode(*level, source, &mut out[..room])?,
        };
        Ok(match len {
            Some(len) => Encoded::Compressed { codec: self.codec.id(), filters, dictionary: tables.is_some(), len },
            None => Encoded::Stored,
        })
    }
}

impl Context {
    /// Whether compressing `raw` may pay. Sets the level, window and tables that suit it.
    fn is_worth_it(&mut self, raw: &[u8]) -> Result<bool, CodecError> {
        match self {
            Context::Zstd(zstd) => {
                let is_probed = Codec::Zstd { level: zstd.level }.is_probed();
                let level = match if is_probed { probe(raw, &mut zstd.trial)? } else { Verdict::Full } {
                    Verdict::Store => return Ok(false),
                    Verdict::Cheap => zstd.level.min(CHEAP_LEVEL),
                    Verdict::Full => zstd.level,
                };
                zstd.set(search(level, room::window_log(level), raw))?;
                Ok(true)
            }
            Context::Lzma { trial, .. } => Ok(probe(raw, trial)? != Verdict::Store),
            _ => Ok(true),
        }
    }

    /// Whether the level that is set is the one asked for.
    fn is_at_full_level(&self) -> bool {
        !matches!(self, Context::Zstd(zstd) if zstd.set.level != zstd.level)
    }
}

impl Zstd {
    /// Tells the context how to search the next block, where that differs from the last one.
    fn set(&mut self, wanted: Search) -> Result<(), CodecError> {
        if self.set == wanted {
            return Ok(());
        }
        let parameters = [
            CParameter::CompressionLevel(wanted.level),
            CParameter::WindowLog(wanted.window),
            CParameter::HashLog(wanted.hash),
            CParameter::MinMatch(wanted.hashed),
        ];
        for parameter in parameters {
            self.context.set_parameter(parameter).map_err(zstd_failed)?;
        }
        self.set = wanted;
        Ok(())
    }
}

/// `raw` itself, or a filtered copy of it in `copy`. The output buffer, which holds nothing yet, serves as spare room
/// where it is long enough.
fn filtered<'a>(
    filters: Filters,
    raw: &'a [u8],
    copy: &'a mut Vec<u8>,
    out: &mut [u8],
) -> Result<&'a [u8], CodecError> {
    if filters.is_empty() {
        return Ok(raw);
    }
    let spare_len = filters.spare_len(raw.len());
    let own = if out.len() < spare_len { spare_len } else { 0 };
    grow(copy, raw.len() + own);
    let (copy, spare) = copy.split_at_mut(raw.len());
    copy.copy_from_slice(raw);
    filters.apply(copy, if own > 0 { spare } else { out })?;
    Ok(copy)
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("codec", &self.codec).field("filter", &self.filter).finish_non_exhaustive()
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

pub(super) fn zstd_context(level: i32) -> Result<CCtx<'static>, CodecError> {
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
pub(super) fn encode_zstd(
    context: &mut CCtx<'static>,
    raw: &[u8],
    out: &mut [u8],
) -> Result<Option<usize>, CodecError> {
    // One call with all the input: zstd knows the length and chooses its parameters for it.
    let result = context.compress2(out, raw);
    if result.is_err() {
        // It is left in the middle of a frame, where it takes no other level or window.
        context.reset(ResetDirective::SessionOnly).map_err(zstd_failed)?;
    }
    fitting(result)
}

/// `None` when the result did not fit.
fn fitting(result: zstd_safe::SafeResult) -> Result<Option<usize>, CodecError> {
    match result {
        Ok(len) => Ok(Some(len)),
        Err(code) if code == error_code(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => Ok(None),
        Err(code) => Err(zstd_failed(code)),
    }
}

#[cold]
fn zstd_failed(code: usize) -> CodecError {
    CodecError::Failed { codec: CodecId::ZSTD, why: get_error_name(code).to_owned() }
}
