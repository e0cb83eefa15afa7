//! Whether a file is the published one.

use super::Weights;
use crate::{Error, Result};

/// Refuses what would be written outside of the cache folder, or could not be verified.
pub(super) fn check(weights: &Weights) -> Result<()> {
    let Weights { model, file, sha256, .. } = weights;
    // Backslash and colon are ordinary on Unix but lead elsewhere on Windows.
    if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', ':', '\0']) {
        return Err(Error::Usage(format!("weights of `{model}`: expected a plain file name, found `{file}`")));
    }
    if !(8..=64).contains(&sha256.len()) || !sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let expected = "expected 8 to 64 hexadecimal digits of SHA-256";
        return Err(Error::Usage(format!("weights of `{model}`: {expected}, found `{sha256}`")));
    }
    Ok(())
}

/// Whether the SHA-256 that was `found` is the published one.
pub(super) fn matches(found: &str, weights: &Weights) -> bool {
    found[..weights.sha256.len()].eq_ignore_ascii_case(weights.sha256)
}

/// How the SHA-256 that was `found` differs from the published one.
pub(super) fn mismatch(found: &str, weights: &Weights) -> String {
    let expected = weights.sha256;
    let found = &found[..expected.len()];
    format!("not the published file: its SHA-256 begins with {found}, expected {expected}")
}
