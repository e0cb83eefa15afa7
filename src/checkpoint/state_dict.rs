//! The state dict: what every checkpoint becomes, an ordered map from parameter name to tensor.

use super::onnx::OnnxGraph;
use super::{Format, Limits, ModuleTree};
use crate::error::Result;
use crate::file::Files;
use crate::printable;
use crate::tensor::Tensor;
use bytes::Bytes;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An ordered map from parameter name to tensor, as PyTorch means it.
///
/// Iteration follows the file. Tensors are slices of the file's bytes, mapped into memory or read into it as
/// [`Limits::map_from_bytes`] has it; cloning copies none of them.
#[derive(Debug, Clone, Default)]
pub struct StateDict {
    tensors: IndexMap<String, Tensor>,
    metadata: IndexMap<String, String>,
    optimizer: IndexMap<String, Tensor>,
    notes: Vec<String>,
    left_out: IndexMap<String, String>,
    format: Option<Format>,
    path: Option<PathBuf>,
    shapes_unknown: bool,
    graph: Option<Arc<OnnxGraph>>,
    modules: Option<Arc<ModuleTree>>,
}

/// What becomes of a tensor in [`StateDict::replace`].
pub(super) enum Replacement {
    /// It stays.
    Same,
    /// Another of a new name stands in its place.
    By(String, Tensor),
    /// It goes.
    Nothing,
}

impl StateDict {
    /// An empty state dict that comes from no file.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty state dict to be filled from `path`.
    pub(super) fn of(format: Format, path: &Path) -> Self {
        Self { format: Some(format), path: Some(path.to_owned()), ..Self::default() }
    }

