//! The real binary, run as users run it.
//!
//! `arguments`, `teaching` and part of `terminal` need no archive; all other tests pack and unpack for real.

mod arguments;
mod calls;
mod damage;
// Of the engine's tests: not all that they use is used here.
#[allow(dead_code)]
#[path = "../../../engine/tests/it/evilpack.rs"]
mod evilpack;
mod exit_codes;
mod faithful;
mod hostile;
mod injected;
mod inputs;
mod listing;
mod pipes;
mod round_trip;
mod salvage;
mod signals;
mod stats;
mod support;
mod surroundings;
mod teaching;
mod terminal;
mod tune;
