//! Manual pages: one for each program, and one for each command of `pretrained`.

use crate::console::{Result, Sink};
use crate::programs;
use clap::{Args, Command};
use clap_mangen::Man;
use pretrained::Error;
use std::fs;
use std::path::PathBuf;

/// What `pretrained man` is given.
#[derive(Debug, Args)]
pub struct Manual {
    /// The folder for the pages, a file each, such as ~/.local/share/man/man1; without it all are printed one after another
    folder: Option<PathBuf>,
}

impl Manual {
    /// Writes the pages to the folder, or else to `out`.
    pub fn run(&self, out: &mut Sink) -> Result<()> {
        if let Some(folder) = &self.folder {
            fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        }
        for man in programs::all().into_iter().flat_map(pages) {
            match &self.folder {
                Some(folder) => {
                    let written = man.generate_to(folder);
                    written.map_err(|error| Error::io(folder.join(man.get_filename()), error))?;
                }
                None => {
                    let written = man.render(out);
                    out.arrived(written)?;
                }
            }
        }
        out.flush()
    }
}

/// The page of a program, and those of its commands.
fn pages(program: Command) -> Vec<Man> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    commands(&program).into_iter().map(Man::new).collect()
}

/// `command`, and those below it.
fn commands(command: &Command) -> Vec<Command> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    [command.clone()].into_iter().chain(below.flat_map(commands)).collect()
}
