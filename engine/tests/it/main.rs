//! Tests of the engine from outside, in one binary.

mod against;
mod changes;
mod damage;
mod damage_real;
mod determinism;
mod dictionaries;
mod failures;
mod faithful;
mod filters;
mod folders;
mod format;
mod hostile;
mod imports;
mod lookup;
mod order;
mod pieces;
mod refusals;
mod review;
mod round_trip;
mod salvage;
mod selection;
mod shapes;
mod stages;
mod support;
mod synthetic;
mod threads;
