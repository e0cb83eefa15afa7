//! Writes the checkpoints of a training run into a folder, a file a moment, and keeps the last few.

use super::{SaveFormat, SaveOptions};
use crate::checkpoint::StateDict;
use crate::checkpoint::run::{CheckpointName, MAX_RUN, RunName};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How [`Checkpoints`] saves: the settings of MindSpore's `ModelCheckpoint` and `CheckpointConfig` that it has, under
/// their names and with their defaults.
///
/// ```
/// use pretrained::CheckpointConfig;
/// let config = CheckpointConfig { directory: "runs".into(), keep_checkpoint_max: 10, ..CheckpointConfig::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// What names begin with. `CKP` by default.
    pub prefix: String,
    /// The folder that checkpoints go to; it is made where it is missing. The working folder by default.
    pub directory: PathBuf,
    /// So many steps lie between two checkpoints of [`Checkpoints::step`]. 1 by default.
    pub save_checkpoint_steps: u64,
    /// So many of the run's checkpoints stay; the oldest goes when one more is written. 5 by default.
    pub keep_checkpoint_max: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { prefix: "CKP".into(), directory: ".".into(), save_checkpoint_steps: 1, keep_checkpoint_max: 5 }
    }
}

/// Writes the checkpoints of one training run, MindSpore's `.ckpt` under MindSpore's names:
/// `PREFIX-EPOCH_STEP.ckpt` for the first run in a folder, `PREFIX_1-EPOCH_STEP.ckpt` for the second.
///
/// Each file appears whole or not at all. Only what this run wrote, and nobody has changed since, is ever replaced or
/// deleted. [`StateDict::open`] of the folder takes the newest.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let directory = folder.path().to_owned();
/// # let weights = || [("w", pretrained::Tensor::from_f32(&[1], &[0.0]).unwrap())].into_iter().collect();
/// use pretrained::{CheckpointConfig, Checkpoints, StateDict};
///
/// let config = CheckpointConfig { prefix: "mlp".into(), directory, save_checkpoint_steps: 2, ..Default::default() };
/// let mut checkpoints = Checkpoints::start(config)?;
/// for epoch in 1..=3 {
///     for step in 1..=2 {
///         // ... train ...
///         checkpoints.step(epoch, step, weights)?;
///     }
/// }
/// # let directory = folder.path();
/// assert!(StateDict::open(directory)?.path().unwrap().ends_with("mlp-3_2.ckpt"));
/// # Ok::<(), pretrained::Error>(())
/// ```
#[derive(Debug)]
pub struct Checkpoints {
    config: CheckpointConfig,
    run: RunName,
    /// Steps since the last checkpoint.
    steps: u64,
    /// What was written and still stands, the oldest first.
    kept: VecDeque<Written>,
    _claim: Claim,
}

impl Checkpoints {
    /// Begins a run under a number that no other run in the folder has or has had.
    ///
    /// The number is held by an empty file, `.PREFIX_RUN.claim`, until the `Checkpoints` is dropped, so runs may start
    /// at the same time. A process that is killed leaves it, which costs nothing but a number.
    ///
    /// # Errors
    /// [`Error::Usage`] for a prefix that is no plain file name and for numbers that are 0; [`Error::Io`] where the
    /// system does not let the folder be made, listed or written to; [`Error::Checkpoint`] after 2^32 runs.
    pub fn start(config: CheckpointConfig) -> Result<Self> {
        let CheckpointConfig { prefix, directory, save_checkpoint_steps, keep_checkpoint_max } = &config;
        if prefix.is_empty() || prefix.starts_with('.') || prefix.contains(['/', '\\', ':', '\0']) {
            return Err(Error::Usage(format!(
                "a checkpoint's prefix is the beginning of a file's name, without a dot before it or a slash, backslash \
                 or colon in it; found {prefix:?}"
            )));
        }
        if *save_checkpoint_steps == 0 || *keep_checkpoint_max == 0 {
            return Err(Error::Usage("save_checkpoint_steps and keep_checkpoint_max are at least 1".into()));
        }
        fs::create_dir_all(directory).map_err(|e| Error::io(directory, e))?;
        let mut number = next_run(directory, prefix)?;
        loop {
            if number > MAX_RUN {
                return Err(Error::unwritable(directory, format!("has no number left for a run of {prefix}")));
            }
            let run = RunName { prefix: prefix.clone(), run: number };
            if let Some(claim) = Claim::of(directory, &run)? {
                // Another run of this number may have ended between the look at the folder and the claim.
                let next = next_run(directory, prefix)?;
                if next <= number + 1 && !has_checkpoint(directory, &run)? {
                    return Ok(Self { config, run, steps: 0, kept: VecDeque::new(), _claim: claim });
                }
                number = next;
            } else {
                number += 1;
            }
        }
    }

