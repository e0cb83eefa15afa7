//! Finds the model in a DeepSpeed checkpoint: a file `latest` that names a folder, and in it the states of each rank.
//!
//! Source: what `DeepSpeedEngine.save_checkpoint` of DeepSpeed 0.3 to 0.17 writes.

use super::listing::{Listing, astray};
use super::source::short;
use crate::error::{Error, Result};
use crate::file::enclosure::Enclosure;
use std::path::Path;

/// The file that names the newest folder.
const LATEST: &str = "latest";

/// Longest name of a folder.
const MAX_TAG_BYTES: usize = 255;

/// The file that holds the whole model, from the folder at `path` on; `None` where the folder is no such checkpoint.
///
/// Up to stage 2 of ZeRO one file has all parameters under `module`. What stage 3 or model parallelism has split over
/// several is refused.
pub(super) fn states(path: &Path, listing: &Listing, enclosure: &Enclosure) -> Result<Option<String>> {
    if let Some(states) = of_ranks(path, listing)? {
        return Ok(Some(states));
    }
    if !listing.has(LATEST) {
        return Ok(None);
    }
    let found = enclosure.entry(LATEST.as_ref()).map_err(|reason| astray(path, LATEST, reason))?;
    let io = |e| Error::io(path.join(LATEST), e);
    let tag = found.open().map_err(io)?.head(MAX_TAG_BYTES + 1).unwrap_or_default();
    // Other programs may have a file of that name too.
    let tag = std::str::from_utf8(&tag).unwrap_or_default().trim();
    if tag.is_empty() || !listing.folders.iter().any(|folder| folder == tag) {
        return Ok(None);
    }
    let folder = enclosure.named(tag).map_err(|reason| astray(path, tag, reason))?;
    let states = of_ranks(path, &Listing::of(&folder.directory())?)?;
    Ok(states.map(|states| format!("{tag}/{states}")))
}

/// The only file of states in one folder, which lies in the checkpoint at `path`.
fn of_ranks(path: &Path, listing: &Listing) -> Result<Option<String>> {
    let states: Vec<&String> = listing.files.iter().filter(|name| name.ends_with("model_states.pt")).collect();
    match states[..] {
        [] => Ok(None),
        [only] if only.starts_with("mp_rank_") => Ok(Some(only.clone())),
        _ => Err(Error::foreign(
            path,
            format!(
                "is a DeepSpeed checkpoint whose parameters are split over several files ({}, ...); gather them with the \
                 script that DeepSpeed puts beside them: python zero_to_fp32.py . pytorch_model.bin",
                short(states[0])
            ),
        )),
    }
}
