//! See `carrack_fuzz::check::codecs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| carrack_fuzz::check::codecs::check(input));
