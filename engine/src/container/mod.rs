//! The envelope: how frames, seal and head are laid out as bytes.
//!
//! What flows in: stored payloads, directories and digests from the writer; bytes at offsets from a [`Source`].
//! What flows out: headers, directories and seals as bytes; the same, decoded and checked, or a [`ContainerError`]
//! that says where, what was expected and what was found.
//! What this module does not know: files and their names, threads, codecs (it carries their numbers), Arrow.
//!
//! | module | what it holds |
//! |---|---|
//! | [`align`] | everything begins at a multiple of 64 bytes, with zeros between |
//! | [`head`] | the constant first bytes of every archive |
//! | [`frame`] | the header of a frame, and the parts to append for one |
//! | [`directory`] | the records in front of a frame's payload: which entries and chunks are inside |
//! | [`rules`] | what an entry may look like |
//! | [`seal`] | the 128 bytes in front of the Arrow footer that prove it |
//! | [`id`] | the 16 bytes that tie frames to their archive |
//! | [`source`] | where readers get bytes from |
//! | [`error`] | what can be wrong with an archive |

pub mod align;
pub mod directory;
pub mod error;
pub mod frame;
pub mod head;
pub mod id;
pub mod rules;
pub mod seal;
pub mod source;

pub use error::{ContainerError, Damage};
pub use frame::{FrameHeader, FrameKind, FrameParts, FrameWriter};
pub use id::ArchiveId;
pub use seal::Seal;
pub use source::{FileSource, Source};
