//! A checkpoint of MindSpore: the input is what follows a first sound parameter.
#![no_main]

use pretrained_fuzz::field;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let tensor = [&b"\x08\x01"[..], &field(2, b"Float32"), &field(3, b"abcd")].concat();
    let sound = field(1, &[field(1, b"w"), field(2, &tensor)].concat());
    pretrained_fuzz::file([&sound, input].concat())
});
