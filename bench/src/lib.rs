//! Carrack measured: every corpus through every backend, and Carrack against its rivals.
//!
//! What flows in: folders with corpora, settings. What flows out: tables for people, JSON documents for programs
//! (`docs/benchmarks.md` gives their schemas), and exit codes. Whatever is timed runs as a process of its own, so that
//! its time and memory come from the kernel's account of it. The methods are those of
//! `carrack-measure`. What this crate does not know: how the engine works; it calls the public interface.
//!
//! | module | what it holds |
//! |---|---|
//! | [`program`] | the command line of `carrack-bench` |
//! | [`naive`] | the contender without any structure |
//! | [`contender`] | who can be measured: the engine with each backend, and the naive one |
//! | [`child`] | what a process under measurement does, and the JSON that it answers |
//! | [`run`] | every corpus × backend: pack, verify, unpack, compare |
//! | [`compare`] | randomised interleaved rounds against other archivers, and the floors; a contender against itself |
//! | [`roofline`] | how fast each part of packing could be alone |
//! | [`slowed`] | a backend that begins late: a planted slow-down |
//! | [`report`] | all of it as one page, and as tables |

pub mod child;
pub mod compare;
pub mod contender;
pub mod naive;
pub mod program;
pub mod random;
pub mod report;
pub mod roofline;
pub mod run;
pub mod slowed;
