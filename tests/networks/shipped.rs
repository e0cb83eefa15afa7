//! The shipped models: what they score on the public test sets, and PyTorch's logits for the example images.
#![cfg(feature = "shipped")]

#[allow(dead_code)]
#[path = "../../examples/define_your_own.rs"]
mod define_your_own;

use crate::common;
use common::{devices, gpus, relative_error, shared};
use pretrained::vision::{Limits, decode, decode_file, top_k};
use pretrained::{Classifier, Device, catalog};
use std::io::Read;
use std::path::Path;

fn classifier(name: &str, device: Device, batch: usize) -> Classifier {
    Classifier::builder().model(name).device(device).max_batch(batch).build().unwrap()
}

/// One example image, and the logits that PyTorch computed after Pillow had prepared it.
#[derive(serde::Deserialize)]
struct Golden {
    model: String,
    file: String,
    logits: Vec<f32>,
}

/// The resize rounds to one level of 255 now and then, so the logits are not equal to the last digit.
#[test]
fn example_images_get_pytorchs_logits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let goldens = std::fs::read_to_string(root.join("tests/data/shipped_goldens.json")).unwrap();
    let goldens: Vec<Golden> = serde_json::from_str(&goldens).unwrap();
    assert!(goldens.len() >= 16, "only {} goldens", goldens.len());
    for device in devices() {
        for golden in &goldens {
            let classifier = classifier(&golden.model, device.clone(), 1);
            let image = decode_file(root.join(&golden.file), &Limits::default()).unwrap();
            let input = classifier.preprocess().apply(&image).unwrap();
            let logits = classifier.run(&[input]).unwrap();
            let error = relative_error(&logits, &golden.logits);
            assert!(error <= 0.01, "{} on {}: {error}", golden.file, device.name());
            let label = top_k(&logits, 1, classifier.labels()).unwrap()[0].label.clone().unwrap();
            assert!(golden.file.contains(&label), "{} is taken for {label}", golden.file);
        }
    }
}

/// The network of the example, with its weights.
fn small_cnn() -> Classifier {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mnist_cnn.pth");
    let network = define_your_own::small_cnn();
    Classifier::builder().network(network).weights(weights).device(Device::cpu()).build().unwrap()
}

#[test]
fn a_network_of_ones_own_reads_the_drawn_digits() {
    let classifier = small_cnn();
    assert_eq!((classifier.name(), classifier.classes()), ("small_cnn", 10));
    for digit in 0..10 {
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/digits/digit_{digit}.png"));
        assert_eq!(classifier.classify_file(image, 1).unwrap()[0].class, digit);
    }
}

#[test]
fn the_test_digits_are_read() {
    let Some(shared) = shared() else { return };
    let bytes = |name: &str| {
        let file = std::fs::File::open(shared.join("data/mnist").join(name)).unwrap();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        bytes
    };
    let (images, labels) = (bytes("t10k-images-idx3-ubyte.gz"), bytes("t10k-labels-idx1-ubyte.gz"));
    let (images, labels) = (&images[16..], &labels[8..]);
    assert_eq!(labels.len(), 10_000);
    let pixels: Vec<f32> = images.iter().map(|level| f32::from(*level) / 255.0).collect();
    for (classifier, least) in [(classifier("mnist_mlp", Device::cpu(), 1), 9_780), (small_cnn(), 9_800)] {
        let model = classifier.model();
        let session = pretrained::Session::new(
            &Device::cpu(),
            model,
            model.network().input,
            &pretrained::SessionOptions::default().max_batch(500),
        )
        .unwrap();
        let logits: Vec<f32> = pixels.chunks(500 * 784).flat_map(|batch| session.run(batch).unwrap()).collect();
        let right = logits.chunks(10).zip(labels).filter(|(row, label)| best(row) == usize::from(**label)).count();
        println!("{}: {right} of 10000", classifier.name());
        assert!(right >= least, "{}: {right} of 10000", classifier.name());
    }
}

/// All of it on the first GPU; the reference loops of the CPU would take minutes.
#[test]
fn cifar10_shufflenet_knows_the_test_pictures() {
    let (Some(shared), Some(gpu)) = (shared(), gpus().into_iter().next()) else { return };
    let classifier = classifier(catalog::DEFAULT, gpu, 100);
    let file = std::fs::File::open(shared.join("data/cifar10/cifar10-jpeg.zip")).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let names = archive.file_names().map(|name| name.unwrap().into_owned());
    let tests: Vec<String> = names.filter(|name| name.contains("test/") && name.ends_with(".jpg")).collect();
    assert_eq!(tests.len(), 10_000);
    let mut right = 0;
    for names in tests.chunks(100) {
        let inputs: Vec<_> = names
            .iter()
            .map(|name| {
                let mut bytes = Vec::new();
                archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
                let image = decode(name, &bytes, &Limits::default()).unwrap();
                classifier.preprocess().apply(&image).unwrap()
            })
            .collect();
        let logits = classifier.run(&inputs).unwrap();
        let labels = classifier.labels().unwrap().names();
        let truth = |name: &str| labels.iter().position(|label| name.contains(&format!("/{label}/"))).unwrap();
        right += logits.chunks(10).zip(names).filter(|(row, name)| best(row) == truth(name)).count();
    }
    println!("{}: {right} of 10000", catalog::DEFAULT);
    assert!(right >= 8_700, "{right} of 10000");
}

fn best(row: &[f32]) -> usize {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
}
