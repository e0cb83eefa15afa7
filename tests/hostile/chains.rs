//! Rebuilds models that were saved whole from pickles written here: what their layers tell, and what is damaged or made
//! to harm.

use crate::build::open_bytes;
use crate::modules::{dict, global, tensor, text, zip_of};
use crate::{bend, small, survive};
use pretrained::zoo::{Network, detect};
use pretrained::{Model, Result, StateDict, Strictness};
use proptest::prelude::*;

type Attributes = Vec<(&'static str, Vec<u8>)>;

fn int(number: i64) -> Vec<u8> {
    [b"\x8a\x08", &number.to_le_bytes()[..]].concat()
}

fn tuple(numbers: &[i64]) -> Vec<u8> {
    [b"(".to_vec(), numbers.iter().flat_map(|number| int(*number)).collect(), b"t".to_vec()].concat()
}

/// A module of `class` with these attributes, names of parameters, and modules within.
fn module(class: &str, attributes: &[(&str, Vec<u8>)], parameters: &[&str], within: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let tensor = tensor(false);
    let parameters: Vec<(&str, &[u8])> = parameters.iter().map(|name| (*name, &tensor[..])).collect();
    let within: Vec<(&str, &[u8])> = within.iter().map(|(name, module)| (*name, &module[..])).collect();
    let (parameters, within) = (dict(&parameters), dict(&within));
    let mut state: Vec<(&str, &[u8])> = vec![("_parameters", &parameters), ("_modules", &within)];
    state.extend(attributes.iter().map(|(name, value)| (*name, &value[..])));
    [&global(class)[..], b")\x81", &dict(&state), b"b"].concat()
}

/// One of PyTorch's layers without parameters.
fn plain(class: &str, attributes: &[(&str, Vec<u8>)]) -> Vec<u8> {
    module(&format!("torch.nn.modules.{class}"), attributes, &[], &[])
}

fn conv_attributes(channels: [i64; 2], kernel: i64, stride: i64) -> Attributes {
    vec![
        ("in_channels", int(channels[0])),
        ("out_channels", int(channels[1])),
        ("kernel_size", tuple(&[kernel; 2])),
        ("stride", tuple(&[stride; 2])),
        ("padding", tuple(&[0, 0])),
        ("dilation", tuple(&[1, 1])),
        ("transposed", b"\x89".to_vec()),
        ("groups", int(1)),
        ("padding_mode", text("zeros")),
    ]
}

fn conv(channels: [i64; 2], kernel: i64, stride: i64) -> Vec<u8> {
    module("torch.nn.modules.conv.Conv2d", &conv_attributes(channels, kernel, stride), &["weight"], &[])
}

fn linear(features: [i64; 2]) -> Vec<u8> {
    let attributes = [("in_features", int(features[0])), ("out_features", int(features[1]))];
    module("torch.nn.modules.linear.Linear", &attributes, &["weight", "bias"], &[])
}

fn pool_attributes() -> Attributes {
    let (ceil_mode, return_indices) = (b"\x89".to_vec(), b"\x89".to_vec());
    vec![
        ("kernel_size", int(2)),
        ("stride", int(2)),
        ("padding", int(0)),
        ("dilation", int(1)),
        ("return_indices", return_indices),
        ("ceil_mode", ceil_mode),
    ]
}

fn pool() -> Vec<u8> {
    plain("pooling.MaxPool2d", &pool_attributes())
}

fn relu() -> Vec<u8> {
    plain("activation.ReLU", &[])
}

fn flatten() -> Vec<u8> {
    plain("flatten.Flatten", &[("start_dim", int(1)), ("end_dim", int(-1))])
}

fn mean() -> Vec<u8> {
    plain("pooling.AdaptiveAvgPool2d", &[("output_size", int(1))])
}

fn sequential(layers: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|n| n.to_string()).collect();
    let within: Vec<(&str, Vec<u8>)> = names.iter().map(String::as_str).zip(layers.iter().cloned()).collect();
    module("torch.nn.modules.container.Sequential", &[], &[], &within)
}

fn open(model: &[u8]) -> StateDict {
    open_bytes(&zip_of(model)).unwrap()
}

fn rebuilt(model: &[u8]) -> Result<Network> {
    detect(&open(model))
}

