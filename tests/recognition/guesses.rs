//! How images are prepared where nothing says it: a guess that suits the kind of network, and that is told.

use crate::common;
use pretrained::graph::{Builder, Linear, Shape, Value};
use pretrained::vision::{Overrides, Preset};
use pretrained::zoo::{LeNet5, Network};
use pretrained::{Classifier, ClassifierBuilder, Device, Initialiser, Model, StateDict};

/// A classifier with new parameters.
fn of(network: Network) -> ClassifierBuilder {
    let state = Model::initialise(network.clone(), Initialiser::LayerDefault, 0).unwrap().state_dict();
    Classifier::builder().device(Device::cpu()).network(network).state_dict(state)
}

fn lenet5(in_channels: usize, side: usize, bias: bool) -> Network {
    LeNet5 { in_channels, side, channels: [6, 16], bias, hidden: [120, 84], num_classes: 10 }.network()
}

fn dense(input: Shape, classes: usize) -> Network {
    let mut g = Builder::new();
    let x = g.flatten(Value::INPUT);
    let x = g.linear("fc", x, Linear::new(input.elements(), classes));
    Network::new("dense", g.finish(x), input)
}

#[test]
fn a_guess_suits_the_network_and_is_told() {
    for (network, preset) in [
        (lenet5(3, 32, true), Preset::Cifar10Tutorial),
        (lenet5(1, 28, true), Preset::MnistStandardized),
        (lenet5(1, 32, true), Preset::MnistStandardized),
        (dense(Shape::new(1, 28, 28), 10), Preset::Mnist),
        (dense(Shape::new(3, 32, 32), 10), Preset::Cifar10Standardized),
        (dense(Shape::new(3, 32, 32), 100), Preset::Cifar100),
        (dense(Shape::new(3, 32, 32), 7), Preset::Unit),
        (dense(Shape::new(1, 20, 30), 10), Preset::Unit),
    ] {
        let input = network.input;
        let classifier = of(network.clone()).build().unwrap();
        let guess = classifier.guess().unwrap();
        assert!(guess.contains(&format!("guessed the preset {preset}: ")), "{guess}");
        let preprocess = classifier.preprocess();
        assert_eq!(preprocess.channels(), input.channels, "{preset}");
        assert_eq!(preprocess.fixed_size(), Some((input.width as u32, input.height as u32)), "{preset}");
        assert_eq!(preprocess.mean[0], preset.preprocess().mean[0], "{preset}");
        // No guess where the caller says it.
        let said = of(network.clone()).preset(preset).build().unwrap();
        assert_eq!((said.guess(), said.preprocess()), (None, preprocess));
        let numbers = Overrides { mean: Some(vec![0.1]), std: Some(vec![0.2]), ..Overrides::default() };
        assert_eq!(of(network.clone()).overrides(numbers).build().unwrap().guess(), None);
        let half = Overrides { mean: Some(vec![0.1]), ..Overrides::default() };
        assert!(of(network).overrides(half).build().unwrap().guess().is_some());
    }
    // What MindSpore's network was published with.
    let classifier = of(lenet5(1, 32, false)).build().unwrap();
    assert_eq!((classifier.guess(), classifier.preprocess()), (None, &Preset::Mnist32.preprocess()));
}

/// Of torchvision's own files it is known; the same weights in a file of any other name may be anybody's.
#[test]
fn torchvisions_files_are_no_guess() {
    let Some(shared) = common::shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, guessed) in [("shufflenetv2_x0.5-f707e7126e.pth", false), ("model.pth", true)] {
        let path = folder.path().join(name);
        std::fs::copy(shared.join("fixtures/shufflenetv2_x0_5_legacy.pth"), &path).unwrap();
        let state = StateDict::open(&path).unwrap();
        let classifier = Classifier::builder().device(Device::cpu()).state_dict(state).build().unwrap();
        assert_eq!(classifier.guess().is_some(), guessed, "{name}");
        assert_eq!(classifier.preprocess(), &Preset::Torchvision.preprocess());
    }
}
