//! `unpack/<destination>/<files>` and `cat/<files>`: the way back. An archive is read in one way, whatever the backend
//! that packed it, so the destinations are what differs.

use std::cell::OnceCell;
use std::sync::Arc;

use carrack_backends::tree::NullTree;
use carrack_engine::archive::Archive;
use carrack_engine::unpack::Unpacker;
use carrack_fixtures::corpus::remove_tree;
use criterion::{BatchSize, BenchmarkId, Criterion};

use crate::common::{Corpus, Packed};

/// A small tree of source code and a few thousand tiny files, in an archive in the page cache.
pub(crate) fn unpack(criterion: &mut Criterion) {
    for corpus in [Corpus::source(), Corpus::tiny()] {
        let packed = OnceCell::new();
        let packed = || packed.get_or_init(|| Packed::new(&corpus));
        to_null(criterion, &corpus, packed);
        to_folder(criterion, &corpus, packed);
        cat(criterion, &corpus, packed);
    }
}

/// Measures: `unpack/null`, reading, decoding and proving all files and handing them to a tree that forgets them.
/// Outside: packing, opening the archive.
fn to_null<'a>(criterion: &mut Criterion, corpus: &Corpus, packed: impl Fn() -> &'a Packed) {
    let mut group = criterion.benchmark_group("unpack/null");
    group.throughput(corpus.throughput());
    group.bench_function(BenchmarkId::from_parameter(corpus.name()), |bencher| {
        let archive = packed().open();
        bencher.iter(|| Unpacker::new(&archive).unpack_to_tree(Arc::new(NullTree::new())).expect("it is whole").files);
    });
    group.finish();
}

/// Measures: `unpack/folder`, the same into a fresh folder, whose files need not reach the disk.
/// Outside: packing, opening the archive, removing the folder of the pass before.
fn to_folder<'a>(criterion: &mut Criterion, corpus: &Corpus, packed: impl Fn() -> &'a Packed) {
    let mut group = criterion.benchmark_group("unpack/folder");
    group.throughput(corpus.throughput()).sample_size(10);
    group.bench_function(BenchmarkId::from_parameter(corpus.name()), |bencher| {
        let packed = packed();
        let archive = packed.open();
        let dest = packed.file.with_extension("copy");
        let fresh = || remove_tree(&dest).expect("what was unpacked can be removed");
        let once = |()| Unpacker::new(&archive).unpack(&dest).expect("it is whole").files;
        bencher.iter_batched(fresh, once, BatchSize::PerIteration);
    });
    group.finish();
}

/// Measures: `cat`, opening the archive and reading its last file, proved by its digest.
/// Outside: packing, choosing the file.
fn cat<'a>(criterion: &mut Criterion, corpus: &Corpus, packed: impl Fn() -> &'a Packed) {
    let mut group = criterion.benchmark_group("cat");
    let mut path = None;
    group.bench_function(BenchmarkId::from_parameter(corpus.name()), |bencher| {
        let packed = packed();
        let path = path.get_or_insert_with(|| {
            let archive = packed.open();
            let entries = archive.entries().map(|entry| entry.expect("it was just packed"));
            entries.filter(|entry| entry.size > 0).last().expect("there are files").path
        });
        bencher.iter(|| Archive::open(&packed.file).and_then(|archive| archive.read(path)).expect("it is whole"));
    });
    group.finish();
}