fn assert_none(model: &[u8], reason: &str) {
    match rebuilt(model) {
        Ok(network) => panic!("rebuilt as {network:?}, and should not be, because: {reason}"),
        Err(error) => assert!(error.to_string().contains(reason), "{error}\nshould contain: {reason}"),
    }
}

#[test]
fn the_image_that_goes_in_follows_from_the_layers() {
    let convs = |kernel| vec![conv([1, 6], kernel, 1), relu(), pool(), conv([6, 16], kernel, 1), relu(), pool()];
    let mnist = |kernel, last| [convs(kernel), vec![flatten(), linear([last, 10])]].concat();
    let colours = |last| vec![conv([3, 4], 1, 1), pool(), pool(), pool(), flatten(), linear([last, 10])];
    for (layers, input) in [
        (mnist(3, 400), "1x28x28"),
        // 32 to 35 pixels fit, of which the first halves most often.
        (mnist(5, 400), "1x32x32"),
        (colours(4 * 4 * 4), "3x32x32"),
        (colours(4 * 28 * 28), "3x224x224"),
        (colours(4 * 12 * 12), "3x96x96"),
        // 227 to 230.
        (vec![conv([3, 4], 11, 4), flatten(), linear([4 * 55 * 55, 10])], "3x228x228"),
        // Any size fits.
        (vec![conv([3, 4], 3, 2), mean(), flatten(), linear([4, 10])], "3x224x224"),
        (vec![conv([1, 4], 3, 2), mean(), flatten(), linear([4, 10])], "1x28x28"),
        (vec![conv([2, 4], 3, 2), relu(), conv([4, 10], 1, 1), mean(), flatten()], "2x224x224"),
        // Nothing tells how many channels.
        (vec![pool(), flatten(), linear([196, 10])], "1x28x28"),
        (vec![pool(), flatten(), linear([192, 10])], "3x16x16"),
        (vec![linear([784, 10]), relu(), linear([10, 10])], "1x28x28"),
        (vec![flatten(), linear([3 * 32 * 32, 10])], "3x32x32"),
        (vec![relu(), linear([7, 10])], "7x1x1"),
    ] {
        let network = rebuilt(&sequential(&layers)).unwrap();
        assert_eq!((network.input.to_string(), network.preset), (input.to_owned(), None));
        assert_eq!(network.name, format!("sequential_{input}-10"));
    }
    let layers = [convs(3), vec![flatten(), linear([401, 10])]].concat();
    assert_none(&sequential(&layers), "no square image becomes the 401 numbers");
    assert_none(&sequential(&[conv([1, 4], 3, 1), linear([4, 10])]), "`1` (Linear): it takes a vector");
    assert_none(&sequential(&[linear([4, 10]), relu(), conv([10, 4], 3, 1)]), "`2` (Conv2d): it takes an image");
    let misfit = [conv([3, 4], 3, 1), conv([5, 4], 3, 1), mean(), flatten()];
    assert_none(&sequential(&misfit), "does not fit 1: it takes 5 channels, found 4x222x222");
    assert_none(&sequential(&[linear([4, 10]), linear([11, 2])]), "it takes 11 features, found 10");
}

