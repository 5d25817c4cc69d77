//! Every limit of the format and of the engine, in one place. A length read from an archive is compared with one of
//! these before anything is sized by it.

/// Smallest size of a block, bytes.
pub const BLOCK_SIZE_MIN: u32 = 4 << 10;
/// Largest size of a block, bytes: what reading one byte may cost at most.
pub const BLOCK_SIZE_MAX: u32 = 64 << 20;
/// Block size where time is all, bytes: the slots of two workers then stay well inside a common last-level cache.
pub const BLOCK_SIZE_FAST: u32 = 1 << 20;
/// Block size for all others, bytes: a longer block holds more of what is alike, for no more time where few slots lie between
/// reading and compressing (`docs/profiles.md` has the figures).
pub const BLOCK_SIZE_SMALL: u32 = 4 << 20;
/// Longest dictionary, uncompressed, bytes: what a reader may have to keep for each.
pub const DICTIONARY_LEN_MAX: u32 = 2 << 20;
/// Frames, tables and batches begin at multiples of this, bytes (what Arrow recommends for buffers).
pub const ALIGN: u64 = 64;
/// Rows in one record batch of the index at most.
pub const BATCH_ROWS: usize = 16_384;
/// Longest path, bytes. Four times Linux's PATH_MAX: deeper trees exist, though no single call can name them.
pub const PATH_LEN_MAX: usize = 16 << 10;
/// Longest name of one path component, bytes (NAME_MAX of every common file system).
pub const NAME_LEN_MAX: usize = 255;
/// Longest target of a symlink, bytes (PATH_MAX).
pub const LINK_TARGET_LEN_MAX: usize = 4096;
/// Longest encoded record batch, bytes; also the longest one after decompression.
pub const BATCH_LEN_MAX: u64 = 1 << 30;
/// A batch of entries is closed once paths, lists and other values of variable length fill this, bytes.
pub const BATCH_VALUES_LEN: u64 = 4 << 20;
/// Longest row, counting its path, lists and other values of variable length, bytes.
pub const ROW_LEN_MAX: u64 = 512 << 20;
/// Longest Arrow footer with its metadata, bytes.
pub const FOOTER_LEN_MAX: u32 = 256 << 20;
/// Longest directory of one frame, uncompressed, bytes.
pub const DIRECTORY_LEN_MAX: u32 = 256 << 20;
/// Most rows in an archive.
pub const ROWS_MAX: u64 = u32::MAX as u64;
/// Most frames in an archive.
pub const FRAMES_MAX: u64 = u32::MAX as u64;
/// Largest size of a file, bytes (what a signed 64-bit offset can reach).
pub const FILE_SIZE_MAX: u64 = i64::MAX as u64;
/// A batch of rows may come to this when it is decoded, bytes …
const BATCH_FREE: u64 = 1 << 20;
/// … and for each row to this, since short rows that are alike take next to nothing …
const BATCH_ROW: u64 = 1 << 10;
/// … for all of its rows together at most to this, which is more than the rows of any batch take that was closed when its
/// values were [`BATCH_VALUES_LEN`] …
const BATCH_ROWS_FREE: u64 = 8 << 20;
/// … and for each byte in the archive to this many.
const DECODED_STORED: u64 = 16;
/// A directory may come to this when it is decoded, bytes, and to as much as a batch for each byte in the archive.
const DIRECTORY_FREE: u64 = 4 << 10;

/// What a batch of `rows` rows may come to when it is decoded, bytes, that takes `stored` bytes in the archive: so what the
/// index of a small archive takes in memory is small too, whoever wrote it. A writer leaves uncompressed what would come to
/// more.
#[must_use]
pub const fn batch_decoded_max(rows: u64, stored: u64) -> u64 {
    let for_rows = rows.saturating_mul(BATCH_ROW);
    let for_rows = if for_rows < BATCH_ROWS_FREE { for_rows } else { BATCH_ROWS_FREE };
    stored.saturating_mul(DECODED_STORED).saturating_add(for_rows + BATCH_FREE)
}

/// What a frame's directory may come to when it is decoded, bytes, that takes `stored` bytes in the archive; likewise.
#[must_use]
pub const fn directory_decoded_max(stored: u32) -> u64 {
    stored as u64 * DECODED_STORED + DIRECTORY_FREE
}
