//! Sharded safetensors: the input is a folder, of which the first file is the index.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::folder(input, "", |index, name| {
    if index == 0 { "model.index.json".into() } else { format!("{name}.safetensors") }
}));
