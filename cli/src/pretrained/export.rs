//! `pretrained export`: writes a network with its weights as a model for other frameworks.

use crate::Outcome;
use crate::console::remark;
use crate::rename::{self, Renames};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use pretrained::graph::Shape;
use pretrained::vision::{Preset, Size};
use pretrained::zoo::Network;
use pretrained::{Error, ExportFormat, ExportOptions, Limits, Package, Result, description, printable};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Export {
    /// The checkpoint
    input: PathBuf,

    /// The file to write
    output: PathBuf,

    /// The format; by default told from the output's extension: .onnx, .mindir
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    to: Option<To>,

    /// Fold batch normalisation into the convolutions before it
    #[arg(long)]
    fold: bool,

    /// How images are prepared, which the exported model keeps; by default what the checkpoint says, if it does
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,

    /// The images' side, or their width and height, in pixels, as for predict; by default those that its
    /// preset resizes to, or the network's usual ones
    #[arg(long, value_name = "N|WxH", conflicts_with = "sides")]
    size: Option<Size>,

    /// The same as --size, but as shapes are written, the height first
    #[arg(long = "input", value_name = "HxW", value_parser = sides)]
    sides: Option<[usize; 2]>,

    /// Of an ONNX graph with several outputs, the one to export
    #[arg(long = "output", value_name = "NAME")]
    choice: Option<String>,

    /// Replace the output where it exists
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    renames: Renames,
}

/// A format that is asked for by its name.
#[derive(Debug, Clone, Copy)]
enum To {
    Format(ExportFormat),
    Air,
}

fn formats() -> impl TypedValueParser<Value = To> {
    let air = PossibleValue::new("air").help("Refused: it exists for Ascend hardware alone");
    let formats = ExportFormat::ALL.iter().map(|format| PossibleValue::new(format.name())).chain([air]);
    PossibleValuesParser::new(formats).try_map(|name| match name.as_str() {
        "air" => Ok(To::Air),
        name => name.parse().map(To::Format),
    })
}

const NO_AIR: &str = "AIR exists only for Ascend hardware, where MindSpore itself makes it, and is not written; export \
                      MindIR (--to mindir), and on an Ascend machine run mindspore.export(nn.GraphCell(\
                      mindspore.load(\"model.mindir\")), input, file_name=\"model\", file_format=\"AIR\"), or export ONNX \
                      and convert it by atc --framework=5";

impl Export {
    pub fn run(&self) -> Result<Outcome> {
        let output = self.output.display();
        let air = self.output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("air"));
        let format = match self.to {
            Some(To::Format(format)) => format,
            Some(To::Air) => return Err(Error::Usage(format!("{output}: {NO_AIR}"))),
            None if air => return Err(Error::Usage(format!("{output}: {NO_AIR}"))),
            None => ExportFormat::of_path(&self.output).ok_or_else(|| {
                Error::Usage(format!("{output}: the extension names no format; use .onnx or .mindir, or give --to"))
            })?,
        };
        // Before the input is read, which may take long.
        if !self.force && self.output.symlink_metadata().is_ok() {
            return Err(Error::Usage(format!("{output}: exists already; choose another name, or give --force")));
        }
        // Not mapped: the output may be the input, and Windows replaces no file that is mapped.
        let limits = Limits { map_from_bytes: u64::MAX, ..Limits::default() };
        let mut builder = self.renames.add_to(Package::builder().weights(&self.input).limits(limits));
        if let Some(output) = &self.choice {
            builder = builder.output(output);
        }
        let draft = builder.open()?;
        let state = draft.state_dict();
        crate::tell_notes(&self.input, state);
        rename::tell(draft.unmatched_renames());
        let sides = match self.size {
            Some(Size::Side(side)) => Some([side, side]),
            Some(Size::Exact { width, height }) => Some([height, width]),
            None => None,
        };
        let sides = sides.map(|sides| sides.map(|pixels| pixels as usize)).or(self.sides);
        let model = draft.model(sides)?;
        let unexpected = &model.report().unexpected;
        if !unexpected.is_empty() {
            let (input, count) = (printable::path(&self.input), unexpected.len());
            let names = printable::cut(&unexpected.join(", "), 2000).into_owned();
            remark(format_args!("{input}: {count} parameters are of no use: {names}"));
        }
        let network = model.network();
        network.notes.iter().for_each(|note| remark(format_args!("{}: {note}", printable::path(&self.input))));
        let mut metadata = state.metadata().clone();
        metadata.extend(description(state, network)?);
        if let Some(preset) = self.preset {
            metadata.insert("preset".to_owned(), preset.name().to_owned());
        }
        if !metadata.contains_key("preset") {
            remark(format_args!(
                "no preset is known, and predict will guess it from the export; --preset NAME writes it"
            ));
        }
        let [height, width] = sides.unwrap_or_else(|| usual_sides(network, metadata.get("preset")));
        let input = Shape { height, width, ..network.input };
        let options = ExportOptions { format, fold: self.fold, input: Some(input), metadata, overwrite: self.force };
        model.export(&self.output, &options)?;
        let (name, output) = (printable::line(&network.name), printable::path(&self.output));
        Ok(Outcome::good(format!("wrote {name} as {format} to {output}, for any number of images of {input}\n")))
    }
}

/// The height and width to which `preset` resizes, or else the network's usual ones.
fn usual_sides(network: &Network, preset: Option<&String>) -> [usize; 2] {
    let takes = |input| network.graph.shapes(input).is_ok();
    let preset = preset.and_then(|name| Preset::from_name(name).ok());
    let prepared = preset.and_then(|preset| preset.preprocess_for(network.input, takes).fixed_size());
    prepared.map_or([network.input.height, network.input.width], |(width, height)| [height as usize, width as usize])
}

/// Reads `HxW`.
fn sides(text: &str) -> std::result::Result<[usize; 2], String> {
    let number = |text: &str| text.parse().ok().filter(|pixels| *pixels > 0);
    let sides = text.split_once(['x', 'X']).and_then(|(height, width)| Some([number(height)?, number(width)?]));
    sides.ok_or_else(|| format!("{text:?} is no size; give HEIGHTxWIDTH in pixels, such as 224x224"))
}
