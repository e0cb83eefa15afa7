//! Standard output and standard error that are closed, full, a terminal, or left by their reader.

use crate::program;
use program::*;
use std::path::{Path, PathBuf};

/// The Rust files below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn no_source_prints_by_a_macro_that_panics() {
    let mut found = Vec::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in [sources(&here.join("src")), sources(&here.join("../src"))].concat() {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (n, line) in code {
            if ["print!(", "println!(", "dbg!("].iter().any(|name| line.contains(name)) {
                found.push(format!("{}:{}: {}", path.display(), n + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a program leaves whose streams the shell has set up as `redirections` say.
#[cfg(unix)]
fn redirected(program: &str, arguments: &[&str], redirections: &str) -> program::Left {
    let script = format!("exec \"$0\" \"$@\" {redirections}");
    let mut shell = program::command("sh");
    left(shell.args(["-c", &script, program]).args(arguments).output().unwrap())
}

#[cfg(unix)]
const ON_CPU: [&str; 4] = ["--device", "cpu", "--model", "mnist_mlp"];

#[cfg(unix)]
#[test]
fn results_do_not_depend_on_a_standard_error_that_is_closed() {
    let image = digit(3);
    // A checkpoint with something to remark on, a picture that fails, and an error.
    let all = [&ON_CPU[..], &["--format", "jsonl", "--rename", "^none$=x", "missing.png", &image]].concat();
    let of = |redirection| redirected(PREDICT, &all, redirection);
    let (whole, closed) = (of(""), of("2>&-"));
    assert!(whole.err.contains("--rename") && whole.err.contains("missing.png"), "{whole:?}");
    assert_eq!((&closed.out, closed.code), (&whole.out, Some(1)));
    assert_eq!((records(&closed.out).len(), closed.err.as_str()), (2, ""));
    assert_eq!(redirected(PREDICT, &[], "2>&-").code, Some(2));
    assert_eq!(redirected(PREDICT, &["--no-such-flag"], "2>&-").code, Some(2));
    assert_eq!(redirected(PRETRAINED, &["inspect", MNIST], "2>&-").code, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn results_do_not_depend_on_a_standard_error_that_is_full() {
    let image = digit(3);
    let all = [&ON_CPU[..], &["--format", "jsonl", "--timings", "--profile", "missing.png", &image]].concat();
    let full = redirected(PREDICT, &all, "2>/dev/full");
    assert_eq!((records(&full.out).len(), full.code), (2, Some(1)), "{full:?}");
    assert_eq!(redirected(PREDICT, &["x.png", "--device", "none"], "2>/dev/full").code, Some(2));
    assert_eq!(redirected(PREDICT, &["--no-such-flag"], "2>/dev/full").code, Some(2));
    assert_eq!(redirected(PRETRAINED, &["diff", MNIST, "/no/such"], "2>/dev/full").code, Some(2));
    let bench =
        redirected(PRETRAINED, &["bench", "--model", "mnist_mlp", "--runs", "1", "--device", "cpu"], "2>/dev/full");
    assert_eq!(bench.code, Some(0), "{bench:?}");
}

#[cfg(unix)]
#[test]
fn a_standard_output_that_takes_nothing_is_an_error() {
    let predict = [&ON_CPU[..], &[DIGITS]].concat();
    let cases: [(&str, &[&str]); 7] = [
        (PREDICT, &predict),
        (PREDICT, &["--help"]),
        (PREDICT, &["--version"]),
        (PREDICT, &["--list-models"]),
        (PRETRAINED, &["inspect", MNIST]),
        (PRETRAINED, &["inspect", "--json", MNIST]),
        (PRETRAINED, &["diff", MNIST, MNIST]),
    ];
    for (program, arguments) in cases {
        let (mut redirections, mut reasons) = (vec![">&-", "1</dev/null"], vec!["it is closed", "Bad file descriptor"]);
        if cfg!(target_os = "linux") {
            redirections.push(">/dev/full");
            reasons.push("No space left");
        }
        for (redirection, reason) in redirections.into_iter().zip(reasons) {
            let left = redirected(program, arguments, redirection);
            let said = left.err.contains("standard output: ") && left.err.contains(reason);
            assert!(said && left.code == Some(2), "{arguments:?} {redirection}: {left:?}");
        }
        // This is what throws results away on purpose.
        assert_eq!(redirected(program, arguments, ">/dev/null").code, Some(0), "{arguments:?}");
        assert_eq!(redirected(program, arguments, "1<>/dev/null").code, Some(0), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_changes_no_exit_code() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let good = digit(1);
    for (first, code) in [(&*good, 0), ("missing.png", 1)] {
        let mut predict = digits_command();
        predict.args(["--format", "csv", "--batch-size", "1", first]).args(vec![&good; 3000]);
        let mut child = predict.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The header and the first result.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let read = [lines.next(), lines.next()].map(|line| line.unwrap().unwrap());
        drop(lines);
        let left = left(child.wait_with_output().unwrap());
        assert!(read[1].starts_with(first), "{read:?}");
        assert_eq!(left.code, Some(code), "{left:?}");
        assert!(!left.err.contains("Broken pipe") && !left.err.contains("of 3001 failed"), "{left:?}");
    }
    // What was found out before the first line is written counts.
    let diff = redirected(PRETRAINED, &["diff", MNIST, CIFAR], "| true");
    assert_eq!(diff.err, "");
}

#[test]
fn failed_images_are_said_on_standard_error_and_counted() {
    let all = program::digits(&["--format", "jsonl", "missing.png", &digit(1), "lost.png"]);
    assert_eq!((records(&all.out).len(), all.code), (3, Some(1)));
    let missing = ["missing.png", "lost.png"].map(|name| format!("predict: {name}: {}\n", no_file()));
    for part in missing.iter().map(String::as_str).chain(["predict: 2 of 3 failed\n"]) {
        assert!(all.err.contains(part), "{part} is not in {}", all.err);
    }
    // The path once in a line.
    assert!(all.err.lines().all(|line| line.matches("missing.png").count() < 2), "{}", all.err);
    let good = program::digits(&["--format", "jsonl", &digit(1), &digit(2)]);
    assert_eq!((good.err.as_str(), good.code), ("", Some(0)));
    // Quiet is about remarks, not about what went wrong.
    let quiet = run(PREDICT, &["-q", "--device", "cpu", &digit(1), "missing.png"]);
    assert!(quiet.err.contains("missing.png") && !quiet.err.contains("using"), "{quiet:?}");
}

/// A terminal: what a program writes to it can be read here.
#[cfg(target_os = "linux")]
struct Terminal(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Terminal {
    fn new() -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, unlockpt};
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        Self(terminal)
    }

    /// The side that a program writes to.
    fn end(&self) -> std::fs::File {
        let name = rustix::pty::ptsname(&self.0, Vec::new()).unwrap();
        std::fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap()
    }

    /// All that was written, when every end is closed.
    fn written(self) -> String {
        use std::io::Read;
        let mut all = Vec::new();
        // When nobody can write any more, Linux says so by an error.
        let _ = std::fs::File::from(self.0).read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    }
}

#[cfg(target_os = "linux")]
#[test]
fn progress_shows_where_only_standard_error_is_a_terminal() {
    let images = vec![digit(7); 40];
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.jsonl");
    let on_terminal = |quiet: &[&str]| {
        let terminal = Terminal::new();
        let mut predict = digits_command();
        predict.args(["--format", "jsonl"]).args(quiet).args(&images);
        // No progress is shown where a terminal is said to be dumb, or nothing of it is said.
        predict.env("TERM", "xterm").env_remove("NO_COLOR");
        predict.stdout(std::fs::File::create(&results).unwrap()).stderr(terminal.end());
        assert_eq!(predict.status().unwrap().code(), Some(0));
        drop(predict);
        assert_eq!(records(&std::fs::read_to_string(&results).unwrap()).len(), 40);
        terminal.written()
    };
    let shown = on_terminal(&[]);
    assert!(shown.contains("/40"), "{shown:?}");
    assert_eq!(on_terminal(&["-q"]), "");
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_an_error_is_said_once_and_names_cannot_steer_it() {
    use std::os::unix::ffi::OsStrExt;
    let terminal = Terminal::new();
    let mut predict = digits_command();
    let name = std::ffi::OsStr::from_bytes(b"lost\x1b[2J\xff.png");
    predict.args(["--format", "csv"]).arg(name).stdout(terminal.end()).stderr(terminal.end());
    assert_eq!(predict.status().unwrap().code(), Some(1));
    drop(predict);
    let shown = terminal.written();
    assert!(shown.contains(r"lost\u{1b}[2J\xff.png,mnist_mlp") && !shown.contains("predict: lost"), "{shown:?}");
    assert!(!shown.contains('\x1b'), "{shown:?}");
}
