//! Keeps a slip of the keyboard from costing a picture or a checkpoint: results never replace what is read for them.

use crate::args::Args;
use crate::inputs;
use pretrained::sources::Identity;
use pretrained::{Error, Result, printable};
use regex::bytes::Regex;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the weights that are searched for names of further files: no protobuf is larger, and an index never so.
const SEARCHED: u64 = 1 << 31;

/// Refuses a file of results that is also one of the images, the weights, or the labels, by whatever path.
pub fn refuse(args: &Args) -> Result<()> {
    let Some(results) = args.results.as_deref() else { return Ok(()) };
    // Of what is no file, such as /dev/null, nothing is lost. What is not there yet cannot be read either.
    let Some(same) = results.is_file().then(|| Identity::of(results).ok()).flatten() else { return Ok(()) };
    let is = |path: &Path| Identity::of(path).is_ok_and(|other| other == same);
    let refused = |what: &str| {
        let results = printable::path(results);
        Err(Error::Usage(format!("-o {results}: is {what}, and results would replace it; name another file")))
    };
    let mut named = args.images.iter().chain(&args.image_path).chain(&args.files_from);
    if named.any(|path| path == Path::new("-")) && Identity::of_stdin().is_ok_and(|other| other == same) {
        return refused("what standard input (-) is read from");
    }
    if let Some(list) = args.files_from.iter().find(|list| is(list)) {
        return refused(&format!("a list of images, {}", printable::path(list)));
    }
    if let Some(path) = inputs::files(args).find(|path| is(path)) {
        return refused(&format!("one of the images, {}", printable::path(&path)));
    }
    if let Some(labels) = args.labels.as_deref().filter(|labels| is(labels)) {
        return refused(&format!("the file of labels, {}", printable::path(labels)));
    }
    let Some(weights) = args.weights.as_deref() else { return Ok(()) };
    let name = printable::path(weights);
    if is(weights) {
        return refused(&format!("the file of weights, {name}"));
    }
    if weights.is_dir() && lies_in(results, &same, weights) {
        return refused(&format!("in the folder of weights, {name}"));
    }
    if weights.is_file() && names(weights, results).unwrap_or(false) {
        return refused(&format!("a file that the weights name, {name}"));
    }
    Ok(())
}

/// Whether the file at `path` is in or below `folder`, or a link in there leads to it.
fn lies_in(path: &Path, same: &Identity, folder: &Path) -> bool {
    let below = || Some(path.canonicalize().ok()?.starts_with(folder.canonicalize().ok()?));
    let entries = || fs::read_dir(folder).into_iter().flatten().flatten();
    below().unwrap_or(false) || entries().any(|entry| Identity::of(entry.path()).is_ok_and(|other| other == *same))
}

/// Whether the file of `weights` names the one at `path`, in its own folder or below, as an ONNX graph names its data and
/// an index its parts.
fn names(weights: &Path, path: &Path) -> io::Result<bool> {
    let (weights, path) = (weights.canonicalize()?, path.canonicalize()?);
    let (Some(folder), Some(name)) = (weights.parent(), path.file_name()) else { return Ok(false) };
    let Some(name) = name.to_str().filter(|_| path.starts_with(folder)) else { return Ok(false) };
    // Before a name stands a quote, its folder, or, in a protobuf, its length.
    let length = u8::try_from(name.len()).unwrap_or(b'/');
    let pattern = format!(r#"(?-u:["'/]|\x{length:02x}){}"#, regex::escape(name));
    let pattern = Regex::new(&pattern).map_err(io::Error::other)?;
    let mut file = File::open(&weights)?.take(SEARCHED);
    let mut window = Vec::new();
    loop {
        if file.by_ref().take(1 << 20).read_to_end(&mut window)? == 0 {
            return Ok(false);
        }
        if pattern.is_match(&window) {
            return Ok(true);
        }
        // A name may lie across two pieces.
        window.drain(..window.len().saturating_sub(name.len()));
    }
}
