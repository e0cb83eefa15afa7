//! The files of `tests/bad/`, each of which once was read wrongly or brought a reader down.

use crate::{small, survive};

#[test]
fn inputs_that_once_failed() {
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad")).unwrap() {
        let path = entry.unwrap().path();
        survive(small(&std::fs::read(&path).unwrap()));
        count += 1;
    }
    assert!(count > 0);
}

/// Its first value takes 123 bytes, so that it begins as JSON may: with white space and a brace.
#[test]
fn a_mindspore_checkpoint_that_looks_like_json() {
    let dict = small(include_bytes!("../bad/mindspore_like_json.ckpt")).unwrap();
    assert_eq!(dict.names().collect::<Vec<_>>(), ["w"]);
}
