use super::*;
use proptest::prelude::*;

/// Every setting that takes another path through the code, and the ends of zstd's levels.
fn settings() -> impl Iterator<Item = Codec> {
    let levels = [ZSTD_LEVEL_MIN, -1, 0, 1, 3, 6, 13, 16, 19];
    let lzma = [0, 6].map(|level| Codec::Lzma { level });
    [Codec::Store, Codec::Lz4].into_iter().chain(levels.map(|level| Codec::Zstd { level })).chain(lzma)
}

/// Bytes that nothing compresses.
pub(super) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Words in no order: compresses about as well as source code.
pub(super) fn prose(len: usize, seed: u64) -> Vec<u8> {
    const WORDS: [&str; 8] = ["hold ", "deck ", "mast\n", "keel ", "anchor ", "sail ", "{ rope }", "compass "];
    let words = noise(len / 4 + 8, seed).into_iter().map(|n| WORDS[usize::from(n % 8)]);
    let mut bytes: Vec<u8> = words.flat_map(str::bytes).take(len).collect();
    bytes.resize(len, b'.');
    bytes
}

/// The stored form, with the codec that the frame would name.
fn encode(encoder: &mut Encoder, raw: &[u8]) -> (CodecId, Vec<u8>) {
    let mut out = vec![0xAA; raw.len()];
    match encoder.encode(raw, &mut out).unwrap() {
        Encoded::Stored => (CodecId::STORE, raw.to_vec()),
        Encoded::Compressed { codec, len, .. } => {
            assert!(len <= paying_len(raw.len()), "{len} of {} bytes do not pay", raw.len());
            out.truncate(len);
            (codec, out)
        }
    }
}

/// Decodes over two different fillings and insists on the same outcome.
fn decode(decoder: &mut Decoder, id: CodecId, stored: &[u8], raw_len: usize) -> Result<Vec<u8>, CodecError> {
    let mut outcomes = [0x00, 0xFF].map(|filling| {
        let mut out = vec![filling; raw_len];
        decoder.decode(id, stored, &mut out).map(|()| out)
    });
    assert_eq!(outcomes[0], outcomes[1], "the outcome depends on what was in the buffer");
    std::mem::replace(&mut outcomes[0], Ok(Vec::new()))
}

#[test]
fn blocks_of_every_length_come_back() {
    let mut decoder = Decoder::new();
    for codec in settings() {
        let mut encoder = Encoder::new(codec).unwrap();
        for len in [0, 1, 2, 11, 12, 13, 64, 127, 128, 1000, 65_534, 65_535, 65_536, 131_073, 200_000] {
            for raw in [prose(len, 1), vec![0; len], noise(len, 2)] {
                let (id, stored) = encode(&mut encoder, &raw);
                assert_eq!(decode(&mut decoder, id, &stored, len).unwrap(), raw, "{codec}, {len} bytes");
            }
        }
    }
}

#[test]
fn every_level_is_accepted_and_higher_ones_are_smaller() {
    let raw = prose(100_000, 3);
    let lens: Vec<usize> = (ZSTD_LEVEL_MIN..=ZSTD_LEVEL_MAX)
        .map(|level| {
            let (id, stored) = encode(&mut Encoder::new(Codec::Zstd { level }).unwrap(), &raw);
            assert_eq!(id, CodecId::ZSTD, "level {level}");
            assert_eq!(decode(&mut Decoder::new(), id, &stored, raw.len()).unwrap(), raw, "level {level}");
            stored.len()
        })
        .collect();
    assert!(lens[0] > lens[10] && lens[10] > lens[29], "levels -7, 3 and 22 give {lens:?}");
}

#[test]
fn what_does_not_compress_is_stored() {
    for codec in settings() {
        let mut encoder = Encoder::new(codec).unwrap();
        for len in [0, 1, 100, 4096, 1 << 18] {
            let raw = noise(len, 4);
            // In a buffer as long as the block, and in one that holds anything.
            for room in [len, 2 * len + 100] {
                assert_eq!(encoder.encode(&raw, &mut vec![0; room]).unwrap(), Encoded::Stored, "{codec}, {len} bytes");
            }
        }
    }
}

