#!/usr/bin/env python3
"""Times whole programs, from start to exit, that classify photos: `predict` beside Python scripts; see the README."""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines import HERE, PROJECT, locked
from report import busy_seconds, digits, heading, note, publish

# Nothing large is imported here: the peak memory of a new process starts at what its parent holds.


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, nargs="+", help="files")
    parser.add_argument("--weights", type=Path, required=True, help="a .pth state dict")
    parser.add_argument("--model", default="shufflenetv2_x0_5", help="the network that the weights are for")
    parser.add_argument("--devices", type=lambda text: text.split(","), default="cpu", help="for predict")
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")], default="1,8",
                        help="for the scripts: a photo at a time, or so many")
    parser.add_argument("--rounds", type=int, default=10, help="timed, after one that is not")
    parser.add_argument("--predict", type=Path, help="the program; built by cargo where it is not given")
    parser.add_argument("--work", type=Path, default=HERE / "target" / "work", help="folder for what is prepared")
    parser.add_argument("--output", type=Path, help="write OUTPUT.md and OUTPUT.json besides printing")
    return parser.parse_args()


def build_predict():
    command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics",
               "--manifest-path", PROJECT / "Cargo.toml", "--bin", "predict"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return next(path for path in (json.loads(line).get("executable") for line in lines) if path)


class Program:
    """A command line without its photos, and what it took."""

    def __init__(self, name, version, command):
        self.name, self.version, self.command = name, version, [str(word) for word in command]
        self.wall, self.cpu, self.peak = [], [], []
        self.classes = None

    def run(self, photos, timed):
        """One process from start to exit."""
        began = time.perf_counter()
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(self.command + photos, stdout=subprocess.PIPE, stderr=errors)
            output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - began
            child.returncode = os.waitstatus_to_exitcode(status)
            child.stdout.close()
            if child.returncode:
                errors.seek(0)
                raise SystemExit(f"{self.name} ended with code {child.returncode}: {(output + errors.read()).decode()[-500:]}")
        if timed:
            self.wall.append(wall)
            self.cpu.append(usage.ru_utime + usage.ru_stime)
            self.peak.append(usage.ru_maxrss / 1024)
        self.classes = [best(json.loads(line)) for line in output.splitlines()]


def best(line):
    """The class and its probability: of the scripts' lines, or of predict's."""
    line = line["predictions"][0] if "predictions" in line else line
    return line["class"], line["probability"]


def programs(options):
    options.work.mkdir(parents=True, exist_ok=True)
    predict = options.predict or build_predict()
    export = [sys.executable, HERE / "networks.py", options.model, "--weights", options.weights, "--work", options.work]
    model = subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
    network = options.model.replace("shufflenetv2", "shufflenet_v2")
    version = importlib.metadata.version
    scripts, python = HERE / "scripts", sys.executable
    for device in options.devices:
        yield Program(f"predict, {device}", locked("pretrained"),
                      [predict, "--weights", options.weights, "--device", device, "--format", "jsonl"])
    for batch in options.batches:
        yield Program(f"ONNX Runtime and Pillow, batch {batch}", version("onnxruntime"),
                      [python, scripts / "classify_onnxruntime.py", model, batch])
    for batch in options.batches:
        yield Program(f"PyTorch and torchvision, batch {batch}", version("torch"),
                      [python, scripts / "classify_torch.py", network, options.weights, batch])


def compare(photos, options):
    """Runs all programs on the photos, in turns, and returns their figures."""
    everyone = list(programs(options))
    for turn in range(options.rounds + 1):
        first = turn % len(everyone)
        for program in everyone[first:] + everyone[:first]:
            program.run(photos, timed=turn > 0)
    ours, reference = everyone[0], everyone[-1].classes
    for program in everyone:
        yield {
            "photos": len(photos),
            "program": program.name,
            "version": program.version,
            "min_s": min(program.wall),
            "median_s": statistics.median(program.wall),
            "min_ratio": min(program.wall) / min(ours.wall),
            "median_ratio": statistics.median(program.wall) / statistics.median(ours.wall),
            "cpu_s": statistics.median(program.cpu),
            "peak_mib": max(program.peak),
            "same_class": sum(a[0] == b[0] for a, b in zip(program.classes, reference, strict=True)),
            "probability_off": max(abs(a[1] - b[1]) for a, b in zip(program.classes, reference)),
            "times_s": program.wall,
        }


def markdown(report):
    lines = [
        f"{report['date']}, {report['processor']}",
        "",
        f"`{report['command']}`",
        "",
        "Whole processes, from start to exit, in turns; the files are in the system's cache. Ratios: the program's time "
        "over that of the first. CPU: seconds of all threads, median. Same class: of how many photos, as PyTorch.",
        "",
        "| photos | program | version | min s | median s | min ratio | median ratio | CPU s | peak MiB | same class "
        "| probability off |",
        "|--:|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in report["rows"]:
        cells = [row["photos"], row["program"], row["version"], digits(row["min_s"]), digits(row["median_s"]),
                 f"{row['min_ratio']:.2f}", f"{row['median_ratio']:.2f}", digits(row["cpu_s"]),
                 f"{row['peak_mib']:.0f}", row["same_class"], f"{row['probability_off']:.3f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    if report["busy_cpus"] is not None:
        lines += ["", f"The whole machine kept {report['busy_cpus']:.2f} cores busy, the programs included."]
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    photos = sorted(map(str, options.photos))
    rows, began, busy = [], time.monotonic(), busy_seconds()
    for some in (photos[:1], photos):
        note(f"{len(some)} photos")
        rows += compare(some, options)
    cores = None if busy is None else (busy_seconds() - busy) / (time.monotonic() - began)
    publish(heading() | {"busy_cpus": cores, "rows": rows}, markdown, options.output)
    different = [row["program"] for row in rows if row["same_class"] != row["photos"]]
    if different:
        raise SystemExit(f"not the same classes as PyTorch's: {', '.join(different)}")


if __name__ == "__main__":
    main()
