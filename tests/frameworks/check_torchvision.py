"""Runs every network of torchvision that this crate knows at its full size, on every way in and out, and prints the table
of docs/results/networks.md: the largest difference from PyTorch's logits in f64, as a share of the largest.

    python tests/frameworks/check_torchvision.py FOLDER [DEVICE [NAME...]]

FOLDER holds the binary `pretrained` and the example `logits` as `examples/logits` (`cargo build --release --bins --example
logits`, in target/release). DEVICE is a GPU's name, or part of it; `-` for none. Needs torch, torchvision, onnx and
onnxruntime. The columns: the network that the checkpoint is recognised as, by names and shapes alone; the logits on the CPU
and on DEVICE; those of ONNX Runtime for what `pretrained export` writes; and those on the CPU for what torch.onnx writes.
Exits with 1 where one is over 1e-4, or a network is taken for another.
"""
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision

from check_onnx import image, lively

warnings.filterwarnings("ignore")

NAMES = """shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 resnet18 resnet34 resnet50 resnet101
    resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2 wide_resnet101_2 mobilenet_v2 mobilenet_v3_small
    mobilenet_v3_large squeezenet1_0 squeezenet1_1""".split()


def output(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def columns(programs, device, name, folder):
    model = lively(getattr(torchvision.models, name)(weights=None))
    x = image(224)
    (folder / "x.f32").write_bytes(x.tobytes())
    torch.save(model.state_dict(), folder / "model.pth")
    torch.onnx.export(model, (torch.from_numpy(x),), str(folder / "in.onnx"), opset_version=17, dynamo=False)
    with torch.no_grad():
        expected = model.double()(torch.from_numpy(x.astype(np.float64)))[0].numpy()

    def error(found):
        return float(np.abs(np.asarray(found, dtype=np.float64) - expected).max() / np.abs(expected).max())

    def logits(weights, *device):
        return error(output(programs / "examples" / "logits", weights, folder / "x.f32", *device).split())

    yield json.loads(output(programs / "pretrained", "inspect", "--json", folder / "model.pth"))["network"]["name"]
    yield logits(folder / "model.pth")
    yield logits(folder / "model.pth", device) if device != "-" else None
    output(programs / "pretrained", "export", folder / "model.pth", folder / "out.onnx")
    onnx.checker.check_model(folder / "out.onnx", full_check=True)
    session = onnxruntime.InferenceSession(folder / "out.onnx", providers=["CPUExecutionProvider"])
    yield error(session.run(["output"], {"input": x})[0][0])
    yield logits(folder / "in.onnx")


def main():
    programs, device, *names = [*sys.argv[1:], *["-"][: max(0, 3 - len(sys.argv))]]
    bad = 0
    print(f"| network | recognised as | CPU | {device} | ONNX out | ONNX in |\n|---|---|--:|--:|--:|--:|")
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            recognised, *errors = columns(Path(programs), device, name, Path(folder))
        bad += recognised.replace("shufflenetv2", "shufflenet_v2") != name or max(e or 0 for e in errors) > 1e-4
        figures = ["" if e is None else f"{e:.1e}" for e in errors]
        print("| " + " | ".join([name, recognised, *figures]) + " |", flush=True)
    print(f"{bad} are bad")
    sys.exit(bad > 0)


main()
