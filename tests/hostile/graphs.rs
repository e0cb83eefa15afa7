//! Opens exported graphs, ONNX and MindIR, that are damaged or made to harm.

use crate::build::{bytes, number, open_bytes, open_bytes_with, varint};
use crate::{assert_refused, bend, small, survive};
use pretrained::{DType, Error, Format, Limits, StateDict};
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
        (b"".to_vec(), "without weights"),
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

// anything

fn valid_files() -> [Vec<u8>; 2] {
    let ints = bytes(5, &[number(1, 2), number(2, 7), bytes(8, b"n"), bytes(7, &[1, 2])].concat());
    let graph = [initializer(&[2, 3], 1, &bytes(9, &FLOATS)), ints].concat();
    let parameter = [number(1, 6), number(2, 1), bytes(7, b"net:main:w"), bytes(9, &FLOATS)].concat();
    [onnx(&graph), mindir(&parameter)]
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
        which in 0..2usize,
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