#[test]
fn attributes_that_lie_are_named() {
    let odd: [Vec<u8>; 12] = [
        int(-1),
        int(i64::MAX),
        int(i64::MIN),
        int(1 << 21),
        b"\x8a\x09\0\0\0\0\0\0\0\0\x01".to_vec(),
        b"N".to_vec(),
        b"G\x3f\xf0\0\0\0\0\0\0".to_vec(),
        text("same?"),
        text(&"long".repeat(100)),
        tuple(&[1, 1, 1]),
        tuple(&[3, -1]),
        b"]".to_vec(),
    ];
    let rest = [mean(), flatten(), linear([4, 2])];
    let with = |class: &str, attributes: &Attributes, parameters: &[&str], name: &str, value: &[u8]| {
        // The last of equal keys counts.
        let attributes = [attributes.iter().map(|(n, v)| (*n, v.clone())).collect(), vec![(name, value.to_vec())]];
        module(class, &attributes.concat(), parameters, &[])
    };
    let (conv_class, pool_class) = ("torch.nn.modules.conv.Conv2d", "torch.nn.modules.pooling.MaxPool2d");
    for name in ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups"] {
        for value in &odd {
            let lying = with(conv_class, &conv_attributes([3, 4], 3, 1), &["weight"], name, value);
            let layers = [vec![lying], rest.to_vec()].concat();
            assert_none(&sequential(&layers), &format!("`0` (Conv2d): its {name} is "));
        }
    }
    for (name, value) in [("transposed", &b"\x88"[..]), ("transposed", b"K\x01"), ("padding_mode", b"N")] {
        let mut attributes = conv_attributes([3, 4], 3, 1);
        attributes.iter_mut().filter(|(known, _)| *known == "padding").for_each(|(_, value)| *value = int(1));
        let lying = with(conv_class, &attributes, &["weight"], name, value);
        assert_none(&sequential(&[vec![lying], rest.to_vec()].concat()), "`0` (Conv2d): it");
    }
    for (name, value) in
        [("kernel_size", int(0)), ("padding", int(-2)), ("return_indices", b"\x88".to_vec()), ("ceil_mode", int(1))]
    {
        let lying = with(pool_class, &pool_attributes(), &[], name, &value);
        let layers = [vec![conv([3, 4], 3, 1), lying], rest.to_vec()].concat();
        assert_none(&sequential(&layers), "`1` (MaxPool2d): it");
    }
    // All in one list.
    let layers = [
        plain("activation.Tanh", &[]),
        plain("pooling.AdaptiveAvgPool2d", &[("output_size", tuple(&[2, 2]))]),
        flatten(),
        plain("activation.LogSoftmax", &[("dim", int(1))]),
        linear([4, 2]),
    ];
    let error = rebuilt(&sequential(&[sequential(&layers), relu()])).unwrap_err().to_string();
    for part in
        ["`0.0` (Tanh): no graph has", "`0.1` (AdaptiveAvgPool2d): its output_size is (2, 2)", "`0.3` (LogSoftmax)"]
    {
        assert!(error.contains(part), "{error}");
    }
    // Numbers as large as are believed, and a weight that is none of that.
    let huge = sequential(&[conv([1 << 20, 1 << 20], 1 << 20, 1), mean(), flatten()]);
    assert_none(&huge, "fewer than the kernel's 1048576");
    let large = open(&sequential(&[linear([1 << 20, 1 << 20]), relu()]));
    let error = Model::from_state_dict(&large, Strictness::Strict).unwrap_err().to_string();
    assert!(error.contains("0.weight: expected [1048576, 1048576], found [2, 3]"), "{error}");
}

#[test]
fn what_is_no_chain_is_not_guessed_at() {
    let stack = || sequential(&[conv([3, 4], 3, 1), relu(), mean(), flatten(), linear([4, 2])]);
    let net = |within: &[(&str, Vec<u8>)]| module("__main__.Net", &[], &[], within);
    for within in [vec![("stack", stack())], vec![("flatten", flatten()), ("stack", stack())]] {
        assert_eq!(rebuilt(&net(&within)).unwrap().name, "sequential_3x224x224-2");
        assert_eq!(rebuilt(&net(&[("net", net(&within))])).unwrap().name, "sequential_3x224x224-2");
    }
    let hooks = [&global("collections.OrderedDict")[..], b")R", &int(1), b"K\x02s"].concat();
    let linear_with = |attributes: Attributes, parameters: &[&str], within: &[(&str, Vec<u8>)]| {
        let attributes = [vec![("in_features", int(4)), ("out_features", int(2))], attributes].concat();
        sequential(&[module("torch.nn.modules.linear.Linear", &attributes, parameters, within)])
    };
    let forward = global("__main__.other_forward");
    for (model, reason) in [
        (net(&[("a", stack()), ("b", stack())]), "of which 2 parts have parameters"),
        (
            net(&[("stack", stack()), ("pool", pool())]),
            "where it calls its pool, a torch.nn.modules.pooling.MaxPool2d, is",
        ),
        (net(&[("stack", stack()), ("x", b"K\x01".to_vec())]), "where it calls its x, a an int, is code"),
        (module("__main__.Net", &[], &["scale"], &[("stack", stack())]), "has more to it than the modules within"),
        (module("__main__.Net", &[("forward", forward.clone())], &[], &[("stack", stack())]), "has more to it"),
        (module("__main__.Net", &[("_forward_hooks", hooks.clone())], &[], &[("stack", stack())]), "has more to it"),
        (
            module("m.Sequential", &[], &[], &[("0", relu()), ("1", linear([4, 2]))]),
            "is a m.Sequential, and where it calls its 0",
        ),
        (linear([4, 2]), "the model is a torch.nn.modules.linear.Linear, and no Sequential"),
        (sequential(&[conv([3, 4], 3, 1), net(&[("stack", stack())])]), "what 1, a __main__.Net, computes is code"),
        (module("torch.nn.modules.container.Sequential", &[], &["w"], &[("0", stack())]), "computes is code"),
        (linear_with(vec![("_forward_pre_hooks", hooks)], &["weight"], &[]), "computes is code"),
        (linear_with(vec![("forward", forward)], &["weight"], &[]), "computes is code"),
        (linear_with(vec![], &["weight_orig", "bias"], &[]), "`0` (Linear): it has no weight"),
        (linear_with(vec![], &["weight", "mask"], &[]), "`0` (Linear): it has a parameter mask"),
        (linear_with(vec![], &["weight"], &[("0", relu())]), "`0` (Linear): it has modules within it"),
    ] {
        // Names alone may tell an MLP still; a chain with conv layers they do not.
        match detect(&open(&model)) {
            Ok(network) => assert!(network.name.starts_with("mlp_"), "{network:?} in spite of: {reason}"),
            Err(error) => assert!(error.to_string().contains(reason), "{error}\nshould contain: {reason}"),
        }
    }
}