#[test]
fn what_saves_too_little_is_stored() {
    // 100,000 bytes without order and so many that vanish: 781 bytes must be saved.
    let raw_with = |zeros: usize| [noise(100_000 - zeros, 5), vec![0; zeros]].concat();
    for codec in [Codec::Lz4, Codec::Zstd { level: 3 }] {
        let mut encoder = Encoder::new(codec).unwrap();
        let mut outcome = |zeros| encode(&mut encoder, &raw_with(zeros)).0;
        assert_eq!((outcome(500), outcome(2000)), (CodecId::STORE, codec.id()), "{codec}");
    }
    assert_eq!([0, 1, 2, 127, 128, 255, 256, 12_800].map(paying_len), [0, 0, 1, 126, 127, 254, 254, 12_700]);
}

#[test]
fn an_output_buffer_that_is_too_short_means_stored_and_is_never_overrun() {
    let raw = prose(50_000, 6);
    for codec in settings() {
        let mut encoder = Encoder::new(codec).unwrap();
        let full = encode(&mut encoder, &raw);
        for room in [0, 1, 2, 3, 17, full.1.len() / 2, full.1.len() - 1, full.1.len()] {
            // lz4 needs exactly what it fills; zstd may want a few bytes more.
            let must_fit = codec == Codec::Lz4 && room == full.1.len();
            match encoder.encode(&raw, &mut vec![0xAA; room]).unwrap() {
                Encoded::Stored => assert!(!must_fit, "{codec} into {room} bytes"),
                Encoded::Compressed { len, .. } => assert!(len == room && len == full.1.len(), "{codec}: {len}"),
            }
        }
        assert_eq!(encode(&mut encoder, &raw), full, "{codec}: the encoder must work on after that");
    }
}

#[test]
fn the_output_does_not_depend_on_history_or_buffers() {
    // One allocation, so that blocks lie directly behind each other; short ones, long ones, and one twice.
    // Five symbols: matches of every length, the shortest ones too.
    let mut all: Vec<u8> = noise(60_000, 7).into_iter().map(|n| n % 5).collect();
    all.extend_from_within(..30_000);
    all.extend(noise(4000, 8));
    let ranges = [0..100, 100..12_000, 12_000..80_000, 60_000..90_000, 80_000..94_000, 0..30_000, 100..12_000];
    for codec in settings() {
        let mut used = Encoder::new(codec).unwrap();
        for range in ranges.iter().chain(ranges.iter().rev()) {
            let raw = &all[range.clone()];
            let fresh = encode(&mut Encoder::new(codec).unwrap(), raw);
            assert_eq!(encode(&mut used, raw), fresh, "{codec}: {range:?}");
            let mut wide = vec![0x55; 2 * raw.len() + 100];
            if let Encoded::Compressed { len, .. } = used.encode(raw, &mut wide).unwrap() {
                assert_eq!(wide[..len], fresh.1, "{codec}: {range:?} into a wide buffer");
            }
        }
    }
}

#[test]
fn a_block_is_searched_to_its_start() {
    // 3 MiB that were there 5 MiB before; zstd's own window at level 9 has 4 MiB. Six bits of eight are noise.
    let mut raw: Vec<u8> = noise(5 << 20, 15).into_iter().map(|n| n & 63).collect();
    raw.extend_from_within(..3 << 20);
    let codec = Codec::Zstd { level: 9 };
    let mut encoder = Encoder::new(codec).unwrap();
    let (id, stored) = encode(&mut encoder, &raw);
    assert!(stored.len() < 4 << 20, "{} bytes", stored.len());
    assert_eq!(decode(&mut Decoder::new(), id, &stored, raw.len()).unwrap(), raw);
    let mut front = vec![0; 6 << 20];
    Decoder::new().decode_prefix(id, &stored, raw.len(), &mut front).unwrap();
    assert!(front == raw[..front.len()]);
    assert!(encoder.memory_bytes() <= codec.encoder_len(FilterChoice::Off, raw.len()));
    // A short block behind it is as one of its own.
    let short = prose(100_000, 16);
    assert_eq!(encode(&mut encoder, &short), encode(&mut Encoder::new(codec).unwrap(), &short));
}

