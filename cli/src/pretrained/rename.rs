//! `--rename`, which `inspect`, `convert`, `export` and `diff` share.

use crate::console::remark;
use clap::Args;
use pretrained::{PackageBuilder, Rename, Renaming, Result, StateDict};

#[derive(Debug, Args)]
pub struct Renames {
    /// Rename parameters of the checkpoint: matches of a regular expression are replaced, and $1 is its first group;
    /// may be repeated
    #[arg(long, value_name = "REGEX=REPLACEMENT")]
    rename: Vec<Rename>,
}

impl Renames {
    /// The checkpoint under the new names. A rule that matches nothing is told on standard error.
    pub fn apply(&self, state: StateDict) -> Result<StateDict> {
        apply(&self.rename, state)
    }

    /// `builder`, which renames its checkpoint so.
    pub fn add_to(&self, builder: PackageBuilder) -> PackageBuilder {
        self.rename.iter().cloned().fold(builder, PackageBuilder::rename)
    }
}

/// The checkpoint under the names that `rules` make.
pub fn apply(rules: &[Rename], state: StateDict) -> Result<StateDict> {
    let Renaming { state, unmatched } = state.rename(rules)?;
    tell(&unmatched);
    Ok(state)
}

/// Says of the rules in `unmatched` that they match nothing.
pub fn tell(unmatched: &[Rename]) {
    unmatched.iter().for_each(|rule| remark(format_args!("--rename {rule} matches no parameter")));
}
