//! What the outputs of a network are: probabilities are made of them once, as its file or its caller says.

use crate::common;
use pretrained::graph::{Activation, BatchNorm2d, Builder, Graph, Head, Linear, OutputActivation, Shape, Value};
use pretrained::vision::{Labels, Planes, Preset, probabilities, top_k_by};
use pretrained::zoo::{Network, detect};
use pretrained::{
    Classifier, ClassifierBuilder, Device, Error, ExportOptions, Model, StateDict, Strictness, Tensor, description,
    import,
};
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What ONNX Runtime computes of each file, which says of its end what the numbers are.
#[test]
fn the_ends_of_graphs_are_what_onnx_runtime_computes() {
    let Some(shared) = common::shared() else { return };
    let folder = shared.join("cases/onnx");
    let truth = StateDict::open(folder.join("onnxruntime.safetensors")).unwrap();
    for (file, activation) in [
        ("sigmoid_end", OutputActivation::Sigmoid),
        ("sigmoid_one_out", OutputActivation::Sigmoid),
        ("softmax_twice", OutputActivation::Softmax),
        ("softmax_scaled_end", OutputActivation::None),
        ("softmax_log", OutputActivation::Softmax),
        ("softmax4d", OutputActivation::Softmax),
        ("softmax_old_axis1_4d", OutputActivation::Softmax),
        ("flatten_softmax_out", OutputActivation::Softmax),
    ] {
        let name = format!("{file}.onnx");
        let classifier = cpu().weights(folder.join(&name)).build().unwrap();
        assert_eq!(classifier.activation(), activation, "{name}");
        let images = common::values(&truth, &format!("{name}.in"));
        let expected = common::values(&truth, &format!("{name}.out"));
        let Shape { channels, height, width } = classifier.model().network().input;
        let planes = images.chunks(channels * height * width);
        let planes: Vec<Planes> =
            planes.map(|values| Planes { channels, height, width, values: values.to_vec() }).collect();
        let outputs = classifier.run(&planes).unwrap();
        let rows = outputs.chunks(classifier.outputs()).zip(expected.chunks(expected.len() / planes.len()));
        for (outputs, expected) in rows {
            let mut found = probabilities(classifier.head(), outputs).unwrap();
            let expected: Vec<f32> = match file {
                "softmax_log" => expected.iter().map(|log| log.exp()).collect(),
                _ => expected.to_vec(),
            };
            if classifier.outputs() == 1 {
                assert!((found.remove(0) + found[0] - 1.0).abs() < 1e-6);
            }
            let worst = found.iter().zip(&expected).fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
            let largest = expected.iter().fold(1f32, |largest, value| largest.max(*value));
            assert!(found.len() == expected.len() && worst < 1e-4 * largest, "{name}: {found:?}, {expected:?}");
            // Ranked as they are large.
            let top = classifier.top_k(outputs, usize::MAX).unwrap();
            assert!(top.is_sorted_by(|a, b| a.probability >= b.probability), "{name}: {top:?}");
        }
    }
}

fn cpu() -> ClassifierBuilder {
    Classifier::builder().device(Device::cpu()).preset(Preset::Unit)
}

/// A fully connected layer of four numbers, and what `end` makes of the `classes` that it gives.
fn graph(classes: usize, end: impl FnOnce(&mut Builder, Value) -> Value) -> Graph {
    let mut g = Builder::new();
    let x = g.flatten(Value::INPUT);
    let x = g.linear("fc", x, Linear::new(4, classes).no_bias());
    let x = end(&mut g, x);
    g.finish(x)
}