    /// The run's name, which its files begin with: the prefix, and from the second run on `_` and a number.
    pub fn run_name(&self) -> String {
        self.run.to_string()
    }

    /// The checkpoints of this run that are there, the oldest first.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.kept.iter().map(|written| written.path.as_path())
    }

    /// Counts a step of training, the `step`-th of the `epoch`-th epoch, and saves what `state` gives when as many as
    /// `save_checkpoint_steps` have been counted. Returns the path where it did.
    ///
    /// # Errors
    /// As [`save`](Self::save); the step then stays due.
    pub fn step(&mut self, epoch: u64, step: u64, state: impl FnOnce() -> StateDict) -> Result<Option<PathBuf>> {
        self.steps += 1;
        if self.steps < self.config.save_checkpoint_steps {
            return Ok(None);
        }
        self.save(epoch, step, &state()).map(Some)
    }

    /// Saves `state` now, as it is after the `step`-th step of the `epoch`-th epoch, and then deletes the run's oldest
    /// where there are more than `keep_checkpoint_max`.
    ///
    /// # Errors
    /// As [`StateDict::save`]: [`Error::Checkpoint`] where the file is there and is not this run's; and [`Error::Io`]
    /// where the oldest cannot be deleted. What was saved stays.
    pub fn save(&mut self, epoch: u64, step: u64, state: &StateDict) -> Result<PathBuf> {
        let name = CheckpointName { run: self.run.clone(), epoch, step };
        let path = self.config.directory.join(name.to_string());
        let before = self.kept.iter().position(|written| written.path == path);
        let overwrite = before.is_some_and(|at| self.kept[at].stands());
        state.save(&path, &SaveOptions { format: SaveFormat::MindSpore, overwrite, ..SaveOptions::default() })?;
        if let Some(before) = before {
            self.kept.remove(before);
        }
        self.kept.push_back(Written::at(&path)?);
        self.steps = 0;
        while self.kept.len() > self.config.keep_checkpoint_max
            && let Some(oldest) = self.kept.front()
        {
            oldest.delete()?;
            self.kept.pop_front();
        }
        Ok(path)
    }
}

/// The number after the last run under `prefix` in `directory`, 0 where there is none.
fn next_run(directory: &Path, prefix: &str) -> Result<u64> {
    let runs = files(directory)?.into_iter().filter_map(|file| match Claim::parse(&file) {
        Some(run) => Some(run),
        None => CheckpointName::parse(&file).map(|name| name.run),
    });
    // The prefix `a_1` finds the second run under `a` as its own first, and `a` its first as the second run.
    let number = |run: RunName| match run.to_string() == prefix {
        true => Some(0),
        false => (run.prefix == prefix).then_some(run.run),
    };
    Ok(runs.filter_map(number).map(|run| run.saturating_add(1)).max().unwrap_or(0))
}

fn has_checkpoint(directory: &Path, run: &RunName) -> Result<bool> {
    let name = run.to_string();
    let of_run = |file: &String| CheckpointName::parse(file).is_some_and(|found| found.run.to_string() == name);
    Ok(files(directory)?.iter().any(of_run))
}

/// The names in `directory` that are text; a run's name always is.
fn files(directory: &Path) -> Result<Vec<String>> {
    let io = |e| Error::io(directory, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        names.extend(entry.map_err(io)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// A run's name for as long as this lives: a file of that name that nobody else could make.
#[derive(Debug)]
struct Claim(PathBuf);

impl Claim {
    const END: &str = ".claim";

    /// `None` where somebody has it.
    fn of(directory: &Path, run: &RunName) -> Result<Option<Self>> {
        let path = directory.join(format!(".{run}{}", Self::END));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => Ok(Some(Self(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(Error::io(path, error)),
        }
    }

    fn parse(file: &str) -> Option<RunName> {
        RunName::parse(file.strip_prefix('.')?.strip_suffix(Self::END)?)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // If it stays, a number is lost, and there is nobody to tell.
        let _ = fs::remove_file(&self.0);
    }
}

/// A file as it was written, so that one that somebody else has put in its place is told from it.
#[derive(Debug)]
struct Written {
    path: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
}

impl Written {
    fn at(path: &Path) -> Result<Self> {
        let kind = fs::symlink_metadata(path).map_err(|e| Error::io(path, e))?;
        Ok(Self { path: path.to_owned(), len: kind.len(), modified: kind.modified().ok() })
    }

    /// Whether it is still there, unchanged. A link to it is not it.
    fn stands(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|kind| kind.is_file() && kind.len() == self.len && kind.modified().ok() == self.modified)
    }

    fn delete(&self) -> Result<()> {
        if !self.stands() {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(&self.path, error)),
            _ => Ok(()),
        }
    }
}
