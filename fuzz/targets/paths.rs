//! See `carrack_fuzz::check::paths`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| carrack_fuzz::check::paths::check(input));
