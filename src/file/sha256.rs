//! SHA-256 in lower-case hexadecimal, as sha256sum prints it.

use super::regular_file;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::Path;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// The SHA-256 of the file at `path`.
pub(crate) fn of_file(path: &Path) -> io::Result<String> {
    of(&mut regular_file::read(path)?)
}

/// The SHA-256 of what is left of `file`.
pub(crate) fn of(file: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
