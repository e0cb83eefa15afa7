//! A network of your own in 25 lines: a PyTorch checkpoint loaded by name, and digits read with it:
//! `cargo run --example define_your_own -- [IMAGE...]`.
//!
//! `small_cnn` mirrors the module `Cnn` of models/train/mnist_cnn.py, which trained the checkpoint and saved it by
//! `torch.save(model.state_dict(), "models/mnist_cnn.pth")`.

use pretrained::graph::{BatchNorm2d, Builder, Conv2d, Linear, MaxPool2d, Shape, Value};
use pretrained::zoo::Network;
use pretrained::{Classifier, Error};

/// `Cnn.forward`, and above it what its `__init__` says of each layer.
pub fn small_cnn() -> Network {
    let mut g = Builder::new();
    let x = g.conv2d("conv1", Value::INPUT, Conv2d::new(1, 16, 3).padding(1));
    let x = g.batch_norm2d("bn1", x, BatchNorm2d::new(16));
    let x = g.relu(x);
    let x = g.max_pool2d(x, MaxPool2d::new(2));
    let y = g.conv2d("conv2", x, Conv2d::new(16, 16, 3).padding(1));
    let y = g.batch_norm2d("bn2", y, BatchNorm2d::new(16));
    let sum = g.add(x, y);
    let x = g.relu(sum);
    let x = g.max_pool2d(x, MaxPool2d::new(2));
    let x = g.flatten(x);
    let x = g.linear("fc", x, Linear::new(16 * 7 * 7, 10));
    Network::new("small_cnn", g.finish(x), Shape::new(1, 28, 28))
}

fn main() -> Result<(), Error> {
    let classifier = Classifier::builder().network(small_cnn()).weights("models/mnist_cnn.pth").build()?;
    let mut images: Vec<String> = std::env::args().skip(1).collect();
    if images.is_empty() {
        images = (0..10).map(|digit| format!("examples/digits/digit_{digit}.png")).collect();
    }
    for image in images {
        let best = &classifier.classify_file(&image, 1)?[0];
        println!("{image}: {} ({:.3})", best.class, best.probability);
    }
    Ok(())
}
