"""Trains the small CNN of examples/define_your_own.rs on MNIST, and saves its state dict as PyTorch does."""

import torch
import torch.nn.functional as F
from torch import nn

from mnist_mlp import arguments, measure, train


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.relu(x + self.bn2(self.conv2(x)))
        return self.fc(F.max_pool2d(x, 2).flatten(1))


def main():
    args = arguments(__doc__, "models/mnist_cnn.pth", epochs=4)
    if not args.evaluate:
        torch.save(train(Cnn, args).state_dict(), args.out)
    model = Cnn()
    model.load_state_dict(torch.load(args.out, weights_only=True))
    measure(model, args.data)


if __name__ == "__main__":
    main()
