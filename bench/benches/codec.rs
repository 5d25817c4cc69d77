//! `codec/<codec>/<encode or decode>/<content>` and `filter/<filter>/<apply or undo>/<content>`: one block of 1 MiB, one
//! thread. `filter/auto/<content>`: the look at a block before it is compressed.

use std::cell::LazyCell;
use std::hint::black_box;

use carrack_engine::codec::{Codec, CodecId, Decoder, Encoded, Encoder, FilterId, Filters};
use carrack_fixtures::Kind;
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

/// Bytes in a block, as by default.
const BLOCK: usize = 1 << 20;

const CODECS: [Codec; 8] = [
    Codec::Store,
    Codec::Lz4,
    Codec::Zstd { level: -5 },
    Codec::Zstd { level: 1 },
    Codec::Zstd { level: 3 },
    Codec::Zstd { level: 9 },
    Codec::Zstd { level: 19 },
    Codec::Lzma { level: 6 },
];

/// Those of a quick run.
const FEW_CODECS: [Codec; 3] = [Codec::Lz4, Codec::Zstd { level: 1 }, Codec::Zstd { level: 3 }];

/// Kinds of content, from text to noise.
const KINDS: [Kind; 6] = [Kind::Source, Kind::Logs, Kind::Json, Kind::Csv, Kind::Binary, Kind::Media];

/// Those of a quick run.
const FEW_KINDS: [Kind; 3] = [Kind::Source, Kind::Binary, Kind::Media];

/// Every codec and level with every kind of content.
pub(crate) fn codec(criterion: &mut Criterion) {
    for &kind in common::pick(&KINDS, &FEW_KINDS) {
        let raw = LazyCell::new(|| common::bytes(kind, BLOCK));
        for &codec in common::pick(&CODECS, &FEW_CODECS) {
            encode(criterion, codec, kind, &raw);
            decode(criterion, codec, kind, &raw);
        }
    }
}

/// Every kind of filter over bytes like machine code, and the look at a block that is not worth compressing.
pub(crate) fn filter(criterion: &mut Criterion) {
    let ids = [FilterId::X86, FilterId::arm64(0), FilterId::delta(2), FilterId::shuffle(4)];
    let raw = LazyCell::new(|| common::bytes(Kind::Binary, BLOCK));
    for filters in ids.map(|id| Filters::of(&[id])) {
        transform(criterion, filters, "apply", &raw, Filters::apply);
        transform(criterion, filters, "undo", &raw, Filters::undo);
    }
    look(criterion, Kind::Media);
}

/// A filter applied or undone in place, with its spare room.
type Transform = fn(Filters, &mut [u8], &mut [u8]) -> Result<(), carrack_engine::codec::CodecError>;

/// Measures: filtering a block in place, or undoing it (of bytes that were not filtered: the work is the same).
/// Outside: the content, the spare room. Each round takes what the one before has left.
fn transform<F: FnOnce() -> Vec<u8>>(
    criterion: &mut Criterion,
    filters: Filters,
    name: &str,
    raw: &Block<F>,
    transform: Transform,
) {
    let mut group = criterion.benchmark_group(format!("filter/{filters}/{name}"));
    group.throughput(Throughput::Bytes(BLOCK as u64));
    let mut made = None;
    group.bench_function(BenchmarkId::from_parameter(Kind::Binary), |bencher| {
        let (block, spare) = made.get_or_insert_with(|| ((**raw).clone(), vec![0; BLOCK]));
        bencher.iter(|| transform(filters, black_box(block), spare).expect("these filters exist"));
    });
    group.finish();
}

/// Measures: the look that says that a block is to be stored, which is all that happens to such a block.
/// Outside: the content, the contexts.
fn look(criterion: &mut Criterion, kind: Kind) {
    let raw = LazyCell::new(|| common::bytes(kind, BLOCK));
    let mut group = criterion.benchmark_group("filter/auto");
    group.throughput(Throughput::Bytes(BLOCK as u64));
    let mut made = None;
    group.bench_function(BenchmarkId::from_parameter(kind), |bencher| {
        let (encoder, stored) = made.get_or_insert_with(|| {
            let (mut encoder, mut stored) = (encoder(Codec::Zstd { level: 5 }), vec![0; BLOCK]);
            assert_eq!(encoder.encode(&raw, &mut stored), Ok(Encoded::Stored), "{kind} is worth compressing");
            (encoder, stored)
        });
        bencher.iter(|| encoder.encode(black_box(&raw), stored).expect("a block can be encoded"));
    });
    group.finish();
}

/// A block on demand.
type Block<F> = LazyCell<Vec<u8>, F>;

/// Measures: compressing a block, with the decision whether that pays (`store` does nothing else).
/// Outside: the content, the compressor's context, the output buffer.
fn encode<F: FnOnce() -> Vec<u8>>(criterion: &mut Criterion, codec: Codec, kind: Kind, raw: &Block<F>) {
    let mut group = criterion.benchmark_group(format!("codec/{codec}/encode"));
    group.throughput(Throughput::Bytes(BLOCK as u64));
    if matches!(codec, Codec::Zstd { level: 9.. } | Codec::Lzma { .. }) {
        group.sample_size(10);
    }
    let mut made = None;
    group.bench_function(BenchmarkId::from_parameter(kind), |bencher| {
        let (encoder, stored) = made.get_or_insert_with(|| (encoder(codec), vec![0; BLOCK]));
        bencher.iter(|| encoder.encode(black_box(raw), stored).expect("a block can be encoded"));
    });
    group.finish();
}

/// Measures: getting the block back (of content that did not compress and of `store`: copying it).
/// Outside: the content and its compression, the decompressor's context, the output buffer.
fn decode<F: FnOnce() -> Vec<u8>>(criterion: &mut Criterion, codec: Codec, kind: Kind, raw: &Block<F>) {
    let mut group = criterion.benchmark_group(format!("codec/{codec}/decode"));
    group.throughput(Throughput::Bytes(BLOCK as u64));
    let mut made = None;
    group.bench_function(BenchmarkId::from_parameter(kind), |bencher| {
        let (id, payload, decoder, back) = made.get_or_insert_with(|| {
            let (id, payload) = stored(codec, raw);
            let (mut decoder, mut back) = (Decoder::new(), vec![0; BLOCK]);
            decoder.decode(id, &payload, &mut back).expect("it was encoded");
            assert!(back == **raw, "{codec} gives {kind} back");
            (id, payload, decoder, back)
        });
        bencher.iter(|| decoder.decode(*id, black_box(payload), back).expect("it was encoded"));
    });
    group.finish();
}

/// A fresh encoder.
fn encoder(codec: Codec) -> Encoder {
    Encoder::new(codec).expect("the levels exist")
}

/// A block as a frame would hold it.
fn stored(codec: Codec, raw: &[u8]) -> (CodecId, Vec<u8>) {
    let mut out = vec![0; raw.len()];
    match encoder(codec).encode(raw, &mut out).expect("a block can be encoded") {
        Encoded::Compressed { codec, len, .. } => (codec, out[..len].to_vec()),
        Encoded::Stored => (CodecId::STORE, raw.to_vec()),
    }
}
