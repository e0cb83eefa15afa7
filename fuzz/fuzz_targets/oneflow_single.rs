//! A single file by oneflow.save: the input is the pickle after a string that tells the format.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::file([b"\x80\x04\x8c\x0b__oneflow__0", input].concat()));
