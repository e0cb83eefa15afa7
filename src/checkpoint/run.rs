//! The checkpoints of training runs in one folder, under the names that MindSpore's `ModelCheckpoint` gives them:
//! `PREFIX[_RUN]-EPOCH_STEP.ckpt`.

use super::source::short;
use crate::error::{Error, Result};
use crate::file::directory::Entry;
use std::fmt;
use std::path::Path;

/// The end of every name.
const EXTENSION: &str = ".ckpt";

/// The largest number of a run; a larger one is a part of the prefix.
pub(super) const MAX_RUN: u64 = u32::MAX as u64;

/// A run's name: `mlp` is the first run under the prefix `mlp`, `mlp_1` the second.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunName {
    pub prefix: String,
    pub run: u64,
}

impl RunName {
    pub fn parse(name: &str) -> Option<Self> {
        let numbered = name.rsplit_once('_').and_then(|(prefix, run)| Some((prefix, number(run)?)));
        let numbered = numbered.filter(|(prefix, run)| !prefix.is_empty() && *run <= MAX_RUN);
        let (prefix, run) = numbered.unwrap_or((name, 0));
        (!prefix.is_empty()).then(|| Self { prefix: prefix.to_owned(), run })
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.run {
            0 => f.write_str(&self.prefix),
            run => write!(f, "{}_{run}", self.prefix),
        }
    }
}

/// The name of one checkpoint. Ordered by run, epoch and step within a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CheckpointName {
    pub run: RunName,
    pub epoch: u64,
    pub step: u64,
}

impl CheckpointName {
    pub fn parse(file: &str) -> Option<Self> {
        let (run, position) = file.strip_suffix(EXTENSION)?.rsplit_once('-')?;
        let (epoch, step) = position.split_once('_')?;
        Some(Self { run: RunName::parse(run)?, epoch: number(epoch)?, step: number(step)? })
    }
}

impl fmt::Display for CheckpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}_{}{EXTENSION}", self.run, self.epoch, self.step)
    }
}

/// A number in digits alone: no sign, and none beyond 64 bits, which no training counts to.
fn number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// The newest checkpoint of a folder, and how many it was chosen from.
#[derive(Debug)]
pub(super) struct Newest {
    pub name: String,
    pub of: usize,
}

/// The newest checkpoint among the `entries` of the folder at `path` by run, epoch and step; `None` where no file has such a name.
///
/// The numbers decide, and not the files' times, which copying changes.
pub(super) fn newest(path: &Path, entries: &[Entry]) -> Result<Option<Newest>> {
    // A link that leads nowhere stays: passing over the newest in silence would give older weights for it.
    let files = entries.iter().filter(|entry| !entry.is_folder).filter_map(|entry| entry.name.to_str());
    let mut found: Vec<_> = files.filter_map(|text| Some((CheckpointName::parse(text)?, text.to_owned()))).collect();
    found.sort();
    let of = found.len();
    let Some((newest, file)) = found.pop() else { return Ok(None) };
    let rival = found.iter().rev().find(|(name, _)| name.run.prefix != newest.run.prefix || *name == newest);
    if let Some((name, other)) = rival {
        let what = if *name == newest {
            "two checkpoints of one run, epoch and step"
        } else {
            "checkpoints of several models"
        };
        return Err(Error::foreign(
            path,
            format!("holds {what}, such as {} and {}; give the file that is meant", short(other), short(&file)),
        ));
    }
    Ok(Some(Newest { name: file, of }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_prefix_run_epoch_and_step() {
        for (file, prefix, run, epoch, step) in [
            ("CKP-1_100.ckpt", "CKP", 0, 1, 100),
            ("CKP_2-10_9.ckpt", "CKP", 2, 10, 9),
            ("my-net_v2-3_4.ckpt", "my-net_v2", 0, 3, 4),
            ("_7-3_4.ckpt", "_7", 0, 3, 4),
            ("a_4294967296-3_4.ckpt", "a_4294967296", 0, 3, 4),
        ] {
            let name = CheckpointName::parse(file).unwrap();
            let run = RunName { prefix: prefix.into(), run };
            assert_eq!(name, CheckpointName { run, epoch, step });
            assert_eq!(name.to_string(), file);
        }
        for other in [
            "mlp.ckpt",
            "-1_2.ckpt",
            "a-1.ckpt",
            "a-1_2_3.ckpt",
            "a-1_2_breakpoint.ckpt",
            "a--1_2.pth",
            "a-+1_2.ckpt",
            "a-_2.ckpt",
            "a-1_99999999999999999999.ckpt",
            "model-00001-of-00002.safetensors",
            ".pretrained-12-3.tmp",
        ] {
            assert_eq!(CheckpointName::parse(other), None, "{other}");
        }
    }
}
