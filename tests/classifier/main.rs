//! Packages, classifiers that threads share, and pipelines.

#[path = "../common/mod.rs"]
mod common;
mod package;
mod pipeline;

use common::{devices, gpus, relative_error};
use pretrained::graph::Shape;
use pretrained::vision::{Crop, Overrides, Planes, Preset, Resize, RgbImage, Size};
use pretrained::zoo::{Network, ResNet, ShuffleNetV2};
use pretrained::{Classifier, ClassifierBuilder, Device, Error, Model, Prediction, StateDict, Strictness, reference};

/// The shipped model for CIFAR-10.
const CIFAR10: &str = "models/cifar10_shufflenet_v2_x0_5.safetensors";

/// A small network with weights that differ from each other.
fn network() -> Network {
    let spec = ShuffleNetV2 { stages_repeats: [1, 2, 1], stages_out_channels: [5, 6, 10, 14, 9], num_classes: 4 };
    spec.network()
}

fn state() -> StateDict {
    let network = network();
    let weight = |i: usize| ((i * 37 % 101) as f32 / 50.0 - 0.9).abs() * 0.3;
    let values = network.graph.parameters().iter().map(|p| (0..p.shape.iter().product()).map(weight).collect());
    let values = values.collect();
    Model::from_weights(network, values).unwrap().state_dict()
}

/// A classifier that takes images of any size as they are.
fn builder(device: &Device) -> ClassifierBuilder {
    let builder = Classifier::builder().device(device.clone()).network(network()).state_dict(state());
    builder.preset(Preset::Unit)
}

fn image(width: u32, height: u32) -> RgbImage {
    let level = |x: u32, y: u32, c: u32| ((x * 7 + y * 13 + c * 29) % 251) as u8;
    RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| level(x, y, c))))
}

/// A picture as it is, as the network takes it.
fn planes(width: u32, height: u32) -> Planes {
    let mut preprocess = Preset::Unit.preprocess();
    preprocess.resize = Resize::None;
    preprocess.apply(&image(width, height)).unwrap()
}

#[test]
fn a_classifier_is_shared_by_threads_and_tasks() {
    fn is<T: Clone + Send + Sync + 'static>() {}
    is::<Classifier>();
    is::<pretrained::Package>();
    is::<pretrained::Pipeline>();
    is::<pretrained::pipeline::Canceller>();
}

#[test]
fn eight_threads_share_one_classifier() {
    for device in devices() {
        let classifier = builder(&device).max_batch(3).build().unwrap();
        let sizes: Vec<(u32, u32)> = (0..8).map(|i| (40 + 8 * (i % 3), 40)).collect();
        let inputs: Vec<Vec<Planes>> =
            sizes.iter().enumerate().map(|(i, &(w, h))| vec![planes(w, h); 1 + i % 3]).collect();
        let expected: Vec<Vec<f32>> = inputs.iter().map(|inputs| classifier.run(inputs).unwrap()).collect();
        let compiled = classifier.compilations();
        std::thread::scope(|scope| {
            for (inputs, expected) in inputs.iter().zip(&expected) {
                let (classifier, name) = (classifier.clone(), device.name());
                scope.spawn(move || {
                    for _ in 0..10 {
                        assert_eq!(&classifier.run(inputs).unwrap(), expected, "{name}");
                        let tickets = classifier.submit(inputs).unwrap();
                        let found: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait().unwrap()).collect();
                        assert_eq!(&found.concat(), expected, "{name}");
                    }
                });
            }
        });
        assert_eq!(classifier.compilations(), compiled, "{}", device.name());
    }
}

#[test]
fn two_sizes_by_turns_are_compiled_twice() {
    for device in devices() {
        let classifier = builder(&device).max_batch(1).build().unwrap();
        let before = classifier.compilations();
        let [a, b] = [planes(16, 16), planes(24, 16)];
        let expected = [classifier.run(&[&a]).unwrap(), classifier.run(&[&b]).unwrap()];
        for turn in 0..1000 {
            let (input, expected) = if turn % 2 == 0 { (&a, &expected[0]) } else { (&b, &expected[1]) };
            assert_eq!(&classifier.run(&[input]).unwrap(), expected, "{}", device.name());
        }
        assert_eq!(classifier.compilations() - before, 2, "{}", device.name());
    }
}