#[test]
fn modules_are_renamed_with_their_parameters() {
    let model = sequential(&[linear([3, 2]), plain("activation.Sigmoid", &[])]);
    let state = open(&model);
    assert_eq!(state.modules().unwrap().modules().len(), 3);
    let same = state.rename(&["^no=".parse().unwrap()]).unwrap().state;
    assert_eq!(same.modules(), state.modules());
    let renamed = state.rename(&["^0=fc".parse().unwrap()]).unwrap().state;
    let paths = |state: &StateDict| -> Vec<String> {
        state.modules().unwrap().modules().iter().map(|module| module.path.clone()).collect()
    };
    assert!(renamed.contains("fc.weight") && paths(&renamed) == ["", "fc", "1"], "{:?}", paths(&renamed));
    // As DataParallel has it: the prefix comes off the paths too.
    let parallel = module("torch.nn.parallel.data_parallel.DataParallel", &[], &[], &[("module", model)]);
    let state = open(&parallel);
    assert_eq!(state.modules().unwrap().modules().iter().map(|m| &m.path[..]).collect::<Vec<_>>(), ["", "", "0", "1"]);
    let model = Model::from_state_dict(&state, Strictness::AllowUnexpected).unwrap_err().to_string();
    // Both tensors are 2 by 3 here, and a bias is not.
    assert!(model.contains("0.bias: expected [2], found [2, 3]") && !model.contains("missing 0"), "{model}");
}

#[test]
fn chains_of_many_layers() {
    let many = |count| sequential(&[vec![linear([4, 4])], vec![relu(); count]].concat());
    assert_eq!(rebuilt(&many(9_000)).unwrap().graph.nodes().len(), 9_002);
    assert_none(&many(20_000), "it has 20001 layers");
    let mut deep = linear([4, 4]);
    for _ in 0..300 {
        deep = sequential(&[deep]);
    }
    assert_eq!(rebuilt(&deep).unwrap().graph.parameters()[0].name, "0.".repeat(300) + "weight");
    // One module in several places is run as often.
    let shared = [&relu()[..], b"q\x010"].concat();
    let model = sequential(&[linear([4, 4]), b"h\x01".to_vec(), linear([4, 4]), b"h\x01".to_vec()]);
    assert_eq!(rebuilt(&[shared, model].concat()).unwrap().graph.nodes().len(), 5);
    // Itself.
    let within = dict(&[("0", b"h\x01")]);
    let own = [&global("torch.nn.modules.container.Sequential")[..], b")\x81q\x01"].concat();
    let own = [&own[..], &dict(&[("_parameters", b"}"), ("_modules", &within)]), b"b"].concat();
    assert!(open_bytes(&zip_of(&own)).unwrap_err().to_string().contains("contains itself"));
}

fn valid_chain() -> Vec<u8> {
    let head = sequential(&[flatten(), linear([400, 10]), plain("activation.Softmax", &[("dim", int(1))])]);
    zip_of(&sequential(&[conv([1, 6], 3, 1), relu(), pool(), conv([6, 16], 3, 1), pool(), head]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_chains_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = valid_chain();
        bend(&mut bytes, &changes, None);
        survive(small(&bytes));
    }
}
