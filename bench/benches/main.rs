//! The criterion suites: one program, one module a suite, and names that begin with the module's.
//! `cargo bench -- pack/uring` measures what has that in its name, `cargo bench -- --list` lists the names.
//! `docs/benchmarks.md` says what each suite measures, and how to keep figures and compare with them.
//!
//! A filter is a regular expression that may match anywhere: `ring` also selects `uring`, `^ring` does not. What a
//! benchmark needs is made when it first runs, so that a filter on some does not pay for the others.

mod backend;
mod codec;
mod common;
mod container;
mod dictionary;
mod digest;
mod index;
mod pack;
mod plan;
mod reading;
mod ring;
mod stages;
mod state;
mod unpack;
mod verify;

use criterion::{criterion_group, criterion_main};

criterion_group! {
    name = suites;
    config = common::config();
    targets =
        ring::ring,
        plan::plan,
        digest::digest,
        codec::codec,
        codec::filter,
        dictionary::dictionary,
        container::container,
        index::index,
        backend::backend,
        pack::pack,
        verify::verify,
        stages::stages,
        unpack::unpack
}
criterion_main!(suites);
