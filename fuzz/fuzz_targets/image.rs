//! An image file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::image(input));