    /// Opens the checkpoint at `path`, a file or a folder, whatever its extension, under the default [`Limits`].
    ///
    /// Of a folder of checkpoints that training runs saved (`PREFIX[_RUN]-EPOCH_STEP.ckpt`, as MindSpore and
    /// [`Checkpoints`](crate::Checkpoints) name them) the newest is taken, by run, epoch and step, and a note says which.
    /// Of a folder in which Hugging Face's libraries saved a model, the file that they would load is taken, and of one
    /// of DeepSpeed's the newest states.
    ///
    /// A `path` that is a link is followed. What the content names (shards, external data), and what lies in a folder,
    /// may be anybody's, and stays in the folder of `path`, in that of the file which `path` resolves to, or in the
    /// store that Hugging Face's cache links to; a link or a name that leads elsewhere is an error.
    ///
    /// Larger files are mapped into memory, so they must not be written in place while tensors of theirs live; see
    /// [`Limits::map_from_bytes`]. Checksums of zip entries are not compared, as `torch.load` does not either.
    ///
    /// # Errors
    /// [`Error::Checkpoint`](crate::Error::Checkpoint) for what is damaged, refused or in no format that is read,
    /// [`Error::Limit`](crate::Error::Limit) for what asks for too much memory, and
    /// [`Error::Io`](crate::Error::Io) where the system does not let the file be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &Limits::default())
    }

    /// As [`open`](Self::open), under `limits`.
    pub fn open_with(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        super::open(path.as_ref(), limits)
    }

    /// Reads a checkpoint that is in memory; errors call it `name`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(name: impl AsRef<Path>, bytes: impl Into<Bytes>, limits: &Limits) -> Result<Self> {
        super::open_bytes(name.as_ref(), bytes.into(), limits)
    }

    /// Opens the checkpoint called `name` among `files`, a file or a folder as [`open`](Self::open) takes them; an empty
    /// name is the folder of all files. What the content names is looked up among the files, wherever they are: shards
    /// and external data are found in memory and in archives as they are on disk.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Checkpoint`](crate::Error::Checkpoint) for a name that leads out of the
    /// files. What a zip archive has compressed may take [`Limits::expanded_bytes`] in all.
    pub fn from_files(files: &Files, name: &str, limits: &Limits) -> Result<Self> {
        super::open_files(files, name, limits)
    }

    /// The format of the file; `None` for a state dict that was built in memory.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// The file or folder that was opened, of a folder of checkpoints the file; `None` for a state dict that was built in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What to call it in an error: its path, or that it has none.
    pub(crate) fn origin(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new("state dict in memory"))
    }

    /// What the file says beside its tensors: `__metadata__` of safetensors, and the numbers and strings (`epoch`,
    /// `loss`) of a training checkpoint.
    pub fn metadata(&self) -> &IndexMap<String, String> {
        &self.metadata
    }

    /// What the optimizer kept beside the parameters (moments, accumulators), under the file's names, such as
    /// `state.0.exp_avg`, and in its order. They are no parameters: no other method counts or finds them.
    pub fn optimizer(&self) -> &IndexMap<String, Tensor> {
        &self.optimizer
    }

    /// Sentences on what reading chose to do: which key the state dict was under, what was left out, which prefix was
    /// taken off.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the file has under names that are no tensors here, each with the reason, a clause about "it": tensors of
    /// kinds that are not read, such as quantised ones, and what is no tensor at all. Nothing needs these until a
    /// network asks for one of them; then the error says why it is missing.
    pub fn left_out(&self) -> &IndexMap<String, String> {
        &self.left_out
    }

    /// Whether the tensors have the shapes that they were saved with. OneFlow's oldest layout keeps none: there every
    /// tensor is flat, `[n]`, and matching takes the shape of the network's parameter of as many elements.
    pub fn shapes_known(&self) -> bool {
        !self.shapes_unknown
    }

    /// The same tensors as if they came from the file of `other`, so that errors name it.
    pub(crate) fn at_origin_of(self, other: &Self) -> Self {
        Self { path: other.path.clone(), format: other.format, ..self }
    }

    /// The same tensors as a part of `other`: in its file, with shapes or without as there.
    pub(crate) fn described_as(self, other: &Self) -> Self {
        Self { shapes_unknown: other.shapes_unknown, ..self.at_origin_of(other) }
    }

    /// The operators that the file holds beside its tensors; only ONNX's are kept.
    pub(crate) fn graph(&self) -> Option<&OnnxGraph> {
        self.graph.as_deref()
    }

    pub(super) fn set_graph(&mut self, graph: OnnxGraph) {
        self.graph = Some(Arc::new(graph));
    }

    /// The modules of a model that was saved whole by `torch.save(model)` or `torch.jit.save`; `None` of any other file.
    pub fn modules(&self) -> Option<&ModuleTree> {
        self.modules.as_deref()
    }

    /// How many tensors there are.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Whether there is a tensor called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The names, in the file's order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Names and tensors, in the file's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Adds `tensor` at the end, or puts it in the place of the one called `name`, which is returned.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        self.tensors.insert(name.into(), tensor)
    }

    pub(super) fn set_format(&mut self, format: Format) {
        self.format = Some(format);
    }

    pub(super) fn forget_shapes(&mut self) {
        self.shapes_unknown = true;
    }

    /// The same with other names: `rename` gives the new name for an old one, of the tensors and then of what was left out,
    /// in their order.
    pub(super) fn renamed(&self, mut rename: impl FnMut(&str) -> String) -> Self {
        let names: IndexMap<&str, String> = self.names().map(|name| (name, rename(name))).collect();
        let tensors: IndexMap<_, _> = self.iter().map(|(name, tensor)| (names[name].clone(), tensor.clone())).collect();
        // Modules go by the file's names.
        let modules = self.modules.clone().filter(|_| tensors.keys().eq(self.tensors.keys()));
        let left_out = self.left_out.iter().map(|(name, reason)| (rename(name), reason.clone())).collect();
        let mut renamed = Self { tensors, modules, left_out, ..self.clone() };
        renamed.rename_in_graph(|name| names.get(name).cloned());
        renamed
    }

    /// Lets the graph know its initializers by their new names.
    fn rename_in_graph(&mut self, rename: impl Fn(&str) -> Option<String>) {
        if let Some(graph) = &mut self.graph {
            Arc::make_mut(graph).rename(|name| rename(name).unwrap_or_else(|| name.to_owned()));
        }
    }

    pub(super) fn describe(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.insert(key.into(), value.into());
    }

    /// Puts others in the place of some tensors.
    pub(super) fn replace(&mut self, mut with: impl FnMut(&str) -> Replacement) {
        let mut tensors = IndexMap::with_capacity(self.tensors.len());
        let mut changes = HashMap::new();
        for (name, tensor) in std::mem::take(&mut self.tensors) {
            match with(&name) {
                Replacement::Same => {
                    tensors.insert(name, tensor);
                }
                Replacement::By(new, tensor) => {
                    tensors.insert(new.clone(), tensor);
                    changes.insert(name, Some(new));
                }
                Replacement::Nothing => {
                    changes.insert(name, None);
                }
            }
        }
        self.tensors = tensors;
        if let Some(modules) = &mut self.modules {
            Arc::make_mut(modules).replace_parameters(&changes);
        }
    }

    /// Remembers that the file has something called `name` that is no tensor here.
    pub(super) fn leave_out(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.left_out.insert(name.into(), reason.into());
    }

    pub(super) fn insert_optimizer(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.optimizer.insert(name.into(), tensor);
    }

    pub(super) fn modules_mut(&mut self) -> Option<&mut ModuleTree> {
        self.modules.as_mut().map(Arc::make_mut)
    }

    pub(super) fn keep_modules(&mut self, modules: ModuleTree) {
        self.modules = Some(Arc::new(modules));
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(printable::line(&note.into()).into_owned());
    }

    /// Takes `prefix` off every name, where every name has it and something remains.
    pub(super) fn strip_prefix(&mut self, prefix: &str) {
        let fits = |name: &String| name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
        if self.is_empty() || !self.tensors.keys().all(fits) {
            return;
        }
        let stripped = std::mem::take(&mut self.tensors).into_iter();
        self.tensors = stripped.map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect();
        let left_out = std::mem::take(&mut self.left_out).into_iter();
        let strip = |name: String| name.strip_prefix(prefix).map(str::to_owned).unwrap_or(name);
        self.left_out = left_out.map(|(name, reason)| (strip(name), reason)).collect();
        self.rename_in_graph(|name| name.strip_prefix(prefix).map(str::to_owned));
        if let Some(modules) = &mut self.modules {
            Arc::make_mut(modules).strip_prefix(prefix);
        }
        self.note(format!("took `{prefix}` off every name"));
    }
}

