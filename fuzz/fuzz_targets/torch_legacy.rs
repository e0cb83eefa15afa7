//! The legacy stream of PyTorch: the input is what follows the number of the protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let head = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    pretrained_fuzz::file([head, input].concat())
});
