//! Other people's ONNX graphs against what ONNX Runtime computes of them: each is equal, or refused by node and reason.

use crate::common;
use common::relative_error;
use pretrained::graph::Shape;
use pretrained::import::{ImportOptions, network_with, outputs};
use pretrained::vision::{Overrides, Planes, Size};
use pretrained::{
    Classifier, Device, Model, Result, Session, SessionOptions, StateDict, Strictness, Tensor, reference, vision,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a file gives beside the logits that the network gives.
#[derive(Clone, Copy)]
enum End {
    Nothing,
    Softmax,
    LogSoftmax,
}

/// Files that end in a function of the logits.
const ENDS: [(&str, End); 8] = [
    ("flatten_softmax_out", End::Softmax),
    ("keras2onnx_lg_sorted", End::Softmax),
    ("keras2onnx_sm_sorted", End::Softmax),
    ("softmax4d", End::Softmax),
    ("softmax_log", End::LogSoftmax),
    ("softmax_old_axis1_4d", End::Softmax),
    ("softmax_primitive", End::Softmax),
    ("softmax_twice", End::Softmax),
];

/// Files that are refused for an operator that is not supported, and the first node with it.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("argmax_end", "ArgMax, node `y`"),
    ("function_domain", "com.microsoft::FusedConv, node `r`"),
    ("op_Abs", "Abs, node `r`"),
    ("op_Celu", "Celu, node `r`"),
    ("op_ConvTranspose", "ConvTranspose, node `t`"),
    ("op_DepthToSpace", "DepthToSpace, node `t`"),
    ("op_Elu", "Elu, node `r`"),
    ("op_Erf", "Erf, node `r`"),
    ("op_Exp", "Exp, node `r`"),
    ("op_Gelu", "Gelu, node `r`"),
    ("op_GroupNorm", "GroupNormalization, node `r`"),
    ("op_InstanceNorm", "InstanceNormalization, node `r`"),
    ("op_LRN", "LRN, node `r`"),
    ("op_LayerNorm", "LayerNormalization, node `r`"),
    ("op_Log", "Log, node `r`"),
    ("op_LpNormalization", "LpNormalization, node `r`"),
    ("op_Mean2", "Mean, node `r`"),
    ("op_MeanVarianceNormalization", "MeanVarianceNormalization, node `r`"),
    ("op_Mish", "Mish, node `r`"),
    ("op_PRelu", "PRelu, node `r`"),
    ("op_Pow2", "Pow, node `r`"),
    ("op_Reciprocal", "Reciprocal, node `r`"),
    ("op_ReduceL2_norm", "ReduceL2, node `n`"),
    ("op_ReduceSum_pixels", "ReduceSum, node `f`"),
    ("op_Resize", "Resize, node `u`"),
    ("op_Selu", "Selu, node `r`"),
    ("op_Softplus", "Softplus, node `r`"),
    ("op_Softsign", "Softsign, node `r`"),
    ("op_SpaceToDepth", "SpaceToDepth, node `t`"),
    ("op_Sqrt", "Sqrt, node `r`"),
    ("op_Sum", "Sum, node `r`"),
    ("op_Sum1", "Sum, node `r`"),
    ("op_Tanh", "Tanh, node `r`"),
    ("op_ThresholdedRelu", "ThresholdedRelu, node `r`"),
    ("op_einsum", "Einsum, node `y`"),
    ("op_global_lp", "GlobalLpPool, node `g`"),
    ("op_lppool", "LpPool, node `r`"),
    ("op_sqrt_const_bn", "Sqrt, node `sd`"),
    ("op_upsample9", "Upsample, node `u`"),
    ("qdq_int8", "QuantizeLinear, node `q`"),
    ("weights_dequant_only", "DequantizeLinear, node `wd`"),
];