#[test]
fn chunks_of_lzma_are_checked_before_they_are_decoded() {
    let mut decoder = Decoder::new();
    let mut wrong = |stored: &[u8]| decode(&mut decoder, CodecId::LZMA, stored, 5).unwrap_err().to_string();
    // One chunk of five bytes as they are, and the end.
    let whole = [1, 0, 4, b'a', b'b', b'c', b'd', b'e', 0];
    assert_eq!(decode(&mut Decoder::new(), CodecId::LZMA, &whole, 5).unwrap(), b"abcde");
    assert_eq!(wrong(&whole[..8]), "malformed lzma data: the stream is cut short");
    assert_eq!(wrong(&whole[..6]), "malformed lzma data: the stream is cut short");
    assert_eq!(wrong(&[&whole[..], &[0]].concat()), "malformed lzma data: more bytes behind the stream");
    assert_eq!(wrong(&[&[7], &whole[1..]].concat()), "malformed lzma data: a chunk of an unknown kind");
    assert_eq!(wrong(&[&whole[..8], &whole[..]].concat()), "lzma: expected 5 raw bytes, found 10");
    assert_eq!(wrong(&[0xE0, 0, 4, 0]), "malformed lzma data: the stream is cut short");
}

#[test]
fn a_zstd_frame_names_its_content_size_and_carries_no_checksum() {
    let raw = prose(10_000, 9);
    let (_, stored) = encode(&mut Encoder::new(Codec::default()).unwrap(), &raw);
    assert_eq!(stored[..4], 0xFD2F_B528_u32.to_le_bytes());
    // RFC 8878, 3.1.1.1.1: content size flag or single segment; no checksum (bit 2); no dictionary id (bits 0 and 1).
    assert!(stored[4] & 0b1110_0000 != 0 && stored[4] & 0b0000_0111 == 0, "descriptor {:08b}", stored[4]);
}

#[test]
fn every_prefix_length_gives_the_first_bytes() {
    let mut decoder = Decoder::new();
    let raw = prose(300_000, 10);
    for codec in settings() {
        let (id, stored) = encode(&mut Encoder::new(codec).unwrap(), &raw);
        for len in [0, 1, 1000, 131_071, 131_072, 131_073, 299_999, 300_000] {
            for filling in [0x00, 0xFF] {
                let mut out = vec![filling; len];
                decoder.decode_prefix(id, &stored, raw.len(), &mut out).unwrap();
                assert!(out == raw[..len], "{codec}, a prefix of {len}");
            }
        }
        let beyond = decoder.decode_prefix(id, &stored, raw.len(), &mut vec![0; raw.len() + 1]);
        assert_eq!(beyond, Err(CodecError::Length { codec: id, expected: 300_001, found: 300_000 }), "{codec}");
        // A whole block after half a stream.
        assert_eq!(decode(&mut decoder, id, &stored, raw.len()).unwrap(), raw, "{codec}");
    }
}

#[test]
fn a_prefix_needs_only_the_pieces_it_lies_in() {
    let raw = prose(1 << 20, 11);
    let (id, mut stored) = encode(&mut Encoder::new(Codec::Zstd { level: 3 }).unwrap(), &raw);
    let near_end = stored.len() - 1000;
    stored[near_end..].fill(0xFF);
    // Keep the last block's header as it was, so that the frame still ends where it should: damage inside only.
    let (_, whole) = encode(&mut Encoder::new(Codec::Zstd { level: 3 }).unwrap(), &raw);
    stored[near_end + 900..].copy_from_slice(&whole[near_end + 900..]);
    let mut out = vec![0; 4096];
    let mut decoder = Decoder::new();
    decoder.decode_prefix(id, &stored, raw.len(), &mut out).unwrap();
    assert!(out == raw[..4096]);
    assert!(
        decode(&mut decoder, id, &stored, raw.len()).is_err()
            || decode(&mut decoder, id, &stored, raw.len()) != Ok(raw)
    );
}

#[test]
fn a_wrong_length_is_an_error_that_says_both() {
    let raw = prose(5000, 12);
    let mut decoder = Decoder::new();
    for codec in settings() {
        let (id, stored) = encode(&mut Encoder::new(codec).unwrap(), &raw);
        for wrong in [0, 1, 4999, 5001, 10_000] {
            match decode(&mut decoder, id, &stored, wrong) {
                Err(CodecError::Length { codec, expected, found }) => {
                    assert_eq!((codec, expected), (id, wrong as u64));
                    assert_ne!(expected, found);
                }
                other => panic!("{codec} into {wrong} bytes: {other:?}"),
            }
            if wrong > 1 {
                let prefix = decoder.decode_prefix(id, &stored, wrong, &mut [0; 1]);
                assert!(prefix.is_err(), "{codec}: a prefix of a block said to have {wrong} bytes");
            }
        }
    }
}

