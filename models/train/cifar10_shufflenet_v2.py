"""Trains ShuffleNetV2 x0.5 with torchvision's layout and parameter names on CIFAR-10 from random initialisation."""

import argparse
import copy
import io
import math
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import multiprocessing as mp
from torch import nn

LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
SIZE = 112


def interleave(x1, x2):
    """torchvision's concatenation and channel shuffle by two groups in one step: x1[0], x2[0], x1[1], x2[1], ..."""
    return torch.stack((x1.permute(0, 2, 3, 1), x2.permute(0, 2, 3, 1)), dim=-1).flatten(3).permute(0, 3, 1, 2)


def depthwise(channels, stride):
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)


def pointwise(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 1, bias=False)


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride = stride
        half = outputs // 2
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                depthwise(inputs, stride), nn.BatchNorm2d(inputs),
                pointwise(inputs, half), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
            )
        self.branch2 = nn.Sequential(
            pointwise(inputs if stride > 1 else half, half), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
            depthwise(half, stride), nn.BatchNorm2d(half),
            pointwise(half, half), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
        )

    def forward(self, x):
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
        else:
            x1, x2 = self.branch1(x), x
        return interleave(x1, self.branch2(x2))


class ShuffleNetV2(nn.Module):
    def __init__(self, repeats=(4, 8, 4), channels=(24, 48, 96, 192, 1024), classes=10):
        super().__init__()

        def conv_bn_relu(inputs, outputs, kernel, stride):
            conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

        def stage(inputs, outputs, repeat):
            rest = [InvertedResidual(outputs, outputs, 1) for _ in range(repeat - 1)]
            return nn.Sequential(InvertedResidual(inputs, outputs, 2), *rest)

        self.conv1 = conv_bn_relu(3, channels[0], 3, 2)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.stage2 = stage(channels[0], channels[1], repeats[0])
        self.stage3 = stage(channels[1], channels[2], repeats[1])
        self.stage4 = stage(channels[2], channels[3], repeats[2])
        self.conv5 = conv_bn_relu(channels[3], channels[4], 1, 1)
        self.fc = nn.Linear(channels[4], classes)

    def forward(self, x):
        return self.after_stem(self.maxpool(self.conv1(x)))

    def after_stem(self, x):
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.conv5(x).mean([2, 3]))


def read_split(archive, split):
    """Returns the split's images as u8 (n, 32, 32, 3) and their labels, from the folder-per-class JPEG zip."""
    images, labels = [], []
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            parts = name.split("/")
            if name.endswith(".jpg") and parts[-3] == split:
                images.append(np.asarray(Image.open(io.BytesIO(files.read(name))).convert("RGB")))
                labels.append(LABELS.index(parts[-2]))
    return np.stack(images), torch.tensor(labels)


def resize(image):
    """Resizes a u8 image straight to SIZE x SIZE, as at deployment."""
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.BILINEAR))


