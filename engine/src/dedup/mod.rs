//! Deduplication: what is stored once, and where equal bytes lie already.
//!
//! In: the bytes of chunks, and their identities in the order of their placing. Out: [keys](key_of), the pieces that a chunk is cut into,
//! and the extent of the first piece with the same identity. It knows no files, blocks or threads.

mod key;
mod pieces;
mod table;

pub use key::{is_zeros, key_of};
pub use pieces::{PIECE_MEAN_MAX, PIECE_MEAN_MIN, PieceSizes, PieceSizesError};
pub use table::{PAGE_RECORDS, Table, bytes_for};
