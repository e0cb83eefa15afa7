//! An ONNX model of opset 17: the input is the graph.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::file(
    [&b"\x08\x08"[..], &pretrained_fuzz::field(7, input), b"\x42\x02\x10\x11"].concat()
));
