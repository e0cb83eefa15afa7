"""Trains the MLP 784-128-64-10 on MNIST and writes its averaged weights; mnist_cnn.py trains by the same recipe."""

import argparse
import copy
import gzip
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(784, 128)
        self.l2 = nn.Linear(128, 64)
        self.l3 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.l1(x.flatten(1)))
        return self.l3(F.relu(self.l2(x)))


def read_split(folder, split):
    """Returns the split's images as (n, 1, 28, 28) in 0..1 and their labels, from the gzipped idx files."""
    images = np.frombuffer(gzip.decompress((folder / f"{split}-images-idx3-ubyte.gz").read_bytes()), np.uint8, -1, 16)
    labels = np.frombuffer(gzip.decompress((folder / f"{split}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, -1, 8)
    return torch.tensor(images).view(-1, 1, 28, 28).float() / 255, torch.tensor(labels).long()


def augment(x):
    """Rotates, scales, shears and shifts each image a little."""
    n = len(x)

    def uniform(limit):
        return torch.empty(n).uniform_(-limit, limit)

    angle, scale, shear = uniform(0.2), 1 + uniform(0.1), uniform(0.15)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = scale * angle.cos(), shear - angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin(), scale * angle.cos()
    theta[:, :, 2] = torch.empty(n, 2).uniform_(-0.12, 0.12)
    return F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)


def train(network, args):
    """Returns the exponential average of a new network's weights over its training."""
    torch.manual_seed(args.seed)
    images, labels = read_split(args.data, "train")
    model = network()
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.02)
    total = args.epochs * (len(images) // args.batch)
    step, start = 0, time.time()
    for epoch in range(args.epochs):
        for index in torch.randperm(len(images))[: len(images) // args.batch * args.batch].split(args.batch):
            rate = args.rate * min(20 * step / total, 0.5 + 0.5 * math.cos(math.pi * step / total))
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = F.cross_entropy(model(augment(images[index])), labels[index], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            with torch.no_grad():
                for mean, value in zip(average.parameters(), model.parameters()):
                    mean.lerp_(value, 1 - min(0.999, step / (step + 10)))
                for mean, value in zip(average.buffers(), model.buffers()):
                    mean.copy_(value)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1} loss {loss.item():.3f} minutes {(time.time() - start) / 60:.1f}", flush=True)
    return average


def arguments(description, out, epochs):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder with the four gzipped idx files of MNIST")
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=3e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--evaluate", action="store_true", help="only measures the file named by --out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def measure(model, data):
    """Prints the share of the test digits that the model knows, each digit by itself and all."""
    images, labels = read_split(data, "t10k")
    with torch.no_grad():
        right = (model.eval()(images).argmax(1) == labels).float()
    for label in range(10):
        print(f"{label} {right[labels == label].mean().item():.4f}")
    print(f"accuracy {right.mean().item():.4f}")


def main():
    args = arguments(__doc__, "models/mnist_mlp.safetensors", epochs=80)
    if not args.evaluate:
        # pretrained reads from these how images are prepared and what the classes are called.
        metadata = {"format": "pt", "preset": "mnist", "labels": "mnist"}
        save_file(train(Mlp, args).state_dict(), args.out, metadata)
    model = Mlp()
    model.load_state_dict(load_file(args.out))
    measure(model, args.data)


if __name__ == "__main__":
    main()
