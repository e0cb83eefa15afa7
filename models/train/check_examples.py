"""Classifies the example images and digits with the shipped weights, and fails if any is not what its name says."""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

import cifar10_shufflenet_v2 as cifar10
import mnist_mlp as mnist

ROOT = Path(__file__).resolve().parents[2]


def load(network, name):
    network.load_state_dict(load_file(ROOT / "models" / f"{name}.safetensors"))
    return network.eval()


@torch.no_grad()
def classify_examples():
    """Yields the model's name, the file, its true class and the logits, for every example."""
    name = "cifar10_shufflenet_v2_x0_5"
    model = load(cifar10.ShuffleNetV2(), name)
    for file in sorted((ROOT / "examples" / "images").glob("*.png")):
        pixels = torch.tensor(cifar10.resize(np.asarray(Image.open(file).convert("RGB"))))
        x = cifar10.normalise(pixels.permute(2, 0, 1)[None].float() / 255)
        yield name, file.relative_to(ROOT), cifar10.LABELS.index(file.stem), model(x)[0]
    name = "mnist_mlp"
    model = load(mnist.Mlp(), name)
    for file in sorted((ROOT / "examples" / "digits").glob("*.png")):
        pixels = np.asarray(Image.open(file).convert("L").resize((28, 28), Image.BILINEAR))
        truth = int(file.stem.removeprefix("digit_"))
        yield name, file.relative_to(ROOT), truth, model(torch.tensor(pixels)[None] / 255)[0]


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    wrong = 0
    for name, file, truth, logits in classify_examples():
        probability, found = logits.softmax(0).max(0)
        labels = cifar10.LABELS if name.startswith("cifar10") else list("0123456789")
        wrong += found.item() != truth
        mark = "ok" if found.item() == truth else "WRONG"
        print(f"{file.as_posix():<32} {labels[found]:<10} {probability.item():.3f} {mark}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