#[test]
fn eight_threads_compile_a_new_size_once() {
    let classifier = builder(&Device::cpu()).build().unwrap();
    let before = classifier.compilations();
    let input = planes(48, 48);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| classifier.run(&[&input]).unwrap());
        }
    });
    assert_eq!(classifier.compilations() - before, 1);
}

#[test]
fn sessions_over_the_bound_are_let_go_and_the_last_is_kept() {
    let classifier = builder(&Device::cpu()).session_bytes(1).build().unwrap();
    let [a, b] = [planes(40, 40), planes(56, 40)];
    let first = classifier.run(&[&a]).unwrap();
    let before = classifier.compilations();
    classifier.run(&[&a]).unwrap();
    assert_eq!(classifier.compilations(), before);
    classifier.run(&[&b]).unwrap();
    assert_eq!(classifier.run(&[&a]).unwrap(), first);
    assert_eq!(classifier.compilations() - before, 2);

    // However small, sessions are not kept without end.
    let classifier = builder(&Device::cpu()).build().unwrap();
    let sizes = (0..20).map(|i| planes(40 + i, 40));
    let sizes: Vec<Planes> = sizes.collect();
    sizes.iter().for_each(|input| drop(classifier.run(&[input]).unwrap()));
    let before = classifier.compilations();
    classifier.run(&[&sizes[19]]).unwrap();
    assert_eq!(classifier.compilations(), before);
    classifier.run(&[&sizes[0]]).unwrap();
    assert_eq!(classifier.compilations(), before + 1);
}

#[test]
fn a_size_that_the_network_does_not_take_is_an_error_each_time() {
    let classifier = Classifier::builder().weights(CIFAR10).device(Device::cpu()).build().unwrap();
    let input = Planes { channels: 1, height: 3, width: 3, values: vec![0.0; 9] };
    for _ in 0..2 {
        assert!(matches!(classifier.run(&[&input]), Err(Error::Usage(_))));
    }
    assert!(classifier.classify_file("examples/images/ship.png", 1).is_ok());
}

#[test]
fn every_way_in_gives_the_same_classes() {
    let file = "examples/images/ship.png";
    let classifier = Classifier::builder().weights(CIFAR10).device(Device::cpu()).build().unwrap();
    let expected = classifier.classify_file(file, 3).unwrap();
    assert_eq!(expected[0].label.as_deref(), Some("ship"));
    let bytes = std::fs::read(file).unwrap();
    assert_eq!(classifier.classify_bytes("ship", &bytes, 3).unwrap(), expected);
    let image = pretrained::vision::decode_file(file, &Default::default()).unwrap();
    assert_eq!(classifier.classify(&image, 3).unwrap(), expected);
    let (width, height) = image.dimensions();
    assert_eq!(classifier.classify_pixels(width, height, image.as_raw(), 3).unwrap(), expected);
    assert_eq!(classifier.classify_many(&[&image, &image], 3).unwrap(), [expected.clone(), expected.clone()]);
    assert_eq!(classifier.classify_many::<RgbImage>(&[], 3).unwrap(), Vec::<Vec<_>>::new());
    assert_eq!(classifier.top_k(&classifier.logits(&image).unwrap(), 3).unwrap(), expected);
    for (width, height) in [(width + 1, height), (u32::MAX, u32::MAX), (0, 0)] {
        let error = classifier.classify_pixels(width, height, image.as_raw(), 3).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
    }
    let error = classifier.classify_bytes("shipwreck", &bytes[..100], 3).unwrap_err().to_string();
    assert!(error.starts_with("shipwreck: "), "{error}");
}

