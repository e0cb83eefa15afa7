//! Opens exported graphs, ONNX and MindIR, that are damaged or made to harm.

use crate::build::{bytes, number, open_bytes, open_bytes_with, varint};
use crate::{assert_refused, bend, small, survive};
use pretrained::{DType, Error, Format, Limits, StateDict, import};
use proptest::prelude::*;

/// An ONNX tensor `w` of this shape and type, and what else it says.
fn initializer(shape: &[i64], dtype: u64, rest: &[u8]) -> Vec<u8> {
    let shape: Vec<u8> = shape.iter().flat_map(|d| number(1, d.cast_unsigned())).collect();
    bytes(5, &[shape, number(2, dtype), bytes(8, b"w"), rest.to_vec()].concat())
}

fn onnx(graph: &[u8]) -> Vec<u8> {
    [
        number(1, 8),
        bytes(2, b"test"),
        bytes(7, &[bytes(2, b"graph"), graph.to_vec()].concat()),
        bytes(8, &number(2, 17)),
    ]
    .concat()
}

fn mindir(parameter: &[u8]) -> Vec<u8> {
    let graph = [bytes(2, b"net:main"), bytes(3, parameter)].concat();
    [bytes(1, b"1.1"), bytes(2, b"MindSpore"), bytes(7, &graph)].concat()
}

const FLOATS: [u8; 24] = [0; 24];

#[test]
fn every_way_to_hold_numbers() {
    let open = |shape: &[i64], dtype, rest: &[u8]| {
        let dict = open_bytes(&onnx(&initializer(shape, dtype, rest))).unwrap_or_else(|error| panic!("{error}"));
        let tensor = dict.get("w").unwrap().clone();
        (tensor.dtype(), tensor.to_f32_vec())
    };
    let two: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(open(&[2], 1, &bytes(9, &two)), (DType::F32, vec![1.5, -2.0]));
    assert_eq!(open(&[2], 1, &bytes(4, &two)), (DType::F32, vec![1.5, -2.0]));
    let loose: Vec<u8> = two.chunks(4).flat_map(|x| [varint(4 << 3 | 5), x.to_vec()].concat()).collect();
    assert_eq!(open(&[2], 1, &loose), (DType::F32, vec![1.5, -2.0]));
    let doubles: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(open(&[2], 11, &bytes(10, &doubles)), (DType::F64, vec![1.5, -2.0]));
    let ints = [varint(5), varint((-7i64).cast_unsigned())].concat();
    for dtype in [6, 5, 3] {
        assert_eq!(open(&[2], dtype, &bytes(5, &ints)).1, [5.0, -7.0]);
    }
    assert_eq!(open(&[2], 7, &bytes(7, &ints)).1, [5.0, -7.0]);
    assert_eq!(open(&[2], 7, &[number(7, 5), number(7, 9)].concat()).1, [5.0, 9.0]);
    assert_eq!(open(&[1], 12, &bytes(11, &varint(1 << 31))).1, [(1u64 << 31) as f32]);
    assert_eq!(open(&[1], 10, &bytes(5, &varint(0x3c00))), (DType::F16, vec![1.0]));
    assert_eq!(open(&[1], 16, &bytes(5, &varint(0x3f80))), (DType::BF16, vec![1.0]));
    assert_eq!(open(&[1], 9, &bytes(5, &[1])), (DType::Bool, vec![1.0]));
    assert_eq!(open(&[0], 1, b"").1, [0.0; 0]);
    // Shapes may be packed.
    let packed = bytes(5, &[bytes(1, &[1, 2]), number(2, 1), bytes(8, b"w"), bytes(9, &two)].concat());
    assert_eq!(open_bytes(&onnx(&packed)).unwrap().get("w").unwrap().shape(), [1, 2]);
    let parameter = [number(1, 2), number(2, 1), bytes(7, b"net:main:l1.bias"), bytes(9, &two)].concat();
    let found = open_bytes(&mindir(&parameter)).unwrap();
    assert_eq!((found.names().collect::<Vec<_>>(), found.format()), (vec!["l1.bias"], Some(Format::MindIr)));
}

