"""Loads what `pretrained convert` writes with PyTorch and safetensors, and compares bit by bit with the source.

    python tests/frameworks/check_torch.py target/debug/pretrained FILE...

Needs torch and safetensors. Each FILE (.pth or .safetensors) is converted to .pth and to .safetensors, as it is and
with --dtype f16 and bf16; what PyTorch reads must be what PyTorch makes of the source by the same conversion. Also
checked: loading with mmap=True, the order of names, and the unsigned types that PyTorch gives no storage class.
Exits with 1 at the first difference.
"""
import collections
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

STATISTICS = ("running_mean", "running_var", "moving_mean", "moving_variance")
DTYPES = {None: None, "f16": torch.float16, "bf16": torch.bfloat16}


def source(path):
    if path.suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    return collections.OrderedDict((name, tensor.detach()) for name, tensor in state.items())


def converted(name, tensor, dtype):
    if dtype is None or not tensor.is_floating_point():
        return tensor
    return tensor.to(torch.float32 if name.split(".")[-1] in STATISTICS else dtype)


def bits(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def compare(what, found, expected):
    assert set(found) == set(expected), (what, set(found) ^ set(expected))
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, (what, name, found[name].dtype, tensor.dtype)
        assert found[name].shape == tensor.shape, (what, name, found[name].shape, tensor.shape)
        assert bits(found[name]) == bits(tensor), (what, name)


def check(binary, path, folder):
    original = source(path)
    for option, dtype in DTYPES.items():
        expected = {name: converted(name, tensor, dtype) for name, tensor in original.items()}
        arguments = ["--dtype", option] if option else []
        for extension in ("pth", "safetensors"):
            target = folder / f"{path.stem}-{option}.{extension}"
            subprocess.run([binary, "convert", path, target, "--force", *arguments], check=True, capture_output=True)
            what = f"{path.name} {option or 'as it is'} -> {extension}"
            if extension == "safetensors":
                compare(what, load_file(target), expected)
            else:
                found = torch.load(target, weights_only=True)
                compare(what, found, expected)
                assert isinstance(found, collections.OrderedDict)
                if path.suffix != ".safetensors":
                    assert list(found) == list(original), what
                compare(what + ", mapped", torch.load(target, weights_only=True, mmap=True), expected)
                for tensor in found.values():
                    assert tensor.is_contiguous() and not tensor.requires_grad
            print("same:", what)


def assorted(folder):
    """A tensor of every type, with a scalar, an empty one, and odd names."""
    state = {}
    names = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool".split()
    for name in names:
        dtype = getattr(torch, name)
        numbers = torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2).to(dtype)
        state.update({f"{name}.d": numbers, f"{name}.s": numbers[0, 0, 0, 1].clone(), f"{name}.e": numbers[:0].clone()})
    state["a b/ü\n\"'\\"] = torch.ones(3)
    state[""] = torch.ones(70_000)
    path = folder / "assorted.safetensors"
    save_file(state, path)
    return path


def main():
    binary, *files = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for path in [assorted(folder), *map(Path, files)]:
            check(binary, path, folder)
    print("torch", torch.__version__, "reads everything as it should")


main()
