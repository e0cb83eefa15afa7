//! Real weights on real photos, against what Pillow with PyTorch, and OneFlow itself, answered.

use crate::common;
use common::{devices, gpus, shared};
use pretrained::vision::{Limits, decode_file};
use pretrained::{Classifier, Device, Precision, Preset};
use std::collections::BTreeMap;
use std::path::Path;

const WEIGHTS: &str = "data/weights/shufflenetv2_x0_5_imagenet.pth";

/// What `expected.json` says of a photo: for each preset and each weights, the five most probable classes.
#[derive(serde::Deserialize)]
struct Photo {
    torchvision: BTreeMap<String, Vec<(usize, f32)>>,
    oneflow: BTreeMap<String, Vec<(usize, f32)>>,
}

fn classifier(shared: &Path, weights: &str, preset: Preset, device: Device) -> Classifier {
    Classifier::builder().weights(shared.join(weights)).preset(preset).device(device).build().unwrap()
}

fn check(preset: Preset, expected: impl Fn(&Photo) -> &Vec<(usize, f32)>) {
    let Some(shared) = shared() else { return };
    let folder = shared.join("data/photos");
    let json = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let photos: BTreeMap<String, Photo> = serde_json::from_str(&json).unwrap();
    for device in devices() {
        let name = device.name();
        let classifier = classifier(&shared, WEIGHTS, preset, device);
        let (mut same, mut differences) = (0, Vec::new());
        for (file, photo) in &photos {
            let found = classifier.classify_file(folder.join(file), 1000).unwrap();
            let expected = expected(photo);
            same += usize::from(found[0].class == expected[0].0);
            for (class, probability) in expected {
                let ours = found.iter().find(|p| p.class == *class).unwrap();
                differences.push((ours.probability - probability).abs());
            }
        }
        let mean = differences.iter().sum::<f32>() / differences.len() as f32;
        println!("{preset} on {name}: {same} of {} alike, mean difference {mean:.5}", photos.len());
        assert_eq!(photos.len(), 57 + 2, "the photos are not all there");
        assert!(same >= 57 && mean <= 0.01, "{preset} on {name}: {same} alike, mean difference {mean}");
    }
}

/// Rounding to 11 bits on the way moves logits by less than a fiftieth of the largest (0.013 of it was seen), and changes no answer but where two
/// classes are as good as equal. How far a probability moves with that is the photo's business: a fiftieth at most was seen
/// where four classes share it.
#[test]
fn half_precision_answers_alike() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("data/photos");
    let photos: BTreeMap<String, Photo> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    for device in gpus() {
        let name = device.name();
        let builder = || Classifier::builder().weights(shared.join(WEIGHTS)).device(device.clone());
        let full = builder().build().unwrap();
        let half = builder().precision(Precision::F16).build().unwrap();
        let (mut same, mut worst, mut moved) = (0, 0.0f32, 0.0);
        for file in photos.keys() {
            let image = decode_file(folder.join(file), &Limits::default()).unwrap();
            let [a, b] = [&full, &half].map(|classifier| classifier.logits(&image).unwrap());
            let largest = a.iter().fold(0.0, |most: f32, logit| most.max(logit.abs()));
            let apart = a.iter().zip(&b).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
            worst = worst.max(apart / largest);
            let [a, b] = [(&full, &a), (&half, &b)].map(|(classifier, logits)| classifier.top_k(logits, 1).unwrap());
            same += usize::from(a[0].class == b[0].class);
            moved += (a[0].probability - b[0].probability).abs() / photos.len() as f32;
        }
        println!("f16 on {name}: {same} of {} alike, logits within {worst:.5}, probabilities {moved:.5}", photos.len());
        assert!(same + 1 >= photos.len() && worst < 0.02 && moved < 0.003, "on {name}");
    }
}

#[test]
fn torchvision_preset() {
    check(Preset::Torchvision, |photo| &photo.torchvision["x0_5"]);
}

#[test]
fn oneflow_preset() {
    check(Preset::OneFlow, |photo| &photo.oneflow["x0_5"]);
}

#[test]
fn what_oneflow_itself_prints() {
    let Some(shared) = shared() else { return };
    let x1_0 = "data/weights/shufflenetv2_x1_0_imagenet_approx.pth";
    let printed = [
        (WEIGHTS, "tiger.jpg", 0.966554, "tiger, Panthera tigris"),
        (WEIGHTS, "fish.jpg", 0.966520, "goldfish, Carassius auratus"),
        (x1_0, "tiger.jpg", 0.989777, "tiger, Panthera tigris"),
        (x1_0, "fish.jpg", 0.998668, "goldfish, Carassius auratus"),
    ];
    for device in devices() {
        for (weights, photo, probability, label) in printed {
            let classifier = classifier(&shared, weights, Preset::OneFlow, device.clone());
            let found = classifier.classify_file(shared.join("data/photos").join(photo), 1).unwrap();
            assert_eq!(found[0].label.as_deref(), Some(label));
            let difference = (found[0].probability - probability).abs();
            println!("{weights}, {photo} on {}: {difference:.5}", device.name());
            assert!(difference <= 0.01, "{weights}, {photo} on {}: {}", device.name(), found[0].probability);
        }
    }
}
