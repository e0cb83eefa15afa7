"""Prints the logits of a small ShuffleNetV2 as its authors define it: the goldens of `megvii_shufflenet_v2` in
`tests/networks/goldens.rs`.

    python tests/frameworks/megvii_shufflenet_v2.py

Needs torch. The network is spelt out over the parameters' names; their values follow from a formula that the test knows.
"""
import math

import torch
import torch.nn.functional as F

REPEATS, CHANNELS, CLASSES = (2, 3, 2), (8, 20, 44, 88, 32), 5
STATISTICS = {"weight": (1.0, 0.3), "bias": (0.0, 0.2), "running_mean": (0.0, 0.1), "running_var": (1.0, 0.5)}


def shapes():
    """Every parameter's name and shape."""
    found = {}

    def conv(name, out, inp, kernel):
        found[f"{name}.weight"] = (out, inp, kernel, kernel)

    def norm(name, channels):
        found.update({f"{name}.{part}": (channels,) for part in STATISTICS})

    conv("first_conv.0", CHANNELS[0], 3, 3)
    norm("first_conv.1", CHANNELS[0])
    before, feature = CHANNELS[0], 0
    for repeats, after in zip(REPEATS, CHANNELS[1:]):
        for unit in range(repeats):
            name = f"features.{feature}"
            inp = before if unit == 0 else after // 2
            mid, out = after // 2, after - inp
            conv(f"{name}.branch_main.0", mid, inp, 1)
            norm(f"{name}.branch_main.1", mid)
            conv(f"{name}.branch_main.3", mid, 1, 3)
            norm(f"{name}.branch_main.4", mid)
            conv(f"{name}.branch_main.5", out, mid, 1)
            norm(f"{name}.branch_main.6", out)
            if unit == 0:
                conv(f"{name}.branch_proj.0", inp, 1, 3)
                norm(f"{name}.branch_proj.1", inp)
                conv(f"{name}.branch_proj.2", inp, inp, 1)
                norm(f"{name}.branch_proj.3", inp)
            feature += 1
        before = after
    conv("conv_last.0", CHANNELS[-1], before, 1)
    norm("conv_last.1", CHANNELS[-1])
    found["classifier.0.weight"] = (CLASSES, CHANNELS[-1])
    return found


def values():
    """Waves, each parameter's of its own phase: its place among the sorted names."""
    state = {}
    for phase, (name, shape) in enumerate(sorted(shapes().items())):
        wave = torch.sin(0.7 * torch.arange(math.prod(shape), dtype=torch.float64) + phase).reshape(shape)
        if len(shape) == 1:
            middle, swing = STATISTICS[name.rsplit(".", 1)[1]]
        else:
            middle, swing = 0.0, 2.0 / math.sqrt(math.prod(shape[1:]))
        state[name] = (middle + swing * wave).float()
    return state


def forward(state, x):
    def conv(name, x, stride=1):
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=x.shape[1] // weight.shape[1])

    def norm(name, x):
        part = {part: state[f"{name}.{part}"] for part in STATISTICS}
        return F.batch_norm(x, part["running_mean"], part["running_var"], part["weight"], part["bias"], eps=1e-5)

    def conv_norm(name, at, x, stride=1):
        return norm(f"{name}.{at + 1}", conv(f"{name}.{at}", x, stride))

    x = F.max_pool2d(F.relu(conv_norm("first_conv", 0, x, 2)), 3, 2, 1)
    feature = 0
    for repeats in REPEATS:
        for unit in range(repeats):
            name, stride = f"features.{feature}", 2 if unit == 0 else 1
            kept, main = (x, x) if unit == 0 else (x[:, 0::2], x[:, 1::2])
            if unit == 0:
                kept = F.relu(conv_norm(f"{name}.branch_proj", 2, conv_norm(f"{name}.branch_proj", 0, kept, stride)))
            main = F.relu(conv_norm(f"{name}.branch_main", 0, main))
            main = conv_norm(f"{name}.branch_main", 3, main, stride)
            main = F.relu(conv_norm(f"{name}.branch_main", 5, main))
            x = torch.cat((kept, main), 1)
            feature += 1
    x = F.avg_pool2d(F.relu(conv_norm("conv_last", 0, x)), 7)
    return F.linear(x.flatten(1), state["classifier.0.weight"])


if __name__ == "__main__":
    pixels = torch.arange(3 * 224 * 224, dtype=torch.float64)
    image = (1.5 * torch.sin(0.013 * pixels) + 0.5 * torch.sin(0.37 * pixels)).float().reshape(1, 3, 224, 224)
    print(forward(values(), image)[0].tolist())
