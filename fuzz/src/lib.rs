//! What is tried with any input: the checks of the fuzz targets, the archives that they start from, and how inputs are
//! changed. The targets themselves (`targets/`) hand libFuzzer's inputs to the checks; a test replays what was found; a
//! runner of its own (`src/bin/mutate.rs`) changes archives as fast as it can, without libFuzzer.
//!
//! | module | what it holds |
//! |---|---|
//! | [`check`] | a function for each target: it panics when a promise is broken |
//! | [`maker`], [`seeds`] | archives in memory, one of each feature |
//! | [`parts`], [`mutator`] | an archive taken apart, changed, and put together with right digests |
//! | [`damage`] | an archive changed as disks and networks do it, and who notices |

pub mod check;
pub mod damage;
pub mod maker;
pub mod mutator;
pub mod parts;
pub mod seeds;
