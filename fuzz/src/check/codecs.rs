//! Codecs and filters: what is decoded does not depend on what the buffer held before; what is encoded comes back.

use std::cell::RefCell;

use carrack_engine::codec::{
    Codec, CodecId, Decoder, DecoderDictionary, Encoded, Encoder, EncoderDictionary, FilterChoice, FilterId, Filters,
    Form, NumberEncoder,
};

use super::Input;

/// The longest block that is decoded here, bytes.
const RAW_MAX: usize = 1 << 18;

thread_local! {
    /// One that has been used before: nothing of an earlier block may come out.
    static USED: RefCell<Decoder> = RefCell::new(Decoder::new());
}

/// Decodes the input, and encodes it.
pub fn check(input: &[u8]) {
    let mut input = Input(input);
    match input.byte() % 4 {
        0 | 1 => decode(&mut input),
        2 => round_trip(&mut input),
        _ => filters(&mut input),
    }
}

/// Bytes that a decoder takes for what they are not.
fn decode(input: &mut Input<'_>) {
    let codec = CodecId(input.byte() % 5);
    let filters = if input.byte() & 1 == 0 { Filters::NONE } else { some_filters(input, 4) };
    let raw_len = (usize::from(input.u16()) | usize::from(input.byte() & 3) << 16).min(RAW_MAX);
    let dictionary_len = usize::from(input.byte());
    let dictionary = if dictionary_len > 0 { DecoderDictionary::new(input.bytes(dictionary_len)).ok() } else { None };
    let form = Form { codec, filters };
    let stored = input.0;

    let decode = |fill: u8, decoder: &mut Decoder| {
        let mut out = vec![fill; raw_len];
        decoder
            .decode_with(dictionary.as_ref(), form, stored, &mut out)
            .map(|()| out)
            .map_err(|error| error.to_string())
    };
    let whole = decode(0, &mut Decoder::new());
    for fill in [0xAA, 0xFF] {
        let again = USED.with_borrow_mut(|decoder| decode(fill, decoder));
        assert!(whole == again, "what is decoded depends on what was there before");
    }
    let Ok(whole) = whole else { return };
    for len in [0, 1, raw_len / 2, raw_len.saturating_sub(1), raw_len] {
        let len = len.min(raw_len);
        let mut out = vec![0x55; len];
        let prefix = USED.with_borrow_mut(|decoder| {
            decoder.decode_prefix_with(dictionary.as_ref(), form, stored, raw_len, &mut out)
        });
        assert!(prefix.is_ok() && out == whole[..len], "a prefix of {len} is not that of the whole: {prefix:?}");
    }
}

/// Bytes as they come, encoded and decoded.
fn round_trip(input: &mut Input<'_>) {
    let codec = match input.byte() % 8 {
        0 => Codec::Store,
        1 => Codec::Lz4,
        level @ 2..=5 => Codec::Zstd { level: [-7, 1, 3, 6][usize::from(level) - 2] },
        level => Codec::Lzma { level: i32::from(level) - 6 },
    };
    let filter = match input.byte() % 3 {
        0 => FilterChoice::Off,
        1 => FilterChoice::Auto,
        _ => FilterChoice::These(some_filters(input, 2)),
    };
    let dictionary_len = usize::from(input.byte());
    let dictionary = input.bytes(dictionary_len);
    // Repeated, so that there is something to find.
    let raw = input.0.repeat(1 + usize::from(dictionary_len as u8 % 4));
    let tables = if dictionary.is_empty() { None } else { EncoderDictionary::new(dictionary, codec).ok() };
    let Ok(mut encoder) = Encoder::with_filter(codec, filter) else { return };
    let mut encode = || {
        let mut out = vec![0; raw.len()];
        encoder.encode_with(tables.as_ref(), &raw, &mut out).map(|encoded| (encoded, out))
    };
    let (first, second) = (encode(), encode());
    let Ok((encoded, out)) = first else { return };
    if let Encoded::Compressed { codec, filters, dictionary: with, len } = encoded {
        let tables = if with { DecoderDictionary::new(dictionary).ok() } else { None };
        assert_eq!(with, tables.is_some());
        let mut back = vec![0xAA; raw.len()];
        Decoder::new()
            .decode_with(tables.as_ref(), Form { codec, filters }, &out[..len], &mut back)
            .expect("what was encoded can be decoded");
        assert!(back == raw, "what was encoded comes back");
        let again = second.expect("what was encoded can be encoded again");
        assert!(again.0 == encoded && again.1[..len] == out[..len], "an encoder does the same each time");
    }
    let mut numbers = Vec::new();
    NumberEncoder::new().and_then(|mut encoder| encoder.encode(&raw, &mut numbers)).expect("there is memory");
    let mut back = vec![0; raw.len()];
    Decoder::new().decode(CodecId::ZSTD, &numbers, &mut back).expect("numbers can be decoded");
    assert!(back == raw, "numbers come back");
}

/// Filters alone: undone, nothing is changed.
fn filters(input: &mut Input<'_>) {
    let filters = some_filters(input, 4);
    let raw = input.0.to_vec();
    let mut bytes = raw.clone();
    let mut spare = vec![0xAA; filters.spare_len(raw.len())];
    if filters.apply(&mut bytes, &mut spare).is_ok() {
        spare.fill(0x55);
        filters.undo(&mut bytes, &mut spare).expect("what can be applied can be undone");
        assert!(bytes == raw, "filters come back");
    }
}

/// Filters, most of which there are.
fn some_filters(input: &mut Input<'_>, most: u8) -> Filters {
    let all: Vec<FilterId> = FilterId::all().collect();
    let count = usize::from(input.byte() % (most + 1));
    let ids: Vec<FilterId> = (0..count)
        .map(|_| match input.byte() {
            255 => FilterId(input.byte().max(1)),
            byte => all[usize::from(byte) % all.len()],
        })
        .collect();
    Filters::of(&ids)
}
