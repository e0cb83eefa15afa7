//! Writes results: lines of text, JSON, JSON Lines, or CSV.
//!
//! A file's name may be no Unicode and may hold anything. Text and CSV have its bytes; text escapes what would not stay on
//! its line, and on a terminal both escape what could steer it. JSON has it with `U+FFFD` in the place of what is no
//! Unicode, and then its bytes in a field of their own.

use crate::args::Format;
use crate::console::{Result, Sink};
use crate::json;
use pretrained::{Error, Prediction, printable};
use serde::Serialize;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// What became of one image.
pub struct Outcome<'a> {
    pub image: &'a Path,
    pub predictions: Result<Vec<Prediction>, Error>,
    /// Its share of the time in which its batch ran.
    pub infer: Duration,
}

/// Results on their way out.
pub struct Output {
    format: Format,
    /// Whether text is all that OneFlow's infer.py prints, its times included.
    page: bool,
    model: String,
    device: String,
    activation: &'static str,
    sink: Sink,
    written: usize,
}

/// One image as JSON has it.
#[derive(Serialize)]
struct Record<'a> {
    image: Cow<'a, str>,
    /// Only where the name is no Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_bytes: Option<&'a [u8]>,
    model: &'a str,
    device: &'a str,
    activation: &'a str,
    predictions: Vec<Class<'a>>,
    error: Option<String>,
}

#[derive(Serialize)]
struct Class<'a> {
    class: usize,
    label: Option<&'a str>,
    probability: f32,
}

impl<'a> From<&'a Prediction> for Class<'a> {
    fn from(prediction: &'a Prediction) -> Self {
        let Prediction { class, label, probability, .. } = prediction;
        Self { class: *class, label: label.as_deref(), probability: *probability }
    }
}

const CSV_HEADER: [&str; 9] =
    ["image", "model", "device", "rank", "class", "label", "probability", "error", "activation"];

impl Output {
    pub fn new(
        sink: Sink,
        format: Format,
        page: bool,
        model: String,
        device: String,
        activation: &'static str,
    ) -> Self {
        Self { format, page, model, device, activation, sink, written: 0 }
    }

    /// What comes before the first image. `name` is the model as the user spells it.
    pub fn begin(&mut self, name: &str, init: Duration, load: Duration) -> Result<()> {
        match self.format {
            Format::Text if self.page => self.put(format!(
                "Predicting using {} ...\ninit time : {:.6}\nload params time : {:.6}\n",
                printable::line(name),
                init.as_secs_f64(),
                load.as_secs_f64()
            )),
            Format::Text | Format::Jsonl => Ok(()),
            Format::Json => self.put("["),
            Format::Csv => self.put(csv_line(&CSV_HEADER.map(str::as_bytes))),
        }
    }

    /// One image.
    pub fn write(&mut self, outcome: &Outcome) -> Result<()> {
        let text = match self.format {
            Format::Text => self.text(outcome),
            Format::Json => {
                format!("{}\n  {}", if self.written > 0 { "," } else { "" }, self.json(outcome)).into_bytes()
            }
            Format::Jsonl => (self.json(outcome) + "\n").into_bytes(),
            Format::Csv => self.csv(outcome),
        };
        self.written += 1;
        self.put(text)
    }

    /// What comes after the last image.
    pub fn end(&mut self) -> Result<()> {
        self.put(if self.format == Format::Json { "\n]\n" } else { "" })
    }

    /// Whether a user sees the results as they come.
    pub fn is_seen(&self) -> bool {
        self.sink.is_terminal()
    }

    fn put(&mut self, text: impl AsRef<[u8]>) -> Result<()> {
        self.sink.put(text)?;
        self.sink.flush()
    }

    fn json(&self, outcome: &Outcome) -> String {
        let name = outcome.image.as_os_str();
        let predictions = outcome.predictions.as_deref().unwrap_or_default();
        let record = Record {
            image: name.to_string_lossy(),
            image_bytes: name.to_str().is_none().then_some(name.as_encoded_bytes()),
            model: &self.model,
            device: &self.device,
            activation: self.activation,
            predictions: predictions.iter().map(Class::from).collect(),
            error: outcome.predictions.as_ref().err().map(Error::to_string),
        };
        json::text(&record)
    }

    fn csv(&self, outcome: &Outcome) -> Vec<u8> {
        let image = match self.is_seen() {
            true => self.name(outcome.image).into(),
            false => Cow::Borrowed(outcome.image.as_os_str().as_encoded_bytes()),
        };
        let [model, device] = [printable::line(&self.model), printable::line(&self.device)];
        let line = |rank: String, class: String, label: &str, probability: String, error: String| {
            let label = printable::line(label);
            let texts = [&*model, &*device, &rank, &class, &label, &probability, &error, self.activation];
            let texts = texts.map(str::as_bytes);
            csv_line(&[&[&*image], &texts[..]].concat())
        };
        match &outcome.predictions {
            Ok(predictions) => (1..)
                .zip(predictions)
                .flat_map(|(rank, p): (usize, _)| {
                    let label = p.label.as_deref().unwrap_or_default();
                    line(rank.to_string(), p.class.to_string(), label, p.probability.to_string(), String::new())
                })
                .collect(),
            Err(error) => line(String::new(), String::new(), "", String::new(), reason(error, outcome.image)),
        }
    }

    /// An image's lines as OneFlow's infer.py prints them, under the image's name.
    fn text(&self, outcome: &Outcome) -> Vec<u8> {
        let mut text = String::from("\n");
        match &outcome.predictions {
            Ok(predictions) => {
                if self.page {
                    text += &format!("infer time : {:.6}\n", outcome.infer.as_secs_f64());
                }
                for Prediction { class, label, probability, .. } in predictions {
                    let name = label.clone().unwrap_or_else(|| format!("class {class}"));
                    text += &format!("predict prob: {probability:.6}, class name: {}\n", printable::line(&name));
                }
            }
            Err(error) => text += &format!("error: {}\n", reason(error, outcome.image)),
        }
        [self.name(outcome.image), text.into_bytes()].concat()
    }

    /// A file's name on one line.
    fn name(&self, path: &Path) -> Vec<u8> {
        if self.is_seen() {
            return printable::path(path).into_bytes();
        }
        let chunks = path.as_os_str().as_encoded_bytes().utf8_chunks();
        chunks.flat_map(|chunk| [printable::line(chunk.valid()).as_bytes(), chunk.invalid()].concat()).collect()
    }
}

/// An error without the name of `image`, which stands above or before it already.
fn reason(error: &Error, image: &Path) -> String {
    let text = error.to_string();
    let name = printable::path(image) + ": ";
    text.strip_prefix(&name).map_or_else(|| text.clone(), str::to_owned)
}

fn csv_line(fields: &[&[u8]]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory cannot fail.
    writer.write_record(fields).ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default()
}
