//! A PyTorch zip archive: the input is what follows the sign of a zip archive.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::file([b"PK\x03\x04", input].concat()));
