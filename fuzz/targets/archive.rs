//! Archives and what is left of them, changed part by part: see `carrack_fuzz::check::archive`.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|input: &[u8]| carrack_fuzz::check::archive::check(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let room = max_size.min(data.len());
    carrack_fuzz::mutator::mutate(&mut data[..room], size, seed, &mut |bytes, size| {
        let room = bytes.len();
        fuzzer_mutate(bytes, size, room)
    })
});
