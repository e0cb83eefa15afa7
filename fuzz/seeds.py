"""Writes small checkpoints to start the fuzz targets from, each in the form in which its target takes it.

    python fuzz/seeds.py fuzz/corpus

Needs torch and numpy; what OneFlow and MindSpore write is put together here, since no one environment has all three.
"""
import collections
import io
import json
import pickle
import re
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import numpy
import torch

corpus = Path(sys.argv[1])
BETWEEN_FILES = b"\xf5\xf5"


def seed(target, name, content):
    folder = corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


# PyTorch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 1)
        self.bn = torch.nn.BatchNorm2d(2)
        self.fc = torch.nn.Linear(2, 2)
        self.tied = self.fc

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).mean([2, 3]))


class Around(torch.nn.Module):
    """A chain of most layers that are known. Its tensors fit the storages of 64 bytes that the targets have."""

    def __init__(self):
        super().__init__()
        n = torch.nn
        self.flatten = n.Flatten()
        image = [n.Conv2d(1, 2, 2, padding="same"), n.BatchNorm2d(2), n.ReLU6(), n.MaxPool2d(2), n.Hardswish(), n.AvgPool2d(2)]
        vector = [n.Flatten(), n.Linear(2, 3), n.BatchNorm1d(3), n.SiLU(), n.Dropout(), n.Linear(3, 2), n.Softmax(1)]
        self.stack = n.Sequential(named([*image, n.Sequential(named(vector))]))


def named(layers):
    """Letters, since `one_storage` takes numbers for keys of storages."""
    return collections.OrderedDict(zip("abcdefgh", layers))


def saved(value, **options):
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def one_storage(data):
    """The pickle with every storage's key, a text of one or two digits, made 0: the targets have few storages."""
    return re.sub(rb"X(?:\x01\0\0\0\d|\x02\0\0\0\d\d)([qr])", lambda key: b"X\x01\0\0\0" b"0" + key[1], data)


def torch_seeds():
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 1, 2, 2)).sum().backward()
    optimizer.step()
    grid = torch.arange(16, dtype=torch.float32).reshape(4, 4)
    values = {
        "state": net.state_dict(),
        "module": net,
        "chain": Around(),
        "training": {"epoch": 3, "loss": 0.5, "model": net.state_dict(), "optimizer": optimizer.state_dict()},
        "views": {"t": grid.t(), "row": grid[1], "scalar": grid[2, 3], "step": grid[::2, 1:], "none": grid[:0]},
        "types": {str(t): torch.zeros(2, dtype=t) for t in (torch.bool, torch.uint16, torch.bfloat16, torch.int64)},
        "wrapped": {"module.w": torch.nn.Parameter(torch.ones(2))},
    }
    for name, value in values.items():
        archive = saved(value)
        seed("open", f"{name}.pth", archive)
        seed("torch_zip", name, archive[4:])
        with zipfile.ZipFile(io.BytesIO(archive)) as entries:
            data = next(entry for entry in entries.namelist() if entry.endswith("data.pkl"))
            seed("pickle", name, one_storage(entries.read(data)))
            deflated = io.BytesIO()
            with zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as copy:
                for entry in entries.namelist():
                    copy.writestr(entry, entries.read(entry))
            seed("torch_zip", f"{name}_deflated", deflated.getvalue()[4:])
        legacy = saved(value, _use_new_zipfile_serialization=False)
        seed("open", f"{name}_legacy.pth", legacy)
        # After the magic number and the protocol, pickles of 15 and 6 bytes.
        seed("torch_legacy", name, legacy[legacy.index(b"M\xe9\x03.") + 4 :])
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(Net()), script)
    seed("open", "script.pt", script.getvalue())
    seed("torch_zip", "script", script.getvalue()[4:])
    with zipfile.ZipFile(script) as entries:
        data = next(entry for entry in entries.namelist() if entry.endswith("data.pkl"))
        seed("torchscript", "script", one_storage(entries.read(data)))


