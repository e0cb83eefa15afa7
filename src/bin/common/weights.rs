//! Finds a catalogue model's weights before the library is asked for them, so that a download can show its progress.

use indicatif::{ProgressBar, ProgressStyle};
use pretrained::hub::{self, Hub};
use pretrained::{ClassifierBuilder, Result, catalog};
use std::path::Path;

/// Names the model and its weights to `builder`: those at `weights`, or else the model's own, downloaded where they
/// are not shipped. Remarks go to `remark`.
pub fn choose(
    mut builder: ClassifierBuilder,
    model: Option<&str>,
    weights: Option<&Path>,
    remark: impl Fn(&str),
) -> Result<ClassifierBuilder> {
    if let Some(path) = weights {
        builder = builder.weights(path);
    }
    let Some(name) = model else { return Ok(builder) };
    let known = catalog::find(name)?;
    if weights.is_none() && known.shipped_weights().is_none() {
        let wanted = hub::find(known.name)?;
        let bar = ProgressBar::new(0).with_message(wanted.file);
        // A template that does not parse is no reason not to download.
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}") {
            bar.set_style(style);
        }
        let fetched = Hub::from_env()?.fetch(&wanted, &mut |progress| {
            bar.set_length(progress.total.unwrap_or(progress.received));
            bar.set_position(progress.received);
        });
        bar.finish_and_clear();
        let fetched = fetched?;
        fetched.notes.iter().for_each(|note| remark(note));
        builder = builder.weights(fetched.path);
    }
    Ok(builder.model(name))
}
