//! Writes OneFlow's snapshot: `NAME/out` (the raw elements) and `NAME/meta` (a text protobuf), then `snapshot_done`.

use super::{Named, fault, short};
use crate::checkpoint::oneflow;
use crate::error::{Error, Result};
use crate::file::atomic::{Replaceable, sync_folder, synced};
use crate::tensor::{DType, Tensor};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

/// Its presence says that the snapshot is complete.
const DONE: &str = "snapshot_done";

/// What a snapshot may be written in the place of.
pub(super) const REPLACEABLE: Replaceable = Replaceable { kind: "a OneFlow snapshot", sign: DONE };

/// Refuses what would not be read back as it is: names that are not a plain name of a folder, or that mean something
/// else in a snapshot, and no tensors at all.
pub(super) fn check(path: &Path, tensors: &[Named]) -> Result<()> {
    if tensors.is_empty() {
        return Err(Error::unwritable(
            path,
            "would be a OneFlow snapshot without parameters, which cannot be told from an \
                                           empty folder; write another format",
        ));
    }
    let names: HashSet<&str> = tensors.iter().map(|(name, _)| *name).collect();
    for (name, _) in tensors {
        let parameter = oneflow::slot_of(name).find(|parameter| names.contains(parameter));
        let why = match *name {
            "" => "is empty".to_owned(),
            "." | ".." => "is the folder itself, or the one above it".into(),
            DONE => "is what OneFlow marks a complete snapshot with".into(),
            // Backslash and colon lead out of the folder on Windows.
            _ if name.contains(['/', '\\', ':', '\0']) => "has a slash, backslash, colon or zero byte".into(),
            _ if cfg!(windows) && is_changed_by_windows(name) => {
                "ends with a dot or a space, or is a device's, all of which Windows changes".into()
            }
            _ if name.starts_with(oneflow::TRAIN_STEP) => "is that of OneFlow's counter of steps".into(),
            _ => match parameter {
                Some(parameter) => format!("is that of what an optimizer keeps for `{}`", short(parameter)),
                None => continue,
            },
        };
        let advice = "a OneFlow snapshot has a folder of that name for it; rename it, or write another format";
        return Err(fault(path, name, format!("its name {why}, and {advice}")));
    }
    Ok(())
}

/// Whether Windows would take another name for it without a word. What else it cannot keep it refuses.
fn is_changed_by_windows(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_lowercase();
    let is_numbered = |device: &str| {
        let number = stem.strip_prefix(device).filter(|rest| rest.chars().count() == 1);
        number.is_some_and(|number| number.contains(|c: char| c.is_ascii_digit() || "¹²³".contains(c)))
    };
    name.ends_with(['.', ' '])
        || DEVICES[..4].contains(&&*stem)
        || DEVICES[4..].iter().any(|device| is_numbered(device))
}

/// Writes `tensors` into the folder at `path`. Errors name the parameter.
pub(super) fn write(path: &Path, tensors: &[Named]) -> io::Result<()> {
    for (name, tensor) in tensors {
        let folder = path.join(name);
        let written = fs::create_dir(&folder)
            .and_then(|()| synced(&folder.join("meta"), meta(tensor).as_bytes()))
            .and_then(|()| synced(&folder.join("out"), tensor.bytes()))
            .and_then(|()| sync_folder(&folder));
        written.map_err(|error| io::Error::new(error.kind(), format!("tensor `{}`: {error}", super::short(name))))?;
    }
    synced(&path.join(DONE), b"")
}

fn meta(tensor: &Tensor) -> String {
    let dims: String = tensor.shape().iter().map(|dim| format!("  dim: {dim}\n")).collect();
    format!("shape {{\n{dims}}}\ndata_type: {}\n", data_type(tensor.dtype()))
}

/// The name in OneFlow's `data_type.proto`.
fn data_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "kDouble",
        DType::F32 => "kFloat",
        DType::F16 => "kFloat16",
        DType::BF16 => "kBFloat16",
        DType::I64 => "kInt64",
        DType::I32 => "kInt32",
        DType::I16 => "kInt16",
        DType::I8 => "kInt8",
        DType::U64 => "kUInt64",
        DType::U32 => "kUInt32",
        DType::U16 => "kUInt16",
        DType::U8 => "kUInt8",
        DType::Bool => "kBool",
    }
}

#[cfg(test)]
mod tests {
    use super::is_changed_by_windows;

    #[test]
    fn names_that_windows_changes_are_known() {
        for name in ["a.", "a ", "CON", "nul.weight", "com1", "Lpt9.x", "COM²"] {
            assert!(is_changed_by_windows(name), "{name}");
        }
        for name in ["a", "a.b", "cons", "com", "com10", "comx", "fc.weight"] {
            assert!(!is_changed_by_windows(name), "{name}");
        }
    }
}
