//! The command lines of both programs, from which completions and manual pages are made.

use clap::{Command, CommandFactory};

#[allow(dead_code, reason = "`predict` itself uses the rest")]
#[path = "../predict/args.rs"]
mod predict;

/// `predict` and `pretrained`.
pub fn all() -> [Command; 2] {
    [predict::Args::command(), crate::Args::command()]
}
