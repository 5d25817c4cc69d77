//! The index: the Arrow tables that say what an archive holds and where.
//!
//! What flows in: rows of entries in order of path and rows of blocks in order of seq; or the bytes of an archive.
//! What flows out: the tail of an archive as parts to append; or an [`Index`] that finds rows and blocks while it
//! reads little more than what was asked for.
//! What this module does not know: files and their names, threads, how blocks are compressed.
//!
//! | module | what it holds |
//! |---|---|
//! | [`schema`] | the columns of both tables |
//! | [`entries`], [`blocks`] | rows into batches |
//! | [`manifest`] | facts about the whole archive and the places of the batches, as JSON in the footer |
//! | [`tail`] | everything behind the last frame, put together |
//! | [`open`] | an archive's index, opened: seal, footer and manifest checked, nothing else read |
//! | [`batch`], [`lookup`] | one batch decoded and checked; rows by path, by number and in order; blocks by seq |
//! | [`kept`] | how much of what was decoded is kept |
//! | [`rules`] | what rows must be, alone and to one another |
//! | [`envelope`] | proof of every byte that is neither in a frame's body nor in a row |
//!
//! Nothing of an archive reaches an Arrow parser before its digest is known to be right; lengths are compared with
//! limits and schemas with the built-in ones before and not after decoding.

pub mod batch;
pub mod blocks;
mod encode;
pub mod entries;
pub mod envelope;
mod footer;
pub mod kept;
pub mod lookup;
pub mod manifest;
mod message;
pub mod open;
pub mod rules;
pub mod schema;
pub mod tail;

pub use crate::container::ContainerError as IndexError;
pub use batch::{Batch, Scratch};
pub use blocks::{BlockRow, BlocksWriter};
pub use encode::EncodedBatch;
pub use entries::{EncodedEntries, EntriesWriter, PlainBatch};
pub use lookup::{Blocks, Found, Order, Rows};
pub use manifest::{Counts, Frames, Manifest};
pub use open::Index;
pub use tail::{IndexWriter, Tail};

type Result<T> = std::result::Result<T, IndexError>;
