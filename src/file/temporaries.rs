//! Names of what is written before it gets its own name, and the removal of what killed writers have left.

use super::regular_file;
use std::fs::{self, File};
use std::path::Path;

const START: &str = ".pretrained-";

/// The end of the name of what is being written.
pub(super) const TEMPORARY: &str = ".tmp";

/// The end of the name of a folder that waits until the one that replaces it has its place. It is never stale: where its
/// writer is gone it may be the only whole one.
pub(super) const ASIDE: &str = ".old";

/// The name of this process's temporary with this number: `.pretrained-PROCESS-NUMBER` and the `end`.
pub(super) fn name(number: u64, end: &str) -> String {
    format!("{START}{}-{number}{end}", std::process::id())
}

/// The process that a temporary of this name belongs to.
fn owner(name: &str) -> Option<u64> {
    let (process, number) = name.strip_prefix(START)?.strip_suffix(TEMPORARY)?.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(number) && digits(process) { process.parse().ok() } else { None }
}

/// Marks the temporary as being written, for those who cannot see this process: other machines and containers.
pub(super) fn hold(file: &File) {
    // There are file systems without locks. There, the process's number alone tells.
    let _ = file.try_lock();
}

/// The same for a folder, for as long as what this returns lives. Only Unix opens folders.
pub(super) fn hold_folder(path: &Path) -> Option<File> {
    let folder = if cfg!(unix) { File::open(path).ok()? } else { return None };
    hold(&folder);
    Some(folder)
}

/// Removes from `folder` what writers have left whose process is gone, killed or stopped with its machine.
///
/// What cannot be removed, or not be told, stays: it is in nobody's way.
pub(super) fn remove_stale(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(owner) else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        if !is_gone(process) {
            continue;
        }
        let path = entry.path();
        // Another machine's process may be writing; then it holds a lock.
        let opened = if kind.is_dir() { File::open(&path) } else { regular_file::read(&path) };
        if kind.is_symlink() || !opened.is_ok_and(|file| file.try_lock().is_ok()) {
            continue;
        }
        let _ = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// Whether no process on this machine has this number.
#[cfg(unix)]
fn is_gone(process: u64) -> bool {
    use rustix::process::{Pid, test_kill_process};
    // What is beyond the numbers that processes have is none's.
    let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return process != 0 };
    test_kill_process(process) == Err(rustix::io::Errno::SRCH)
}

/// Elsewhere that cannot be told, and what is left stays.
#[cfg(not(unix))]
fn is_gone(_: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_temporarys_name_has_an_owner() {
        assert_eq!(owner(".pretrained-12-3.tmp"), Some(12));
        assert_eq!(owner(&name(7, TEMPORARY)), Some(std::process::id().into()));
        for other in [
            &name(7, ASIDE),
            "pretrained-12-3.tmp",
            ".pretrained-12.tmp",
            ".pretrained-12-3.tmp.pth",
            ".pretrained--3.tmp",
            ".pretrained-+1-3.tmp",
            ".pretrained-12-x.tmp",
        ] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_held_or_whose_process_lives_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // No system has processes of such numbers.
        let (stale, held) = (".pretrained-2147483646-0.tmp", ".pretrained-2147483646-1.tmp");
        let (folders, held_folder) = (".pretrained-2147483646-2.tmp", ".pretrained-2147483646-3.tmp");
        let (aside, own) = (".pretrained-2147483646-4.old", name(u64::MAX, TEMPORARY));
        for file in [stale, held, &own] {
            fs::write(path(file), "half").unwrap();
        }
        for folder in [folders, held_folder, aside] {
            fs::create_dir(path(folder)).unwrap();
            fs::write(path(folder).join("out"), "half").unwrap();
        }
        let file = File::options().write(true).open(path(held)).unwrap();
        hold(&file);
        let _held = hold_folder(&path(held_folder));
        remove_stale(folder.path());
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = [held, held_folder, aside, &own];
        expected.sort();
        assert_eq!(left, expected);
    }
}
