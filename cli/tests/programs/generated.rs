//! Completions and manual pages: made from the command lines, so that nothing is missing in them.

use crate::program::{PREDICT, PRETRAINED, run};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// The commands of `pretrained`.
fn commands() -> Vec<String> {
    let help = run(PRETRAINED, &["--help"]).out;
    let (_, after) = help.split_once("Commands:\n").unwrap();
    let lines = after.lines().take_while(|line| line.starts_with("  "));
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|name| name != "help").collect()
}

/// The long flags that a program's or command's help describes.
fn flags(program: &str, command: &[&str]) -> BTreeSet<String> {
    let help = run(program, &[command, &["--help"]].concat()).out;
    let flag = Regex::new(r"(?m)^ +(?:-\w, )?--([a-z][a-z0-9_-]*)").unwrap();
    flag.captures_iter(&help).map(|found| found[1].to_owned()).collect()
}

/// The names of manual pages, and the flags that each has to describe.
fn described() -> BTreeMap<String, BTreeSet<String>> {
    let commands = commands();
    let below = commands.iter().map(|name| (format!("pretrained-{name}"), flags(PRETRAINED, &[name])));
    let programs = [("predict", flags(PREDICT, &[])), ("pretrained", flags(PRETRAINED, &[]))];
    let described: BTreeMap<_, _> =
        programs.map(|(name, flags)| (name.to_owned(), flags)).into_iter().chain(below).collect();
    assert!(described.len() >= 9 && described["predict"].len() >= 30, "{described:?}");
    assert!(described["pretrained-diff"].contains("tolerance"), "{described:?}");
    described
}

/// Whether `text` has `flag`, and not as the start of another.
fn has(text: &str, flag: &str) -> bool {
    Regex::new(&format!(r"{flag}(?:[^a-z0-9_-]|$)")).unwrap().is_match(text)
}

#[test]
fn completions_have_every_flag_of_both_programs() {
    let described = described();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let dashes = if shell == "fish" { "-l " } else { "--" };
        let both = run(PRETRAINED, &["completions", shell]);
        assert_eq!((both.code, &*both.err), (Some(0), ""), "{shell}");
        let alone =
            ["predict", "pretrained"].map(|name| run(PRETRAINED, &["completions", shell, "--program", name]).out);
        for (name, flags) in &described {
            let own = &alone[usize::from(name != "predict")];
            for flag in flags {
                let flag = format!("{dashes}{flag}");
                assert!(has(&both.out, &flag) && has(own, &flag), "{shell}: {name} {flag}");
            }
        }
        for name in commands() {
            assert!(has(&both.out, &name) && has(&alone[1], &name), "{shell}: {name}");
        }
        // PowerShell refuses these lines anywhere but at the start.
        let (start, rest) = both.out.split_at(both.out.find("Register-").unwrap_or(0));
        assert_eq!(
            (start.contains("using namespace"), rest.contains("using namespace")),
            (shell == "powershell", false)
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn bash_completes_both_programs() {
    let script = r#"eval "$("$0" completions bash)"
        COMP_CWORD=1
        COMP_WORDS=(predict --weig)
        _predict predict --weig predict
        echo "${COMPREPLY[@]}"
        COMP_WORDS=(pretrained insp)
        _pretrained pretrained insp pretrained
        echo "${COMPREPLY[@]}""#;
    let completed = run("bash", &["-c", script, PRETRAINED]);
    assert_eq!((&*completed.out, completed.code), ("--weights\ninspect\n", Some(0)), "{completed:?}");
}

#[test]
fn manual_pages_describe_every_flag_of_both_programs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("man1");
    let written = run(PRETRAINED, &["man", folder.to_str().unwrap()]);
    assert_eq!((written.code, &*written.out, &*written.err), (Some(0), "", ""));
    let printed = run(PRETRAINED, &["man"]).out;
    let described = described();
    for (name, flags) in &described {
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        assert!(printed.contains(&page), "{name}");
        let page = page.replace(r"\-", "-");
        for flag in flags {
            assert!(has(&page, &format!("--{flag}")), "{name} --{flag}: {page}");
        }
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), described.len());
}
