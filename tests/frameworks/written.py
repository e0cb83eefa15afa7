"""What the checks for OneFlow and MindSpore share: `pretrained convert`, the checkpoints of a folder, and their values.

The values come from the safetensors file that `pretrained convert` makes of the same source, which check_torch.py holds
to PyTorch bit by bit. It is read here with NumPy alone, so that no other framework need be installed.
"""
import json
import subprocess
from pathlib import Path

import numpy

# bfloat16 as its bits, since NumPy has no such type.
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1"}
DTYPES |= {"U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?"}

# Refused by `pretrained`, for a reason that tests/checkpoint/formats.rs knows.
REFUSED = ("mlp_encrypted.ckpt",)


def attempt(binary, source, target, *options):
    """Runs `pretrained convert`; the error is what it says where it fails, and else none."""
    done = subprocess.run([binary, "convert", source, target, "--force", *options], capture_output=True, text=True)
    return done.stderr or "no reason given" if done.returncode else None


def convert(binary, source, target, *options):
    error = attempt(binary, source, target, *options)
    assert error is None, (source, options, error)


def read(path):
    """Name -> (type in safetensors' words, array) of a safetensors file."""
    file = Path(path).read_bytes()
    start = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, info in header.items():
        begin, end = (start + offset for offset in info["data_offsets"])
        array = numpy.frombuffer(file[begin:end], "<" + DTYPES[info["dtype"]])
        tensors[name] = (info["dtype"], array.reshape(info["shape"]))
    return tensors


def write(path, tensors):
    """Writes name -> (type, array) as a safetensors file."""
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        bytes_ = numpy.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    header = json.dumps(header).encode()
    Path(path).write_bytes(len(header).to_bytes(8, "little") + header + data)


def assorted(folder, dtypes):
    """A source with a tensor of each of `dtypes`, as it is, as a scalar and as an empty one."""
    tensors = {}
    for dtype in dtypes:
        numbers = numpy.arange(24).reshape(2, 3, 4)
        array = (numbers % 2 if dtype == "BOOL" else numbers).astype(DTYPES[dtype])
        if dtype == "BF16":
            array = (numbers.astype("f4").view("u4") >> 16).astype("u2")
        tensors |= {f"{dtype}.d": (dtype, array), f"{dtype}.s": (dtype, array[0, 1, 2]), f"{dtype}.e": (dtype, array[:0])}
    write(folder / "assorted.safetensors", tensors)
    return folder / "assorted.safetensors"


def sources(fixtures):
    """Every checkpoint in `fixtures`, a folder of files and folders."""
    return [path for path in sorted(Path(fixtures).iterdir()) if path.name not in REFUSED]


def same(what, found, expected):
    """Compares two arrays bit by bit."""
    assert found.dtype == expected.dtype and found.shape == expected.shape, (what, found.dtype, found.shape, expected)
    assert found.tobytes() == expected.tobytes(), what