/// Files that are refused for another reason, and what the error says.
const REFUSED: [(&str, &str); 30] = [
    (
        "bn_spatial0",
        "BatchNormalization, node `r`: it normalises each pixel by itself (spatial=0), and only by channel is supported",
    ),
    ("bn_training", "BatchNormalization, node `r`: it is in training mode; export the model for inference"),
    ("bool_input", "its input `x` takes true and false (bool), and images are floats or levels of 0 to 255"),
    (
        "cut",
        "node `n11` of its graph cannot be imported: it pads with -340282350000000000000000000000000000000, and only zeros can be padded with here",
    ),
    ("ext_escape/m", "its file of data `../ext_one/ext_one.bin` is refused: it must lie in the same folder"),
    ("ext_missing/m", "its file of data `ext_one.bin` is missing; get every file that belongs together"),
    ("ext_trunc/m", "tensor `W`: `ext_one.bin` ends before its data"),
    (
        "flatten_slice_gemm",
        "Slice, node `r`: it cuts axis 1 of a tensor of shape [2, 256], which is not that of the channels",
    ),
    (
        "flatten_two_branches_concat",
        "node `r` of its graph cannot be imported: it joins flattened images of different sizes, or one with a vector",
    ),
    ("gemm_4d_input", "Gemm, node `y`: it takes a matrix, and reads a tensor of shape [1, 4, 1, 1]"),
    (
        "mean_image_sub",
        "Sub, node `a`: `mi` of shape [1, 3, 8, 8] holds neither one number nor one for each channel for a tensor of shape [2, 3, 8, 8]",
    ),
    (
        "mul_1d_W_equals_C",
        "Mul, node `a`: `k` of shape [3] holds neither one number nor one for each channel for a tensor of shape [2, 3, 8, 3]",
    ),
    (
        "op_ReduceMean_one_then_other",
        "ReduceMean, node `f1`: it runs over axes [3] of a tensor of shape [2, 4, 8, 8], which are not all the pixels'",
    ),
    (
        "op_constantofshape_add",
        "Add, node `r`: `z` of shape [2, 4, 8, 8] holds neither one number nor one for each channel for a tensor of shape [2, 4, 8, 8]",
    ),
    (
        "op_conv1d",
        "Conv, node `c`: it reads a tensor of shape [2, 3, 64], in which the channels and pixels of an image are mixed",
    ),
    (
        "op_convbias_add_full",
        "Add, node `r`: `fb` of shape [1, 4, 8, 8] holds neither one number nor one for each channel for a tensor of shape [2, 4, 8, 8]",
    ),
    ("op_div_imgs", "Div, node `r`: it divides by what is computed from the image"),
    (
        "op_focus_slices",
        "Slice, node `a`: it cuts axis 2 of a tensor of shape [2, 3, 8, 8], which is not that of the channels",
    ),
    (
        "op_matmul3d",
        "MatMul, node `mm`: it reads a tensor of shape [2, 64, 4], in which the channels and pixels of an image are mixed",
    ),
    ("op_matmul_left_const", "MatMul, node `mm`: its input 1 is computed from the image, and must be known beforehand"),
    ("op_max2", "Max, node `r`: it compares two images, or more than two values"),
    ("op_mfm_lightcnn", "Max, node `r`: it compares two images, or more than two values"),
    ("op_neg_const", "Neg, node `nk`: it reads numbers where an image should be"),
    ("op_pad_channels", "Pad, node `a`: it pads axis 1, which is not one of pixels"),
    ("op_pad_edge", "Pad, node `a`: its mode edge is not supported, only constant"),
    ("op_pad_reflect", "Pad, node `a`: its mode reflect is not supported, only constant"),
    (
        "op_pixel_slice_crop",
        "Slice, node `a`: it cuts axis 2 of a tensor of shape [2, 3, 8, 8], which is not that of the channels",
    ),
    ("op_relu_const", "Relu, node `nk`: it reads numbers where an image should be"),
    (
        "padmax_lowest",
        "node `p` of its graph cannot be imported: it pads with -340282350000000000000000000000000000000, and only zeros can be padded with here",
    ),
    (
        "softmax_primitive",
        "ReduceMax, node `m`: it runs over axes [1] of a tensor of shape [2, 4], which are not all the pixels'",
    ),
];

