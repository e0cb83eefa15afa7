"""Loads what `pretrained convert --to oneflow` writes with OneFlow, and compares bit by bit with the source.

    python tests/frameworks/check_oneflow.py target/debug/pretrained FIXTURES

Needs oneflow 0.9. FIXTURES is a folder of checkpoints, each of which is converted, as it is and with --dtype f16; one
with every type that OneFlow knows is made here. Types that OneFlow 0.9 has no name for must be refused by it, and not
read as something else. Exits with 1 at the first difference.
"""
import sys
import tempfile
from pathlib import Path

import numpy
import oneflow

import written

READ = ("F64", "F32", "F16", "I64", "I32", "I8", "U8", "BOOL")
# Of which NumPy, by which OneFlow reads a snapshot, or OneFlow itself has none.
UNREAD = ("BF16", "I16", "U64", "U32", "U16")


def check(binary, path, folder, *options):
    what = " ".join([path.name, *options])
    expected = folder / "expected.safetensors"
    written.convert(binary, path, expected, "--to", "safetensors", *options)
    expected = written.read(expected)
    unread = sorted({dtype for dtype, _ in expected.values()} & set(UNREAD))
    error = written.attempt(binary, path, folder / "snapshot", "--to", "oneflow", *options)
    # A colon, which ONNX exporters put into names, is for no name of a folder.
    if any(":" in name for name in expected):
        assert error and "colon" in error, (what, error)
        print(f"refused, for the colon in a name: {what}")
        return
    assert error is None, (what, error)
    try:
        found = oneflow.load(str(folder / "snapshot"))
    except Exception as error:
        assert unread, (what, error)
        print(f"refused by OneFlow, which does not read {', '.join(unread)}: {what}")
        return
    assert not unread, (what, unread)
    assert set(found) == set(expected), (what, set(found) ^ set(expected))
    for name, (_, array) in expected.items():
        written.same((what, name), found[name].numpy(), array)
    print(f"same: {what}, {len(expected)} tensors")


def into_a_network(binary, folder):
    """Batch normalisation's names are PyTorch's, and a network takes them."""
    names = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]
    shapes = [(3, 2, 1, 1)] + [(3,)] * 5
    tensors = {n: ("F32", numpy.random.rand(*s).astype("f4")) for n, s in zip(names, shapes)}
    tensors["1.num_batches_tracked"] = ("I64", numpy.array(7, "i8"))
    written.write(folder / "network.safetensors", tensors)
    written.convert(binary, folder / "network.safetensors", folder / "network", "--to", "oneflow")
    network = oneflow.nn.Sequential(oneflow.nn.Conv2d(2, 3, 1), oneflow.nn.BatchNorm2d(3))
    network.load_state_dict(oneflow.load(str(folder / "network")), strict=True)
    for name, tensor in network.state_dict().items():
        written.same(name, tensor.numpy(), tensors[name][1])
    print("same: a network with batch normalisation, strict")


def main():
    binary, fixtures = sys.argv[1:]
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for path in [written.assorted(folder, READ), *written.sources(fixtures)]:
            check(binary, path, folder)
            check(binary, path, folder, "--dtype", "f16")
            count += 1
        for dtype in UNREAD:
            check(binary, written.assorted(folder, ["F32", dtype]), folder)
        into_a_network(binary, folder)
    print(f"oneflow {oneflow.__version__} reads what is made of {count} checkpoints as it should")


main()