#[test]
fn graphs_that_lie() {
    let raw = bytes(9, &FLOATS);
    for (tensor, reason) in [
        (initializer(&[7], 1, &raw), "tensor `w`: f32 of shape [7] takes 28 bytes, found 24"),
        (initializer(&[i64::MAX, 4], 1, &raw), "overflows"),
        (initializer(&[1 << 62, 4], 1, b""), "overflows"),
        (initializer(&[-6], 1, &raw), "negative dimension"),
        (initializer(&[1; 65], 1, &raw), "more than 64 dimensions"),
        (initializer(&[1 << 40], 1, b""), "at most 0 are there"),
        (initializer(&[1 << 40], 7, &bytes(7, &[1; 100])), "at most 100 are there"),
        (initializer(&[2], 7, &bytes(7, &[1, 1, 1])), "more numbers than the 2"),
        (initializer(&[2], 7, &bytes(7, &[0x81, 0x01])), "takes 16 bytes, found 8"),
        (initializer(&[2], 7, &bytes(7, &[0x81, 0x81])), "damaged"),
        (initializer(&[2], 7, &bytes(4, &FLOATS[..8])), "not where those of i64 belong"),
        (initializer(&[6], 1, &[raw.clone(), bytes(4, &FLOATS)].concat()), "twice"),
        (initializer(&[6], 0, &raw), "no element type"),
        (initializer(&[6], 8, &raw), "tensor `w`: its elements are strings"),
        (initializer(&[3], 14, &raw), "complex"),
        (initializer(&[24], 17, &raw), "tensor `w`: its element type has the number 17"),
        (initializer(&[6], 1, &bytes(13, &bytes(1, b"location"))), "tensor `w`: its data lies in another file"),
        (initializer(&[6], 1, &number(14, 1)), "tensor `w`: its data lies in another file"),
        (initializer(&[6], 1, &[bytes(3, &number(1, 0)), raw.clone()].concat()), "segment"),
        (bytes(5, &[number(1, 6), number(2, 1), raw.clone()].concat()), "tensor number 0: it has no name"),
        ([initializer(&[6], 1, &raw), initializer(&[6], 1, &raw)].concat(), "two tensors of the name `w`"),
        (initializer(&[6], 1, &[9 << 3 | 2, 100]), "description is damaged"),
        (number(5, 3), "a number where a tensor should be"),
        (b"\x2b".repeat(100_000), "a kind that it does not use"),
        (b"".to_vec(), "neither tensors nor operators"),
    ] {
        assert_refused(&onnx(&tensor), reason);
    }
    assert!(open_bytes(&onnx(&initializer(&[6], 1, &[number(14, 0), raw.clone()].concat()))).is_ok());
    let parameter = [number(1, 6), number(2, 1), bytes(7, b"net:main:w"), raw.clone()].concat();
    assert_refused(&mindir(&[&parameter[..], &number(14, 2)].concat()), "tensor `net:main:w`: its data is compressed");
    assert_refused(&mindir(&[&parameter[..], &bytes(12, b"")].concat()), "lies in another file");
    // Subgraphs a hundred thousand levels deep are passed over in one step.
    let mut deep = Vec::new();
    for _ in 0..1000 {
        deep = bytes(1, &bytes(5, &bytes(6, &deep)));
    }
    assert!(open_bytes(&onnx(&[deep, initializer(&[6], 1, &raw)].concat())).is_ok());
    assert_refused(&[onnx(&initializer(&[6], 1, &raw)), bytes(7, b"")].concat(), "two graphs");
    let long = bytes(5, &[number(1, 0), number(2, 1), bytes(8, &[b'x'; 4097])].concat());
    assert_over_limit(&onnx(&long), &Limits::default(), "the length of a tensor's name");
    // A million empty tensors end at the first that has no name; ten thousand names at the limit.
    assert_refused(&onnx(&bytes(5, b"").repeat(1_000_000)), "tensor number 0");
    let name = |n: u32| bytes(5, &[number(1, 0), number(2, 1), bytes(8, n.to_string().as_bytes())].concat());
    let many = onnx(&(0..10_000).flat_map(name).collect::<Vec<u8>>());
    assert_eq!(open_bytes(&many).unwrap().len(), 10_000);
    let small = Limits { expanded_bytes: 1 << 20, ..Limits::default() };
    assert_over_limit(&many, &small, "the list of tensors");
}

