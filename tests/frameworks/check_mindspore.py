"""Loads what `pretrained convert --to mindspore` writes with MindSpore, and compares bit by bit with the source.

    python tests/frameworks/check_mindspore.py target/debug/pretrained FIXTURES

Needs mindspore 2.10 and a NumPy below 2, without which MindSpore has no bfloat16. FIXTURES is a folder of checkpoints,
each of which is converted, as it is and with --dtype f16 and bf16; one with every type is made here. A network with
batch normalisation must take its parameters under MindSpore's names. Exits with 1 at the first difference.
"""
import sys
import tempfile
from pathlib import Path

import mindspore
import numpy

import written

NORMALISATION = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def renamed(tensors):
    """`tensors` under MindSpore's names: those of modules with statistics change, and the count of batches goes."""
    modules = {name.rpartition(".")[0] for name in tensors if name.rpartition(".")[2] == "running_mean"}
    new = {}
    for name, tensor in tensors.items():
        module, dot, last = name.rpartition(".")
        if module in modules:
            if last == "num_batches_tracked":
                continue
            last = NORMALISATION.get(last, last)
        new[module + dot + last] = tensor
    return new


def compare(what, found, expected):
    assert set(found) == set(expected), (what, set(found) ^ set(expected))
    for name, (dtype, array) in expected.items():
        values = found[name].asnumpy()
        if dtype == "BF16":
            assert found[name].dtype == mindspore.bfloat16, (what, name, found[name].dtype)
            values = values.view("u2")
        written.same((what, name), values, array)


def check(binary, path, folder, *options):
    what = " ".join([path.name, *options])
    written.convert(binary, path, folder / "expected.safetensors", "--to", "safetensors", *options)
    written.convert(binary, path, folder / "written.ckpt", *options)
    expected = renamed(written.read(folder / "expected.safetensors"))
    compare(what, mindspore.load_checkpoint(str(folder / "written.ckpt")), expected)
    print(f"same: {what}, {len(expected)} tensors")


class Net(mindspore.nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv = mindspore.nn.Conv2d(2, 3, 1, has_bias=True)
        self.bn = mindspore.nn.BatchNorm2d(3)
        self.fc = mindspore.nn.Dense(3, 4)

    def construct(self, x):
        return self.fc(self.bn(self.conv(x)).mean((2, 3)))


def into_a_network(binary, folder):
    """A network takes every parameter of a file that was converted from PyTorch's names, and computes with them."""
    random = numpy.random.default_rng(1)
    shapes = {"conv.weight": (3, 2, 1, 1), "conv.bias": (3,), "fc.weight": (4, 3), "fc.bias": (4,)}
    shapes |= {f"bn.{name}": (3,) for name in NORMALISATION}
    tensors = {name: ("F32", random.random(shape, "f4")) for name, shape in shapes.items()}
    tensors["bn.num_batches_tracked"] = ("I64", numpy.array(7))
    written.write(folder / "network.safetensors", tensors)
    written.convert(binary, folder / "network.safetensors", folder / "network.ckpt")
    network = Net()
    left, unused = mindspore.load_param_into_net(
        network, mindspore.load_checkpoint(str(folder / "network.ckpt")), strict_load=True
    )
    assert not left and not unused, (left, unused)
    compare("a network", {p.name: p for p in network.get_parameters()}, renamed(tensors))

    t = {name: array.astype("f8") for name, (_, array) in tensors.items()}
    image = random.random((1, 2, 4, 5), "f4")
    x = numpy.einsum("oi,nihw->nohw", t["conv.weight"][:, :, 0, 0], image) + t["conv.bias"][:, None, None]
    x = (x - t["bn.running_mean"][:, None, None]) / numpy.sqrt(t["bn.running_var"][:, None, None] + 1e-5)
    x = (x * t["bn.weight"][:, None, None] + t["bn.bias"][:, None, None]).mean((2, 3))
    expected = x @ t["fc.weight"].T + t["fc.bias"]
    found = network.set_train(False)(mindspore.Tensor(image)).asnumpy()
    assert numpy.abs(found - expected).max() < 1e-4, (found, expected)
    print("same: a network with batch normalisation, strict, and its output")


def main():
    binary, fixtures = sys.argv[1:]
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for path in [written.assorted(folder, written.DTYPES), *written.sources(fixtures)]:
            for options in [(), ("--dtype", "f16"), ("--dtype", "bf16")]:
                check(binary, path, folder, *options)
            count += 1
        into_a_network(binary, folder)
    print(f"mindspore {mindspore.__version__} reads what is made of {count} checkpoints as it should")


main()
