//! Any bytes, from which the format is told.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::file(input.to_vec()));
