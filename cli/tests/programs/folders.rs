//! Which pictures `predict` finds in folders, and what it says of all else.

use crate::program;
use program::*;
use std::fs;
use std::path::{MAIN_SEPARATOR, Path};

/// Copies of a picture under these paths in `folder`.
fn fill(folder: &Path, paths: &[&str]) {
    for path in paths {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(digit(5), path).unwrap();
    }
}

/// The images that are predicted of `folder`, relative to it, in order; and what standard error has.
fn predicted(folder: &Path) -> (Vec<String>, String, Option<i32>) {
    let left = digits(&["--format", "jsonl", folder.as_os_str().to_str().unwrap()]);
    let start = format!("{}/", folder.display()).replace(MAIN_SEPARATOR, "/");
    let name =
        |record: &serde_json::Value| record["image"].as_str().unwrap().replace(MAIN_SEPARATOR, "/").replace(&start, "");
    (records(&left.out).iter().map(name).collect(), left.err, left.code)
}

#[test]
fn pictures_are_found_under_every_extension_that_pillow_gives_them() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "a.JPG",
        "b.jpe",
        "c.jif",
        "d.jfif",
        "e.pjpeg",
        "f.pjp",
        "g.mpo",
        "h.dib",
        "i.cur",
        "j.apng",
        "k.jfi",
        "sub/.l.png",
        "sub/.hidden/m.png",
    ];
    fill(folder.path(), &names);
    let (found, err, _) = predicted(folder.path());
    let mut expected = names.to_vec();
    expected.sort();
    assert_eq!(found, expected);
    assert!(!err.contains("passed over"), "{err}");
}

#[test]
fn pictures_that_are_not_read_have_an_error_each() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.heic", "b.HEIF", "c.avif", "d.jxl", "e.jp2"] {
        fs::write(folder.path().join(name), b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap();
    }
    fill(folder.path(), &["z.png"]);
    let (found, err, code) = predicted(folder.path());
    assert_eq!(found, ["a.heic", "b.HEIF", "c.avif", "d.jxl", "e.jp2", "z.png"]);
    assert!(code == Some(1) && err.contains("5 of 6 failed"), "{err}");
}

#[test]
fn files_that_are_no_pictures_are_counted_by_extension() {
    let folder = tempfile::tempdir().unwrap();
    fill(
        folder.path(),
        &["a.png", "x.txt", "sub/y.TXT", "sub/z.txt", "README", "n.nef", "m.nef", "._a.png", "sub/._b.jpg"],
    );
    let (found, err, code) = predicted(folder.path());
    assert_eq!((found, code), (vec!["a.png".to_owned()], Some(0)));
    let line = format!(
        "predict: {}: 8 files were passed over: 3 .txt, 2 ._*, 2 .nef, 1 without an extension\n",
        folder.path().display()
    );
    assert_eq!(err, line);

    // Any number of kinds makes one line, and a name can do nothing to it.
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &["a.png"]);
    for n in 0..30 {
        fs::write(folder.path().join(format!("f.x{n}")), "").unwrap();
    }
    let left = digits(&[folder.path()]);
    assert!(
        left.err.contains("30 files were passed over: 1 .x0, ") && left.err.ends_with(", 22 of 22 other kinds\n"),
        "{left:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one.TeX"), "").unwrap();
    let left = digits(&["--format", "jsonl", folder.path().to_str().unwrap()]);
    assert!(
        left.err.contains("1 file was passed over: .tex\n") || left.err.contains("passed over: 1 .tex\n"),
        "{left:?}"
    );
    assert!(records(&left.out)[0]["error"].as_str().unwrap().contains("holds no image file"), "{left:?}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_may_lead_in_circles() {
    use std::os::unix::fs::symlink;
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |path: &str| folder.path().join(path);
    fill(folder.path(), &["own/a.png"]);
    fill(elsewhere.path(), &["deep/b.png", "c.png"]);
    symlink(elsewhere.path(), at("more")).unwrap();
    symlink(elsewhere.path().join("c.png"), at("linked.png")).unwrap();
    symlink(".", at("self")).unwrap();
    symlink("..", at("own/up")).unwrap();
    symlink(folder.path(), elsewhere.path().join("deep/back")).unwrap();
    symlink("nowhere", at("broken.png")).unwrap();
    symlink("nowhere", at("broken.txt")).unwrap();
    let (found, err, code) = predicted(folder.path());
    // Once each, under the real path where there is one; what only links lead to comes last.
    assert_eq!(found, ["broken.png", "linked.png", "own/a.png", "more/c.png", "more/deep/b.png"]);
    assert!(err.contains(&format!("broken.png: {}", no_file())) && err.contains("1 of 5 failed"), "{err}");
    assert!(
        err.contains("1 file was passed over") && err.contains("3 links lead to folders that were read already"),
        "{err}"
    );
    assert_eq!(code, Some(1));
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_folder_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &["b.png"]);
    assert!(std::process::Command::new("mkfifo").arg(folder.path().join("a.png")).status().unwrap().success());
    let (found, err, code) = predicted(folder.path());
    assert_eq!((found, code), (vec!["a.png".to_owned(), "b.png".to_owned()], Some(1)));
    assert!(err.contains("a pipe, a socket or a device"), "{err}");
}

#[cfg(target_os = "linux")]
#[test]
fn one_folder_that_cannot_be_read_costs_no_other() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let temporary = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(temporary.path(), 0o755);
    let folder = temporary.path().join("photos");
    fill(&folder, &["a.png", "closed/b.png", "open/c.png"]);
    mode(&folder.join("closed"), 0o000);
    // Nothing is closed to root, so somebody else looks, with a program that they can reach.
    let program = temporary.path().join("predict");
    // Copied by another process: one that a test starts meanwhile would keep a file that is written here from being run.
    assert!(std::process::Command::new("cp").arg(program::PREDICT).arg(&program).status().unwrap().success());
    let mut predict = program::command(program.to_str().unwrap());
    predict.args(["--device", "cpu", "--model", "mnist_mlp", "--no-cache", "--format", "jsonl"]).arg(&folder);
    if rustix::process::geteuid().is_root() {
        predict.uid(65534).gid(65534);
    }
    let left = program::left(predict.output().unwrap());
    mode(&folder.join("closed"), 0o755);
    let found = records(&left.out);
    let names: Vec<&str> = found.iter().map(|record| record["image"].as_str().unwrap()).collect();
    let expected = ["a.png", "closed", "open/c.png"].map(|name| folder.join(name).display().to_string());
    assert_eq!((names, left.code), (expected.iter().map(String::as_str).collect(), Some(1)));
    let error = found[1]["error"].as_str().unwrap();
    assert!(error.contains("photos/closed: Permission denied"), "{error}");
    assert!(found[0]["error"].is_null() && found[2]["error"].is_null());
}

#[test]
fn a_glob_means_folders_too() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &["a.png", "sub/b.png"]);
    let left = digits(&["--format", "jsonl", &format!("{}/*", folder.path().display())]);
    assert_eq!((records(&left.out).len(), left.code), (2, Some(0)), "{left:?}");
}
