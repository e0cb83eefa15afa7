//! Packages: made of a path, bytes, a state dict or a name, and where each says that it came from.

use pretrained::graph::Head;
use pretrained::{Classifier, Device, Error, Format, Package, StateDict, catalog};

const MLP: &str = "models/mnist_mlp.safetensors";

/// As sha256sum prints it.
fn sha256_of_mlp() -> String {
    let output = std::process::Command::new("sha256sum").arg(MLP).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_package_says_where_it_came_from() {
    let bytes = std::fs::read(MLP).unwrap();
    let packages = [
        (Package::open(MLP).unwrap(), true),
        (Package::builder().bytes(MLP, bytes).build().unwrap(), true),
        #[cfg(feature = "shipped")]
        (Package::builder().model("mnist_mlp").build().unwrap(), true),
        (Package::builder().state_dict(StateDict::open(MLP).unwrap()).build().unwrap(), false),
    ];
    let expected = sha256_of_mlp();
    for (package, has_file) in &packages {
        let provenance = package.provenance();
        assert_eq!(provenance.format(), Some(Format::Safetensors));
        let found = provenance.sha256().unwrap();
        assert_eq!(found, has_file.then_some(&*expected), "{}", provenance.origin().display());
        assert_eq!((package.head(), package.classes(), package.outputs()), (Head::Logits, 10, 10));
        assert_eq!(package.labels().map(|labels| labels.len()), Some(10));
        assert_eq!(package.preprocess(), packages[0].0.preprocess());
        assert_eq!(package.model().weights(), packages[0].0.model().weights());
        let input = package.input().unwrap();
        assert_eq!((input.channels, input.height, input.width), (1, 28, 28));
    }
    assert_eq!(packages[0].0.provenance().origin(), std::path::Path::new(MLP));
}

#[test]
fn a_file_that_changed_has_no_sum() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mlp.safetensors");
    std::fs::copy(MLP, &file).unwrap();
    let package = Package::open(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(package.provenance().sha256(), Err(Error::Io { .. })));
    std::fs::write(&file, b"something else").unwrap();
    let error = package.provenance().sha256().unwrap_err().to_string();
    assert!(error.contains("has changed since its weights were read"), "{error}");
}

#[test]
fn one_package_serves_several_classifiers() {
    let package = std::sync::Arc::new(Package::open(MLP).unwrap());
    let file = "examples/digits/digit_3.png";
    for _ in 0..2 {
        let classifier = Classifier::builder().package(package.clone()).device(Device::cpu()).build().unwrap();
        assert_eq!(classifier.classify_file(file, 1).unwrap()[0].class, 3);
        assert_eq!(classifier.package().name(), package.name());
    }
}

#[test]
fn every_row_of_the_catalogue_is_sound() {
    let mut names: Vec<&str> =
        catalog::MODELS.iter().flat_map(|model| model.alias.into_iter().chain([model.name])).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "two rows share a name");
    for model in catalog::MODELS {
        assert_eq!(catalog::find(model.name).unwrap().name, model.name);
        let labels = model.labels().unwrap_or_else(|| panic!("{} has no labels", model.name));
        match (model.network, model.published) {
            (Some(network), Some(published)) => {
                let network = pretrained::zoo::by_name(network, labels.len()).unwrap();
                let shapes = network.graph.shapes(network.input).unwrap();
                assert_eq!(shapes.last().unwrap().elements(), labels.len(), "{}", model.name);
                assert!(published.file.ends_with(&format!("-{}.pth", published.sha256)), "{}", model.name);
                assert!(published.url.ends_with(published.file), "{}", model.name);
                // The same weights under their name tell how images are prepared for them.
                assert_eq!(published.url.split('/').next_back(), Some(published.file));
            }
            (None, None) => {
                let Some(state) = model.shipped_weights() else { continue };
                let state = state.unwrap();
                assert_eq!(state.metadata()["preset"], model.preset.name());
                assert_eq!(pretrained::vision::Labels::built_in(&state.metadata()["labels"]), Some(labels));
            }
            _ => panic!("{} is neither shipped nor published", model.name),
        }
    }
    assert_eq!(catalog::find(catalog::DEFAULT).unwrap().shipped_weights().is_some(), cfg!(feature = "shipped"));
}
