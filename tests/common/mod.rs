//! Finds the fixtures that lie beside the project and are no part of it.

use std::path::PathBuf;

/// The folder that PRETRAINED_SHARED names, or `../shared`; `None`, with a line that says so, where it is absent.
///
/// Panics instead where PRETRAINED_REQUIRE, a list with commas, contains `shared`.
pub fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("PRETRAINED_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    if folder.join("fixtures").is_dir() {
        return Some(folder);
    }
    let required = std::env::var("PRETRAINED_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|what| what.trim() == "shared"),
        "PRETRAINED_REQUIRE asks for {}, which is absent",
        folder.display()
    );
    let thread = std::thread::current();
    eprintln!("skipped: {} needs ../shared", thread.name().unwrap_or("a test"));
    None
}
