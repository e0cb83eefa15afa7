//! Archives: their files become slices of the archive's bytes, and only what is compressed takes memory of its own.

mod tar;
mod zip;

use super::held::Held;
use crate::error::Result;
use bytes::Bytes;
use std::path::Path;

/// The files of the zip or tar archive that `bytes` are, which errors call `path`.
pub(super) fn open(path: &Path, bytes: &Bytes) -> Result<Held> {
    let mut held = Held::new(path);
    if bytes.starts_with(b"PK") {
        zip::read(&mut held, bytes)?;
    } else if tar::is_one(bytes) {
        tar::read(&mut held, bytes)?;
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(
            held.fault("is compressed with gzip; unpack it first (gunzip, which leaves a tar archive of a .tar.gz)")
        );
    } else {
        return Err(held.fault("is neither a zip nor a tar archive"));
    }
    Ok(held)
}
