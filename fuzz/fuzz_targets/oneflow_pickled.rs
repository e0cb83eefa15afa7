//! A folder by oneflow.save: the input is a folder, of which the first file is pickled_data.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::folder(input, "", |index, name| {
    if index == 0 { "pickled_data".into() } else { name.into() }
}));
