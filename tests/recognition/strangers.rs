//! Checkpoints of other people, as their frameworks write them: each is classified as PyTorch does it, or refused in words.
//!
//! `../shared/cases/checkpoints/make.sh FOLDER` writes them; `PRETRAINED_CASES` names that folder. Without it the test
//! fails where PRETRAINED_REQUIRE contains `cases`, and otherwise skips with a visible line.

use crate::common;
use pretrained::vision::Overrides;
use pretrained::{Classifier, DeviceChoice, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// What is refused, and a word of the reason that is given.
const REFUSED: [(&str, &str); 13] = [
    ("autoencoder.pth", "autoencoder"),
    ("frozen.pt", "frozen"),
    ("head_identity.pth", "fc.weight"),
    ("mlp_tanh_script.pt", "Tanh"),
    ("mlp_tanh_seq_whole.pth", "Tanh"),
    ("pytorch_examples_mnist.pt", "ONNX"),
    ("student_teacher.pth", "`student.` and `teacher.`"),
    ("timm_seresnet18.pth", "layer1.0.se.fc1"),
    ("torch_ckpts", "give"),
    ("two_models.pth", "generator"),
    ("whole_lenet5_sigmoid_avg_pad2.pth", "`sig`"),
    ("whole_pytorch_examples_mnist.pt", "ONNX"),
    ("whole_reflect_pad.pth", "padding_mode"),
];

/// What names and shapes cannot tell from the network that is taken, and a word of the note on it.
const UNTOLD: [(&str, &str); 6] = [
    ("lenet5_pad2_relu.pth", "assumed convolutions without padding"),
    ("lenet5_sigmoid_avg.pth", "assumed convolutions without padding"),
    ("mlp_residual.pth", "assumed ReLU"),
    ("mlp_tanh_sd.pth", "assumed ReLU"),
    ("mobilenetv2_cifar_strides.pth", "assumed mobilenet_v2: "),
    ("timm_resnetblur18.pth", "assumed resnet18: "),
];

/// Weights of 16 bits, of a network of which PyTorch's answer is for 32.
const ROUNDED: [&str; 1] = ["half_all.pth"];

/// The probabilities of a file's classes for the image that it was tried with, and the notes on it.
fn probabilities(folder: &Path, file: &str) -> Result<(Vec<f32>, Vec<String>)> {
    let builder = Classifier::builder().weights(folder.join(file)).device_choice(DeviceChoice::Cpu);
    let digit = builder.clone().build()?.model().network().input.channels == 1;
    let (image, overrides) = match digit {
        true => ("d28.png", Overrides { mean: Some(vec![0.1307]), std: Some(vec![0.3081]), ..Overrides::default() }),
        false => ("t256.png", Overrides::default()),
    };
    let classifier = builder.overrides(overrides).build()?;
    let classes = classifier.classes();
    let mut found = classifier.classify_file(folder.join(image), classes)?;
    found.sort_by_key(|prediction| prediction.class);
    Ok((found.iter().map(|prediction| prediction.probability).collect(), classifier.notes().to_vec()))
}

/// What is wrong with the answer to one file, if anything is.
fn fault(folder: &Path, file: &str, expected: &[f32]) -> Option<String> {
    let listed = |table: &'static [(&str, &str)]| table.iter().find(|(name, _)| *name == file).map(|(_, word)| *word);
    match (probabilities(folder, file), listed(&REFUSED), listed(&UNTOLD)) {
        (Err(error), Some(word), _) => {
            (!error.to_string().contains(word)).then(|| format!("is refused without a word of {word}: {error}"))
        }
        (Err(error), None, _) => Some(format!("is refused: {error}")),
        (Ok((_, notes)), Some(_), _) => Some(format!("is not refused: {notes:?}")),
        (Ok((_, notes)), _, Some(word)) => {
            let told = notes.iter().any(|note| note.contains(word));
            (!told).then(|| format!("is guessed at without a note: {notes:?}"))
        }
        (Ok((found, _)), ..) => {
            let allowed = if ROUNDED.contains(&file) { 3e-3 } else { 1e-3 };
            let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            let wrong = found.len() != expected.len() || far > allowed;
            wrong.then(|| format!("{} of {} classes, {far} off", found.len(), expected.len()))
        }
    }
}

#[test]
fn each_is_classified_as_pytorch_does_it_or_refused() {
    let (Some(shared), Some(cases)) = (common::shared(), common::cases()) else { return };
    let expected = std::fs::read(shared.join("cases/checkpoints/expected.json")).unwrap();
    let expected: BTreeMap<String, Vec<f32>> = serde_json::from_slice(&expected).unwrap();
    let folder = cases.join("in");
    let fault = |file: &str, expected: &[f32]| match folder.join(file).exists() {
        true => fault(&folder, file, expected),
        false => Some("is not there: make.sh did not write it".into()),
    };
    let faults: Vec<String> =
        expected.iter().filter_map(|(file, expected)| Some(format!("{file} {}", fault(file, expected)?))).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), expected.len(), faults.join("\n"));
}