#[test]
fn a_graph_says_what_its_end_makes() {
    let sigmoid = |g: &mut Builder, x| g.activation(x, Activation::Sigmoid);
    let clamp = |low, high| move |g: &mut Builder, x| g.activation(x, Activation::Clamp { low, high });
    let cases: [(&str, Head, Graph); 16] = [
        ("nothing", Head::Logits, graph(3, |_, x| x)),
        ("relu", Head::Logits, graph(3, |g, x| g.relu(x))),
        ("norm", Head::Logits, graph(3, |g, x| g.batch_norm2d("bn", x, BatchNorm2d::new(3)))),
        (
            "gate",
            Head::Logits,
            graph(3, |g, x| {
                let s = sigmoid(g, x);
                g.mul(x, s)
            }),
        ),
        (
            "within",
            Head::Logits,
            graph(3, |g, x| {
                let x = g.softmax(x);
                g.linear("fc2", x, Linear::new(3, 2))
            }),
        ),
        ("softmax", Head::Probabilities, graph(3, |g, x| g.softmax(x))),
        (
            "flat",
            Head::Probabilities,
            graph(3, |g, x| {
                let x = g.softmax(x);
                g.flatten(x)
            }),
        ),
        (
            "mean",
            Head::Probabilities,
            graph(3, |g, x| {
                let x = g.softmax(x);
                g.mean(x)
            }),
        ),
        ("sigmoid", Head::IndependentProbabilities, graph(3, sigmoid)),
        ("hard", Head::IndependentProbabilities, graph(3, |g, x| g.activation(x, Activation::HARD_SIGMOID))),
        ("clamp", Head::IndependentProbabilities, graph(3, clamp(0.0, 1.0))),
        (
            "some",
            Head::IndependentProbabilities,
            graph(3, |g, x| {
                let x = sigmoid(g, x);
                g.narrow(x, 1, 2)
            }),
        ),
        (
            "some of all",
            Head::Values,
            graph(3, |g, x| {
                let x = g.softmax(x);
                g.narrow(x, 1, 2)
            }),
        ),
        (
            "scaled",
            Head::Values,
            graph(3, |g, x| {
                let x = g.softmax(x);
                g.batch_norm2d("by", x, BatchNorm2d::new(3))
            }),
        ),
        (
            "both",
            Head::Values,
            graph(3, |g, x| {
                let (s, p) = (sigmoid(g, x), g.softmax(x));
                g.concat(&[s, p])
            }),
        ),
        (
            "product",
            Head::Values,
            graph(3, |g, x| {
                let (s, p) = (sigmoid(g, x), g.softmax(x));
                g.mul(s, p)
            }),
        ),
    ];
    for (name, head, graph) in cases {
        assert_eq!(Head::of(&graph), head, "{name}");
        assert_eq!(Network::new(name, graph, Shape::new(1, 2, 2)).head, head, "{name}");
    }
}

/// A network of `fc` alone whose outputs are these for an image of ones.
fn state(outputs: &[f32]) -> StateDict {
    let weights: Vec<f32> = outputs.iter().flat_map(|&output| [output, 0.0, 0.0, 0.0]).collect();
    let tensor =
        |name: &str, shape: &[usize], values: &[f32]| (name.to_owned(), Tensor::from_f32(shape, values).unwrap());
    let count = outputs.len();
    [tensor("fc.weight", &[count, 4], &weights), tensor("fc.bias", &[count], &vec![0.0; count])].into_iter().collect()
}

fn classes(classifier: &Classifier) -> Vec<(usize, Option<String>, f32)> {
    let image = Planes { channels: 1, height: 2, width: 2, values: vec![1.0; 4] };
    let outputs = classifier.run(&[image]).unwrap();
    let top = classifier.top_k(&outputs, 9).unwrap();
    top.into_iter().map(|p| (p.class, p.label, p.probability)).collect()
}

fn assert_classes(classifier: &Classifier, expected: &[(usize, f32)]) {
    let found = classes(classifier);
    let alike = found.iter().zip(expected).all(|(a, b)| a.0 == b.0 && (a.2 - b.1).abs() < 1e-6);
    assert!(alike && found.len() == expected.len(), "{found:?}, {expected:?}");
}

#[test]
fn a_state_dict_is_softmaxed_unless_an_activation_is_set() {
    let outputs = [2.0, -1.0, 3.0];
    let plain = cpu().state_dict(state(&outputs)).build().unwrap();
    assert_eq!((plain.head(), plain.activation()), (Head::Logits, OutputActivation::Softmax));
    assert_classes(&plain, &[(2, 0.721_399_2), (0, 0.265_387_93), (1, 0.013_212_887)]);

    let set = |activation| cpu().state_dict(state(&outputs)).activation(activation).build().unwrap();
    let sigmoid = set(OutputActivation::Sigmoid);
    assert_eq!((sigmoid.head(), sigmoid.activation()), (Head::IndependentLogits, OutputActivation::Sigmoid));
    assert_classes(&sigmoid, &[(2, 0.952_574_1), (0, 0.880_797_1), (1, 0.268_941_43)]);
    assert_classes(&set(OutputActivation::None), &[(2, 3.0), (0, 2.0), (1, -1.0)]);
    assert_classes(&set(OutputActivation::Softmax), &[(2, 0.721_399_2), (0, 0.265_387_93), (1, 0.013_212_887)]);
    assert_eq!("SIGMOID".parse::<OutputActivation>().unwrap(), OutputActivation::Sigmoid);
    let error = "relu".parse::<OutputActivation>().unwrap_err().to_string();
    assert!(error.contains("softmax, sigmoid, none"), "{error}");
}