#[test]
fn damage_is_an_error_or_other_bytes_but_never_a_panic() {
    let raw = prose(600, 13);
    let mut decoder = Decoder::new();
    for codec in [Codec::Lz4, Codec::Zstd { level: 3 }, Codec::Zstd { level: 19 }, Codec::Lzma { level: 6 }] {
        let (id, stored) = encode(&mut Encoder::new(codec).unwrap(), &raw);
        assert_eq!(id, codec.id());
        for len in 0..stored.len() {
            assert!(decode(&mut decoder, id, &stored[..len], raw.len()).is_err(), "{codec} cut to {len} bytes");
            let _ = decoder.decode_prefix(id, &stored[..len], raw.len(), &mut [0; 100]);
        }
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut damaged = stored.clone();
                damaged[at] ^= 1 << bit;
                let _ = decode(&mut decoder, id, &damaged, raw.len());
                let _ = decoder.decode_prefix(id, &damaged, raw.len(), &mut [0; 100]);
            }
        }
        assert_eq!(decode(&mut decoder, id, &stored, raw.len()).unwrap(), raw, "the decoder must work on after that");
    }
}

#[test]
fn bytes_behind_a_zstd_frame_are_refused() {
    let raw = prose(600, 14);
    let (id, stored) = encode(&mut Encoder::new(Codec::default()).unwrap(), &raw);
    let skippable = [&0x184D_2A50_u32.to_le_bytes()[..], &4u32.to_le_bytes(), b"rope"].concat();
    for tail in [&b"x"[..], &skippable] {
        let error = decode(&mut Decoder::new(), id, &[&stored, tail].concat(), raw.len()).unwrap_err();
        assert_eq!(error.to_string(), "malformed zstd data: more bytes behind the frame");
    }
}

#[test]
fn a_window_beyond_the_largest_block_is_refused_where_it_would_allocate() {
    // Magic; content size of 4 bytes, no single segment; window 2^27; content size; one raw block of 3 bytes.
    let mut frame = 0xFD2F_B528_u32.to_le_bytes().to_vec();
    frame.extend([0b1000_0000, 17 << 3]);
    frame.extend(3u32.to_le_bytes());
    frame.extend([0b0001_1001, 0, 0]);
    frame.extend(b"sea");
    let mut decoder = Decoder::new();
    assert_eq!(decode(&mut decoder, CodecId::ZSTD, &frame, 3).unwrap(), b"sea");
    let error = decoder.decode_prefix(CodecId::ZSTD, &frame, 3, &mut [0; 2]).unwrap_err();
    assert!(error.to_string().contains("too much memory"), "{error}");
    frame[5] = 16 << 3;
    let mut two = [0; 2];
    decoder.decode_prefix(CodecId::ZSTD, &frame, 3, &mut two).unwrap();
    assert_eq!(&two, b"se");
}

#[test]
fn an_lz4_block_that_promises_the_impossible_sizes_no_buffer() {
    let mut decoder = Decoder::new();
    let error = decoder.decode_prefix(CodecId::LZ4, &[0; 10], 1 << 40, &mut [0; 1]).unwrap_err();
    assert_eq!(error, CodecError::Length { codec: CodecId::LZ4, expected: 1 << 40, found: 2550 });
}

#[test]
fn unknown_codecs_are_errors() {
    let mut decoder = Decoder::new();
    for number in 4..=255 {
        let id = CodecId(number);
        assert_eq!(id.name(), None);
        assert_eq!(decoder.decode(id, b"abc", &mut [0; 3]), Err(CodecError::UnknownCodec(id)));
        assert_eq!(decoder.decode_prefix(id, b"abc", 3, &mut [0; 2]), Err(CodecError::UnknownCodec(id)));
    }
}

#[test]
fn settings_are_parsed_and_printed() {
    for id in CodecId::ALL {
        assert_eq!(id.name().and_then(CodecId::from_name), Some(id));
    }
    for codec in settings() {
        assert_eq!(codec.to_string().parse(), Ok(codec));
        assert_eq!(Codec::parse(codec.id().name().unwrap(), codec.level()), Ok(codec));
    }
    assert_eq!("zstd".parse(), Ok(Codec::Zstd { level: 3 }));
    assert_eq!("zstd:-7".parse(), Ok(Codec::Zstd { level: -7 }));
}

