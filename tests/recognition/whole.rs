//! Models saved whole: what a file says of its modules is what is computed, or it is refused by module and setting.

use crate::build;
use crate::{lenet5, shufflenet};
use pretrained::graph::{Activation, Op, Shape};
use pretrained::zoo::{Network, detect};
use pretrained::{Error, Model, StateDict, Strictness};
use std::collections::BTreeMap;

/// Numbers that all tensors of a file share: as many as the largest has.
const NUMBERS: usize = 20_000;

type Attributes = BTreeMap<&'static str, Vec<u8>>;

/// A module to be pickled.
#[derive(Clone, Default)]
struct Module {
    class: String,
    attributes: Attributes,
    parameters: Vec<(String, Vec<usize>)>,
    children: Vec<(String, Module)>,
}

fn text(text: &str) -> Vec<u8> {
    let mut opcodes = Vec::new();
    build::text(&mut opcodes, text);
    opcodes
}

fn int(number: usize) -> Vec<u8> {
    let mut opcodes = Vec::new();
    build::int(&mut opcodes, number as i64);
    opcodes
}

fn float(number: f64) -> Vec<u8> {
    [&b"G"[..], &number.to_be_bytes()].concat()
}

fn pair(numbers: [usize; 2]) -> Vec<u8> {
    [&b"("[..], &int(numbers[0]), &int(numbers[1]), b"t"].concat()
}

fn global(name: &str) -> Vec<u8> {
    let (module, name) = name.rsplit_once('.').unwrap();
    format!("c{module}\n{name}\n").into_bytes()
}

fn dict<'n>(items: impl IntoIterator<Item = (&'n str, Vec<u8>)>) -> Vec<u8> {
    let items: Vec<u8> = items.into_iter().flat_map(|(key, value)| [text(key), value].concat()).collect();
    [&b"}("[..], &items, b"u"].concat()
}

fn tensor(shape: &[usize]) -> Vec<u8> {
    let storage =
        [&b"("[..], &text("storage"), b"ctorch\nFloatStorage\n", &text("0"), &text("cpu"), &int(NUMBERS), b"tQ"];
    let numbers =
        |numbers: &[usize]| [&b"("[..], &numbers.iter().flat_map(|n| int(*n)).collect::<Vec<_>>(), b"t"].concat();
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let view = [numbers(shape), numbers(&strides)].concat();
    [&b"ctorch._utils\n_rebuild_tensor_v2\n("[..], &storage.concat(), b"K\x00", &view, b"\x89}tR"].concat()
}

impl Module {
    fn pickled(&self) -> Vec<u8> {
        let parameters = dict(self.parameters.iter().map(|(name, shape)| (name.as_str(), tensor(shape))));
        let children = dict(self.children.iter().map(|(name, module)| (name.as_str(), module.pickled())));
        let state = [("_parameters", parameters), ("_modules", children)];
        let state = dict(state.into_iter().chain(self.attributes.iter().map(|(name, value)| (*name, value.clone()))));
        [&global(&self.class)[..], b")\x81", &state, b"b"].concat()
    }

    fn open(&self) -> StateDict {
        let pickle = [b"\x80\x02", &self.pickled()[..], b"."].concat();
        let zeros = vec![0; 4 * NUMBERS];
        build::open_bytes(&build::zip_with(&[("a/data.pkl", &pickle), ("a/data/0", &zeros)], false)).unwrap()
    }