#[test]
fn one_logit_tells_two_classes_apart() {
    let of = |logit: f32| cpu().state_dict(state(&[logit]));
    let one = of(1.5).build().unwrap();
    assert_eq!((one.outputs(), one.classes(), one.activation()), (1, 2, OutputActivation::Sigmoid));
    assert_classes(&one, &[(1, 0.817_574_5), (0, 0.182_425_5)]);
    assert_classes(&of(-1.5).build().unwrap(), &[(0, 0.817_574_5), (1, 0.182_425_5)]);
    assert!(one.notes().iter().any(|note| note.contains("one output")), "{:?}", one.notes());
    let said = of(1.5).activation(OutputActivation::Sigmoid).build().unwrap();
    assert!(said.classes() == 2 && said.notes().is_empty(), "{:?}", said.notes());
    // A number that is no probability, as of an age.
    let value = of(41.5).activation(OutputActivation::None).build().unwrap();
    assert_eq!(value.classes(), 1);
    assert_classes(&value, &[(0, 41.5)]);
    let error = of(1.5).activation(OutputActivation::Softmax).build().unwrap_err().to_string();
    assert!(error.contains("always 1"), "{error}");

    let labels = |text: &str| Labels::parse("animals.txt", text.as_bytes()).unwrap();
    let named = |text: &str| of(1.5).labels(labels(text)).build().map(|one| classes(&one)[0].1.clone().unwrap());
    assert_eq!(named("cat\ndog").unwrap(), "dog");
    assert_eq!(named("dog").unwrap(), "dog");
    let not = top_k_by(Head::IndependentProbabilities, &[0.1], 1, Some(&labels("dog"))).unwrap();
    assert_eq!((not[0].class, not[0].label.as_deref()), (0, Some("not dog")));
    let error = named("cat\ndog\nfish").unwrap_err().to_string();
    assert!(error.contains("animals.txt: there are 3 labels, and the network has 2 classes"), "{error}");
}

