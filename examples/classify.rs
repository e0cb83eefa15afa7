//! An image file to labelled classes, in ten lines: `cargo run --example classify -- IMAGE [WEIGHTS]`.

use pretrained::{Classifier, Error};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().unwrap_or_else(|| "examples/images/ship.png".into());
    let mut builder = Classifier::builder();
    if let Some(weights) = arguments.next() {
        builder = builder.weights(weights);
    }
    let classifier = builder.build()?;
    for prediction in classifier.classify_file(image, 3)? {
        println!("{:.4} {}", prediction.probability, prediction.label.unwrap_or_default());
    }
    Ok(())
}
