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
//! | [`floors`] | randomised interleaved rounds against `tar` and `zstd`, and the floors |

pub mod child;
pub mod contender;
pub mod floors;
pub mod naive;
pub mod program;
pub mod run;