/// A network whose own end says otherwise is not given another.
#[test]
fn an_activation_does_not_contradict_the_network() {
    let classifier = |activation, end: fn(&mut Builder, Value) -> Value| {
        let network = Network::new("own", graph(3, end), Shape::new(1, 2, 2));
        cpu().network(network).state_dict(state(&[2.0, -1.0, 3.0])).activation(activation).build()
    };
    let (softmax, sigmoid) =
        (|g: &mut Builder, x| g.softmax(x), |g: &mut Builder, x| g.activation(x, Activation::Sigmoid));
    let refused = |found: pretrained::Result<Classifier>| match found {
        Err(Error::Usage(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(refused(classifier(OutputActivation::Softmax, sigmoid)).contains("ends in a sigmoid of its own"));
    assert!(refused(classifier(OutputActivation::Sigmoid, softmax)).contains("ends in a softmax of its own"));
    for (activation, end) in
        [(OutputActivation::Softmax, softmax as fn(&mut Builder, Value) -> Value), (OutputActivation::None, softmax)]
    {
        assert_classes(
            &classifier(activation, end).unwrap(),
            &[(2, 0.721_399_2), (0, 0.265_387_93), (1, 0.013_212_887)],
        );
    }
    for activation in [OutputActivation::Sigmoid, OutputActivation::None] {
        let expected = [(2, 0.952_574_1), (0, 0.880_797_1), (1, 0.268_941_43)];
        assert_classes(&classifier(activation, sigmoid).unwrap(), &expected);
    }
}

/// `fc` with these outputs as a safetensors file with metadata.
fn file(folder: &Path, outputs: &[f32], metadata: &[(&str, &str)]) -> PathBuf {
    let (path, state) = (folder.join("model.safetensors"), state(outputs));
    let views = state.iter().map(|(name, tensor)| {
        let view = TensorView::new(safetensors::Dtype::F32, tensor.shape().to_vec(), tensor.bytes()).unwrap();
        (name.to_owned(), view)
    });
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    safetensors::serialize_to_file(views, Some(metadata), &path).unwrap();
    path
}

#[test]
fn metadata_says_the_activation_and_export_hands_it_on() {
    let folder = tempfile::tempdir().unwrap();
    let weights = file(folder.path(), &[2.0, -1.0, 3.0], &[("activation", "sigmoid"), ("preset", "unit")]);
    let expected = [(2, 0.952_574_1), (0, 0.880_797_1), (1, 0.268_941_43)];
    assert_classes(&Classifier::builder().device(Device::cpu()).weights(&weights).build().unwrap(), &expected);

    let state = StateDict::open(&weights).unwrap();
    let model = Model::from_state_dict(&state, Strictness::Strict).unwrap();
    let metadata = description(&state, model.network()).unwrap();
    assert_eq!((&*metadata["activation"], &*metadata["preset"]), ("sigmoid", "unit"));
    let exported = folder.path().join("model.onnx");
    model.export(&exported, &ExportOptions { metadata, ..ExportOptions::default() }).unwrap();
    assert_classes(&Classifier::builder().device(Device::cpu()).weights(&exported).build().unwrap(), &expected);
    // A caller knows better.
    let softmax = Classifier::builder().device(Device::cpu()).weights(&exported).activation(OutputActivation::Softmax);
    assert_eq!(softmax.build().unwrap().head(), Head::Logits);
}

/// What a file ends in, it ends in after import and export too.
#[test]
fn the_end_of_a_graph_survives_import_and_export() {
    let folder = tempfile::tempdir().unwrap();
    let (first, again) = (folder.path().join("first.onnx"), folder.path().join("again.onnx"));
    let weights = vec![vec![0.5; 12]];
    for head in [Head::Logits, Head::Softmax, Head::LogSoftmax] {
        let mut network = Network::new("own", graph(3, |_, x| x), Shape::new(1, 2, 2));
        network.head = head;
        let model = Model::from_weights(network.clone(), weights.clone()).unwrap();
        let options = ExportOptions { overwrite: true, ..ExportOptions::default() };
        model.export(&first, &options).unwrap();
        let (read, _) = import::network(&StateDict::open(&first).unwrap()).unwrap();
        assert_eq!((read.head, read.graph.nodes().len()), (head, network.graph.nodes().len()), "{head:?}");
        let model = Model::from_state_dict(&StateDict::open(&first).unwrap(), Strictness::Strict).unwrap();
        model.export(&again, &options).unwrap();
        assert_eq!(import::network(&StateDict::open(&again).unwrap()).unwrap().0.head, head);
    }
    // Of two softmaxes, the last alone is left to whoever wants probabilities.
    let twice = graph(3, |g, x| {
        let x = g.softmax(x);
        g.softmax(x)
    });
    let model = Model::from_weights(Network::new("twice", twice.clone(), Shape::new(1, 2, 2)), weights).unwrap();
    model.export(&first, &ExportOptions { overwrite: true, ..ExportOptions::default() }).unwrap();
    let (read, _) = import::network(&StateDict::open(&first).unwrap()).unwrap();
    assert_eq!((read.head, read.graph.nodes().len()), (Head::Softmax, twice.nodes().len() - 1));
    let classifier = cpu().weights(&first).build().unwrap();
    assert_eq!(
        (classifier.head(), classifier.model().network().graph.nodes().len()),
        (Head::Softmax, twice.nodes().len() - 1)
    );
}

#[test]
fn modules_that_were_saved_whole_say_their_end() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules");
    let head = |file: &str| detect(&StateDict::open(folder.join(file)).unwrap()).unwrap().head;
    assert_eq!(
        (head("cnn.pth"), head("pooled.pth"), head("tutorial.pth")),
        (Head::Probabilities, Head::LogSoftmax, Head::Logits)
    );
    let binary = cpu().weights(folder.join("binary.pth")).build().unwrap();
    assert_eq!((binary.head(), binary.classes()), (Head::IndependentProbabilities, 2));
    let image = Planes { channels: 1, height: 28, width: 28, values: vec![0.5; 784] };
    let outputs = binary.run(&[image]).unwrap();
    let top = binary.top_k(&outputs, 2).unwrap();
    assert!((top[0].probability + top[1].probability - 1.0).abs() < 1e-6 && top[0].probability < 1.0, "{top:?}");
}

/// Metadata that is of no use must not keep a network from running.
#[test]
fn metadata_of_no_use_is_left_out_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let odd = [("preset", "nonsense"), ("labels", "not\u{1b}json"), ("activation", "relu")];
    let weights = file(folder.path(), &[2.0, -1.0, 3.0], &odd);
    let classifier = Classifier::builder().device(Device::cpu()).weights(&weights).build().unwrap();
    assert_classes(&classifier, &[(2, 0.721_399_2), (0, 0.265_387_93), (1, 0.013_212_887)]);
    assert!(classifier.labels().is_none() && classifier.guess().is_some());
    let notes = classifier.notes();
    for (key, reason) in [("`preset`", "nonsense"), ("`labels`", "1 label"), ("`activation`", "relu")] {
        let told =
            notes.iter().any(|note| note.contains("model.safetensors") && note.contains(key) && note.contains(reason));
        assert!(told, "{key}: {notes:?}");
    }
}
