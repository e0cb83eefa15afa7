//! A TorchScript archive: the input is data.pkl.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::file(pretrained_fuzz::archive(input, "a/code/x.py")));
