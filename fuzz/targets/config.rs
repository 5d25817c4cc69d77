//! See `carrack_fuzz::check::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| carrack_fuzz::check::config::check(input));
