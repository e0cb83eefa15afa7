"""Networks as torchvision builds them: weights, inputs, exported files, and the logits that all engines are held to."""

import argparse
import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy
import torch
import torchvision
from safetensors.torch import load_file

CLASSES = 1000


def torchvision_name(model):
    """torchvision writes `shufflenet_v2_x0_5`; checkpoints of it are often called `shufflenetv2_x0_5`."""
    return model.replace("shufflenetv2", "shufflenet_v2")


def build(model, weights):
    """The network in evaluation mode, in f32."""
    network = torchvision.models.get_model(torchvision_name(model), weights=None, num_classes=CLASSES)
    state = load_file(weights) if str(weights).endswith(".safetensors") else torch.load(weights, weights_only=True)
    network.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    return network.eval()


def fold_batch_norm(network):
    """The same network with each batch normalisation folded into the convolution before it."""
    from torch.fx.experimental.optimization import fuse

    return fuse(network)


def images(first, last, size):
    """Pictures of seeded noise, first..last, coarse and fine, about as large in their values as normalised photos."""
    pictures = []
    for index in range(first, last):
        noise = torch.Generator().manual_seed(index)
        coarse = torch.randn(1, 3, 5, 5, generator=noise)
        fine = torch.randn(1, 3, size, size, generator=noise)
        pictures.append(torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic") + 0.3 * fine)
    return torch.cat(pictures)


@torch.no_grad()
def seeded(model, path, size):
    """Saves random weights; batch normalisation gets the statistics of a batch, so that all layers are alive."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(torchvision_name(model), weights=None, num_classes=CLASSES).train()
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.2)
    network(images(1000, 1016, size))
    torch.save(network.state_dict(), path)


@torch.no_grad()
def reference(network, count, size):
    """Logits of the first `count` images, computed in f64."""
    network = network.double()
    parts = [network(images(first, min(first + 8, count), size).double()) for first in range(0, count, 8)]
    return torch.cat(parts).numpy()


def export(network, path, images, **options):
    """Writes an ONNX file by the older exporter: it needs no further package, and folds batch normalisation."""
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(network, (images,), path, dynamo=False, opset_version=18, input_names=["input"],
                          output_names=["logits"], **options)


def export_any_batch(model, weights, work):
    """The path of an ONNX file for batches of any size."""
    path = work / f"{model}_{digest(weights)}.onnx"
    if not path.exists():
        axes = {"input": {0: "batch"}, "logits": {0: "batch"}}
        export(build(model, weights), path, torch.zeros(1, 3, 224, 224), dynamic_axes=axes)
    return path


def digest(weights):
    """What changes when anything that is prepared from these weights does."""
    return hashlib.sha256(weights.read_bytes() + Path(__file__).read_bytes() + torch.__version__.encode()).hexdigest()[:12]


def prepare(model, weights, work, batches, size):
    """Writes everything that the engines read for one model, unless it is there, and returns where."""
    if weights is None:
        weights = work / f"{model}_seeded_{size}.pth"
        if not weights.exists():
            seeded(model, weights, size)
    home = work / f"{model}_{size}_{digest(weights)}"
    home.mkdir(exist_ok=True)
    files = {"weights": str(weights), "ncnn": str(home / "model.ncnn"), "logits": str(home / "logits.npy")}
    one = torch.zeros(1, 3, size, size)
    if not (home / "model.ncnn.bin").exists():
        with warnings.catch_warnings(action="ignore"):
            torch.jit.trace(build(model, weights), one).save(home / "model.pt")
        # pnnx folds and fuses; without fp16=0 it would store rounded weights.
        command = [Path(sys.executable).with_name("pnnx"), "model.pt", f"inputshape=[1,3,{size},{size}]", "fp16=0"]
        try:
            subprocess.run(command, cwd=home, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"ncnn will lack its files: {error}", file=sys.stderr)
    # A file a batch: engines optimise best what is fixed.
    for batch in batches:
        path = home / f"batch{batch}.onnx"
        if not path.exists():
            export(build(model, weights), path, torch.zeros(batch, 3, size, size))
    # Two inputs for each batch, between which the engines alternate.
    need = 2 * max(batches)
    logits = Path(files["logits"])
    if not logits.exists() or len(numpy.load(logits)) < need:
        numpy.save(logits, reference(build(model, weights), need, size))
    for batch in batches:
        inputs = [work / f"images_{size}_{first}_{first + batch}.f32" for first in (0, batch)]
        for path, first in zip(inputs, (0, batch)):
            if not path.exists():
                path.write_bytes(images(first, first + batch, size).numpy().tobytes())
        files[str(batch)] = {"onnx": str(home / f"batch{batch}.onnx"), "inputs": [str(path) for path in inputs]}
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")], help="without them, "
                        "one ONNX file for batches of any size is written, and its path printed")
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    if options.batches:
        print(json.dumps(prepare(options.model, options.weights, options.work, options.batches, options.size)))
    else:
        print(export_any_batch(options.model, options.weights, options.work))


if __name__ == "__main__":
    main()
