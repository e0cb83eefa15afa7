//! OneFlow's older layouts: a folder per parameter, named after it, with the values in `out` and perhaps a `meta`.

use super::folder::{Folder, TRAIN_STEP};
use crate::checkpoint::source::short;
use crate::checkpoint::{Format, Limits, StateDict};
use crate::error::Result;
use crate::file::directory::Directory;
use crate::file::enclosure::Enclosure;
use crate::tensor::DType;

/// What optimizers add to a parameter's name for what they keep beside it: Adam two moments, momentum one.
const SLOTS: [&str; 3] = ["-m", "-v", "-momentum"];

/// The names of the parameters that an optimizer may keep `name` for.
pub(in crate::checkpoint) fn slot_of(name: &str) -> impl Iterator<Item = &str> {
    SLOTS.iter().filter_map(|slot| name.strip_suffix(slot))
}

/// Reads `directory`, whose parameters have a `meta` where `format` says so and else are flat `f32`.
pub(in crate::checkpoint) fn open(
    directory: &Directory,
    enclosure: Enclosure,
    format: Format,
    limits: &Limits,
) -> Result<StateDict> {
    let mut folder = Folder::new(directory, enclosure, limits);
    let mut dict = StateDict::of(format, directory.path());
    let (names, unnamed) = folder.folders()?;
    let mut left_out = Vec::new();
    for name in &names {
        if name.starts_with(TRAIN_STEP) {
            train_step(&mut folder, name, &mut dict)?;
            continue;
        }
        let meta = if format == Format::OneFlowSnapshot { folder.meta(name, name)? } else { None };
        let tensor = match meta {
            Some(meta) => folder.tensor(name, name, meta.dtype, Some(&meta.shape))?,
            None if folder.locate(name, "out")?.is_none() => {
                if name != "snapshot_done" {
                    left_out.push(name);
                }
                continue;
            }
            None if format == Format::OneFlowSnapshot => {
                return Err(folder.fault(format!(
                    "parameter `{}`: its file meta is missing, which others have; copy the whole folder again",
                    short(name)
                )));
            }
            None => folder.tensor(name, name, DType::F32, None)?,
        };
        if slot_of(name).any(|parameter| names.binary_search_by(|n| n.as_str().cmp(parameter)).is_ok()) {
            dict.insert_optimizer(name, tensor);
        } else {
            dict.insert(name, tensor);
        }
    }
    if dict.is_empty() {
        return Err(folder.fault("is a OneFlow snapshot without parameters: no folder in it has a file out"));
    }
    if format == Format::OneFlowLegacy {
        dict.forget_shapes();
        dict.note("its parameters have no shapes, only numbers in a row; the network must tell their shapes");
    }
    if !folder.is_done() {
        dict.note("has no snapshot_done, which is written last: saving may have been cut short");
    }
    if unnamed + left_out.len() > 0 {
        let first = left_out.first().map_or("", |name| name.as_str());
        dict.note(format!(
            "left out {} folders without a file out, such as `{}`",
            unnamed + left_out.len(),
            short(first)
        ));
    }
    Ok(dict)
}

/// Puts the number of training steps, one `i64`, among the metadata.
fn train_step(folder: &mut Folder, name: &str, dict: &mut StateDict) -> Result<()> {
    // Some programs leave the folder empty.
    if folder.locate(name, "out")?.is_none() {
        return Ok(());
    }
    let tensor = folder.tensor(name, name, DType::I64, Some(&[1]))?;
    if let Some(step) = tensor.bytes().first_chunk() {
        dict.describe(name, i64::from_le_bytes(*step).to_string());
    }
    Ok(())
}