#[test]
fn bad_settings_say_what_is_expected() {
    let error = |result: Result<Codec, CodecError>| result.unwrap_err().to_string();
    assert_eq!(error(Codec::parse("gzip", None)), "unknown codec \"gzip\": expected store, lz4, zstd or lzma");
    assert_eq!(error(Codec::parse("lz4", Some(9))), "codec lz4 has no levels: leave the level out, or use zstd");
    assert_eq!(error("store:1".parse()), "codec store has no levels: leave the level out, or use zstd");
    for text in ["zstd:23", "zstd:-8", "zstd:", "zstd:fast", "zstd:99999999999"] {
        let level = &text[5..];
        let expected = format!("zstd level {level}: expected a whole number from -7 to 22");
        assert_eq!(error(text.parse()), expected);
    }
    let direct = Encoder::new(Codec::Zstd { level: 23 }).unwrap_err();
    assert_eq!(direct, CodecError::BadLevel { codec: CodecId::ZSTD, found: "23".to_owned() });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back(
        runs in prop::collection::vec((any::<u8>(), 1usize..2000), 0..20),
        loose in prop::collection::vec(any::<u8>(), 0..2000),
        level in ZSTD_LEVEL_MIN..=12,
        prefix in any::<prop::sample::Index>(),
    ) {
        let mut raw: Vec<u8> = runs.iter().flat_map(|&(byte, n)| std::iter::repeat_n(byte, n)).collect();
        raw.extend(&loose);
        let mut decoder = Decoder::new();
        for codec in [Codec::Store, Codec::Lz4, Codec::Zstd { level }, Codec::Lzma { level: level.clamp(0, 9) }] {
            let (id, stored) = encode(&mut Encoder::new(codec).unwrap(), &raw);
            prop_assert_eq!(&decode(&mut decoder, id, &stored, raw.len()).unwrap(), &raw);
            let mut front = vec![0xEE; prefix.index(raw.len() + 1)];
            decoder.decode_prefix(id, &stored, raw.len(), &mut front).unwrap();
            prop_assert_eq!(&front, &raw[..front.len()]);
        }
    }

    #[test]
    fn any_bytes_may_be_decoded(stored in prop::collection::vec(any::<u8>(), 0..300), raw_len in 0usize..5000) {
        let mut decoder = Decoder::new();
        let with_magic = [&0xFD2F_B528_u32.to_le_bytes()[..], &stored].concat();
        for bytes in [&stored, &with_magic] {
            for id in CodecId::ALL {
                let _ = decode(&mut decoder, id, bytes, raw_len);
                let _ = decoder.decode_prefix(id, bytes, raw_len, &mut vec![0; raw_len / 2]);
            }
        }
    }
}

#[test]
fn long_searches_get_long_blocks() {
    let levels = [-7, 0, 3, 5, 6, 11, 12, 16, 19, 20, 22].map(|level| Codec::Zstd { level });
    let lzma = [0, 7, 8, 9].map(|level| Codec::Lzma { level });
    let sizes = [Codec::Store, Codec::Lz4].into_iter().chain(levels).chain(lzma);
    let sizes: Vec<u32> = sizes.map(|codec| codec.block_size_default() >> 20).collect();
    assert_eq!(sizes, [1, 1, 1, 4, 4, 4, 4, 4, 8, 16, 16, 32, 32, 16, 16, 32, 64]);
}

#[test]
fn a_block_that_does_not_fit_leaves_nothing_behind() {
    let (block, longer) = (prose(300_000, 1), prose(3 << 20, 2));
    for level in [6, 12, 19] {
        let mut encoder = Encoder::new(Codec::Zstd { level }).unwrap();
        assert_eq!(encoder.encode(&block, &mut [0; 1000]).unwrap(), Encoded::Stored);
        // Another window, which a context in the middle of a frame would refuse.
        let after = encode(&mut encoder, &longer);
        assert_eq!(after, encode(&mut Encoder::new(Codec::Zstd { level }).unwrap(), &longer), "level {level}");
    }
}
