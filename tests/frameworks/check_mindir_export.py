"""Checks what `pretrained export --to mindir` writes: MindSpore loads it and computes the same on its CPU.

    python tests/frameworks/check_mindir_export.py target/debug/pretrained EXPORTS FIXTURES

Needs mindspore 2.10 and numpy; exported.py says what the folders hold. Each model is loaded by mindspore.load and run by
nn.GraphCell, on several images and on one, since the batch is free; the largest error allowed is 1e-5 of the largest
number. Exits with 1 at the first that differs.
"""
import sys
import tempfile
from pathlib import Path

import mindspore
from mindspore.train.mind_ir_pb2 import ModelProto

import exported


def dims(path):
    """The shape of the input, as the file has it."""
    model = ModelProto()
    model.ParseFromString(Path(path).read_bytes())
    (value,) = model.graph.input
    shape = list(value.tensor[0].dims)
    assert shape[0] == -1, shape
    return shape


def check(what, path, images, expected):
    network = mindspore.nn.GraphCell(mindspore.load(str(path)))
    shape = dims(path)
    error = 0
    for batch in (len(images), 1):
        feed = images[:batch].reshape(batch, *shape[1:])
        output = network(mindspore.Tensor(feed)).asnumpy()
        error = max(error, exported.compare(what, output, expected[:batch]))
    print(f"same: {what}, {len(list(network.get_parameters()))} parameters, {error:.1e}", flush=True)
    return error


def main():
    binary, exports, fixtures = sys.argv[1:]
    mindspore.set_device("CPU")
    with tempfile.TemporaryDirectory() as folder:
        errors = [check(*model) for model in exported.models(binary, exports, fixtures, Path(folder), "mindir")]
    version = f"mindspore {mindspore.__version__}"
    print(f"{version} takes all {len(errors)} models; the largest error is {max(errors):.1e} of the largest number")


main()
