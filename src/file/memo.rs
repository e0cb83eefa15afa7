//! A small file of what was found out once and may be found out again: it costs nothing to lose, and is never an error.

use super::atomic;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// The bytes of `file`; none where it cannot be read, or has more than `most`.
pub(crate) fn read(file: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.ok().filter(|read| *read as u64 <= most).map(|_| bytes)
}

/// Replaces `file` as a whole, and makes its folder where there is none. Of several writers at once the last one wins.
pub(crate) fn write(file: &Path, bytes: &[u8]) {
    if file.parent().is_none_or(|folder| fs::create_dir_all(folder).is_ok()) {
        // What cannot be written is done without.
        let _ = atomic::unsynced(file, |out| out.write_all(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/memo");
        assert_eq!(read(&file, 9), None);
        write(&file, b"first");
        write(&file, b"second");
        assert_eq!((read(&file, 6).as_deref(), read(&file, 5)), (Some(&b"second"[..]), None));
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn what_cannot_be_written_is_done_without() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a file"), "").unwrap();
        let below_a_file = folder.path().join("a file/memo");
        write(&below_a_file, b"first");
        assert_eq!(read(&below_a_file, 9), None);
        // A folder has its name.
        let name = folder.path().join("memo");
        fs::create_dir(&name).unwrap();
        write(&name, b"first");
        assert_eq!(read(&name, 9), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file was left");
    }
}
