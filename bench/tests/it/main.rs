//! The program as people run it, on corpora of a few hundred kilobytes.

mod browser;
mod compare;
mod report;
mod run;
mod suites;
mod support;
