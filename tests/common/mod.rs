//! Finds the material that is shared beside the project and absent from most checkouts.

use std::path::PathBuf;

/// The folder of shared fixtures and data: what PRETRAINED_SHARED names, else `../shared`.
///
/// Where it is absent the caller skips, with a line that says so, unless PRETRAINED_REQUIRE lists `shared`.
#[allow(dead_code)]
pub fn shared() -> Option<PathBuf> {
    let path = match std::env::var_os("PRETRAINED_SHARED") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    if path.is_dir() {
        return Some(path);
    }
    let required = std::env::var("PRETRAINED_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == "shared"), "{} is required and absent", path.display());
    eprintln!("skipped: needs ../shared");
    None
}