/// Names and tensors, in the file's order.
impl IntoIterator for StateDict {
    type Item = (String, Tensor);
    type IntoIter = indexmap::map::IntoIter<String, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

impl<N: Into<String>> FromIterator<(N, Tensor)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (N, Tensor)>>(tensors: I) -> Self {
        let tensors = tensors.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect();
        Self { tensors, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> StateDict {
        names.iter().map(|&name| (name, Tensor::from_f32(&[1], &[1.0]).unwrap())).collect()
    }

    #[test]
    fn order_is_that_of_insertion() {
        let mut dict = named(&["z", "a", "m"]);
        assert_eq!(dict.names().collect::<Vec<_>>(), ["z", "a", "m"]);
        let two = Tensor::from_f32(&[1], &[2.0]).unwrap();
        assert!(dict.insert("a", two.clone()).is_some());
        assert_eq!(dict.names().collect::<Vec<_>>(), ["z", "a", "m"]);
        assert_eq!(dict.get("a"), Some(&two));
        assert_eq!((dict.len(), dict.format(), dict.path()), (3, None, None));
    }

    #[test]
    fn a_prefix_goes_off_what_was_left_out() {
        let mut dict = named(&["module.a"]);
        dict.leave_out("module.b", "it is sparse");
        dict.leave_out("epoch", "it is a dict");
        dict.strip_prefix("module.");
        assert_eq!(dict.left_out().keys().collect::<Vec<_>>(), ["b", "epoch"]);
    }

    #[test]
    fn a_prefix_goes_only_where_every_name_has_it() {
        let mut all = named(&["module.a", "module.b"]);
        all.strip_prefix("module.");
        assert_eq!(all.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(all.notes(), ["took `module.` off every name"]);
        for names in [["module.a", "b"], ["module.a", "module."]] {
            let mut dict = named(&names);
            dict.strip_prefix("module.");
            assert_eq!(dict.names().collect::<Vec<_>>(), names);
            assert!(dict.notes().is_empty());
        }
    }
}
