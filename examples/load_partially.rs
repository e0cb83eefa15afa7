//! Goes on from part of a network: a checkpoint of 784-512-10 goes into a network with one more layer, which is
//! initialised: `cargo run --example load_partially -- [INITIALISER]`.

use pretrained::graph::Linear;
use pretrained::zoo::{Mlp, Network};
use pretrained::{Error, Initialiser, Model, SaveFormat, SaveOptions, StateDict, Strictness};

fn main() -> Result<(), Error> {
    let initialiser: Initialiser = std::env::args().nth(1).as_deref().unwrap_or("truncated_normal:0,0.1").parse()?;

    // The checkpoint of the smaller network, as training would leave it.
    let file = std::env::temp_dir().join("pretrained_load_partially.safetensors");
    let trained = Model::initialise(mlp(&[784, 512, 10]), Initialiser::LayerDefault, 0)?;
    let options = SaveOptions { format: SaveFormat::Safetensors, overwrite: true, ..SaveOptions::default() };
    trained.state_dict().save(&file, &options)?;

    let strictness = Strictness::InitMissing { initialiser, seed: 0 };
    let model = Model::load(mlp(&[784, 512, 10, 10]), &StateDict::open(&file)?, strictness)?;
    println!("{} from {}", model.network().name, file.display());
    println!("loaded: {}", model.report().loaded.join(", "));
    for initialised in &model.report().initialised {
        println!("{initialised}");
    }
    Ok(())
}

/// Layers `dense1`, `dense2`, ... between these widths.
fn mlp(widths: &[usize]) -> Network {
    let layers = widths.windows(2).zip(1..).map(|(w, n)| (format!("dense{n}"), Linear::new(w[0], w[1])));
    Mlp { layers: layers.collect() }.network()
}
