//! Each codec and level × each kind of content, both directions, one block of 4 MiB, one thread.

use std::hint::black_box;

use carrack_engine::codec::{Codec, CodecId, Decoder, Encoded, Encoder};
use criterion::{BenchmarkId, Criterion, Throughput};

use crate::common;

const BLOCK: usize = 4 << 20;

const CODECS: [Codec; 5] =
    [Codec::Store, Codec::Lz4, Codec::Zstd { level: 1 }, Codec::Zstd { level: 3 }, Codec::Zstd { level: 9 }];

pub(crate) fn codec(criterion: &mut Criterion) {
    for kind in common::KINDS {
        let raw = common::bytes(kind, BLOCK as u64);
        let mut stored = vec![0; BLOCK];
        let mut back = vec![0; BLOCK];
        for codec in CODECS {
            let mut encoder = Encoder::new(codec).expect("the levels exist");
            let mut encode = criterion.benchmark_group(format!("codec/encode/{codec}"));
            encode.throughput(Throughput::Bytes(BLOCK as u64));
            encode.bench_function(BenchmarkId::from_parameter(kind), |bencher| {
                bencher.iter(|| encoder.encode(black_box(&raw), &mut stored).expect("a block can be encoded"));
            });
            encode.finish();

            let (id, payload) = match encoder.encode(&raw, &mut stored).expect("a block can be encoded") {
                Encoded::Compressed { codec, len } => (codec, &stored[..len]),
                Encoded::Stored => (CodecId::STORE, &raw[..]),
            };
            let mut decoder = Decoder::new();
            let mut decode = criterion.benchmark_group(format!("codec/decode/{codec}"));
            decode.throughput(Throughput::Bytes(BLOCK as u64));
            decode.bench_function(BenchmarkId::from_parameter(kind), |bencher| {
                bencher.iter(|| decoder.decode(id, black_box(payload), &mut back).expect("it was encoded"));
            });
            decode.finish();
            assert_eq!(back, raw, "{codec} {kind}");
        }
    }
}