/// Files that run, and of which no result of ONNX Runtime is there.
const ALONE: [&str; 12] = [
    "dims_no_shape",
    "dims_zero_dims",
    "double_all",
    "export_dilated_out",
    "ext_each/m",
    "ext_one/m",
    "ext_sub/m",
    "fp16_all",
    "rep_avg",
    "rep_ceil",
    "rep_ceil2",
    "rep_inc",
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The model for images as they lie in `input`, and these images with channels first.
fn load(path: &Path, input: Option<&Tensor>, output: Option<&str>) -> Result<(Model, Shape, Vec<f32>)> {
    let state = StateDict::open(path)?;
    let output = output.map(str::to_owned);
    let (network, _) = network_with(&state, &ImportOptions { output: output.clone(), ..ImportOptions::default() })?;
    let (channels, dims) = (network.input.channels, input.map_or(&[][..], Tensor::shape));
    let last = matches!(*dims, [_, a, _, c] if a != channels && c == channels);
    let sides = match *dims {
        [_, height, width, _] if last => Some([height, width]),
        [_, _, height, width] => Some([height, width]),
        _ => None,
    };
    let (network, parameters) = network_with(&state, &ImportOptions { sides, output })?;
    let shape = network.input;
    let model = Model::load(network, &parameters, Strictness::AllowUnexpected)?;
    let values = input.map_or_else(Vec::new, Tensor::to_f32_vec);
    let images = values.chunks(shape.elements()).flat_map(|image| match last {
        true => (0..shape.elements())
            .map(|i| image[i % shape.pixels() * channels + i / shape.pixels()])
            .collect::<Vec<f32>>(),
        false => image.to_vec(),
    });
    let images = images.collect();
    Ok((model, shape, images))
}

#[test]
fn every_file_is_equal_to_onnx_runtime_or_refused_by_node_and_reason() {
    let Some(shared) = common::shared() else { return };
    let folder = shared.join("cases/onnx");
    let truth = StateDict::open(folder.join("onnxruntime.safetensors")).unwrap();
    let devices = common::devices();
    let (mut failures, mut refused, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for path in files(&folder) {
        let file = path.strip_prefix(&folder).unwrap();
        let name = file.with_extension("").display().to_string();
        let [input, output] = ["in", "out"].map(|end| truth.get(&format!("{}.{end}", file.display())));
        let choice = (name == "second_output").then_some("y");
        let (model, shape, images) = match load(&path, input, choice) {
            Ok(loaded) => loaded,
            Err(error) => {
                refused.push((name, error.to_string()));
                continue;
            }
        };
        let Some(output) = output.map(Tensor::to_f32_vec) else {
            alone.push(name);
            continue;
        };
        let end = ENDS.iter().find(|(file, _)| *file == name).map_or(End::Nothing, |(_, end)| *end);
        let by_reference = |image: &[f32]| reference::run(&model.network().graph, model.weights(), shape, image);
        let mut errors = vec![largest_error(shape, &images, &output, end, by_reference)];
        for device in &devices {
            let session = Session::new(device, &model, shape, &SessionOptions::default()).unwrap();
            errors.push(largest_error(shape, &images, &output, end, |image| session.run(image)));
        }
        if !errors.iter().all(|error| *error <= 1e-4) {
            failures.push(format!("{name}: {errors:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(alone, ALONE);
    let reasons = UNSUPPORTED.iter().map(|(file, node)| (*file, format!("{node}: this operator is not supported")));
    let mut expected: Vec<(&str, String)> = REFUSED.map(|(file, reason)| (file, reason.to_owned())).into();
    expected.extend(reasons);
    expected.sort();
    let names = |list: &[(&str, String)]| -> Vec<String> { list.iter().map(|(file, _)| (*file).to_owned()).collect() };
    assert_eq!(refused.iter().map(|(file, _)| file.clone()).collect::<Vec<_>>(), names(&expected));
    for ((file, error), (_, reason)) in refused.iter().zip(&expected) {
        assert!(error.contains(&format!("{file}.onnx")) && error.contains(reason), "{error}\nshould contain: {reason}");
    }
}

/// The largest error over all images, as a share of the largest number.
fn largest_error(
    shape: Shape,
    images: &[f32],
    output: &[f32],
    end: End,
    mut run: impl FnMut(&[f32]) -> Result<Vec<f32>>,
) -> f32 {
    let given = images.chunks(shape.elements()).flat_map(|image| {
        let logits = run(image).unwrap();
        match end {
            End::Nothing => logits,
            End::Softmax => vision::softmax(&logits).unwrap(),
            End::LogSoftmax => vision::softmax(&logits).unwrap().iter().map(|p| p.ln()).collect(),
        }
    });
    relative_error(&given.collect::<Vec<f32>>(), output)
}

#[test]
fn sizes_that_the_file_leaves_free_are_resolved_for_the_one_that_is_asked() {
    let Some(shared) = common::shared() else { return };
    let open = |name: &str| StateDict::open(shared.join("cases/onnx").join(name)).unwrap();
    let with = |state: &StateDict, sides| network_with(state, &ImportOptions { sides, ..ImportOptions::default() });
    let state = open("dyn_same.onnx");
    let (usual, _) = with(&state, None).unwrap();
    assert_eq!(usual.input, Shape::new(3, 224, 224));
    assert!(usual.notes[0].contains("leaves the image's height and width free; 224x224"), "{:?}", usual.notes);
    // What was resolved for one size is refused at another.
    let error = usual.graph.shapes(Shape::new(3, 32, 32)).unwrap_err().to_string();
    assert!(error.contains("an input of 3x32x32 does not fit") && error.contains("3x224x224"), "{error}");
    let (asked, _) = with(&state, Some([31, 33])).unwrap();
    assert_eq!((asked.input, asked.notes.len()), (Shape::new(3, 31, 33), 0));
    assert_ne!(asked.graph, usual.graph);
    // All four sizes free, or no shape at all: the first convolution has the channels.
    for name in ["dims_all_sym.onnx", "dims_no_shape.onnx"] {
        assert_eq!(with(&open(name), Some([20, 30])).unwrap().0.input, Shape::new(3, 20, 30), "{name}");
    }
    // A size that the file fixes is the only one.
    let error = with(&open("op_Identity.onnx"), Some([9, 9])).unwrap_err().to_string();
    assert!(error.contains("takes images of 8x8 pixels") && error.contains("9x9 are asked for"), "{error}");
}

#[test]
fn one_of_several_outputs_is_chosen_by_name() {
    let Some(shared) = common::shared() else { return };
    let state = StateDict::open(shared.join("cases/onnx/second_output.onnx")).unwrap();
    let with = |output: Option<&str>| {
        network_with(&state, &ImportOptions { output: output.map(str::to_owned), ..ImportOptions::default() })
    };
    assert_eq!(outputs(&state), ["y", "r"]);
    let error = with(None).unwrap_err().to_string();
    assert!(error.contains("2 outputs, of which one is to be chosen: `y`, `r`"), "{error}");
    let error = with(Some("z")).unwrap_err().to_string();
    assert!(error.contains("no output `z`; it has `y`, `r`"), "{error}");
    assert!(with(Some("y")).is_ok());
    let error = with(Some("r")).unwrap_err().to_string();
    assert!(error.contains("its output of 4x8x8 is not a list of classes"), "{error}");
}

#[test]
fn graphs_with_preprocessing_of_their_own_get_images_without_any() {
    let Some(shared) = common::shared() else { return };
    for (name, preset) in [
        ("uint8_nhwc2", Some("levels")),
        ("uint8_cast_only", Some("levels")),
        ("int32_input", Some("levels")),
        ("prep_in_graph_nhwc255", Some("levels")),
        ("vec784_scale255", Some("levels")),
        // Means of over 1 are neither those of levels nor of numbers up to 1.
        ("prep_nhwc_meanlast", None),
        ("op_Identity", None),
    ] {
        let state = StateDict::open(shared.join(format!("cases/onnx/{name}.onnx"))).unwrap();
        let (network, _) = network_with(&state, &ImportOptions::default()).unwrap();
        assert_eq!(network.preset, preset, "{name}");
        assert_eq!(network.notes.iter().any(|note| note.contains("not normalised before")), preset.is_some(), "{name}");
    }
}

/// What tests/frameworks/make_onnx.py knows of a file of its own.
#[derive(serde::Deserialize)]
struct Case {
    /// The output to choose, where there are several.
    output: Option<String>,
    preset: Option<String>,
    runs: Vec<Run>,
}

#[derive(serde::Deserialize)]
struct Run {
    input: [usize; 3],
    output: Vec<f32>,
}

fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx").join(name)
}

fn cases() -> BTreeMap<String, Case> {
    serde_json::from_slice(&std::fs::read(own("cases.json")).unwrap()).unwrap()
}

/// The image that ONNX Runtime saw.
fn image(shape: Shape, integers: bool) -> Vec<f32> {
    let number = |i: usize| match integers {
        true => (37 * i % 256) as f32,
        false => (1.5 * (0.013 * i as f64).sin() + 0.5 * (0.37 * i as f64).sin()) as f32,
    };
    (0..shape.elements()).map(number).collect()
}

#[test]
fn files_of_our_own_are_what_onnx_runtime_computes_at_every_size() {
    let devices = common::devices();
    for (name, Case { output, preset, runs }) in cases() {
        let state = StateDict::open(own(&format!("{name}.onnx"))).unwrap();
        for Run { input: [channels, height, width], output: expected } in runs {
            let options = ImportOptions { sides: Some([height, width]), output: output.clone() };
            let model = Model::from_graph(&state, &options, Strictness::Strict).unwrap();
            let (graph, shape) = (&model.network().graph, Shape::new(channels, height, width));
            assert_eq!((model.network().input, model.network().preset), (shape, preset.as_deref()), "{name}");
            let image = image(shape, name == "case_integers");
            let mut errors =
                vec![relative_error(&reference::run(graph, model.weights(), shape, &image).unwrap(), &expected)];
            for device in &devices {
                let found =
                    Session::new(device, &model, shape, &SessionOptions::default()).unwrap().run(&image).unwrap();
                errors.push(relative_error(&found, &expected));
            }
            assert!(errors.iter().all(|error| *error < 1e-5), "{name} {height}x{width}: {errors:?}");
        }
    }
}

#[test]
fn a_classifier_imports_a_graph_again_for_images_of_another_size() {
    let size = Some(Size::Exact { width: 12, height: 9 });
    let builder = || Classifier::builder().device(Device::cpu()).weights(own("case_free.onnx"));
    let classifier = builder().overrides(Overrides { size, ..Overrides::default() }).build().unwrap();
    assert_eq!(classifier.model().network().input, Shape::new(3, 9, 12));
    assert_eq!(classifier.preprocess().fixed_size(), Some((12, 9)));
    for Run { input: [channels, height, width], output } in &cases()["case_free"].runs {
        let values = image(Shape::new(*channels, *height, *width), false);
        let planes = Planes { channels: *channels, height: *height, width: *width, values };
        let found = classifier.run(&[planes]).unwrap();
        assert!(relative_error(&found, output) < 1e-5, "{height}x{width}: {found:?}, {output:?}");
    }
    // Without a word on the size it is 224 pixels, and a note says so.
    let classifier = builder().build().unwrap();
    assert!(
        classifier.notes().iter().any(|note| note.contains("224x224 pixels were taken")),
        "{:?}",
        classifier.notes()
    );
    // A fixed size stays.
    let fixed = Classifier::builder().device(Device::cpu()).weights(own("case_unit.onnx"));
    let error = fixed.overrides(Overrides { size, ..Overrides::default() }).build().unwrap_err().to_string();
    assert!(error.contains("case_unit.onnx") && error.contains("takes images of 8x6 pixels"), "{error}");
}

#[test]
fn a_classifier_prepares_images_as_the_graph_wants_them() {
    for (name, deviation) in [("case_integers", 1.0 / 255.0), ("case_levels", 1.0 / 255.0), ("case_unit", 1.0)] {
        let builder = Classifier::builder().device(Device::cpu()).weights(own(&format!("{name}.onnx")));
        let classifier = builder.build().unwrap();
        let prepared = classifier.preprocess();
        assert_eq!((&prepared.mean[..], &prepared.std[..]), (&[0.0; 3][..], &[deviation; 3][..]), "{name}");
        assert_eq!(prepared.fixed_size(), Some((6, 8)), "{name}");
        assert_eq!(classifier.guess(), None, "{name}");
        assert!(classifier.notes().iter().any(|note| note.contains("not normalised before")), "{name}");
    }
    let two = || Classifier::builder().device(Device::cpu()).weights(own("case_out_of_order.onnx"));
    assert!(two().output("y").build().is_ok());
    let error = two().build().unwrap_err().to_string();
    assert!(error.contains("case_out_of_order.onnx") && error.contains("`y`, `c`"), "{error}");
    #[cfg(feature = "shipped")]
    {
        let error = Classifier::builder().device(Device::cpu()).output("y").build().unwrap_err().to_string();
        assert!(error.contains("no graph to choose it in"), "{error}");
    }
}
