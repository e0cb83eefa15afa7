//! OneFlow checkpoints: folders of raw parameters, described by their names, by text or by a pickle, and one pickle file.
//!
//! Four layouts, from the oldest to today's: a folder per parameter with `out` alone (the values; shapes were the
//! program's business), the same with `meta` beside it, a folder with `pickled_data` that names `tensor_N` folders, and
//! a single pickle with NumPy arrays. Source: what OneFlow 0.1 to 0.9 write (`oneflow/framework/check_point_v2.py`,
//! `VariableMetaInfo` of `oneflow/core/framework/variable_meta_info.proto`).

mod folder;
mod meta;
mod pickled;
mod snapshot;

pub(super) use folder::{TRAIN_STEP, layout};
pub(super) use pickled::{open_file, open_folder as open_pickled};
pub(super) use snapshot::{open as open_snapshot, slot_of};