def normalise(x):
    """Maps NCHW values in 0..1 to the network's input."""
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def augment(x, size, strength):
    """Varies the colours, then flips, shifts, zooms and enlarges in one bilinear sampling, and sharpens some."""
    n = len(x)

    def uniform(low, high, *shape):
        return torch.empty(n, *shape).uniform_(low, high)

    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + strength * uniform(-0.3, 0.3, 1, 1, 1))
    level = x.mean((1, 2, 3), keepdim=True)
    x = level + (x - level) * (1 + strength * uniform(-0.2, 0.25, 1, 1, 1)) + strength * uniform(-0.1, 0.1, 1, 1, 1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = (1 + strength * uniform(-0.15, 0.1)) * (torch.randint(0, 2, (n,)) * 2 - 1)
    theta[:, 1, 1] = 1 + strength * uniform(-0.15, 0.1)
    theta[:, :, 2] = uniform(-0.22, 0.22, 2)
    grid = F.affine_grid(theta, (n, 3, size, size), align_corners=False)
    x = F.grid_sample(x.clamp_(0, 1), grid, "bilinear", "reflection", align_corners=False)
    part = x[: round(n * strength / 4)]
    blurred = F.avg_pool2d(part, 3, 1, 1, count_include_pad=False)
    part += (part - blurred) * uniform(-1, 4, 1, 1, 1)[: len(part)]
    return x


@torch.no_grad()
def evaluate(model, images, labels):
    """Returns the accuracy per class on u8 images that are already SIZE x SIZE."""
    model.eval()
    right = []
    for batch, truth in zip(images.split(250), labels.split(250)):
        x = normalise(batch.permute(0, 3, 1, 2).float() / 255)
        right.append(model(x).argmax(1) == truth)
    right = torch.cat(right).float()
    return [right[labels == label].mean().item() for label in range(len(LABELS))]


def worker(rank, args, images, labels, test_images, test_labels, gradients, progress, barrier):
    """Trains one of the replicas: each sees its share of every batch and all apply the mean gradient."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    model = ShuffleNetV2().to(memory_format=torch.channels_last)
    if args.resume:
        model.load_state_dict(load_file(args.resume))
    average = copy.deepcopy(model)
    model.conv1.requires_grad_(not args.freeze_stem)
    weights = [p for p in model.parameters() if p.dim() > 1 and p.requires_grad]
    others = [p for p in model.parameters() if p.dim() == 1 and p.requires_grad]
    groups = [{"params": weights, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)
    parameters = weights + others
    size = sum(p.numel() for p in parameters)
    order = torch.Generator().manual_seed(args.seed)
    torch.manual_seed(args.seed + rank)
    steps = len(images) // args.batch
    start, step, epoch = time.time(), 0, 0
    while progress < 1:
        model.train()
        model.conv1.train(not args.freeze_stem)
        for batch in torch.randperm(len(images), generator=order)[: steps * args.batch].split(args.batch):
            done = progress.item()
            if done >= 1:
                break
            rate = args.rate * min(done / 0.1, 0.5 + 0.5 * math.cos(math.pi * max(done - 0.1, 0) / 0.9))
            for group in optimizer.param_groups:
                group["lr"] = rate
            index = batch[rank :: args.processes]
            # The first part runs on smaller inputs, which is faster; the last part sees images nearly as they are.
            x = augment(images[index].float() / 255, 64 if done < 0.4 else SIZE, 1 if done < 0.75 else 0.6)
            if args.freeze_stem:
                logits = model.after_stem(frozen_stem(model, normalise(x)))
            else:
                logits = model(normalise(x))
            loss = F.cross_entropy(logits, labels[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            gradients[rank, :size] = torch.cat([p.grad.flatten() for p in parameters])
            barrier.wait()
            mean = gradients[:, :size].mean(0).split([p.numel() for p in parameters])
            for p, gradient in zip(parameters, mean):
                p.grad.copy_(gradient.view_as(p))
            optimizer.step()
            step += 1
            if rank == 0:
                update(average, model, min(0.999, step / (step + 10)))
                elapsed = step / (steps * args.epochs)
                if args.minutes:
                    elapsed = max(elapsed, (time.time() - start) / (60 * args.minutes))
                progress.fill_(args.done + (1 - args.done) * elapsed)
            barrier.wait()
        epoch += 1
        if rank == 0 and (epoch % 3 == 0 or progress >= 1):
            accuracy = sum(evaluate(average, test_images, test_labels)) / len(LABELS)
            print(f"epoch {epoch} progress {progress.item():.3f} loss {loss.item():.3f} "
                  f"accuracy {accuracy:.4f} minutes {(time.time() - start) / 60:.1f}", flush=True)
            # pretrained reads from these how images are prepared and what the classes are called.
            metadata = {"format": "pt", "preset": "cifar10", "labels": "cifar10"}
            save_file({k: v.contiguous() for k, v in average.state_dict().items()}, args.out, metadata)


@torch.no_grad()
def frozen_stem(model, x):
    """The first convolution and pooling as in evaluation, in pieces that fit the cache."""
    return torch.cat([model.maxpool(model.conv1(part)) for part in x.split(16)])


@torch.no_grad()
def update(average, model, decay):
    for mean, value in zip(average.state_dict().values(), model.state_dict().values()):
        mean.lerp_(value, 1 - decay) if mean.is_floating_point() else mean.copy_(value)


def train(args, test_images, test_labels):
    images, labels = read_split(args.data, "train")
    images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    gradients = torch.zeros(args.processes, sum(p.numel() for p in ShuffleNetV2().parameters())).share_memory_()
    progress = torch.tensor(args.done, dtype=torch.float64).share_memory_()
    barrier = mp.get_context("spawn").Barrier(args.processes)
    data = (images, labels, test_images, test_labels)
    mp.spawn(worker, (args, *data, gradients, progress, barrier), nprocs=args.processes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="zip with train/CLASS/*.jpg and test/CLASS/*.jpg")
    parser.add_argument("--out", type=Path, default=Path("models/cifar10_shufflenet_v2_x0_5.safetensors"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--minutes", type=float, help="ends the learning-rate schedule by the clock if that is sooner")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.2, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="replicas, of one thread each")
    parser.add_argument("--resume", type=Path, help="weights to go on from")
    parser.add_argument("--freeze-stem", action="store_true", help="leaves the first convolution as it is")
    parser.add_argument("--done", type=float, default=0.0, help="share of the schedule that they have behind them")
    parser.add_argument("--evaluate", action="store_true", help="only measures the file named by --out")
    args = parser.parse_args()
    images, labels = read_split(args.data, "test")
    images = torch.from_numpy(np.stack([resize(image) for image in images]))
    if not args.evaluate:
        train(args, images, labels)
    model = ShuffleNetV2()
    model.load_state_dict(load_file(args.out))
    accuracy = evaluate(model, images, labels)
    for label, value in zip(LABELS, accuracy):
        print(f"{label:<10} {value:.3f}")
    print(f"accuracy {sum(accuracy) / len(accuracy):.4f}")


if __name__ == "__main__":
    main()
