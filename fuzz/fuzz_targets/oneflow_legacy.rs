//! A snapshot of OneFlow without shapes: the input is a folder, of which only the files called out count.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pretrained_fuzz::folder(input, "", |_, name| match name {
    "pickled_data" => "snapshot_done".into(),
    name => name.replace("meta", "out"),
}));
