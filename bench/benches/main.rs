//! The criterion suites. `cargo bench -p carrack-bench -- pack/uring` runs what begins with that, `-- --quick` all of
//! them in less time and with less certainty, `-- --save-baseline NAME` and `-- --baseline NAME` compare two builds.

mod backend;
mod codec;
mod common;
mod digest;
mod pack;
mod plan;
mod ring;
mod stages;
mod unpack;

use criterion::{criterion_group, criterion_main};

criterion_group! {
    name = suites;
    config = common::config();
    targets =
        ring::slots,
        ring::mailbox,
        plan::plan,
        digest::digest,
        codec::codec,
        backend::backend,
        pack::pack,
        stages::stages,
        unpack::unpack
}
criterion_main!(suites);
