#!/usr/bin/env python3
"""Times `predict` over many photos beside a pool of processes of Pillow and ONNX Runtime, from start to exit, in turns.

    python pool.py --predict PREDICT --weights x0_5.pth --model x0_5.onnx --photos FOLDER --times 17
    python pool.py ... --fast          # both decode large JPEGs smaller
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from engines import HERE
from photos import Program
from report import heading


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predict", type=Path, required=True, help="the program")
    parser.add_argument("--weights", type=Path, required=True, help="a checkpoint, for predict")
    parser.add_argument("--model", type=Path, required=True, help="the same as ONNX, for any batch, with an input `input`")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photos")
    parser.add_argument("--times", type=int, default=1, help="each photo so often")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="and processes of the pool")
    parser.add_argument("--fast", action="store_true", help="--decode fast, and Pillow's draft")
    parser.add_argument("--rounds", type=int, default=7, help="timed, after one that is not")
    return parser.parse_args()


def main():
    options = arguments()
    photos = sorted(map(str, options.photos.iterdir())) * options.times
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(photos))
        file.flush()
        fast = ["--decode", "fast"] if options.fast else []
        programs = [
            Program("predict", "", [options.predict, "--weights", options.weights, "--device", "cpu", "--threads",
                                    options.threads, "--quiet", "--batch-size", options.batch, *fast, "--format", "jsonl",
                                    "--files-from", file.name]),
            Program(f"pool of {options.threads}", "", [sys.executable, HERE / "scripts" / "classify_pool.py", options.model,
                                                       options.batch, options.threads, 256 if options.fast else 0, file.name]),
        ]
        for turn in range(options.rounds + 1):
            for program in programs if turn % 2 else programs[::-1]:
                program.run([], timed=turn > 0)
    ours, peer = programs
    about = heading()
    print(f"{about['date']}, {about['processor']}, {len(photos)} photos")
    for program in programs:
        wall = program.wall
        print(f"{program.name}: min {min(wall):.3f} s, median {statistics.median(wall):.3f} s, CPU "
              f"{statistics.median(program.cpu):.3f} s, peak {max(program.peak):.0f} MiB")
    same = sum(a[0] == b[0] for a, b in zip(ours.classes, peer.classes, strict=True))
    off = max(abs(a[1] - b[1]) for a, b in zip(ours.classes, peer.classes))
    print(f"ratio: min {min(peer.wall) / min(ours.wall):.2f}, median "
          f"{statistics.median(peer.wall) / statistics.median(ours.wall):.2f}; "
          f"the same class for {same} of {len(photos)}, probabilities off by {off:.4f} at most")


if __name__ == "__main__":
    main()
