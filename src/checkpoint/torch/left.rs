//! Entries of a checkpoint that were left out: a note names the first few, and the state dict remembers all.

use crate::checkpoint::StateDict;
use crate::checkpoint::source::{Source, short};
use crate::error::Result;

/// Entries that were left out for one cause.
#[derive(Default)]
pub(super) struct Left {
    /// The first few reasons, each with the names of the first few entries and how many more there are.
    reasons: Vec<(String, Vec<String>, usize)>,
    more: usize,
}

impl Left {
    const SHOWN: usize = 8;

    /// Adds a tensor that is not read. `dict` remembers its name with the `reason`, a clause about "it".
    pub fn tensor(&mut self, source: &Source, dict: &mut StateDict, name: &str, reason: String) -> Result<()> {
        match self.reasons.iter_mut().find(|(known, ..)| *known == reason) {
            Some((_, names, _)) if names.len() < Self::SHOWN => names.push(format!("`{}`", short(name))),
            Some((_, _, more)) => *more += 1,
            None => self.mention(name, &reason),
        }
        remember(source, dict, name, reason)
    }

    /// Adds what is no tensor where one may be looked for, and `kind` says what it is.
    pub fn other(&mut self, source: &Source, dict: &mut StateDict, name: &str, kind: &str) -> Result<()> {
        self.mention(name, kind);
        remember(source, dict, name, format!("it is {kind}, not a tensor"))
    }

    /// Adds what is no parameter, such as the arguments of a training script.
    pub fn mention(&mut self, name: &str, reason: &str) {
        if self.reasons.len() < Self::SHOWN {
            self.reasons.push((reason.to_owned(), vec![format!("`{}`", short(name))], 0));
        } else {
            self.more += 1;
        }
    }

    /// Puts the note that tells `what` became of them on `dict`, if there are any.
    pub fn note(self, dict: &mut StateDict, what: &str) {
        if self.reasons.is_empty() {
            return;
        }
        let and_more = |more: usize| if more > 0 { format!(" and {more} more") } else { String::new() };
        let entry = |(reason, names, more): &(String, Vec<String>, usize)| {
            format!("{}{} ({reason})", names.join(", "), and_more(*more))
        };
        let entries: Vec<String> = self.reasons.iter().map(entry).collect();
        dict.note(format!("{what}: {}{}", entries.join(", "), and_more(self.more)));
    }
}

/// Lets `dict` remember `name` with the `reason`. One value in the file can be left out under a million names.
pub(super) fn remember(source: &Source, dict: &mut StateDict, name: &str, reason: String) -> Result<()> {
    source.expand(|| format!("what was left out as `{}`", short(name)), (128 + name.len() + reason.len()) as u64)?;
    dict.leave_out(name, reason);
    Ok(())
}
