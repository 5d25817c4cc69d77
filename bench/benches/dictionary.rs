//! `dictionary/<with or without>/<encode or decode>` and `dictionary/train`: blocks of 64 KiB of sources at level 6, with a
//! dictionary of 256 KiB and without, one thread.

use std::cell::LazyCell;
use std::hint::black_box;

use carrack_engine::codec::dictionary::train;
use carrack_engine::codec::{Codec, CodecId, Decoder, DecoderDictionary, Encoded, Encoder, EncoderDictionary};
use carrack_fixtures::Kind;
use criterion::{Criterion, Throughput};

use crate::common;

const CODEC: Codec = Codec::Zstd { level: 6 };
const BLOCK: usize = 64 << 10;
/// Bytes that a dictionary is trained from, as by default, and how they are cut.
const SAMPLE: usize = 8 << 20;
const PIECE: usize = 16 << 10;
const LEN: usize = 256 << 10;
/// Blocks that are compressed and decoded in turn: more than a core's cache holds.
const BLOCKS: usize = 64;

pub(crate) fn dictionary(criterion: &mut Criterion) {
    let content = LazyCell::new(|| common::bytes(Kind::Source, SAMPLE + BLOCKS * BLOCK));
    let made = LazyCell::new(|| trained(&content));

    let mut group = criterion.benchmark_group("dictionary");
    group.sample_size(10).throughput(Throughput::Bytes(SAMPLE as u64));
    group.bench_function("train", |bencher| bencher.iter(|| trained(&content)));
    group.finish();

    for name in ["with", "without"] {
        let side = LazyCell::new(|| Side::new(&content[SAMPLE..], (name == "with").then(|| made.as_slice())));
        each(criterion, name, &side);
    }
}

fn trained(content: &[u8]) -> Vec<u8> {
    let sample = &content[..SAMPLE];
    let lens: Vec<usize> = sample.chunks(PIECE).map(<[u8]>::len).collect();
    train(black_box(sample), &lens, LEN, CODEC).expect("there is memory").expect("sources have much in common")
}

/// Blocks, raw and stored, and the dictionary that they have.
struct Side<'a> {
    raw: &'a [u8],
    stored: Vec<Vec<u8>>,
    encoder: Option<EncoderDictionary>,
    decoder: Option<DecoderDictionary>,
}

impl<'a> Side<'a> {
    fn new(raw: &'a [u8], dictionary: Option<&[u8]>) -> Self {
        let encoder = dictionary.map(|bytes| EncoderDictionary::new(bytes, CODEC).expect("it was just made"));
        let decoder = dictionary.map(|bytes| DecoderDictionary::new(bytes).expect("it was just made"));
        let (mut codec, mut out) = (Encoder::new(CODEC).expect("the level exists"), vec![0; BLOCK]);
        let stored = raw.chunks(BLOCK).map(|raw| {
            match codec.encode_with(encoder.as_ref(), raw, &mut out).expect("a block can be encoded") {
                Encoded::Compressed { len, .. } => out[..len].to_vec(),
                Encoded::Stored => unreachable!("sources compress"),
            }
        });
        Self { raw, stored: stored.collect(), encoder, decoder }
    }
}

/// Measures: compressing one block after the other, and decoding them. Outside: contexts, buffers, the dictionary.
fn each<'a, F: FnOnce() -> Side<'a>>(criterion: &mut Criterion, name: &str, side: &LazyCell<Side<'a>, F>) {
    let mut group = criterion.benchmark_group(format!("dictionary/{name}"));
    group.throughput(Throughput::Bytes(BLOCK as u64));
    let mut out = vec![0; BLOCK];
    let mut encoder = Encoder::new(CODEC).expect("the level exists");
    group.bench_function("encode", |bencher| {
        let mut turn = side.raw.chunks(BLOCK).cycle();
        bencher.iter(|| {
            let raw = turn.next().expect("there are blocks");
            encoder.encode_with(side.encoder.as_ref(), black_box(raw), &mut out).expect("a block can be encoded")
        });
    });
    let mut decoder = Decoder::new();
    group.bench_function("decode", |bencher| {
        let mut turn = side.stored.iter().cycle();
        bencher.iter(|| {
            let stored = turn.next().expect("there are blocks");
            decoder
                .decode_with(side.decoder.as_ref(), CodecId::ZSTD, black_box(stored), &mut out)
                .expect("it was encoded");
        });
    });
    group.finish();
}
