//! See `carrack_fuzz::check::differential`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| carrack_fuzz::check::differential::check(input));