# safetensors


def safetensors_seeds():
    types_ = ["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"]
    sizes = [8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1]
    header, end = {"__metadata__": {"preset": "mnist", "labels": "[\"a\"]"}}, 0
    for name, size in zip(types_, sizes):
        header[name] = {"dtype": name, "shape": [2, 1], "data_offsets": [end, end + 2 * size]}
        end += 2 * size
    header["empty"] = {"dtype": "F32", "shape": [0, 3], "data_offsets": [end, end]}
    header = json.dumps(header).encode()
    whole = header + bytes(end)
    seed("safetensors", "types", whole)
    seed("open", "types.safetensors", len(header).to_bytes(8, "little") + whole)
    small = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    shard = len(small).to_bytes(8, "little") + small + b"abcd"
    index = json.dumps({"metadata": {"total_size": 4}, "weight_map": {"w": "a.safetensors"}}).encode()
    seed("sharded", "one", b"index\n" + index + BETWEEN_FILES + b"a\n" + shard)
    seed("open", "index.json", index)


# OneFlow

META = b"shape {\n  dim: 2\n  dim: 1\n}\ndata_type: kFloat\n"


def oneflow_seeds():
    flow = types.ModuleType("oneflow")
    flow.Tensor = type("Tensor", (), {"__module__": "oneflow", "__qualname__": "Tensor"})
    sys.modules["oneflow"] = flow

    def tensor(**state):
        made = flow.Tensor()
        made.__dict__.update(state)
        return made

    for protocol in (2, 4, 5):
        for name, wrap in [("plain", lambda w: w), ("training", lambda w: {"epoch": 3, "model": w, "best": 0.5})]:
            folders = {"protocol_version": 1, "data": wrap({"w": tensor(path="tensor_0"), "v": tensor(path="tensor_1")})}
            files = [b"pickled_data\n" + pickle.dumps(folders, protocol=protocol)]
            for i in (0, 1):
                files += [b"tensor_%d/meta\n" % i + META, b"tensor_%d/out\nabcdefgh" % i]
            seed("oneflow_pickled", f"{name}{protocol}", BETWEEN_FILES.join(files))
            arrays = {f"{code}": tensor(data=numpy.zeros((2, 1), code)) for code in ("f4", "f2", "i8", "u1", "?")}
            single = {"protocol_version": 1, "__oneflow__": None, "data": wrap(arrays)}
            single = pickle.dumps(single, protocol=protocol)
            seed("oneflow_single", f"{name}{protocol}", single)
            seed("open", f"oneflow_single_{name}{protocol}", single)
    names = [b"fc-weight", b"fc-bias", b"fc-bias-m", b"fc-bias-v"]
    files = [part for n in names for part in (n + b"/meta\n" + META, n + b"/out\nabcdefgh")]
    files += [b"System-Train-TrainStep-job/out\nabcdefgh", b"snapshot_done\n"]
    seed("oneflow_snapshot", "four", BETWEEN_FILES.join(files))
    seed("oneflow_legacy", "four", BETWEEN_FILES.join(file for file in files if b"/meta" not in file))


# Protobuf: MindSpore, MindIR, ONNX


def varint(number):
    small = b""
    while number >= 0x80:
        small, number = small + bytes([number & 0x7F | 0x80]), number >> 7
    return small + bytes([number])


def field(tag, content):
    return varint(tag << 3 | 2) + varint(len(content)) + content


def number(tag, value):
    return varint(tag << 3) + varint(value)