/// Where a device normalises by itself, images come to it as levels, and planes that a program has are welcome as before.
#[test]
fn images_give_what_their_planes_give() {
    for device in devices() {
        for preset in [Preset::Unit, Preset::Torchvision, Preset::Levels] {
            let (size, crop) = (Size::Exact { width: 37, height: 29 }, Crop::Centre { width: 43, height: 25 });
            let overrides = Overrides { size: Some(size), crop: Some(crop), ..Overrides::default() };
            let classifier = builder(&device).preset(preset).overrides(overrides).max_batch(2).build().unwrap();
            let before = classifier.compilations();
            let pictures = [image(50, 40), image(90, 30), image(37, 29)];
            let planes: Vec<Planes> =
                pictures.iter().map(|image| classifier.preprocess().apply(image).unwrap()).collect();
            let expected = classifier.run(&planes).unwrap();
            let name = format!("{preset} on {}", device.name());
            for (picture, expected) in pictures.iter().zip(expected.chunks(4)) {
                let logits = classifier.logits(picture).unwrap();
                assert!(relative_error(&logits, expected) <= 1e-5, "{name}");
                let embedding = classifier.embed(picture).unwrap();
                let planes = classifier.preprocess().apply(picture).unwrap();
                let of_planes = classifier.embed_planes(&[planes], None).unwrap();
                assert!(relative_error(&embedding, &of_planes) <= 1e-5, "{name}");
            }
            let many = classifier.classify_many(&pictures, 4).unwrap();
            for (found, expected) in many.iter().zip(expected.chunks(4)) {
                let expected = classifier.top_k(expected, 4).unwrap();
                let close = |(a, b): (&Prediction, &Prediction)| (a.probability - b.probability).abs() <= 1e-4;
                assert!(found.iter().zip(&expected).all(close), "{name}: {found:?} is not {expected:?}");
            }
            // One session for images and planes, and one for embeddings.
            assert_eq!(classifier.compilations() - before, 1, "{name}");
        }
    }
}

#[test]
fn embeddings_are_what_the_reference_computes_there() {
    let resnet = ResNet::by_name("resnet18", 7).unwrap().network();
    for (network, layers, length) in
        [(network(), ["stage2.0.branch2.0", "conv5.0"], 9), (resnet, ["layer1.0.conv1", "fc"], 512)]
    {
        let values = network.graph.parameters().iter().map(|p| {
            let scale = 1.5 / (p.shape.iter().skip(1).product::<usize>() as f32).sqrt();
            (0..p.shape.iter().product()).map(|i: usize| ((i * 37 % 101) as f32 / 50.0 - 0.9).abs() * scale).collect()
        });
        let state = Model::from_weights(network.clone(), values.collect()).unwrap().state_dict();
        let model = Model::load(network.clone(), &state, Strictness::Strict).unwrap();
        let input = planes(33, 47);
        let shape = Shape::new(3, 47, 33);
        for device in gpus().into_iter().chain([Device::cpu()]) {
            let classifier = Classifier::builder().device(device.clone()).network(network.clone());
            let classifier = classifier.state_dict(state.clone()).preset(Preset::Unit);
            let classifier = classifier.overrides(Overrides::default()).max_batch(2).build().unwrap();
            let found = classifier.embed_planes(&[&input, &input], None).unwrap();
            assert_eq!(found.len(), 2 * length, "{}", device.name());
            let (first, second) = found.split_at(length);
            assert!(relative_error(second, first) <= 1e-6, "{}", device.name());
            // The last layer makes of it what the network returns.
            let logits = classifier.run(&[&input]).unwrap();
            let expected = reference::run(&network.graph, model.weights(), shape, &input.values).unwrap();
            assert!(relative_error(&logits, &expected) <= 1e-5, "{}", device.name());
            let classes = logits.len();
            let names = ["fc.weight", "fc.bias"].map(|name| common::values(&state, name));
            let row = |class: usize| {
                let weights = &names[0][class * length..][..length];
                names[1][class] + weights.iter().zip(first).map(|(w, x)| w * x).sum::<f32>()
            };
            let by_hand: Vec<f32> = (0..classes).map(row).collect();
            assert!(relative_error(&by_hand, &expected) <= 1e-5, "{}", device.name());
            for layer in layers {
                assert!(!classifier.embed_planes(&[&input], Some(layer)).unwrap().is_empty(), "{layer}");
            }
            if layers[1] == "fc" {
                assert_eq!(classifier.embed_planes(&[&input], Some("fc")).unwrap(), logits);
            }
            let error = classifier.embed_layer(&image(40, 40), "layer9").unwrap_err().to_string();
            assert!(error.contains("has no layer called \"layer9\"; the most similar are "), "{error}");
        }
    }
}
