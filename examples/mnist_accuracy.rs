//! Measures the shipped MNIST model on the 10,000 test digits, or your own model on other idx files, prepared as it takes
//! them: `cargo run --release --example mnist_accuracy -- FOLDER [WEIGHTS]`.
//!
//! FOLDER holds `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, as they are or gzipped (.gz). The format is
//! described at <http://yann.lecun.com/exdb/mnist/>: big-endian counts, then one byte a pixel or label.

use image::RgbImage;
use pretrained::{Classifier, Error};
use std::io::Read;
use std::path::Path;

/// Digits that run at once.
const BATCH: usize = 500;

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or_else(|| Error::Usage("give the folder of the idx files".into()))?;
    let folder = Path::new(&folder);
    let mut builder = Classifier::builder().max_batch(BATCH);
    builder = match arguments.next() {
        Some(weights) => builder.weights(weights),
        None => builder.model("mnist_mlp"),
    };
    let classifier = builder.build()?;

    let (size, images) = idx(&folder.join("t10k-images-idx3-ubyte"), 3)?;
    let (_, labels) = idx(&folder.join("t10k-labels-idx1-ubyte"), 1)?;
    let (height, width) = (size[1], size[2]);
    if images.is_empty() {
        return Err(Error::Usage("there are no digits".into()));
    }
    let mut right = 0;
    for (images, labels) in images.chunks(BATCH * height * width).zip(labels.chunks(BATCH)) {
        let digits = images.chunks(height * width).map(|levels| {
            let pixels = levels.iter().flat_map(|&level| [level; 3]).collect();
            let digit = RgbImage::from_raw(width as u32, height as u32, pixels);
            classifier.preprocess().apply(&digit.ok_or_else(|| Error::Usage("a digit lacks pixels".into()))?)
        });
        let digits = digits.collect::<Result<Vec<_>, Error>>()?;
        let logits = classifier.run(&digits)?;
        let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        let answers = logits.chunks(classifier.outputs()).map(best);
        right += answers.zip(labels).filter(|(answer, label)| *answer == Some(usize::from(**label))).count();
    }
    println!("{} of {} digits: {:.2} %", right, labels.len(), 100.0 * right as f64 / labels.len() as f64);
    Ok(())
}

/// The dimensions and bytes of an idx file.
fn idx(path: &Path, rank: usize) -> Result<(Vec<usize>, Vec<u8>), Error> {
    let gzipped = path.with_extension("gz");
    let mut bytes = Vec::new();
    match std::fs::File::open(&gzipped) {
        Ok(file) => flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).map_err(|e| Error::io(&gzipped, e))?,
        Err(_) => {
            std::fs::File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)).map_err(|e| Error::io(path, e))?
        }
    };
    let header = 4 + 4 * rank;
    let not_idx = || Error::Usage(format!("{} is no idx file of {rank} dimensions", path.display()));
    if bytes.len() < header || bytes[..4] != [0, 0, 8, rank as u8] {
        return Err(not_idx());
    }
    let (sizes, data) = (&bytes[4..header], &bytes[header..]);
    let sizes: Vec<usize> = sizes.as_chunks().0.iter().map(|size| u32::from_be_bytes(*size) as usize).collect();
    if sizes.iter().product::<usize>() != data.len() {
        return Err(not_idx());
    }
    Ok((sizes, data.to_vec()))
}
