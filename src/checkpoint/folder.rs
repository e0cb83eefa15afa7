//! Tells what a folder holds: one checkpoint, one that goes before others, or what has to be done with it first.

use super::listing::Listing;
use super::source::short;
use super::{Format, deepspeed, oneflow, run};
use crate::error::{Error, Result};
use crate::file::directory::Directory;
use crate::file::enclosure::Enclosure;
use crate::printable;
use std::path::Path;

/// What a folder holds.
pub(super) enum Content {
    /// One checkpoint, in one of OneFlow's layouts.
    OneFlow(Format),
    /// The file of this name, from the folder on, and a note on why it was taken.
    File { name: String, note: Option<String> },
}

/// Files that Hugging Face's libraries and timm save a model in, in the order in which `from_pretrained` looks for
/// them, with the indexes of those that are split.
const MODELS: [&str; 10] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
];

/// What the name of an index ends with.
const INDEX: &str = ".index.json";

/// What `directory` holds, or an error that says why that cannot be told.
pub(super) fn content(directory: &Directory, enclosure: &Enclosure) -> Result<Content> {
    let path = directory.path();
    let listing = Listing::of(directory)?;
    let layout = oneflow::layout(directory, &listing.entries);
    let model = model(path, &listing)?;
    let newest = run::newest(path, &listing.entries)?;
    match (layout, model, newest) {
        (Some(format), None, None) => Ok(Content::OneFlow(format)),
        (None, Some((name, note)), None) => Ok(Content::File { name: name.to_owned(), note }),
        (None, None, Some(run::Newest { name, of })) => {
            let why = match of {
                1 => "the only checkpoint in the folder".to_owned(),
                _ => format!("the newest by run, epoch and step of {of} checkpoints in the folder"),
            };
            let note = Some(format!("took {}, {why}", short(&name)));
            Ok(Content::File { name, note })
        }
        (None, None, None) => match deepspeed::states(path, &listing, enclosure)? {
            Some(name) => {
                let note = Some(format!("took {}, of a DeepSpeed checkpoint", short(&name)));
                Ok(Content::File { name, note })
            }
            None => Err(Error::foreign(path, unread(directory, &listing))),
        },
        (layout, model, newest) => {
            let layout = layout.map(|format| format.to_string());
            let files = [model.map(|(name, _)| name.to_owned()), newest.map(|newest| newest.name)];
            let found: Vec<String> = layout.into_iter().chain(files.into_iter().flatten()).collect();
            Err(Error::foreign(
                path,
                format!(
                    "holds checkpoints of several kinds ({}); give the file that is meant, or a folder of one kind",
                    short(&found.join(", "))
                ),
            ))
        }
    }
}

/// The model among the files of a download or a training, and a note where it is not the only one.
fn model<'a>(path: &Path, listing: &'a Listing) -> Result<Option<(&'a str, Option<String>)>> {
    let known: Vec<&str> = MODELS.into_iter().filter(|name| listing.has(name)).collect();
    let others: Vec<&str> = listing.ending(INDEX).filter(|name| !MODELS.contains(name)).collect();
    let foreign: Vec<&str> = others.iter().copied().filter(|name| !is_variant(name)).collect();
    if foreign.len() + usize::from(!known.is_empty()) > 1 || known.is_empty() && others.len() > 1 {
        let all: Vec<&str> = listing.ending(INDEX).collect();
        let (first, second) = (all.first().unwrap_or(&""), all.get(1).or(known.first()).unwrap_or(&""));
        return Err(Error::foreign(
            path,
            format!("holds several indexes or models, {} and {}; give one of them", short(first), short(second)),
        ));
    }
    let mut all = listing.files.iter().map(String::as_str);
    let Some(first) = known.first().or(others.first()).and_then(|first| all.find(|name| name == first)) else {
        return Ok(None);
    };
    let rest: Vec<&str> = known.into_iter().chain(others).filter(|name| *name != first).collect();
    let note = match (&rest[..], first.ends_with(INDEX)) {
        ([], true) => None,
        ([], false) => Some(format!("took {}", short(first))),
        (rest, _) => Some(format!("took {}, which goes before {}, also there", short(first), short(&rest.join(", ")))),
    };
    Ok(Some((first, note)))
}

/// Whether the name is that of a variant, such as `model.fp16.safetensors.index.json`, which is only ever asked for by
/// its name.
fn is_variant(name: &str) -> bool {
    MODELS.iter().any(|model| {
        let Some((stem, end)) = model.split_once('.') else { return false };
        let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
        rest.and_then(|rest| rest.strip_suffix(end)).is_some_and(|variant| variant.ends_with('.'))
    })
}

