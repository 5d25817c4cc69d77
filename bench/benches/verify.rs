//! `verify/<where the archive is>/<files>`: proving every byte of an archive and of the files in it.

use std::cell::OnceCell;
use std::fs;
use std::sync::Arc;

use carrack_engine::archive::Archive;
use carrack_engine::verify::VerifyOptions;
use criterion::{BenchmarkId, Criterion};

use crate::common::{Corpus, Packed};

/// Measures: reading, decoding and hashing everything, on all cores; from a `file` in the page cache, and from `memory`,
/// where no system call is made for it.
/// Outside: packing, opening the archive.
pub(crate) fn verify(criterion: &mut Criterion) {
    for corpus in [Corpus::source(), Corpus::tiny()] {
        let packed = OnceCell::new();
        for place in ["file", "memory"] {
            let mut group = criterion.benchmark_group(format!("verify/{place}"));
            group.throughput(corpus.throughput());
            let mut made = None;
            group.bench_function(BenchmarkId::from_parameter(corpus.name()), |bencher| {
                let file = &packed.get_or_init(|| Packed::new(&corpus)).file;
                let archive = made.get_or_insert_with(|| match place {
                    "file" => Archive::open(file).expect("it was just packed"),
                    _ => {
                        let bytes = fs::read(file).expect("it was just packed");
                        Archive::from_source("memory", Arc::new(bytes)).expect("it was just packed")
                    }
                });
                bencher.iter(|| {
                    let report = archive.verify(&VerifyOptions::default()).expect("it can be read");
                    assert!(report.damage.is_empty(), "it is whole");
                });
            });
            group.finish();
        }
    }
}
