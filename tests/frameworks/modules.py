"""Writes tests/data/modules: small models that PyTorch saved whole, and what it makes of an input with each.

    python tests/frameworks/modules.py

Needs torch and safetensors. Weights are drawn from a seed. The outputs go to expected.safetensors, `NAME.input` and `NAME.output`.
"""
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).resolve().parents[1] / "data" / "modules"


class NeuralNetwork(nn.Module):
    """As in PyTorch's tutorial, and smaller."""

    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(6 * 6, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 5)
        )

    def forward(self, x):
        return self.linear_relu_stack(self.flatten(x))


class TwoStacks(nn.Module):
    """What lies between its two parts is nowhere but in its forward."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
        self.classifier = nn.Sequential(nn.Linear(2, 3))

    def forward(self, x):
        return self.classifier(self.features(x).amax([2, 3]))


class TanhNet(nn.Module):
    """Layers that chain, as those of an MLP do, with another function between them."""

    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(4, 3)
        self.tanh = nn.Tanh()
        self.l2 = nn.Linear(3, 2)

    def forward(self, x):
        return self.l2(self.tanh(self.l1(x)))


class LeNet5(nn.Module):
    """As it is called everywhere, on 28x28 pixels with padding."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 5, padding=2)
        self.conv2 = nn.Conv2d(2, 3, 5)
        self.fc1 = nn.Linear(3 * 25, 6)
        self.fc2 = nn.Linear(6, 5)
        self.fc3 = nn.Linear(5, 4)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.relu(self.fc2(self.relu(self.fc1(x.flatten(1)))))
        return self.fc3(x)


def cnn():
    """Every layer that is known, most of them set to what is not their default."""
    return nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(
                nn.Conv2d(3, 6, (3, 4), padding="same", bias=False), nn.BatchNorm2d(6, eps=0.1), nn.ReLU6()
            ),
            pool=nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
            drop=nn.Dropout2d(0.3),
            middle=nn.Sequential(
                nn.Sequential(nn.Conv2d(6, 8, 3, padding=(2, 1), dilation=(2, 1), groups=2), nn.Hardswish()),
                nn.AvgPool2d((2, 3), stride=(1, 2), padding=(1, 0), count_include_pad=False),
                nn.Identity(),
                nn.Conv2d(8, 7, 1, stride=2, padding="valid"),
                nn.SiLU(),
                nn.AvgPool2d(2, stride=1, padding=1, ceil_mode=True),
                nn.Hardsigmoid(),
            ),
            flatten=nn.Flatten(),
            head=nn.Sequential(
                nn.Linear(7 * 6 * 3, 10), nn.BatchNorm1d(10, eps=0.01), nn.Sigmoid(), nn.Dropout(), nn.Linear(10, 4, bias=False)
            ),
            softmax=nn.Softmax(dim=1),
        )
    )


def pooled():
    """Takes images of any size."""
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, stride=2), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
        nn.Linear(5, 3), nn.LogSoftmax(dim=1),
    )


def binary():
    """One probability, of two classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Sigmoid())


def unknown():
    """Layers that no graph has, or not as they are set here."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.Tanh(), nn.BatchNorm2d(2, affine=False), nn.ReLU(),
        nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.GELU()), nn.Flatten(), nn.Linear(8, 3),
    )


def without_source(_):
    raise OSError("the legacy stream would carry the source text of every class, and its path")


def lively(model):
    """Draws all that a new model has at 0 or 1, and makes its weights so large that its outputs tell images apart."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if value.is_floating_point():
            if name.endswith("running_var"):
                value.data.uniform_(0.5, 2)
            elif value.dim() == 1:
                value.data.uniform_(-0.5, 0.5).add_(1 if name.endswith("weight") else 0)
            else:
                value.data.mul_(3)
    return model


def main():
    torch.manual_seed(0)
    torch.serialization.get_source_lines_and_file = without_source
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, model, shape in [
        ("tutorial", NeuralNetwork(), (1, 6, 6)),
        ("cnn", cnn(), (3, 16, 16)),
        ("pooled", nn.DataParallel(pooled()), (3, 19, 23)),
        ("two_stacks", TwoStacks(), None),
        ("tanh", TanhNet(), None),
        ("unknown", unknown(), None),
        ("binary", binary(), None),
    ]:
        lively(model)
        torch.save(model, FOLDER / f"{name}.pth")
        if shape is None:
            continue
        torch.save(model, FOLDER / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)
        expected[f"{name}.input"] = torch.randn(2, *shape)
        # The LogSoftmax at its end is not rebuilt.
        layers = model.module[:-1] if name == "pooled" else model
        with torch.no_grad():
            expected[f"{name}.output"] = layers.eval()(expected[f"{name}.input"])
    save_file(expected, FOLDER / "expected.safetensors")
    torch.jit.script(LeNet5()).save(FOLDER / "script_lenet5.pt")
    torch.jit.trace(LeNet5().eval(), torch.zeros(1, 1, 28, 28)).save(FOLDER / "traced_lenet5.pt")
    torch.jit.trace(TanhNet(), torch.zeros(1, 4)).save(FOLDER / "traced_tanh.pt")
    torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.SiLU(), nn.Linear(3, 2))).save(FOLDER / "script_silu.pt")


if __name__ == "__main__":
    main()
