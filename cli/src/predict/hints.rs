//! What to do about an error, in the words of the command line, which the library does not know.

use crate::args::Args;
use crate::device;
use crate::inputs::Inputs;
use crate::parts;
use pretrained::pipeline::Source;
use pretrained::sources::{checkpoint, is_picture};
use pretrained::vision::{self, Limits};
use pretrained::{Error, Limits as ReadLimits, StateDict, import, printable};
use std::path::Path;

/// The commands of `pretrained`, which people look for here.
const TOOLS: [&str; 7] = ["bench", "convert", "devices", "diff", "export", "inspect", "verify"];

/// The ways out of `error`, a sentence each.
pub fn of(error: &Error, args: &Args) -> Vec<String> {
    let weights = args.weights.as_deref();
    let hint = match (error, weights) {
        (Error::Download { .. }, _) => Some("--weights FILE takes a file that you have".to_owned()),
        (Error::Mismatch { path, .. } | Error::Checkpoint { path, .. }, Some(weights)) => {
            of_weights(path, weights, args)
        }
        (Error::Ambiguous { prefixes, .. }, _) => parts::hint(prefixes),
        (Error::Device { .. }, _) => device::hint(&args.device),
        _ => None,
    };
    hint.into_iter().collect()
}

/// The way out where the weights are sound and of no known network, or a picture.
fn of_weights(path: &Path, weights: &Path, args: &Args) -> Option<String> {
    let name = printable::path(weights);
    // A second look costs little, also at a file that was refused for what it takes.
    let limits = ReadLimits { expanded_bytes: 16 << 20, ..ReadLimits::default() };
    let state = StateDict::open_with(weights, &limits).ok();
    if state.as_ref().is_some_and(|state| args.output.is_none() && import::outputs(state).len() > 1) {
        return Some("--output NAME chooses one of several".to_owned());
    }
    // A pipe or a device is never read: it may have no end, or no beginning.
    let regular = path.metadata().is_ok_and(|kind| kind.is_file());
    if regular && vision::decode_file(path, &Limits::default()).is_ok() {
        return Some(format!("pictures go without a flag: predict {name}"));
    }
    state.map(|_| format!("`pretrained inspect {name}` lists what it holds"))
}

/// An error where the first argument is the name of a command instead of an image, or where a checkpoint is given as an
/// image and would be passed over by the shipped model.
pub fn misplaced(args: &Args, inputs: &Inputs) -> Option<Error> {
    let first = args.images.first().filter(|path| !path.exists()).and_then(|path| path.to_str());
    if let Some(tool) = TOOLS.iter().find(|tool| first == Some(*tool)) {
        let usage =
            format!("`{tool}` is a command of the other program: pretrained {tool} (see pretrained {tool} --help)");
        return Some(Error::Usage(usage));
    }
    if args.model.is_some() || args.weights.is_some() {
        return None;
    }
    let files = inputs.first.iter().map(Source::name).filter(|path| !is_picture(path));
    let (path, what) = files.filter_map(|path| Some((path, seems_a_checkpoint(path)?))).next()?;
    let reason = format!("{what}, not an image; give it as --weights {}", printable::path(path));
    Some(Error::image(path, reason))
}

/// What a file or folder is, if it is a checkpoint by its content, or by its name and no image.
fn seems_a_checkpoint(path: &Path) -> Option<String> {
    const EXTENSIONS: [&str; 9] = ["pth", "pt", "safetensors", "ckpt", "onnx", "bin", "mindir", "t7", "pkl"];
    if let Some(format) = checkpoint(path) {
        return Some(format!("is a checkpoint ({format})"));
    }
    let named = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let by_name = path.is_file() && named.is_some_and(|named| EXTENSIONS.contains(&named.as_str()));
    let no_image = || vision::decode_file(path, &Limits::default()).is_err();
    (by_name && no_image()).then(|| "looks like a checkpoint".to_owned())
}
