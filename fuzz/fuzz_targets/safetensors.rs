//! A safetensors file: the input is the header's JSON up to its last brace, and the data.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let len = input.iter().rposition(|&byte| byte == b'}').map_or(input.len(), |at| at + 1);
    pretrained_fuzz::file([&(len as u64).to_le_bytes(), input].concat())
});
