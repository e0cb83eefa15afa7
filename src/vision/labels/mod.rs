//! The names of a model's classes, from a file in one of the forms that such lists have, or built in.

mod json;
mod lines;
mod pbtxt;
mod python;

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::graph::Head;
use crate::{Error, Result, printable};

/// A label list of a million classes fits well; what is larger is some other file.
const MAX_BYTES: u64 = 64 << 20;

/// What the first label is called where a list counts what belongs to no class, as TensorFlow's lists do.
const BACKGROUND: [&str; 6] = ["background", "__background__", "_background_", "dummy", "none of the above", "???"];

/// What a column of labels is called.
const HEADERS: [&str; 10] =
    ["label", "labels", "class", "classes", "class name", "class_name", "name", "names", "category", "categories"];

/// The names of a model's classes, in the order of its outputs.
#[derive(Clone, Debug, Default)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "Vec<String>", into = "Vec<String>")
)]
pub struct Labels {
    names: Vec<String>,
    file: Option<PathBuf>,
    /// Whether there is one a line, the first for class 0.
    one_a_line: bool,
    notes: Vec<String>,
}

/// Labels are equal where their names are, wherever they come from.
impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Eq for Labels {}

/// The names of the classes, in order.
impl From<Vec<String>> for Labels {
    fn from(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }
}

impl From<Labels> for Vec<String> {
    fn from(labels: Labels) -> Self {
        labels.names
    }
}

impl IntoIterator for Labels {
    type Item = String;
    type IntoIter = std::vec::IntoIter<String>;

    fn into_iter(self) -> Self::IntoIter {
        self.names.into_iter()
    }
}

impl<'l> IntoIterator for &'l Labels {
    type Item = &'l String;
    type IntoIter = std::slice::Iter<'l, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.names.iter()
    }
}

/// What a file holds.
struct Parsed {
    names: Vec<String>,
    one_a_line: bool,
    /// What was left out, a clause each.
    notes: Vec<String>,
}

impl Parsed {
    fn numbered(names: Vec<String>) -> Self {
        Self { names, one_a_line: false, notes: Vec::new() }
    }
}

impl Labels {
    /// The names of the built-in lists, for [`built_in`](Self::built_in).
    pub const BUILT_IN: [&str; 3] = ["imagenet", "cifar10", "mnist"];

    /// Labels from names in the order of the model's outputs.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// The 1,000 classes of ImageNet (ILSVRC 2012) in torchvision's order, which sorts their WordNet ids.
    pub fn imagenet() -> Self {
        Self::from_lines(include_str!("../../../models/imagenet_labels.txt"))
    }

    /// The ten classes of CIFAR-10.
    pub fn cifar10() -> Self {
        Self::from_lines(include_str!("../../../models/cifar10_labels.txt"))
    }

    /// The ten digits of MNIST.
    pub fn mnist() -> Self {
        Self::from_lines(include_str!("../../../models/mnist_labels.txt"))
    }

    /// A built-in list by its name, in any case.
    pub fn built_in(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
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

    /// Reads labels from text in UTF-8, with or without a byte-order mark, or in UTF-16 with one:
    /// - one label a line, the first line for class 0; blank lines may stand only at the end. Lines may begin with the
    ///   number of their class (`0: tench`, `0,tench`, `0. tench`, `0 tench`, from 0 or 1 on in any order) or with a
    ///   WordNet id (`n01440764 tench, Tinca tinca`), or end with the number (`tench,0`, `tench 0`), which are no part of
    ///   the label. A number that only a blank sets off is part of it where the numbers do not count the classes, where
    ///   little else tells the labels apart, or where it stands last and the lines are in order (`class 1`);
    /// - such lines as a list of YAML's (`- tench`) or quoted with a comma (`"tench",`);
    /// - a JSON array of strings, or of objects, `{"id": 0, "name": "tench"}`, from 0 or 1 on;
    /// - a JSON object from class to label, `{"0": "tench"}`, or from label to class, `{"tench": 0}`;
    /// - Keras' class index, `{"0": ["n01440764", "tench"]}`, of which the second string is the label;
    /// - the `config.json` of Hugging Face's models, of which `id2label` counts;
    /// - such a list or object as Python writes it, `{0: 'tench'}`;
    /// - TensorFlow's label map, `item { id: 1 name: "tench" }`, from 0 or 1 on.
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
        let fault = |reason: String| Error::Usage(format!("{}: {reason}", printable::path(path)));
        let text = decoded(bytes).map_err(fault)?;
        let Parsed { names, one_a_line, notes } = parsed(&text).map_err(fault)?;
        let notes = notes.into_iter().map(|note| format!("{}: {note}", printable::path(path))).collect();
        Ok(Self { names, file: Some(path.to_owned()), one_a_line, notes })
    }

