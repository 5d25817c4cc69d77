//! Tests of the engine from outside, in one binary.

mod damage;
mod format;
mod imports;
mod lookup;
mod synthetic;
