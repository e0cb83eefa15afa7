//! Writes results: the page's text lines, JSON, JSON Lines, or CSV.

use crate::args::Format;
use pretrained::{Error, Prediction, Result};
use serde::Serialize;
use serde_json::ser::Formatter;
use std::io::{self, StdoutLock, Write};
use std::process;
use std::time::Duration;

/// What became of one image.
pub struct Outcome {
    pub image: String,
    pub predictions: Result<Vec<Prediction>>,
    /// Its share of the time in which its batch ran.
    pub infer: Duration,
}

/// Results on their way to standard output.
pub struct Output {
    format: Format,
    model: String,
    device: String,
    out: StdoutLock<'static>,
    written: usize,
}

/// One image as JSON has it.
#[derive(Serialize)]
struct Record<'a> {
    image: &'a str,
    model: &'a str,
    device: &'a str,
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
        let Prediction { class, label, probability } = prediction;
        Self { class: *class, label: label.as_deref(), probability: *probability }
    }
}

const CSV_HEADER: [&str; 8] = ["image", "model", "device", "rank", "class", "label", "probability", "error"];

impl Output {
    pub fn new(format: Format, model: String, device: String) -> Self {
        Self { format, model, device, out: io::stdout().lock(), written: 0 }
    }

    /// What comes before the first image. `name` is the model as the user spells it.
    pub fn begin(&mut self, name: &str, init: Duration, load: Duration) -> Result<()> {
        let text = match self.format {
            Format::Text => format!(
                "Predicting using {name} ...\ninit time : {:.6}\nload params time : {:.6}\n",
                init.as_secs_f64(),
                load.as_secs_f64()
            ),
            Format::Json => "[".to_owned(),
            Format::Jsonl => String::new(),
            Format::Csv => csv_line(&CSV_HEADER.map(str::to_owned)),
        };
        self.put(&text)
    }

    /// One image.
    pub fn write(&mut self, outcome: &Outcome) -> Result<()> {
        let text = match self.format {
            Format::Text => text(outcome),
            Format::Json => format!("{}\n  {}", if self.written > 0 { "," } else { "" }, self.json(outcome)),
            Format::Jsonl => self.json(outcome) + "\n",
            Format::Csv => self.csv(outcome),
        };
        self.written += 1;
        self.put(&text)
    }

    /// What comes after the last image.
    pub fn end(&mut self) -> Result<()> {
        self.put(if self.format == Format::Json { "\n]\n" } else { "" })
    }

    fn put(&mut self, text: &str) -> Result<()> {
        written(self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()))
    }

    fn json(&self, outcome: &Outcome) -> String {
        let predictions = outcome.predictions.as_deref().unwrap_or_default();
        let record = Record {
            image: &outcome.image,
            model: &self.model,
            device: &self.device,
            predictions: predictions.iter().map(Class::from).collect(),
            error: outcome.predictions.as_ref().err().map(Error::to_string),
        };
        let mut json = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut json, Spaced);
        match record.serialize(&mut serializer) {
            Ok(()) => String::from_utf8_lossy(&json).into_owned(),
            // A record of strings and numbers, written to memory, cannot fail.
            Err(error) => error.to_string(),
        }
    }

    fn csv(&self, outcome: &Outcome) -> String {
        let line = |rank: String, class: String, label: &str, probability: String, error: String| {
            let start = [outcome.image.clone(), self.model.clone(), self.device.clone()];
            csv_line(&[&start[..], &[rank, class, label.to_owned(), probability, error]].concat())
        };
        match &outcome.predictions {
            Ok(predictions) => (1..)
                .zip(predictions)
                .map(|(rank, p): (usize, _)| {
                    let label = p.label.as_deref().unwrap_or_default();
                    line(rank.to_string(), p.class.to_string(), label, p.probability.to_string(), String::new())
                })
                .collect(),
            Err(error) => line(String::new(), String::new(), "", String::new(), error.to_string()),
        }
    }
}

/// An image's lines as OneFlow's infer.py prints them, under the image's name.
fn text(outcome: &Outcome) -> String {
    let mut text = format!("{}\n", outcome.image);
    match &outcome.predictions {
        Ok(predictions) => {
            text += &format!("infer time : {:.6}\n", outcome.infer.as_secs_f64());
            for Prediction { class, label, probability } in predictions {
                let name = label.clone().unwrap_or_else(|| format!("class {class}"));
                text += &format!("predict prob: {probability:.6}, class name: {name}\n");
            }
        }
        Err(error) => text += &format!("error: {error}\n"),
    }
    text
}

fn csv_line(fields: &[String]) -> String {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing to memory cannot fail.
    let bytes = writer.write_record(fields).ok().and_then(|()| writer.into_inner().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes `text` and a line's end to standard output.
pub fn print(text: &str) -> Result<()> {
    written(writeln!(io::stdout(), "{text}"))
}

/// A reader that has seen enough, such as `head`, is no error.
fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => process::exit(0),
        other => other.map_err(|error| Error::io("standard output", error)),
    }
}

/// JSON with a space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