fn assert_over_limit(bytes: &[u8], limits: &Limits, part: &str) {
    match open_bytes_with(bytes, limits) {
        Err(Error::Limit { what, .. }) => assert!(what.contains(part), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn data_in_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let (model, data) = (folder.path().join("model.onnx"), folder.path().join("model.data"));
    let numbers: Vec<u8> = [0f32, 1.0, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(&data, &numbers).unwrap();
    let entry = |key: &str, value: &str| bytes(13, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat());
    let open = |entries: &[Vec<u8>], limits: &Limits| {
        let file = onnx(&initializer(&[2], 1, &[entries.concat(), number(14, 1)].concat()));
        std::fs::write(&model, &file).unwrap();
        (StateDict::open_with(&model, limits), StateDict::from_bytes("model.onnx", file, limits))
    };
    let here = [entry("location", "model.data"), entry("offset", "4")];
    let (opened, bytes_alone) = open(&here, &Limits::default());
    assert_eq!(opened.unwrap().get("w").unwrap().to_f32_vec(), [1.0, 2.0]);
    assert!(bytes_alone.unwrap_err().to_string().contains("which bytes alone do not lead to"));
    let file_bytes = std::fs::metadata(&model).unwrap().len() + 10;
    let (over, _) = open(&here, &Limits { file_bytes, ..Limits::default() });
    assert!(matches!(over, Err(Error::Limit { .. })), "{over:?}");
    for (entries, reason) in [
        (vec![entry("location", "model.data"), entry("offset", "12")], "ends before its data"),
        (vec![entry("location", "model.data"), entry("length", "4")], "takes 8 bytes, found 4"),
        (vec![entry("location", "model.data"), entry("offset", &u64::MAX.to_string())], "ends before its data"),
        (vec![entry("location", "model.data"), entry("offset", "-4")], "is no number"),
        (vec![entry("location", "model.data"), bytes(9, &numbers[..8])], "twice"),
        (vec![entry("location", "../model.data")], "must lie in the same folder"),
        (vec![entry("location", "/etc/hostname")], "must lie in the same folder"),
        (vec![entry("location", "absent")], "its file of data `absent` is missing"),
        (vec![entry("checksum", "0")], "it does not say in which"),
    ] {
        let found = open(&entries, &Limits::default()).0.unwrap_err().to_string();
        assert!(found.contains(reason), "{found}\nshould contain: {reason}");
    }
}

// graphs to import

/// A file with an input `x` of 3x8x8, the output `y`, these nodes and a tensor.
fn model(nodes: &[Vec<u8>], tensor: &[u8], opset: u64) -> Vec<u8> {
    model_of(&[1, 3, 8, 8], nodes, tensor, opset)
}

fn model_of(input: &[u64], nodes: &[Vec<u8>], tensor: &[u8], opset: u64) -> Vec<u8> {
    let shape: Vec<u8> = input.iter().flat_map(|&size| bytes(1, &number(1, size))).collect();
    let of_type = bytes(2, &bytes(1, &[number(1, 1), bytes(2, &shape)].concat()));
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| bytes(1, node)).collect();
    let ends = [bytes(11, &[bytes(1, b"x"), of_type].concat()), bytes(12, &bytes(1, b"y"))].concat();
    let graph = bytes(7, &[nodes, tensor.to_vec(), ends].concat());
    [number(1, 8), graph, bytes(8, &number(2, opset))].concat()
}

fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut node: Vec<u8> = inputs.iter().flat_map(|name| bytes(1, name.as_bytes())).collect();
    outputs.iter().for_each(|name| node.extend(bytes(2, name.as_bytes())));
    node.extend([bytes(3, format!("node {op}").as_bytes()), bytes(4, op.as_bytes())].concat());
    attributes.iter().for_each(|attribute| node.extend(bytes(5, attribute)));
    node
}

fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| number(8, value.cast_unsigned())).collect();
    [bytes(1, name.as_bytes()), values, number(20, 7)].concat()
}

