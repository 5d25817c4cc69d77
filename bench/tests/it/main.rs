//! The program as people run it, on corpora of a few hundred kilobytes.

mod compare;
mod run;
mod suites;
mod support;
