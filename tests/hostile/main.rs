//! Checkpoints that are damaged or made to harm: each must be an error, without a panic, a call, or much memory.

mod bad;
#[path = "../build/mod.rs"]
mod build;
mod chains;
mod checkpoints;
mod frameworks;
mod graphs;
mod modules;
mod plans;

use pretrained::{Limits, Result, StateDict};
use proptest::sample::Index;

/// The reason for which `bytes` are refused.
fn refused(bytes: &[u8]) -> String {
    match build::open_bytes(bytes) {
        Ok(dict) => panic!("was read as {dict:?}"),
        Err(error) => error.to_string(),
    }
}

fn assert_refused(bytes: &[u8], reason: &str) {
    let found = refused(bytes);
    assert!(found.contains(reason), "{found}\nshould contain: {reason}");
}

/// `bytes` opened with little memory to expand to.
fn small(bytes: &[u8]) -> Result<StateDict> {
    build::open_bytes_with(bytes, &Limits { expanded_bytes: 1 << 20, ..Limits::default() })
}

/// Looks at everything that came out, if anything did.
fn survive(opened: Result<StateDict>) {
    let Ok(dict) = opened else { return };
    for (_, tensor) in dict.iter().chain(dict.optimizer().iter().map(|(name, tensor)| (name.as_str(), tensor))) {
        assert_eq!(tensor.to_f32_vec().len(), tensor.element_count());
    }
    let _ = pretrained::zoo::detect(&dict);
    let _ = pretrained::import::network(&dict);
    let _ = format!("{dict:?}");
}

/// Puts other bytes at some places, and perhaps cuts off the end.
fn bend(bytes: &mut Vec<u8>, changes: &[(Index, u8)], cut: Option<Index>) {
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
}