fn text(name: &str, value: &str) -> Vec<u8> {
    [bytes(1, name.as_bytes()), bytes(4, value.as_bytes()), number(20, 3)].concat()
}

fn int(name: &str, value: i64) -> Vec<u8> {
    [bytes(1, name.as_bytes()), number(3, value.cast_unsigned()), number(20, 2)].concat()
}

/// A tensor of integers called `name`.
fn integers(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    bytes(5, &[number(1, values.len() as u64), number(2, 7), bytes(8, name.as_bytes()), bytes(9, &raw)].concat())
}

/// Why the graph is not imported.
fn not_imported(file: &[u8]) -> String {
    let state = open_bytes(file).unwrap_or_else(|error| panic!("{error}"));
    match import::network(&state) {
        Ok((network, _)) => panic!("became {network:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn graphs_that_are_no_networks() {
    let w = integers("w", &[1, 2]);
    for (nodes, reason) in [
        (vec![node("Relu", &["z"], &["y"], &[])], "Relu, node `node Relu`: it reads `z`, which no node makes"),
        (
            vec![node("Relu", &["y"], &["y"], &[])],
            "Relu, node `node Relu` of its graph, depends on what it makes itself",
        ),
        (
            vec![
                node("Add", &["b", "x"], &["a"], &[]),
                node("Relu", &["a"], &["b"], &[]),
                node("Relu", &["b"], &["y"], &[]),
            ],
            "depends on what it makes itself",
        ),
        (vec![node("Relu", &["x"], &["y"], &[]); 2], "two nodes of its graph make `y`"),
        (
            vec![node("Relu", &["x"], &["w"], &[]), node("Relu", &["w"], &["y"], &[])],
            "makes `w`, which is an input or a tensor",
        ),
        (vec![node("Relu", &["x"], &["q"], &[])], "no node makes its output `y`"),
        (vec![node("Identity", &["w"], &["y"], &[])], "does not depend on the image"),
        (vec![node("Relu", &["x"], &["y"], &[])], "its output of 3x8x8 is not a list of classes"),
        (vec![node("Relu", &[], &["y"], &[])], "it reads nothing"),
        (vec![node("Add", &["x"], &["y"], &[])], "two values"),
        (vec![node("Concat", &["x", "w"], &["y"], &[int("axis", 1)])], "known beforehand"),
        (vec![node("Concat", &["x"], &["y"], &[int("axis", -5)])], "no axis -5"),
        (vec![node("Flatten", &["x"], &["y"], &[int("axis", i64::MIN)])], "no axis"),
        (vec![node("Flatten", &["x"], &["y"], &[ints("axis", &[1])])], "its attribute axis is not an integer"),
        (vec![node("Transpose", &["x"], &["y"], &[ints("perm", &[0, 0, 1, 2])])], "axis 0 twice"),
        (vec![node("Transpose", &["x"], &["y"], &[ints("perm", &[0, 1])])], "orders 2 axes of 4"),
        (vec![node("Unsqueeze", &["x"], &["y"], &[ints("axes", &[0; 100_000])])], "it makes 100004 axes"),
        (vec![node("Squeeze", &["x"], &["y"], &[ints("axes", &[1])])], "cannot become"),
        (vec![node("Reshape", &["x", "w"], &["y"], &[])], "cannot become [1, 2]"),
        (vec![node("Reshape", &["x"], &["y"], &[ints("shape", &[-1, -1])])], "size -1"),
        (vec![node("Reshape", &["x"], &["y"], &[ints("shape", &[i64::MAX, i64::MAX, -1])])], "overflows"),
        (vec![node("Reshape", &["x"], &["y"], &[ints("shape", &[0, 0, 0, 0, 0])])], "not there"),
        (vec![node("Reshape", &["x"], &["y"], &[ints("shape", &[1, 8, 24])])], "cuts through"),
        (vec![node("Split", &["x"], &["y", "r"], &[int("axis", 1)])], "not a list of classes"),
        (vec![node("Split", &["x"], &["y"], &[int("axis", 1), ints("split", &[i64::MAX, 4])])], "it splits 3"),
        (vec![node("Slice", &["x"], &["y"], &[ints("starts", &[5]), ints("ends", &[i64::MAX])])], "it takes nothing"),
        (vec![node("Slice", &["x", "w", "w", "w", "w"], &["y"], &[])], "it takes nothing"),
        (vec![node("Gather", &["x", "w"], &["y"], &[int("axis", 0)])], "what is not there"),
        (vec![node("ReduceMean", &["x"], &["y"], &[ints("axes", &[1])])], "not all the pixels'"),
        (vec![node("Softmax", &["x"], &["y"], &[int("axis", 2)])], "not that of the classes"),
        (vec![node("MatMul", &["x", "w"], &["y"], &[])], "is not a matrix"),
        (vec![node("Conv", &["x", "w"], &["y"], &[])], "is not a kernel"),
        (vec![node("Conv", &["x"], &["y"], &[])], "it lacks its input 1"),
        (
            vec![node(
                "AveragePool",
                &["x"],
                &["y"],
                &[
                    ints("kernel_shape", &[1, 2]),
                    ints("dilations", &[1, 9]),
                    ints("pads", &[0, 1, 0, 1]),
                    ints("strides", &[1, 1]),
                ],
            )],
            "lies on no pixel of the image",
        ),
        (
            vec![node(
                "MaxPool",
                &["x"],
                &["y"],
                &[text("auto_pad", "SAME_UPPER"), ints("kernel_shape", &[1, 1]), ints("strides", &[4, 4])],
            )],
            "is read differently by different engines",
        ),
        (
            vec![node(
                "MaxPool",
                &["x"],
                &["y"],
                &[text("auto_pad", "SAME_UPPER"), ints("kernel_shape", &[2, 2]), ints("dilations", &[1, 2])],
            )],
            "with dilations of [1, 2], is read differently",
        ),
        (
            vec![node("MaxPool", &["x"], &["y"], &[ints("kernel_shape", &[2, 2]), int("ceil_mode", 2)])],
            "ceil_mode is 2",
        ),
        (
            vec![node(
                "AveragePool",
                &["x"],
                &["y"],
                &[text("auto_pad", "SAME_UPPER"), ints("kernel_shape", &[2, 2]), ints("dilations", &[1, 2])],
            )],
            "with dilations of [1, 2], is read differently",
        ),
        (
            vec![node("AveragePool", &["x"], &["y"], &[ints("kernel_shape", &[2, 2]), int("ceil_mode", 2)])],
            "ceil_mode is 2",
        ),
        (
            vec![node("AveragePool", &["x"], &["y"], &[ints("kernel_shape", &[2, 2]), int("count_include_pad", -1)])],
            "count_include_pad is -1",
        ),
        (vec![node("MaxPool", &["x"], &["y"], &[])], "no kernel_shape"),
        (vec![node("MaxPool", &["x"], &["y"], &[ints("kernel_shape", &[0, 3])])], "kernel_shape is 0"),
        (vec![node("MaxPool", &["x"], &["y"], &[ints("kernel_shape", &[1 << 40, 3])])], "kernel_shape is"),
        (vec![node("MaxPool", &["x"], &["y"], &[ints("kernel_shape", &[3])])], "images have 2"),
        (vec![node("MaxPool", &["x"], &["y"], &[ints("kernel_shape", &[9, 9])])], "fewer than the kernel's"),
        (
            vec![node("AveragePool", &["x"], &["y"], &[ints("kernel_shape", &[2, 2]), ints("pads", &[2, 2, 2, 2])])],
            "with no pixel",
        ),
        (
            vec![node("AveragePool", &["x"], &["y"], &[ints("kernel_shape", &[2, 2]), ints("pads", &[-1, 0, 0, 0])])],
            "a padding is -1",
        ),
        (vec![node("Pad", &["x"], &["y"], &[ints("pads", &[0, 0, 1 << 40, 0, 0, 0, 0, 0])])], "a padding is"),
        (vec![node("Clip", &["x", "w"], &["y"], &[])], "not single numbers"),
        (vec![node("Mul", &["x", "w"], &["y"], &[])], "neither one number nor one for each channel"),
        (
            vec![node("ConstantOfShape", &["w"], &["c"], &[]), node("Add", &["x", "c"], &["y"], &[])],
            "neither one number",
        ),
    ] {
        let found = not_imported(&model(&nodes, &w, 11));
        assert!(found.contains(reason), "{found}\nshould contain: {reason}");
    }
    for (opset, reason) in [(0, "which operator set"), (6, "opset 6")] {
        assert!(not_imported(&model(&[node("Relu", &["x"], &["y"], &[])], &w, opset)).contains(reason));
    }
    for (input, reason) in [
        (vec![], "its input has the shape []"),
        (vec![1, 1 << 30, 8, 8], "too large"),
        (vec![u64::MAX, 3, 1 << 50, 8], "too large"),
        (vec![1 << 40, 3, 8, 8], "too large"),
        (vec![1, 1 << 20, 1 << 20, 1 << 20], "an input of"),
        (vec![1; 100_000], "not a batch of images"),
    ] {
        let relu = [node("Relu", &["x"], &["y"], &[])];
        let found = not_imported(&model_of(&input, &relu, &w, 11));
        assert!(found.contains(reason), "{} should contain: {reason}", &found[..found.len().min(300)]);
    }
}

#[test]
fn every_node_that_is_not_supported_is_named() {
    let chain = [
        node("Tanh", &["x"], &["a"], &[]),
        node("Relu", &["a"], &["b"], &[]),
        node("Erf", &["b"], &["c"], &[]),
        [node("Conv", &["c", "w"], &["d"], &[]), bytes(7, b"com.microsoft")].concat(),
        node("Flatten", &["d"], &["y"], &[]),
        node("Sin", &["x"], &["nobody reads it"], &[]),
    ];
    let found = not_imported(&model(&chain, &integers("w", &[1]), 17));
    assert!(found.contains("3 nodes of its graph cannot be imported:"), "{found}");
    for line in ["Tanh, node `node Tanh`", "Erf, node `node Erf`", "com.microsoft::Conv, node `node Conv`"] {
        assert!(found.contains(&format!("\n  {line}: this operator is not supported")), "{found}");
    }
    let names: Vec<String> = (0..100_000).map(|i| format!("s{i}")).collect();
    let mut many: Vec<Vec<u8>> = names.iter().map(|name| node("Sin", &["x"], &[name], &[])).collect();
    many.push(node("Concat", &names.iter().map(String::as_str).collect::<Vec<_>>(), &["y"], &[int("axis", 1)]));
    let found = not_imported(&model(&many, &integers("w", &[1]), 17));
    assert!(found.len() < 10_000 && found.ends_with("and 99950 more"), "{}", found.len());
}

#[test]
fn small_graphs_make_no_large_things() {
    // Doubled forty times: constants, channels, and the numbers of a scale for them.
    let doubled = |first: &str, rest: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let name = |i: usize| if i == 0 { first.to_owned() } else { format!("d{i}") };
        let concat =
            |i| node("Concat", &[&name(i), &name(i)], &[&name(i + 1)], &[int("axis", i64::from(first == "x"))]);
        (0..40).map(concat).chain(rest.iter().cloned()).collect()
    };
    let w = integers("w", &[1 << 20, 1 << 20]);
    let huge = [node("ConstantOfShape", &["w"], &["c"], &[]), node("Reshape", &["x", "c"], &["y"], &[])];
    for nodes in [
        doubled("w", &[node("Reshape", &["x", "d40"], &["y"], &[])]),
        doubled("x", &[node("Relu", &["d40"], &["y"], &[])]),
        doubled("x", &[node("GlobalAveragePool", &["d35"], &["m"], &[]), node("Neg", &["m"], &["y"], &[])]),
        huge.to_vec(),
    ] {
        let found = not_imported(&model(&nodes, &w, 11));
        assert!(found.contains("more bytes of constants") || found.contains("it would give"), "{found}");
    }
    // Axes of any length, where another is empty.
    let empty = bytes(5, &[number(1, 0), number(1, 1 << 40), number(2, 1), bytes(8, b"w"), bytes(9, b"")].concat());
    for op in [
        node("Slice", &["w"], &["c"], &[ints("starts", &[-1]), ints("ends", &[0]), ints("axes", &[1])]),
        node("Concat", &["w", "w"], &["c"], &[int("axis", 1)]),
        node("Transpose", &["w"], &["c"], &[]),
    ] {
        assert!(!not_imported(&model(&[op, node("Add", &["x", "c"], &["y"], &[])], &empty, 11)).is_empty());
    }
}

// anything

fn valid_files() -> [Vec<u8>; 3] {
    let numbers = bytes(5, &[number(1, 2), number(2, 7), bytes(8, b"n"), bytes(7, &[1, 2])].concat());
    let graph = [initializer(&[2, 3], 1, &bytes(9, &FLOATS)), numbers].concat();
    let parameter = [number(1, 6), number(2, 1), bytes(7, b"net:main:w"), bytes(9, &FLOATS)].concat();
    let nodes = [
        node("Slice", &["n"], &["two"], &[ints("starts", &[1]), ints("ends", &[2])]),
        node("Concat", &["two", "n"], &["shape"], &[int("axis", 0)]),
        node("Mul", &["x", "two"], &["a"], &[]),
        node("MaxPool", &["a"], &["b"], &[ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])]),
        node("Transpose", &["b"], &["c"], &[ints("perm", &[0, 2, 3, 1])]),
        node("ReduceMean", &["c"], &["d"], &[ints("axes", &[1, 2]), int("keepdims", 0)]),
        node("MatMul", &["d", "w"], &["y"], &[]),
    ];
    let tensors = [initializer(&[3, 2], 1, &bytes(9, &FLOATS)), integers("n", &[1, 2])].concat();
    let network = model(&nodes, &tensors, 13);
    assert!(import::network(&open_bytes(&network).unwrap()).is_ok());
    [onnx(&graph), mindir(&parameter), network]
}

#[test]
fn truncated_anywhere_is_an_error() {
    for bytes in valid_files() {
        assert!(open_bytes(&bytes).is_ok());
        // The operator sets come after the graph and say nothing of weights.
        let end = if bytes.starts_with(b"\x08") { bytes.len() - 4 } else { bytes.len() };
        for end in 0..end {
            assert!(open_bytes(&bytes[..end]).is_err(), "{end} of {} bytes", bytes.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        which in 0..3usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = valid_files()[which].clone();
        bend(&mut bytes, &changes, cut);
        survive(small(&bytes));
    }

    #[test]
    fn random_bytes_are_no_graph(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let found = StateDict::from_bytes("random", bytes, &Limits::default());
        prop_assert!(!found.is_ok_and(|dict| matches!(dict.format(), Some(Format::Onnx | Format::MindIr))));
    }
}
