//! Names the calls in a pickle that would harm whoever let Python load it.
//!
//! Nothing is called here, so none of them can do anything. A file that asks for one was still not made to hold weights,
//! and its reader may load it with Python next.

use crate::checkpoint::source::short;

/// Whether Python, loading a pickle that calls `module.name`, would start a program, run text or touch files. This is a
/// warning for honest people and no defence: the defence is that nothing is called.
fn harmful(module: &str, name: &str) -> bool {
    // `('torch', 'serialization.os.system')` is `os.system` too.
    let full = format!("{module}.{name}");
    let mut parts = full.rsplit('.');
    let name = parts.next().unwrap_or_default();
    match parts.next().unwrap_or_default() {
        "os" | "posix" | "nt" => {
            const STARTS: [&str; 11] = [
                "system",
                "popen",
                "exec",
                "spawn",
                "posix_spawn",
                "startfile",
                "remove",
                "unlink",
                "rmdir",
                "rename",
                "kill",
            ];
            STARTS.iter().any(|start| name.starts_with(start))
        }
        "builtins" | "__builtin__" => {
            matches!(name, "eval" | "exec" | "execfile" | "compile" | "open" | "__import__" | "breakpoint" | "input")
        }
        "subprocess" | "commands" | "popen2" | "pty" | "runpy" | "socket" | "shutil" | "webbrowser" => true,
        _ => false,
    }
}

/// The harmful names among those that a pickle calls; the first few, and how many there are.
#[derive(Debug, Default)]
pub(in crate::checkpoint) struct Harm {
    names: Vec<String>,
    more: usize,
}

impl Harm {
    const SHOWN: usize = 16;

    /// Looks at a call of `module.name`.
    pub(super) fn called(&mut self, module: &str, name: &str) {
        if !harmful(module, name) {
            return;
        }
        let full = short(&format!("{}.{}", short(module), short(name)));
        if self.names.contains(&full) {
        } else if self.names.len() < Self::SHOWN {
            self.names.push(full);
        } else {
            self.more += 1;
        }
    }

    /// Why the file is refused, if there is any.
    pub fn reason(&self) -> Option<String> {
        if self.names.is_empty() {
            return None;
        }
        let mut names = self.names.join(", ");
        if self.more > 0 {
            names = format!("{names} and {} more", self.more);
        }
        Some(format!(
            "refused {names}: a checkpoint may only hold tensors, numbers, strings and containers, and loading this one \
             with Python would call that; nothing was called here. Do not load it, and get the weights from somebody you \
             trust"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_programs_is_harmful_and_what_makes_values_is_not() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "execvp"),
            ("builtins", "eval"),
            ("__builtin__", "__import__"),
            ("subprocess", "Popen"),
            ("torch", "serialization.os.system"),
        ] {
            assert!(harmful(module, name), "{module}.{name}");
        }
        for (module, name) in [
            ("os", "stat_result"),
            ("pathlib", "PosixPath"),
            ("builtins", "getattr"),
            ("functools", "partial"),
            ("torch.optim.sgd", "SGD"),
            ("system", "os"),
        ] {
            assert!(!harmful(module, name), "{module}.{name}");
        }
    }

    #[test]
    fn the_first_few_are_named_and_each_once() {
        let mut harm = Harm::default();
        harm.called("collections", "deque");
        assert_eq!(harm.reason(), None);
        (0..20).for_each(|n| harm.called("subprocess", &format!("f{n}")));
        harm.called("subprocess", "f0");
        let reason = harm.reason().unwrap();
        assert!(reason.starts_with("refused subprocess.f0, subprocess.f1,"), "{reason}");
        assert!(reason.contains("subprocess.f15 and 4 more: a checkpoint may only hold tensors"), "{reason}");
    }
}
