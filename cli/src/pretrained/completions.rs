//! Completions for shells, of both programs at once or of one.

use crate::console::{Result, Sink};
use crate::programs;
use clap::{Args, ValueEnum};
use clap_complete::{Shell, generate};

/// What `pretrained completions` is given.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell that completes
    shell: Shell,

    /// One program alone
    #[arg(long, value_enum)]
    program: Option<Program>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Program {
    Predict,
    Pretrained,
}

impl Completions {
    /// Writes the script to `out`.
    pub fn run(&self, out: &mut Sink) -> Result<()> {
        let programs = programs::all().into_iter().zip([Program::Predict, Program::Pretrained]);
        let mut written = String::new();
        for (mut command, _) in programs.filter(|(_, program)| self.program.is_none_or(|one| one == *program)) {
            let (name, mut script) = (command.get_name().to_owned(), Vec::new());
            generate(self.shell, &mut command, name, &mut script);
            let script = String::from_utf8_lossy(&script);
            // PowerShell takes these lines at the start of a script alone, where the first program has put them.
            let again = |line: &&str| !written.is_empty() && line.starts_with("using namespace");
            let more: String = script.split_inclusive('\n').filter(|line| !again(line)).collect();
            written += &more;
        }
        out.put(written)?;
        out.flush()
    }
}