    /// The module at a path below this one, made where it is not there.
    fn at(&mut self, path: &str) -> &mut Self {
        let mut module = self;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let place = module.children.iter().position(|(name, _)| name == part).unwrap_or_else(|| {
                let class = "torch.nn.modules.container.Sequential".into();
                module.children.push((part.to_owned(), Self { class, ..Self::default() }));
                module.children.len() - 1
            });
            module = &mut module.children[place].1;
        }
        module
    }

    fn set(mut self, path: &str, attribute: &'static str, value: Vec<u8>) -> Self {
        self.at(path).attributes.insert(attribute, value);
        self
    }

    fn plain(mut self, path: &str, class: &str, attributes: &[(&'static str, Vec<u8>)]) -> Self {
        let module = self.at(path);
        *module = Self { class: class.into(), attributes: attributes.iter().cloned().collect(), ..Self::default() };
        self
    }
}

/// `network` as a model of `class` that was saved whole.
fn whole(network: &Network, class: &str) -> Module {
    let mut model = Module { class: class.into(), ..Module::default() };
    for node in network.graph.nodes() {
        let parameters: Vec<(String, Vec<usize>)> = network
            .graph
            .parameters()
            .iter()
            .filter_map(|p| Some((p.name.strip_prefix(&node.name)?.strip_prefix('.')?.to_owned(), p.shape.clone())))
            .collect();
        let window = |w: pretrained::graph::Window| {
            vec![
                ("kernel_size", pair(w.kernel)),
                ("stride", pair(w.stride)),
                ("padding", pair([w.padding.top, w.padding.left])),
                ("dilation", pair(w.dilation)),
            ]
        };
        let (class, attributes) = match &node.op {
            Op::Conv2d { conv, .. } => {
                let sizes = [conv.in_channels, conv.out_channels, conv.groups].map(int);
                let names = ["in_channels", "out_channels", "groups"];
                let mode = ("padding_mode", text("zeros"));
                ("conv.Conv2d", names.into_iter().zip(sizes).chain(window(conv.window)).chain([mode]).collect())
            }
            Op::Linear { linear, .. } => (
                "linear.Linear",
                vec![("in_features", int(linear.in_features)), ("out_features", int(linear.out_features))],
            ),
            Op::BatchNorm2d { norm, .. } => {
                let eps = format!("{}", norm.eps).parse().unwrap();
                ("batchnorm.BatchNorm2d", vec![("num_features", int(norm.channels)), ("eps", float(eps))])
            }
            Op::MaxPool2d(pool) if !node.name.is_empty() => ("pooling.MaxPool2d", window(pool.window)),
            Op::Activation(Activation::Relu) if !node.name.is_empty() => ("activation.ReLU", vec![]),
            _ => continue,
        };
        let module = model.at(&node.name);
        let attributes = attributes.into_iter().collect();
        *module = Module { class: format!("torch.nn.modules.{class}"), attributes, parameters, children: vec![] };
    }
    model
}

fn shuffle() -> Module {
    whole(&shufflenet(), "torchvision.models.shufflenetv2.ShuffleNetV2")
}

/// What the nodes of that name are now.
fn ops(network: &Network, name: &str) -> Vec<Op> {
    network.graph.nodes().iter().filter(|node| node.name == name).map(|node| node.op.clone()).collect()
}

fn refused(model: &Module) -> String {
    match detect(&model.open()) {
        Ok(network) => panic!("was taken for {}: {:?}", network.name, network.notes),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_model_that_nobody_changed_is_the_network() {
    let state = shuffle().open();
    assert_eq!(detect(&state).unwrap(), shufflenet());
    Model::from_state_dict(&state, Strictness::Strict).unwrap();
    let own = detect(&whole(&shufflenet(), "__main__.Net").open()).unwrap();
    assert!(own.notes[0].contains("a __main__.Net") && own.notes[0].contains("code"), "{:?}", own.notes);
}

#[test]
fn settings_that_a_graph_can_have_are_the_files() {
    let found = |model: Module, name: &str| {
        let network = detect(&model.open()).unwrap();
        assert!(network.notes[0].contains(&format!("`{name}` is ")), "{:?}", network.notes);
        ops(&network, name)
    };
    let eps = found(shuffle().set("conv1.1", "eps", float(0.1)), "conv1.1");
    assert!(matches!(eps[..], [Op::BatchNorm2d { norm, .. }] if norm.eps == 0.1), "{eps:?}");
    let stride = found(shuffle().set("conv1.0", "stride", pair([1, 1])), "conv1.0");
    assert!(matches!(stride[..], [Op::Conv2d { conv, .. }] if conv.window.stride == [1, 1]));
    let padding = found(shuffle().set("conv1.0", "padding", pair([2, 2])), "conv1.0");
    assert!(matches!(padding[..], [Op::Conv2d { conv, .. }] if conv.window.padding.left == 2));
    let silu = found(shuffle().plain("conv1.2", "torch.nn.modules.activation.SiLU", &[]), "conv1.2");
    assert_eq!(silu, [Op::Activation(Activation::Silu)]);
    let slope = [("negative_slope", float(0.25))];
    let leaky = found(shuffle().plain("conv1.2", "torch.nn.modules.activation.LeakyReLU", &slope), "conv1.2");
    assert_eq!(leaky, [Op::Activation(Activation::LeakyRelu { negative_slope: 0.25 })]);
    let no_pool = found(shuffle().plain("maxpool", "torch.nn.modules.linear.Identity", &[]), "maxpool");
    assert!(no_pool.is_empty());
    let pool = found(shuffle().set("maxpool", "kernel_size", int(2)), "maxpool");
    assert!(matches!(pool[..], [Op::MaxPool2d(pool)] if pool.window.kernel == [2, 2]));
    // Each change is told, and not each of many.
    let mut model = shuffle();
    for layer in ["conv1.1", "conv5.1", "stage2.0.branch1.1"] {
        model = model.set(layer, "eps", float(0.5));
    }
    assert_eq!(detect(&model.open()).unwrap().notes[0].matches("eps 0.5").count(), 3);
}

#[test]
fn what_no_graph_has_is_named_by_module() {
    let activation = "torch.nn.modules.activation";
    for (model, words) in [
        (shuffle().plain("conv1.2", &format!("{activation}.Tanh"), &[]), "`conv1.2`"),
        (shuffle().plain("conv1.2", &format!("{activation}.LeakyReLU"), &[]), "its negative_slope is not there"),
        (shuffle().plain("conv5.2", &format!("{activation}.GELU"), &[]), "no graph has a GELU"),
        (shuffle().plain("conv5.2", "__main__.Mine", &[]), "`conv5.2` (__main__.Mine): what it does is code"),
        (shuffle().set("conv1.0", "padding_mode", text("reflect")), "its padding_mode is \"reflect\""),
        (shuffle().set("conv1.1", "track_running_stats", b"\x89".to_vec()), "its track_running_stats is False"),
        (
            shuffle().set("conv1", "_forward_hooks", dict([("a", int(1))])),
            "`conv1` (torch.nn.modules.container.Sequential): functions",
        ),
        (shuffle().set("conv1.0", "_forward_pre_hooks", dict([("a", int(1))])), "functions are hooked"),
        (shuffle().set("", "forward", int(1)), "the model"),
        (shuffle().plain("stage2.0.gate", &format!("{activation}.Sigmoid"), &[]), "`stage2.0.gate`"),
        (shuffle().plain("blur", "kornia.filters.Blur", &[]), "`blur` (kornia.filters.Blur)"),
    ] {
        let error = refused(&model);
        assert!(error.contains(words), "{words}: {error}");
    }
    // A class of somebody's own in the place of a convolution.
    let mut model = shuffle();
    model.at("conv1.0").class = "timm.layers.std_conv.StdConv2d".into();
    assert!(refused(&model).contains("what it does with these parameters is code"));
    // What does nothing is nothing.
    let model = shuffle().plain("stage2.0.drop", "torch.nn.modules.dropout.Dropout", &[]);
    assert_eq!(detect(&model.open()).unwrap(), shufflenet());
    let model = shuffle().plain("stage2.0.drop", "timm.layers.drop.DropPath", &[]);
    assert_eq!(detect(&model.open()).unwrap(), shufflenet());
}

#[test]
fn a_forward_of_ones_own_calls_what_the_model_has() {
    let own = || whole(&lenet5().network(), "__main__.LeNet");
    let relu = |model: Module| model.plain("relu", "torch.nn.modules.activation.ReLU", &[]);
    let pool = |kernel| [("kernel_size", int(kernel)), ("stride", int(2)), ("padding", int(0)), ("dilation", int(1))];
    let plain = relu(own()).plain("pool", "torch.nn.modules.pooling.MaxPool2d", &pool(2));
    assert_eq!(detect(&plain.open()).unwrap().graph, lenet5().network().graph);
    for (model, words) in [
        (own().plain("act", "torch.nn.modules.activation.Sigmoid", &[]), "`act`"),
        (own().plain("pool", "torch.nn.modules.pooling.AvgPool2d", &pool(2)), "`pool`"),
        (own().plain("pool", "torch.nn.modules.pooling.MaxPool2d", &pool(3)), "`pool`"),
    ] {
        assert!(refused(&model).contains(words));
    }
    // 28 pixels padded by 2 are as many as 32.
    let padded = relu(own()).set("conv1", "padding", pair([2, 2]));
    let network = detect(&padded.open()).unwrap();
    assert_eq!(network.input, Shape::new(1, 28, 28));
    assert!(network.graph.shapes(network.input).is_ok());
}

#[test]
fn modules_go_with_their_parameters_under_another_name() {
    let mut wrapper = Module { class: "__main__.Wrapper".into(), ..Module::default() };
    *wrapper.at("net") = shuffle().set("conv1.1", "eps", float(0.1));
    let eps = |state: &StateDict| matches!(ops(&detect(state).unwrap(), "conv1.1")[..], [Op::BatchNorm2d { norm, .. }] if norm.eps == 0.1);
    assert!(eps(&wrapper.open()));
    let renamed = wrapper.open().rename(&[r"^net\.=".parse().unwrap()]).unwrap().state;
    assert!(eps(&renamed));
    *wrapper.at("ema") = shuffle();
    *wrapper.at("teacher") = shuffle();
    assert!(matches!(detect(&wrapper.open()), Err(Error::Ambiguous { .. })));
}

#[test]
fn last_layers_are_the_modules() {
    let sequential = "torch.nn.modules.container.Sequential";
    let linear = |model: Module, path: &str, takes: usize, gives: usize| {
        let sizes = [("in_features", int(takes)), ("out_features", int(gives))];
        let mut model = model.plain(path, "torch.nn.modules.linear.Linear", &sizes);
        model.at(path).parameters = vec![("weight".into(), vec![gives, takes]), ("bias".into(), vec![gives])];
        model
    };
    let with = |class: &str| {
        let model = shuffle().plain("fc", sequential, &[]);
        let model = linear(model, "fc.0", 12, 9).plain("fc.1", "torch.nn.modules.dropout.Dropout", &[]);
        linear(model.plain("fc.2", class, &[]), "fc.3", 9, 5)
    };
    let network = detect(&with("torch.nn.modules.activation.SiLU").open()).unwrap();
    let end: Vec<&Op> = network.graph.nodes().iter().rev().take(3).map(|node| &node.op).collect();
    assert!(matches!(end[..], [Op::Linear { .. }, Op::Activation(Activation::Silu), Op::Linear { .. }]), "{end:?}");
    assert!(network.notes.is_empty(), "{:?}", network.notes);
    assert!(refused(&with("torch.nn.modules.activation.Tanh")).contains("`fc.2`"));
    let bare = detect(&with("torch.nn.modules.linear.Identity").open()).unwrap();
    assert!(matches!(bare.graph.nodes()[bare.graph.nodes().len() - 2].op, Op::Linear { .. }));
}

/// By tests/frameworks/modules.py.
#[test]
fn a_script_is_what_its_classes_and_constants_say() {
    let open = |file: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules");
        StateDict::open(folder.join(file)).unwrap()
    };
    let lenet = detect(&open("script_lenet5.pt")).unwrap();
    assert_eq!((lenet.name.as_str(), lenet.input), ("lenet5", Shape::new(1, 28, 28)));
    assert!(
        lenet.notes.iter().any(|note| note.contains("`conv1` is") && note.contains("padding 2")),
        "{:?}",
        lenet.notes
    );
    let silu = detect(&open("script_silu.pt")).unwrap();
    assert_eq!(silu.graph.nodes()[2].op, Op::Activation(Activation::Silu));
    let traced = detect(&open("traced_lenet5.pt")).unwrap();
    assert!(traced.notes.iter().any(|note| note.contains("a traced model")), "{:?}", traced.notes);
    let traced = open("traced_tanh.pt");
    assert!(traced.modules().unwrap().scripted());
    let error = detect(&traced).unwrap_err().to_string();
    assert!(error.contains("`tanh` (torch.nn.modules.activation.Tanh)"), "{error}");
}

#[test]
fn more_layers_than_the_network_has_are_named() {
    let max = |kernel| [("kernel_size", int(kernel)), ("stride", int(2)), ("padding", int(1)), ("dilation", int(1))];
    let (pooling, sequential) = ("torch.nn.modules.pooling.MaxPool2d", "torch.nn.modules.container.Sequential");
    let relu = "torch.nn.modules.activation.ReLU";
    let chain = |path: &str| shuffle().plain(path, sequential, &[]);
    for (model, words) in [
        (chain("maxpool").plain("maxpool.0", relu, &[]).plain("maxpool.1", pooling, &max(3)), "`maxpool.0`"),
        (chain("maxpool").plain("maxpool.0", pooling, &max(3)).plain("maxpool.1", pooling, &max(3)), "`maxpool.1`"),
        (shuffle().plain("stage2.4", pooling, &max(3)), "`stage2.4` (torch.nn.modules.pooling.MaxPool2d)"),
        (shuffle().plain("stage2.0.branch1.9", relu, &[]), "`stage2.0.branch1.9`"),
        (shuffle().plain("stage2.9", "torch.nn.modules.activation.Softmax", &[]), "`stage2.9`"),
        (shuffle().plain("stage2.0.branch1.4", "__main__.Own", &[]), "`stage2.0.branch1.4`"),
        (shuffle().plain("maxpool", "__main__.Dropout", &[]), "`maxpool` (__main__.Dropout)"),
    ] {
        let error = refused(&model);
        assert!(error.contains(words), "{words}: {error}");
    }
    // One layer in a chain is that layer, and none is nothing.
    let one = chain("maxpool").plain("maxpool.0", pooling, &max(2));
    let one = one.plain("maxpool.1", "torch.nn.modules.dropout.Dropout", &[]);
    let network = detect(&one.open()).unwrap();
    assert!(matches!(ops(&network, "maxpool")[..], [Op::MaxPool2d(pool)] if pool.window.kernel == [2, 2]));
    assert!(ops(&detect(&chain("maxpool").open()).unwrap(), "maxpool").is_empty());
    let silu = chain("conv1.2").plain("conv1.2.0", "torch.nn.modules.activation.SiLU", &[]);
    assert_eq!(ops(&detect(&silu.open()).unwrap(), "conv1.2"), [Op::Activation(Activation::Silu)]);
    // A chain that lacks one of its layers.
    let mut model = shuffle();
    model.at("conv5").children.retain(|(name, _)| name != "2");
    assert!(refused(&model).contains("no `conv5.2`"));
}

#[test]
fn a_block_of_ones_own_class_is_code() {
    let mut model = shuffle();
    model.at("stage2.0").class = "__main__.Block".into();
    assert!(refused(&model).contains("`stage2.0` (__main__.Block): its forward is code"));
    model.at("stage2.0").class = "torchvision.models.shufflenetv2.InvertedResidual".into();
    assert_eq!(detect(&model.open()).unwrap(), shufflenet());
    let wrapped = |class: &str, name: &str| {
        let mut wrapper = Module { class: class.into(), ..Module::default() };
        *wrapper.at(name) = shuffle();
        wrapper
    };
    let notes = detect(&wrapped("__main__.Wrapper", "net").open()).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("a __main__.Wrapper") && note.contains("code")), "{notes:?}");
    let parallel = wrapped("torch.nn.parallel.data_parallel.DataParallel", "module");
    assert!(!detect(&parallel.open()).unwrap().notes.iter().any(|note| note.contains("code")));
    let chain = wrapped("torch.nn.modules.container.Sequential", "1");
    let first = chain.plain("0", "torch.nn.modules.activation.ReLU", &[]);
    assert!(refused(&first).contains("`0` (torch.nn.modules.activation.ReLU)"));
    // timm's pool is called where torchvision's forward has a mean.
    let mut pooled =
        shuffle().plain("global_pool.pool", "torch.nn.modules.pooling.AdaptiveAvgPool2d", &[("output_size", int(1))]);
    pooled.at("global_pool").class = "timm.layers.adaptive_avgmax_pool.SelectAdaptivePool2d".into();
    assert_eq!(detect(&pooled.open()).unwrap(), shufflenet());
    pooled.at("global_pool").class = "__main__.Pool".into();
    assert!(refused(&pooled).contains("`global_pool` (__main__.Pool)"));
}
