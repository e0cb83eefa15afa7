//! An ONNX model: the input is the graph.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::file(
    [&b"\x08\x08"[..], &pretrained_fuzz::field(7, input)].concat()
));