def message_in(message, tag):
    """The bytes of the field `tag` in a protobuf message without fixed-size fields."""
    def read(at):
        value = shift = 0
        while True:
            value |= (message[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if message[at - 1] < 0x80:
                return value, at

    at = 0
    while at < len(message):
        key, at = read(at)
        length, at = read(at)
        if key & 7 == 2:
            if key >> 3 == tag:
                return message[at:at + length]
            at += length


def protobuf_seeds():
    def value(tag, dims, kind, content):
        dims = b"".join(number(1, dim) for dim in dims)
        return field(1, field(1, tag) + field(2, dims + field(2, kind) + field(3, content)))

    values = [
        value(b"bn.gamma", [2], b"Float32", b"abcdefgh"),
        value(b"bn.moving_mean", [2, 1], b"Float16", b"abcd"),
        value(b"moments.bn.gamma", [2], b"Float32", b"abcdefgh"),
        value(b"sliced", [2], b"Float32", b"abcd"),
        value(b"sliced", [2], b"Float32", b"abcd"),
        value(b"loss", [], b"Float32", b"abcd"),
        value(b"net", [], b"str", b"m\0\0\0s\0\0\0"),
        field(1, field(1, b"packed") + field(2, field(1, b"\x02\x01") + field(2, b"Bool") + field(3, b"\0\1"))),
    ]
    seed("mindspore", "all", b"".join(values))
    seed("open", "mindspore.ckpt", b"".join(values))

    def tensor(tag, name, dtype, data):
        return field(tag, number(1, 2) + number(1, 1) + number(2, dtype) + name + data)

    floats = b"abcdefgh"
    onnx = [field(2, b"graph"), tensor(5, field(8, b"raw"), 1, field(9, floats))]
    onnx += [tensor(5, field(8, b"floats"), 1, field(4, floats)), tensor(5, field(8, b"longs"), 7, field(7, b"\1\2"))]
    onnx += [tensor(5, field(8, b"halves"), 10, number(5, 15360) * 2), tensor(5, field(8, b"f64"), 11, field(10, floats * 2))]
    onnx += [tensor(5, field(8, b"external"), 1, field(13, b"file"))]
    for at in range(2, len(onnx)):
        seed("onnx", f"{at}", b"".join(onnx[:at]))
    seed("onnx", "all", b"".join(onnx))
    # Whole networks, of which the target takes the graph.
    for file in sorted(Path(__file__).parents[1].glob("tests/data/onnx/*.onnx")):
        model = file.read_bytes()
        seed("open", file.name, model)
        seed("onnx", file.stem, message_in(model, 7))
    seed("open", "model.onnx", number(1, 8) + field(2, b"maker") + field(7, b"".join(onnx[:-1])) + field(8, number(2, 17)))
    mindir = [field(2, b"net:main"), tensor(3, field(7, b"net:main:w"), 1, field(9, floats))]
    mindir += [tensor(3, field(7, b"v"), 1, field(3, floats)), tensor(3, field(7, b"n"), 7, field(6, b"\1\2"))]
    seed("mindir", "all", b"".join(mindir))
    seed("open", "model.mindir", field(1, b"1.1") + field(2, b"MindSpore") + field(7, b"".join(mindir)))


# Archives


def archive_seeds():
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    shard = len(header).to_bytes(8, "little") + header + b"abcd"
    index = json.dumps({"weight_map": {"a": "1.safetensors"}}).encode()
    files = {"model.safetensors.index.json": index, "1.safetensors": shard, "a/" + "long/" * 30 + "name": b"x"}
    for name, method in {"stored.zip": zipfile.ZIP_STORED, "deflated.zip": zipfile.ZIP_DEFLATED}.items():
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        seed("files", name, out.getvalue())
    for name, kind in {"gnu.tar": tarfile.GNU_FORMAT, "pax.tar": tarfile.PAX_FORMAT}.items():
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
            for file, content in files.items():
                info = tarfile.TarInfo(file)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        seed("files", name, out.getvalue())


torch_seeds()
archive_seeds()
safetensors_seeds()
oneflow_seeds()
protobuf_seeds()
print(sum(path.is_file() for path in corpus.rglob("*")), "seeds in", corpus)
