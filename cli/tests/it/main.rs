//! The real binary, run as users run it.
//!
//! `arguments`, `teaching` and part of `terminal` need no archive; all other tests pack and unpack for real.

mod arguments;
mod calls;
mod damage;
mod exit_codes;
mod faithful;
mod inputs;
mod listing;
mod pipes;
mod round_trip;
mod signals;
mod stats;
mod support;
mod teaching;
mod terminal;
mod tune;