    /// These labels for a network of so many outputs, which are what `head` says. A first one more than there are classes
    /// that is called `background`, or as a column is, is left out, with a note.
    pub(crate) fn for_outputs(mut self, head: Head, outputs: usize) -> Result<Self> {
        let (classes, count) = (head.classes(outputs), self.len());
        let one_for_two = (outputs, classes, count) == (1, 2, 1);
        if count == classes || one_for_two {
            return Ok(self);
        }
        let origin = self.file.as_ref().map_or(String::new(), |file| format!("{}: ", printable::path(file)));
        let place = if self.one_a_line { "line 1" } else { "the first label" };
        let is_one_of = |words: &[&str], label: &str| words.contains(&label.trim().to_lowercase().as_str());
        if let Some(first) = self.names.first().filter(|_| count == classes + 1) {
            let background = is_one_of(&BACKGROUND, first);
            if background || is_one_of(&HEADERS, first) {
                let what = if background { "no class of the network's" } else { "a header" };
                self.notes.push(format!("{origin}{place}, \"{}\", is taken for {what} and left out", shown(first)));
                self.names.remove(0);
                return Ok(self);
            }
        }
        let hint = match self.names.first() {
            Some(first) if count == classes + 1 => {
                format!("; is {place}, \"{}\", a header or a background class?", shown(first))
            }
            _ if count + 1 == classes => "; does the network count a background class, which has no label?".to_owned(),
            _ if count == 1 && self.one_a_line => {
                "; a list in one line is not taken apart: labels are one a line, JSON, or a list or tuple of Python's"
                    .to_owned()
            }
            _ => String::new(),
        };
        let labels = if count == 1 { "is 1 label".to_owned() } else { format!("are {count} labels") };
        let plural = if classes == 1 { "" } else { "es" };
        let reason = format!("{origin}there {labels}, and the network has {classes} class{plural}{hint}");
        Err(Error::Usage(reason))
    }

    /// What was left out of the file, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
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

/// As much of a label as a message has room for.
fn shown(label: &str) -> Cow<'_, str> {
    printable::cut(label, 60)
}

/// The text of a file, without its byte-order mark.
fn decoded(bytes: &[u8]) -> Result<String, String> {
    let utf16 = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks(2).map(|pair| number([pair[0], *pair.get(1).unwrap_or(&0)])).collect();
        String::from_utf16(&units).map_err(|_| "it is not UTF-16 text, as its byte-order mark claims".to_owned())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("line {line} is not UTF-8 text; labels are one a line, or JSON")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

fn parsed(text: &str) -> Result<Parsed, String> {
    if let Some(literal) = python::literal(text) {
        return json::names(python::parse(literal)?).map(Parsed::numbered);
    }
    if json::is_json(text) {
        return json::parse(text).and_then(json::names).map(Parsed::numbered);
    }
    if pbtxt::is_label_map(text) {
        return pbtxt::names(text).map(Parsed::numbered);
    }
    if is_yaml_flow(text) {
        return Err("a list of YAML's in brackets is not read; labels are one a line, or JSON".to_owned());
    }
    lines::names(text)
}

/// Whether it is `names: [a, b]`.
fn is_yaml_flow(text: &str) -> bool {
    let text = text.trim();
    let value = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
    value.len() < text.len()
        && value.ends_with(']')
        && value.matches('[').count() == 1
        && value.strip_prefix(':').is_some_and(|value| value.trim_start().starts_with('['))
}

/// The labels in the order of their numbers, which must be 0 to n - 1, or where `from_1` may be, 1 to n.
fn in_order(numbered: Vec<(usize, String)>, from_1: bool) -> Result<Vec<String>, String> {
    let count = numbered.len();
    let first = usize::from(from_1 && count > 0 && numbered.iter().all(|(number, _)| *number > 0));
    let mut names = vec![None; count];
    let mut twice = String::new();
    for (number, name) in numbered {
        let Some(place) = number.checked_sub(first).and_then(|class| names.get_mut(class)) else {
            return Err(format!(
                "class {number} is too high for {count} labels; they are numbered from {first} without gaps"
            ));
        };
        if place.replace(name).is_some() {
            twice = format!(", and class {number} has two");
        }
    }
    let label = |(class, name): (usize, Option<String>)| {
        name.ok_or_else(|| format!("class {} has no label{twice}", class + first))
    };
    names.into_iter().enumerate().map(label).collect()
}
