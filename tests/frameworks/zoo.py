"""Writes the logits of torchvision's networks, and of LeNet-5, for weights and images that follow from a formula: the
goldens of `networks_of_the_zoo` in `tests/networks/goldens.rs`.

    python tests/frameworks/zoo.py [--all]     fills in the logits that the file lacks, or computes all of them again

A line of the file says which network, of which family, for how many classes, which size of image and which gain. Needs
torch, torchvision and NumPy. Random weights can hide mistakes: deep networks forget their input, and what no activation
reaches is not tested. So each network's gain is such that its two images differ by a tenth of the largest logit, every
activation function bends what it gets, and roundings stay roundings: the logits are those of f64, from which PyTorch's own
in f32 are 1e-5 away at most. The script refuses to write anything else.
"""
import json
import sys
import zlib
from pathlib import Path

import numpy
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

GOLDENS = Path(__file__).parent.with_name("data") / "zoo_goldens.json"

STATISTICS = {"weight": (1.0, 0.3), "bias": (0.0, 0.2), "running_mean": (0.0, 0.1), "running_var": (1.0, 0.5)}


def noise(stream, indices):
    """Numbers from -1 to 1, exact in f32: SplitMix64's finaliser over a stream and an index."""
    with numpy.errstate(over="ignore"):
        x = (numpy.uint64(stream) << numpy.uint64(32)) + indices.astype(numpy.uint64) + numpy.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        x = x ^ (x >> numpy.uint64(31))
    return (x >> numpy.uint64(40)).astype(numpy.float64) / 2.0**23 - 1.0


def parameter(name, shape, gain):
    """A parameter's values: kernels of a variance of gain^2 / fan_in, all else about what it starts as."""
    middle, swing = STATISTICS[name.rsplit(".", 1)[1]] if len(shape) == 1 else (0.0, gain * (3.0 / numpy.prod(shape[1:])) ** 0.5)
    values = noise(zlib.crc32(name.encode()), numpy.arange(numpy.prod(shape))).reshape(shape)
    if len(shape) > 1:
        pairs = shape[1] // 2
        values[:, 1 : 2 * pairs : 2] = -values[:, 0 : 2 * pairs : 2]
    return (middle + swing * values).astype(numpy.float32)


def images(channels, height, width):
    """Two images of patches of 16x16 pixels, with finer noise over them."""
    c, y, x = numpy.meshgrid(*map(numpy.arange, (channels, height, width)), indexing="ij")
    patch = (c * height + y // 16) * width + x // 16
    pixel = (c * height + y) * width + x
    both = [1.5 * noise(2 * image, patch) + 0.5 * noise(2 * image + 1, pixel) for image in range(2)]
    return numpy.stack(both).astype(numpy.float32)


class LeNet5(nn.Sequential):
    """PyTorch's tutorial network, or without biases of convolutions MindSpore's."""

    def __init__(self, channels, side, bias, classes):
        pooled = lambda: (nn.ReLU(), nn.MaxPool2d(2))
        flat = 16 * ((side - 4) // 2 - 4 >> 1) ** 2
        layers = {"conv1": nn.Conv2d(channels, 6, 5, bias=bias), "pool1": nn.Sequential(*pooled()),
                  "conv2": nn.Conv2d(6, 16, 5, bias=bias), "pool2": nn.Sequential(*pooled()), "flatten": nn.Flatten(),
                  "fc1": nn.Linear(flat, 120), "relu1": nn.ReLU(), "fc2": nn.Linear(120, 84), "relu2": nn.ReLU(),
                  "fc3": nn.Linear(84, classes)}
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)


# Networks that torchvision has no name for.
OTHERS = {
    "mobilenet_v2 x0.35": lambda classes: torchvision.models.mobilenet_v2(weights=None, num_classes=classes, width_mult=0.35),
    "resnext": lambda classes: ResNet(Bottleneck, [1, 2, 1, 1], classes, groups=4, width_per_group=24),
    "wide_resnet": lambda classes: ResNet(Bottleneck, [1, 1, 1, 1], classes, width_per_group=128),
    "lenet5": lambda classes: LeNet5(1, 32, False, classes),
    "lenet5 with biases": lambda classes: LeNet5(3, 32, True, classes),
}


def build(name, classes):
    if name in OTHERS:
        return OTHERS[name](classes)
    return torchvision.models.get_model(name.replace("shufflenetv2", "shufflenet_v2"), weights=None, num_classes=classes)


def bent(module, x):
    """The shares of what a function gets that lie in its parts."""
    bounds = {nn.ReLU: [0.0], nn.ReLU6: [0.0, 6.0], nn.Hardswish: [-3.0, 3.0], nn.Hardsigmoid: [-3.0, 3.0]}[type(module)]
    edges = [-numpy.inf, *bounds, numpy.inf]
    return [((x >= low) & (x < high)).double().mean().item() for low, high in zip(edges, edges[1:])]


@torch.no_grad()
def logits(name, classes, size, gain):
    network = build(name, classes).eval()
    state = {key: torch.from_numpy(parameter(key, tuple(value.shape), gain)) for key, value in network.state_dict().items()
             if not key.endswith("num_batches_tracked")}
    network.load_state_dict(state, strict=False)
    shares = {}
    for path, module in network.named_modules():
        if isinstance(module, (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid)):
            hook = lambda module, inputs: shares.setdefault(type(module).__name__, []).append(bent(module, inputs[0]))
            module.register_forward_pre_hook(hook)
    pictures = torch.from_numpy(images(*size))
    rounded = network(pictures).numpy()
    found = network.double()(pictures.double()).numpy()
    error = abs(rounded - found).max() / abs(found).max()
    apart = abs(found[0] - found[1]).max() / abs(found).max()
    means = {kind: numpy.mean(each, axis=0).round(3).tolist() for kind, each in shares.items()}
    print(f"{name}: images {apart:.3f} apart, largest logit {abs(found).max():.3g}, f32 {error:.1e} off, {means}", file=sys.stderr)
    if apart < 0.1:
        raise SystemExit(f"{name}: the images hardly matter")
    if error > 1e-5:
        raise SystemExit(f"{name}: roundings matter")
    if min(share for each in means.values() for share in each) < 0.01:
        raise SystemExit(f"{name}: a part of an activation function is hardly reached")
    return found.ravel().tolist()


def main():
    goldens = json.loads(GOLDENS.read_text())
    for golden in goldens:
        if "logits" not in golden or "--all" in sys.argv[1:]:
            name, classes, size, gain = (golden[key] for key in ("network", "classes", "size", "gain"))
            golden["logits"] = logits(name, classes, size, gain)
    GOLDENS.write_text("[\n" + ",\n".join(map(json.dumps, goldens)) + "\n]\n")


if __name__ == "__main__":
    main()
