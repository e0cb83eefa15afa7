//! The names of a model's classes, from a text or JSON file or built in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::{Error, Result};

/// A label list of a million classes fits well; what is larger is some other file.
const MAX_BYTES: u64 = 64 << 20;

/// The names of a model's classes, in the order of its outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
}

impl Labels {
    /// The names of the built-in lists, for [`built_in`](Self::built_in).
    pub const BUILT_IN: [&str; 3] = ["imagenet", "cifar10", "mnist"];

    /// Labels from names in the order of the model's outputs.
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The 1,000 classes of ImageNet (ILSVRC 2012) in torchvision's order, which sorts their WordNet ids.
    pub fn imagenet() -> Self {
        Self::from_lines(include_str!("../../models/imagenet_labels.txt"))
    }

    /// The ten classes of CIFAR-10.
    pub fn cifar10() -> Self {
        Self::from_lines(include_str!("../../models/cifar10_labels.txt"))
    }

    /// The ten digits of MNIST.
    pub fn mnist() -> Self {
        Self::from_lines(include_str!("../../models/mnist_labels.txt"))
    }

    /// A built-in list by its name.
    pub fn built_in(name: &str) -> Option<Self> {
        match name {
            "imagenet" => Some(Self::imagenet()),
            "cifar10" => Some(Self::cifar10()),
            "mnist" => Some(Self::mnist()),
            _ => None,
        }
    }

    fn from_lines(text: &str) -> Self {
        Self::new(text.lines().map(str::to_owned).collect())
    }

    /// Reads a labels file; see [`parse`](Self::parse) for its forms.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Limit`] over 64 MiB, and [`parse`](Self::parse)'s.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|source| Error::io(path, source))?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|source| Error::io(path, source))?;
        Self::parse(path, &bytes)
    }

    /// Reads labels from UTF-8 text, with or without a byte-order mark:
    /// - one label a line, the first line for class 0; blank lines may stand only at the end;
    /// - a JSON array of strings;
    /// - a JSON object from class to label, `{"0": "tench"}`;
    /// - Keras' class index, `{"0": ["n01440764", "tench"]}`, of which the second string is the label.
    ///
    /// # Errors
    /// [`Error::Usage`] that names `path` and the line or class at fault; [`Error::Limit`] over 64 MiB.
    pub fn parse(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        let path = path.as_ref();
        let found = bytes.len() as u64;
        if found > MAX_BYTES {
            let what = "the labels file in bytes".to_owned();
            return Err(Error::Limit { path: path.to_owned(), what, found, limit: MAX_BYTES });
        }
        let fault = |reason: String| Error::Usage(format!("{}: {reason}", path.display()));
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            fault(format!("line {line} is not UTF-8 text; labels are one a line, or JSON"))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let names = if is_json(text) { json_names(text) } else { line_names(text) };
        Ok(Self { names: names.map_err(fault)? })
    }

    /// The label of class number `class`.
    pub fn get(&self, class: usize) -> Option<&str> {
        self.names.get(class).map(String::as_str)
    }

    /// How many classes have a label.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The labels in the order of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// A label may begin with a bracket, so an array counts as one only if a string or its end follows.
fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('{') || text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', ']']))
}

fn line_names(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim_end();
    if text.is_empty() {
        return Err("there is no label in it".to_owned());
    }
    let mut names = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let name = line.trim();
        if name.is_empty() {
            return Err(format!("line {} is blank; class {index} needs a label", index + 1));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Json {
    List(Vec<String>),
    ByClass(BTreeMap<String, Name>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Plain(String),
    Keras([String; 2]),
}

fn json_names(text: &str) -> Result<Vec<String>, String> {
    // In two steps, because an untagged enum would not tell the line and column of a fault.
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("damaged JSON: {error}"))?;
    let expected = r#"labels as JSON are ["tench", ...], {"0": "tench", ...} or {"0": ["n01440764", "tench"], ...}"#;
    let by_class = match Json::deserialize(value) {
        Ok(Json::List(names)) if names.is_empty() => return Err("there is no label in it".to_owned()),
        Ok(Json::List(names)) => return Ok(names),
        Ok(Json::ByClass(by_class)) if by_class.is_empty() => return Err("there is no label in it".to_owned()),
        Ok(Json::ByClass(by_class)) => by_class,
        Err(_) => return Err(format!("{expected}; this is something else")),
    };
    let count = by_class.len();
    let mut names = vec![None; count];
    for (key, name) in by_class {
        let class: usize = key.trim().parse().map_err(|_| format!("{key:?} is no class number; {expected}"))?;
        let Some(place) = names.get_mut(class) else {
            return Err(format!("class {class} is too high for {count} labels; they are numbered from 0 without gaps"));
        };
        let (Name::Plain(name) | Name::Keras([_, name])) = name;
        *place = Some(name);
    }
    let label = |(class, name): (usize, Option<String>)| name.ok_or_else(|| format!("class {class} has no label"));
    names.into_iter().enumerate().map(label).collect()
}
