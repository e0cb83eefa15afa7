"""Prints what PyTorch draws the numbers of new parameters from: the goldens of `src/initialiser/tests.rs`.

    python tests/frameworks/initialisers.py

Needs torch. What `torch.nn.init` and new layers ask `uniform_` and `normal_` for is recorded, so the bounds and
deviations are PyTorch's own, not a sample's.
"""
import torch
from torch import nn

SHAPES = [(10, 512), (64, 3, 7, 7), (58, 1, 3, 3)]
asked = []


def recorder(name):
    original = getattr(torch.Tensor, name)

    def record(tensor, a=0.0, b=1.0, **keywords):
        asked.append((name.strip("_"), float(a), float(b)))
        return original(tensor, a, b, **keywords)

    setattr(torch.Tensor, name, record)


def main():
    for name in ("uniform_", "normal_"):
        recorder(name)
    init = nn.init
    calls = {
        "xavier_uniform": init.xavier_uniform_,
        "xavier_uniform:1.5": lambda t: init.xavier_uniform_(t, gain=1.5),
        "xavier_normal": init.xavier_normal_,
        "kaiming_uniform": init.kaiming_uniform_,
        "kaiming_uniform:0.2,fan_out": lambda t: init.kaiming_uniform_(t, a=0.2, mode="fan_out"),
        "kaiming_normal": init.kaiming_normal_,
        "kaiming_normal:0.2,fan_out": lambda t: init.kaiming_normal_(t, a=0.2, mode="fan_out"),
        "uniform": init.uniform_,
        "normal": init.normal_,
    }
    for text, call in calls.items():
        for shape in SHAPES:
            asked.clear()
            call(torch.empty(shape))
            (kind, a, b), = asked
            print(f'("{text}", &{list(shape)}, "{kind}", {a!r}, {b!r}),')
    asked.clear()
    layers = [nn.Linear(512, 10), nn.Conv2d(3, 64, 7), nn.Conv2d(58, 58, 3, groups=58)]
    for layer, (weight, bias) in zip(layers, zip(asked[::2], asked[1::2])):
        print(f"// {layer}: weight {weight}, bias {bias}")
    norm = nn.BatchNorm2d(2)
    print("//", {name: tensor.tolist() for name, tensor in norm.state_dict().items()})


main()
