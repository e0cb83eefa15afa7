//! A zip or tar archive, whose files are a checkpoint's folder.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::files(input.to_vec()));
