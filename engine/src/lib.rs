//! The Carrack engine: packs a directory tree into one file that is at once an Arrow table, and back.
//!
//! Imports point down only; a test holds the table in `ARCHITECTURE.md`.

// L0
pub mod control;
pub mod digest;
pub mod entry;
pub mod limits;
pub mod sketch;
pub mod stages;
// L1
pub mod codec;
pub mod container;
pub mod plan;
pub mod ring;
pub mod scan;
pub mod walk;
// L2
pub mod dedup;
pub mod dictionaries;
pub mod index;
// L3
pub mod pipeline;
pub mod restore;
// L4
pub mod against;
pub mod archive;
pub mod budget;
pub mod ceiling;
pub mod error;
pub mod estimate;
pub mod pack;
pub mod profile;
pub mod salvage;
pub mod select;
pub mod unpack;
pub mod verify;
