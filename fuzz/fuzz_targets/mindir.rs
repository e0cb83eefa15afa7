//! A MindIR model: the input is the graph.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::file(
    [&b"\x0a\x030.1\x12\x09MindSpore"[..], &pretrained_fuzz::field(7, input)].concat()
));
