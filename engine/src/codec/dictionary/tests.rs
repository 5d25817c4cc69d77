use super::super::tests::{noise, prose};
use super::super::{Decoder, Encoded, Encoder, ZSTD_LEVEL_MAX};
use super::*;

const LEN: usize = 64 << 10;

/// Short blocks that have much in common which none of them tells alone: passages drawn from one long text.
fn blocks(count: u64) -> Vec<Vec<u8>> {
    let text = noise(LEN / 2, 5);
    (0..count)
        .map(|at| {
            let places = noise(40, at + 100);
            let passages = places.chunks(2).flat_map(|place| {
                let start = (usize::from(place[0]) << 7 | usize::from(place[1] >> 1)) % (text.len() - 400);
                text[start..start + 400].iter().copied().chain(prose(60, start as u64))
            });
            passages.collect()
        })
        .collect()
}

fn trained(codec: Codec) -> Vec<u8> {
    let samples = blocks(300);
    let lens: Vec<usize> = samples.iter().map(Vec::len).collect();
    train(&samples.concat(), &lens, LEN, codec).unwrap().unwrap()
}

/// The stored form of a block, and whether it needs the dictionary.
fn encode(encoder: &mut Encoder, dictionary: Option<&EncoderDictionary>, raw: &[u8]) -> (Vec<u8>, bool) {
    let mut out = vec![0xAA; raw.len()];
    match encoder.encode_with(dictionary, raw, &mut out).unwrap() {
        Encoded::Stored => (raw.to_vec(), false),
        Encoded::Compressed { dictionary, len, codec, .. } => {
            assert_eq!(codec, CodecId::ZSTD);
            out.truncate(len);
            (out, dictionary)
        }
    }
}

#[test]
fn blocks_come_back_smaller_with_a_dictionary_and_not_without_it() {
    for level in [-1, 1, 3, 6, 19] {
        let codec = Codec::Zstd { level };
        let bytes = trained(codec);
        let (dictionary, back) =
            (EncoderDictionary::new(&bytes, codec).unwrap(), DecoderDictionary::new(&bytes).unwrap());
        let (mut encoder, mut decoder) = (Encoder::new(codec).unwrap(), Decoder::new());
        let (mut with_all, mut without_all) = (0, 0);
        for raw in blocks(320).split_off(300) {
            let (stored, named) = encode(&mut encoder, Some(&dictionary), &raw);
            let (without, not_named) = encode(&mut encoder, None, &raw);
            assert!(named && !not_named);
            // What a dictionary leaves in a context must not show in the next block.
            assert_eq!(without, encode(&mut Encoder::new(codec).unwrap(), None, &raw).0, "level {level}");
            assert_eq!(stored, encode(&mut Encoder::new(codec).unwrap(), Some(&dictionary), &raw).0, "level {level}");
            with_all += stored.len();
            without_all += without.len();

            let mut out = vec![0; raw.len()];
            decoder.decode_with(Some(&back), CodecId::ZSTD, &stored, &mut out).unwrap();
            assert_eq!(out, raw, "level {level}");
            assert!(decoder.decode(CodecId::ZSTD, &stored, &mut out).is_err() || out != raw, "level {level}");
            for len in [0, 1, 100, raw.len() - 1, raw.len()] {
                let mut out = vec![0xFF; len];
                decoder
                    .decode_prefix_with(Some(&back), CodecId::ZSTD, &stored, raw.len(), &mut out)
                    .unwrap_or_else(|error| panic!("level {level}, {len} bytes: {error}"));
                assert_eq!(out, raw[..len], "level {level}");
            }
        }
        assert!(with_all * 4 < without_all * 3, "level {level}: {with_all} bytes with, {without_all} without");
    }
}

#[test]
fn the_same_samples_give_the_same_dictionary_without_a_number() {
    let codec = Codec::Zstd { level: 6 };
    let bytes = trained(codec);
    assert_eq!(bytes, trained(codec));
    assert!(bytes.len() <= LEN);
    assert_eq!(bytes[..4], 0xEC30_A437_u32.to_le_bytes(), "RFC 8878, 5: the magic number");
    assert_eq!(bytes[NUMBER], [0; 4]);
    let dictionary = EncoderDictionary::new(&bytes, codec).unwrap();
    let (stored, _) = encode(&mut Encoder::new(codec).unwrap(), Some(&dictionary), &blocks(1)[0]);
    assert_eq!(stored[4] & 0b111, 0, "RFC 8878, 3.1.1.1.1: neither checksum nor dictionary id");
}

#[test]
fn too_few_samples_give_none() {
    let codec = Codec::Zstd { level: 3 };
    assert_eq!(train(&[], &[], LEN, codec).unwrap(), None);
    assert_eq!(train(b"short", &[5], LEN, codec).unwrap(), None);
}

#[test]
fn other_codecs_and_other_levels_do_without() {
    let bytes = trained(Codec::Zstd { level: 3 });
    assert!(EncoderDictionary::new(&bytes, Codec::Lz4).is_err());
    let dictionary = EncoderDictionary::new(&bytes, Codec::Zstd { level: 3 }).unwrap();
    let raw = &blocks(1)[0];
    assert!(!encode(&mut Encoder::new(Codec::Zstd { level: 6 }).unwrap(), Some(&dictionary), raw).1);
    let back = DecoderDictionary::new(&bytes).unwrap();
    let mut out = [0; 4];
    for codec in [CodecId::STORE, CodecId::LZ4, CodecId::LZMA] {
        let error = Decoder::new().decode_with(Some(&back), codec, b"four", &mut out).unwrap_err();
        assert!(matches!(error, CodecError::Malformed { .. }), "{error}");
    }
}

#[test]
fn what_begins_like_a_dictionary_and_is_none_is_refused() {
    let good = trained(Codec::Zstd { level: 3 });
    DecoderDictionary::new(b"any bytes").unwrap();
    assert!(DecoderDictionary::new(&good[..9]).is_err());
    let mut refused = 0;
    for at in 8..120 {
        let mut bad = good.clone();
        bad[at] ^= 0xFF;
        refused += usize::from(DecoderDictionary::new(&bad).is_err());
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn no_tables_take_more_than_is_said() {
    let bytes = trained(Codec::Zstd { level: 3 });
    let raw = blocks(1).swap_remove(0).repeat(8);
    for level in [-5, -1].into_iter().chain(1..=ZSTD_LEVEL_MAX) {
        let codec = Codec::Zstd { level };
        let dictionary = EncoderDictionary::new(&bytes, codec).unwrap();
        let (said, held) = (EncoderDictionary::memory_for(LEN, codec), dictionary.memory_bytes());
        assert!(held <= said + 1024, "level {level}: {held} bytes, said to be {said}");
        let mut encoder = Encoder::new(codec).unwrap();
        encode(&mut encoder, Some(&dictionary), &raw);
        encode(&mut encoder, None, &raw);
        let filter = crate::codec::FilterChoice::Off;
        let said = codec.encoder_len(filter, raw.len()).max(codec.encoder_len(filter, raw.len() + LEN));
        assert!(encoder.memory_bytes() <= said, "level {level}: {} bytes, said {said}", encoder.memory_bytes());
    }
}