/// Ends of the names of files that may be a checkpoint.
const CHECKPOINTS: [&str; 9] = [".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".onnx", ".mindir", ".th", ".pth.tar"];

/// Beginnings of the names of what a training keeps beside its model.
const TRAINING: [&str; 6] = ["optimizer", "scheduler", "rng_state", "random_states", "training_args", "scaler"];

/// What a folder is that is no checkpoint, and what to do.
fn unread(directory: &Directory, listing: &Listing) -> String {
    let path = directory.path();
    let shown = |name: &str| printable::path(&path.join(name));
    let is_distributed = |directory: &Directory| {
        directory.is_file(".metadata") && (directory.is_file("__0_0.distcp") || distributed(directory))
    };
    if is_distributed(directory) || listing.ending(".distcp").next().is_some() {
        return distributed_reason(&printable::path(path));
    }
    if let Some(folder) = listing.folders.iter().find(|folder| is_distributed(&directory.folder(folder))) {
        return format!("holds a folder `{}`, which {}", short(folder), distributed_reason(&shown(folder)));
    }
    let unpacked = |directory: &Directory| directory.is_file("data.pkl") && directory.is_folder("data");
    let inner = listing.folders.iter().find(|folder| unpacked(&directory.folder(folder)));
    if unpacked(directory) || inner.is_some() {
        let within = inner.map_or_else(String::new, |folder| format!(", in {}", short(folder)));
        return format!(
            "is a PyTorch checkpoint that was unpacked like a zip archive{within}; download it anew without unpacking \
             it, or pack the folder that holds data.pkl again, without compression: zip -0 -r model.pth FOLDER"
        );
    }
    if listing.has("saved_model.pb") {
        return "is a SavedModel of TensorFlow, which is not read; export it to ONNX with tf2onnx, and give that"
            .into();
    }
    if listing.has("Manifest.json") && listing.folders.iter().any(|folder| folder == "Data") {
        return "is a Core ML package, which is not read; give the checkpoint that it was converted from".into();
    }
    let weights = |name: &&str| name.strip_suffix(".xml").is_some_and(|stem| listing.has(&format!("{stem}.bin")));
    if let Some(xml) = listing.ending(".xml").find(weights) {
        return format!(
            "holds an OpenVINO model ({}), which is not read; give the model that it was converted from",
            short(xml)
        );
    }
    let steps = listing.folders.iter().filter_map(|name| {
        let step: u64 = name.strip_prefix("checkpoint-")?.parse().ok()?;
        Some((step, name))
    });
    if let Some((_, newest)) = steps.max() {
        return format!("holds the checkpoints of a training, each in a folder; give one, such as {}", shown(newest));
    }
    let candidates: Vec<&String> = listing.files.iter().filter(|name| is_candidate(name)).collect();
    match candidates.first() {
        Some(first) => format!(
            "is a folder without *.index.json, PREFIX-EPOCH_STEP.ckpt, model.safetensors, pytorch_model.bin or a OneFlow \
             snapshot; give a file, such as {}",
            shown(first)
        ),
        None => format!(
            "is a folder that holds no checkpoint: no *.index.json, PREFIX-EPOCH_STEP.ckpt, model.safetensors, \
             pytorch_model.bin or OneFlow snapshot{}; give the file itself",
            contents(listing)
        ),
    }
}

fn is_candidate(name: &str) -> bool {
    let training = TRAINING.iter().any(|start| name.starts_with(start));
    !name.starts_with('.') && !training && CHECKPOINTS.iter().any(|end| name.ends_with(end))
}

/// Whether `directory` has a shard of PyTorch's distributed checkpoints.
fn distributed(directory: &Directory) -> bool {
    Listing::of(directory).is_ok_and(|listing| listing.ending(".distcp").next().is_some())
}

fn distributed_reason(path: &str) -> String {
    format!(
        "is a distributed checkpoint of PyTorch (DCP), which is not read; make one file of it: python -m \
         torch.distributed.checkpoint.format_utils dcp_to_torch {path} model.pth"
    )
}

/// What there is instead, in a few names.
fn contents(listing: &Listing) -> String {
    const SHOWN: usize = 4;
    let all = listing.files.iter().chain(&listing.folders);
    let names: Vec<String> = all.take(SHOWN).map(|name| short(name)).collect();
    match (names.len(), (listing.files.len() + listing.folders.len()).saturating_sub(SHOWN)) {
        (0, _) => ", and nothing else".into(),
        (_, 0) => format!(", only {}", names.join(", ")),
        (_, more) => format!(", only {} and {more} more", names.join(", ")),
    }
}
