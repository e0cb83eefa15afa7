//! A snapshot of OneFlow with shapes: the input is a folder, to which one sound parameter is added.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let sound = b"p/meta\nshape { dim: 1 } data_type: kFloat\xf5\xf5p/out\nabcd\xf5\xf5";
    pretrained_fuzz::folder(&[sound, input].concat(), "", |_, name| match name {
        "pickled_data" => "x".into(),
        name => name.into(),
    })
});
