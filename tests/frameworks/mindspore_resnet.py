"""Writes the logits that MindSpore itself computes for its model zoo's ResNet-50, for the weights and images of `zoo.py`:
a golden of `networks_of_the_zoo` in `tests/networks/goldens.rs`.

    python tests/frameworks/mindspore_resnet.py > tests/data/mindspore_resnet_golden.json

Needs mindspore and NumPy, and beside it nothing of torch's. The network is spelt out after mindspore-ai/models,
official/cv/ResNet; its parameters bear the names that a checkpoint of it has.
"""
import ast
import json
import sys
import zlib
from pathlib import Path

import mindspore
import numpy
from mindspore import nn

# The formulas alone: zoo.py imports torch.
FORMULAS = {"STATISTICS", "noise", "parameter", "images"}
tree = ast.parse(Path(__file__).with_name("zoo.py").read_text())
tree.body = [node for node in tree.body if {getattr(node, "name", None)} & FORMULAS
             or isinstance(node, ast.Assign) and node.targets[0].id in FORMULAS]
exec(compile(tree, "zoo.py", "exec"))

BLOCKS, CLASSES, SIZE, GAIN = (3, 4, 6, 3), 7, (3, 64, 96), 1.0


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, pad_mode="same")


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-4, momentum=0.9)


class Block(nn.Cell):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        middle = outputs // 4
        self.conv1, self.bn1 = conv(inputs, middle, 1), norm(middle)
        self.conv2, self.bn2 = conv(middle, middle, 3, stride), norm(middle)
        self.conv3, self.bn3 = conv(middle, outputs, 1), norm(outputs)
        self.relu = nn.ReLU()
        self.projects = stride != 1 or inputs != outputs
        if self.projects:
            self.down_sample_layer = nn.SequentialCell([conv(inputs, outputs, 1, stride), norm(outputs)])

    def construct(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (self.down_sample_layer(x) if self.projects else x))


class ResNet(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.relu = conv(3, 64, 7, 2), norm(64), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, pad_mode="same")
        inputs = 64
        for i, blocks in enumerate(BLOCKS):
            outputs = 256 << i
            strides = [1 if i == 0 else 2] + [1] * (blocks - 1)
            layer = [Block(inputs if j == 0 else outputs, outputs, stride) for j, stride in enumerate(strides)]
            setattr(self, f"layer{i + 1}", nn.SequentialCell(layer))
            inputs = outputs
        self.end_point = nn.Dense(inputs, CLASSES)

    def construct(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.end_point(x.mean((2, 3)))


if __name__ == "__main__":
    network = ResNet().set_train(False)
    endings = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    for own in network.get_parameters():
        module, ending = own.name.rsplit(".", 1)
        name = f"{module}.{endings.get(ending, ending)}"
        own.set_data(mindspore.Tensor(parameter(name, own.shape, GAIN)))
    if len(sys.argv) > 1:
        mindspore.save_checkpoint(network, sys.argv[1])
    found = network(mindspore.Tensor(images(*SIZE))).asnumpy()
    apart = abs(found[0] - found[1]).max() / abs(found).max()
    print(f"images {apart:.3f} apart, largest logit {abs(found).max():.3g}", file=sys.stderr)
    assert apart >= 0.1
    case = {"network": "mindspore_resnet50", "classes": CLASSES, "size": SIZE, "gain": GAIN}
    print(json.dumps(case | {"logits": found.ravel().astype(float).tolist()}))
