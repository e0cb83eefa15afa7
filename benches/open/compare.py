"""Times opening a ShuffleNetV2 x2.0 checkpoint (30 MB, f32): this crate beside PyTorch's torch.load and safetensors' own
readers, each look in a fresh process, the contenders taking turns.

    cargo build --release --example open_checkpoint
    python benches/open/compare.py shufflenetv2_x2_0.safetensors [--rounds 15] [--example target/release/examples/open_checkpoint]

Needs torch and safetensors. The checkpoint, of any precision, is written to a temporary folder as f32 in three formats
(.safetensors, .pth as zip, .pth as legacy stream). `call` is the reading call alone, after the imports and with the
file in the system's cache; `process` is the whole process, from its start to its end. Prints the least and the median
of each in milliseconds, and the ratio of the medians to this crate's, and exits with 1 where a figure that the project
promises does not hold: torch.load at least 5 times as long in the call, and safetensors' readers no quicker.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from safetensors.torch import load_file, save_file

LOAD = """
import sys, time
import torch
path, options = sys.argv[1], eval(sys.argv[2])
began = time.perf_counter()
state = torch.load(path, **options)
took = time.perf_counter() - began
print(len(state), took * 1e6)
"""

SAFE = """
import sys, time
import torch
from safetensors.torch import load_file
began = time.perf_counter()
state = load_file(sys.argv[1])
took = time.perf_counter() - began
print(len(state), took * 1e6)
"""

# How much less this crate may take than the others, as a ratio of medians of the call.
TORCH_RATIO = 5.0
SAFETENSORS_RATIO = 1.0


def write(source, folder):
    """The three files, by format."""
    state = load_file(source)
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    files = {name: os.path.join(folder, name) for name in ("x.safetensors", "zip.pth", "legacy.pth")}
    save_file(state, files["x.safetensors"])
    torch.save(state, files["zip.pth"])
    torch.save(state, files["legacy.pth"], _use_new_zipfile_serialization=False)
    return files, len(state)


def contenders(files, example):
    """(file, name, command, promised ratio or None) in the order of turns; this crate comes first for each file."""
    ours = lambda file, mode: [example, files[file], mode]
    python = lambda code, *rest: [sys.executable, "-c", code, *rest]
    rows = []
    for file in ("zip.pth", "legacy.pth"):
        rows.append((file, "StateDict::open", ours(file, "open"), None))
        rows.append((file, "StateDict::open, read", ours(file, "read"), None))
        rows.append((file, "torch.load", python(LOAD, files[file], "{}"), TORCH_RATIO))
    rows.append(("zip.pth", "torch.load(mmap=True)", python(LOAD, files["zip.pth"], "{'mmap': True}"), None))
    file = "x.safetensors"
    rows.append((file, "StateDict::open", ours(file, "open"), None))
    rows.append((file, "StateDict::open, read", ours(file, "read"), None))
    rows.append((file, "safetensors crate, mapped", ours(file, "safetensors-map"), SAFETENSORS_RATIO))
    rows.append((file, "safetensors crate, read", ours(file, "safetensors-read"), SAFETENSORS_RATIO))
    rows.append((file, "safetensors.torch.load_file", python(SAFE, files[file]), SAFETENSORS_RATIO))
    return rows


def look(command, tensors):
    """Milliseconds of the call and of the process."""
    began = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    process = time.perf_counter() - began
    assert int(output[0]) == tensors, f"{command} found {output[0]} tensors of {tensors}"
    return float(output[1]) / 1e3, process * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a safetensors file")
    parser.add_argument("--example", default="target/release/examples/open_checkpoint")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        files, tensors = write(arguments.checkpoint, folder)
        rows = contenders(files, os.path.abspath(arguments.example))
        calls, processes = [[] for _ in rows], [[] for _ in rows]
        # The first round warms the caches and does not count.
        for turn in range(arguments.rounds + 1):
            for at, (_, _, command, _) in enumerate(rows):
                call, process = look(command, tensors)
                if turn > 0:
                    calls[at].append(call)
                    processes[at].append(process)
        sizes = {file: os.path.getsize(path) / 1e6 for file, path in files.items()}

    ours = {file: at for at, (file, name, _, _) in reversed(list(enumerate(rows))) if name == "StateDict::open"}
    median = statistics.median
    broken = []
    print(f"{tensors} tensors; milliseconds, {arguments.rounds} fresh processes each, interleaved; torch {torch.__version__}")
    print(f"{'file':14}{'reader':30}{'call min':>10}{'median':>10}{'ratio':>9}{'process min':>13}{'median':>10}{'ratio':>8}")
    for at, (file, name, _, promised) in enumerate(rows):
        call, process = median(calls[at]), median(processes[at])
        of_call, of_process = call / median(calls[ours[file]]), process / median(processes[ours[file]])
        print(
            f"{file:14}{name:30}{min(calls[at]):10.3f}{call:10.3f}{of_call:8.1f}x"
            f"{min(processes[at]):13.2f}{process:10.2f}{of_process:7.1f}x"
        )
        if promised is not None and of_call < promised:
            broken.append(f"{file}: {name} takes {of_call:.2f} times as long as StateDict::open; {promised} is promised")
    print(", ".join(f"{file} {size:.1f} MB" for file, size in sizes.items()))
    print("\n".join(broken) or "every promised ratio holds")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
