//! Finds a catalogue model's weights before the library is asked for them, so that a download can show its progress.

#[cfg(feature = "hub")]
use crate::console::{is_quiet, remark};
#[cfg(feature = "hub")]
use indicatif::{ProgressBar, ProgressStyle};
#[cfg(feature = "hub")]
use pretrained::hub::{self, Fetched, Hub, Weights};
use pretrained::{PackageBuilder, Result, catalog};
use std::path::{Path, PathBuf};

/// The folder for downloads, compiled kernels and measured times, if there is one.
pub fn cache() -> Option<PathBuf> {
    #[cfg(feature = "hub")]
    let folder = Hub::from_env().ok().map(|hub| hub.cache);
    #[cfg(not(feature = "hub"))]
    let folder = None;
    folder
}

/// Names the model and its weights to `builder`: those at `weights`, or else the model's own, downloaded where they
/// are not shipped. `worth_it` is asked before that, and its error is this one's.
#[cfg_attr(not(feature = "hub"), expect(unused_variables, reason = "nothing is downloaded"))]
pub fn choose(
    mut builder: PackageBuilder,
    model: Option<&str>,
    weights: Option<&Path>,
    worth_it: impl FnOnce() -> Result<()>,
) -> Result<PackageBuilder> {
    if let Some(path) = weights {
        builder = builder.weights(path);
    }
    let Some(name) = model else { return Ok(builder) };
    let known = catalog::find(name)?;
    #[cfg(feature = "hub")]
    if weights.is_none() && known.shipped_weights().is_none() {
        let wanted = hub::find(known.name)?;
        let hub = Hub::from_env()?;
        let here = Hub { offline: true, ..hub.clone() };
        let fetched = match here.fetch(&wanted, &mut |_| ()) {
            Ok(fetched) => fetched,
            Err(_) => {
                worth_it()?;
                download(&hub, &wanted)?
            }
        };
        fetched.notes.iter().for_each(remark);
        builder = builder.weights(fetched.path);
    }
    Ok(builder.model(name))
}

/// Fetches `wanted` with a bar of its progress.
#[cfg(feature = "hub")]
fn download(hub: &Hub, wanted: &Weights) -> Result<Fetched> {
    if !hub.offline {
        remark(format_args!("downloading {}", wanted.url));
    }
    let bar = if is_quiet() { ProgressBar::hidden() } else { ProgressBar::new(0) }.with_message(wanted.file.to_owned());
    // A template that does not parse is no reason not to download.
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
    let fetched = hub.fetch(wanted, &mut |progress| {
        bar.set_length(progress.total.unwrap_or(progress.received));
        bar.set_position(progress.received);
    });
    bar.finish_and_clear();
    fetched
}
