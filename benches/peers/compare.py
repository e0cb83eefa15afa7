#!/usr/bin/env python3
"""Times one network, with the same weights and input, on pretrained and its peers, in turns; see the README."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy

import engines
from engines import CPU, CUDA, ENGINES, GPU, HERE, Failed, Process
from report import busy_seconds, digits, heading, note, publish

NETWORKS = "shufflenetv2_x0_5,shufflenetv2_x1_0,shufflenetv2_x1_5,shufflenetv2_x2_0"
OURS = "pretrained"


def arguments():
    words = lambda text: [word for word in text.split(",") if word]
    numbers = lambda text: [int(word) for word in words(text)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--engines", type=words, default=list(ENGINES), help=f"some of {', '.join(ENGINES)}")
    parser.add_argument("--models", type=words, default=NETWORKS,
                        help="torchvision's names; NAME=CHECKPOINT for other weights than seeded ones")
    parser.add_argument("--batches", type=numbers, default="1,8,32")
    parser.add_argument("--threads", type=numbers, default="1,2", help="for the CPU; nothing to leave it out")
    parser.add_argument("--adapter", type=words, default="", help="parts of GPUs' names, such as llvmpipe or NVIDIA")
    parser.add_argument("--size", type=int, default=224, help="pixels")
    parser.add_argument("--rounds", type=int, default=10, help="each engine has a turn in each")
    parser.add_argument("--runs", type=int, default=20, help="timed in a turn")
    parser.add_argument("--warm-up", type=int, default=3, help="runs in a turn before those")
    parser.add_argument("--turn-seconds", type=float, default=2, help="a turn with one timed run may end then")
    parser.add_argument("--settle", type=float, default=0.1, help="seconds between turns, for threads to fall asleep")
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for an answer")
    parser.add_argument("--work", type=Path, default=HERE / "target" / "work", help="folder for what is prepared")
    parser.add_argument("--output", type=Path, help="write OUTPUT.md and OUTPUT.json besides printing")
    options = parser.parse_args()
    unknown = set(options.engines) - set(ENGINES)
    if unknown:
        parser.error(f"no engine is called {', '.join(sorted(unknown))}; there are {', '.join(ENGINES)}")
    return options


class Row:
    """One engine at one case."""

    def __init__(self, process, place):
        self.process, self.place = process, place
        self.times, self.wall, self.cpu = [], 0.0, 0.0
        self.idle_wall, self.idle_cpu = 0.0, 0.0
        self.off, self.failure, self.loaded = None, None, {}

    def figures(self, case, ours):
        about = self.loaded.get("about", {})
        figures = {
            **case,
            "where": self.place,
            "engine": self.process.name,
            "title": about.get("engine", self.process.name),
            "version": self.process.version or about.get("version", ""),
            "device": about.get("device", ""),
            "failure": self.failure,
        }
        if self.times:
            figures |= {
                "min_ms": min(self.times),
                "median_ms": statistics.median(self.times),
                "logits_off": self.off,
                "tolerance": self.process.engine.tolerance,
                "first_ms": self.loaded["first_ms"],
                "load_ms": self.loaded["load_ms"],
                "busy_cpus": self.cpu / self.wall,
                "idle_cpus": self.idle_cpu / self.idle_wall if self.idle_wall else 0.0,
                "times_ms": self.times,
            }
        if self.times and ours and ours.times:
            figures["min_ratio"] = min(self.times) / min(ours.times)
            figures["median_ratio"] = statistics.median(self.times) / statistics.median(ours.times)
        return figures


def take_turn(row, rows, options):
    """One engine's turn, with the processor time that it and the idle ones took meanwhile."""
    time.sleep(options.settle)
    before = {other: other.process.cpu_seconds() for other in rows}
    began = time.monotonic()
    row.times += row.process.ask(f"run {options.warm_up} {options.runs} {options.turn_seconds}")["ms"]
    wall = time.monotonic() - began
    row.wall += wall
    for other in rows:
        used = max(0.0, other.process.cpu_seconds() - before[other])
        if other is row:
            row.cpu += used
        else:
            other.idle_wall += wall
            other.idle_cpu += used


def check(row, batch, expected, work):
    """The largest difference of the last run's logits from those expected, as a share of the largest of these; of two
    runs in a row, which have different inputs."""
    off = 0.0
    for _ in range(2):
        row.process.ask("run 0 1 0")
        path = work / f"{row.process.name}.logits"
        answer = row.process.ask(f"logits {path}")
        found = numpy.fromfile(path, numpy.float32).reshape(answer["shape"])
        wanted = expected[answer["input"] * batch:][:batch]
        if found.shape != wanted.shape:
            raise Failed(f"logits of shape {found.shape} in the place of {wanted.shape}")
        difference = numpy.abs(found - wanted).max() / numpy.abs(wanted).max()
        off = max(off, float(difference) if numpy.isfinite(difference) else numpy.inf)
    return off


def run_case(rows, case, prepared, adapter, options):
    """All turns of all engines at one model and batch; failures stay with the row."""
    batch = case["batch"]
    expected = numpy.load(prepared["logits"])
    first, second = expected[:batch], expected[batch : 2 * batch]
    apart = numpy.abs(first - second).max() / numpy.abs(first).max()
    if apart < 0.1:
        note(f"{case['model']}: other inputs change the logits by only {apart:.1e}, so that they agree says little")
    request = {key: prepared[key] for key in ("weights", "ncnn")} | prepared[str(batch)]
    request |= {"model": case["model"], "batch": batch, "shape": [3, options.size, options.size], "adapter": adapter}
    for row in rows:
        try:
            row.loaded = row.process.ask("load " + json.dumps(request | {"threads": row.process.threads}))
            row.off = check(row, batch, expected, options.work)
        except Failed as error:
            row.failure = str(error)
    began, busy, alive = time.monotonic(), busy_seconds(), [row for row in rows if not row.failure]
    own = sum(row.process.cpu_seconds() for row in alive)
    for turn in range(options.rounds):
        # Everyone gets to be after everyone.
        for row in alive[turn % max(1, len(alive)) :] + alive[: turn % max(1, len(alive))]:
            if not row.failure:
                try:
                    take_turn(row, alive, options)
                except Failed as error:
                    row.failure = str(error)
    wall = time.monotonic() - began
    own = sum(row.process.cpu_seconds() for row in alive) - own
    for row in alive:
        try:
            # Once more: nothing may have gone wrong in hundreds of runs.
            if not row.failure:
                row.off = max(row.off, check(row, batch, expected, options.work))
        except Failed as error:
            row.failure = str(error)
    return None if busy is None else max(0.0, busy_seconds() - busy - own) / wall


def places(options):
    """Where to run: each with what it is called, the kinds of engine that run there, threads, and an adapter."""
    for threads in options.threads:
        yield f"cpu, {threads} thread{'s' * (threads != 1)}", (CPU,), threads, None
    for adapter in options.adapter:
        # PyTorch's CUDA belongs beside Vulkan where the adapter is NVIDIA's.
        kinds = (GPU, CUDA) if "nvidia" in adapter.lower() else (GPU,)
        yield adapter, kinds, os.cpu_count(), adapter


def measure(options):
    """Everything: rows' figures, how busy the machine was with other things at each case, engines without a program."""
    options.work.mkdir(parents=True, exist_ok=True)
    programs = engines.build(options.engines)
    unbuilt = [name for name in options.engines if ENGINES[name].crate and ENGINES[name].worker not in programs]
    prepared = {}
    for model, _, weights in (model.partition("=") for model in options.models):
        note(f"preparing {model}")
        command = [sys.executable, HERE / "networks.py", model, "--work", options.work, "--size", str(options.size),
                   "--batches", ",".join(map(str, options.batches))]
        command += ["--weights", weights] if weights else []
        # Nothing is timed here, so threads that spin would only be in each other's way on a busy machine.
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        prepared[model] = json.loads(done.stdout.splitlines()[-1])
    results, others = [], []
    for place, kinds, threads, adapter in places(options):
        names = [name for name in options.engines if set(kinds) & set(ENGINES[name].places) and name not in unbuilt]
        processes = {}
        try:
            for model in prepared:
                for batch in options.batches:
                    note(f"{place}: {model}, batch {batch}")
                    for name in names:
                        if name not in processes or processes[name].child.poll() is not None:
                            log = options.work / f"{name}.log"
                            processes[name] = Process(name, programs, threads, log, options.patience)
                    rows = [Row(processes[name], place) for name in names]
                    case = {"model": model, "batch": batch}
                    others.append(run_case(rows, case, prepared[model], adapter, options))
                    ours = next((row for row in rows if row.process.name == OURS), None)
                    results += [row.figures(case, ours) for row in rows]
        finally:
            for process in processes.values():
                process.stop()
    return {"rows": results, "other_cpus": others, "unbuilt": unbuilt}


def wrong(row):
    return row.get("logits_off") is not None and not row["logits_off"] <= row["tolerance"]


def markdown(report):
    """The table, with what a reader must know to judge it."""
    rows = report["rows"]
    gpus = sorted({row["device"] for row in rows if row["device"] not in ("", "cpu")})
    lines = [
        f"{report['date']}, {report['processor']}, {'; '.join(gpus) or 'no GPU'}",
        "",
        f"`{report['command']}`",
        "",
        "Milliseconds from input on the host to logits on the host, engines in turns. Ratios: the engine's time over "
        "pretrained's at the same place, so above 1 pretrained is faster. Logits: the largest difference from "
        "PyTorch's in f64, as a share of the largest logit. CPUs: cores busy during a turn.",
        "",
        "| model | batch | where | engine | version | min ms | median ms | min ratio | median ratio | logits | CPUs |",
        "|---|--:|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    done = [row for row in rows if "min_ms" in row and not row["failure"]]
    for row in done:
        ratios = [f"{row[key]:.2f}" if key in row else "" for key in ("min_ratio", "median_ratio")]
        logits = f"{row['logits_off']:.1e}" + (" **wrong**" if wrong(row) else "")
        cells = [row["model"], row["batch"], row["where"], row["title"], row["version"], digits(row["min_ms"]),
                 digits(row["median_ms"]), *ratios, logits, f"{row['busy_cpus']:.1f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    failures = {f"{name} did not run: cargo does not build it": ["everything"] for name in report["unbuilt"]}
    for row in rows:
        if row["failure"]:
            why = f"{row['engine']} did not run: {row['failure'].splitlines()[0]}"
            failures.setdefault(why, []).append(f"{row['model']} batch {row['batch']} on {row['where']}")
    lines += [""] * bool(failures) + [f"- {why} ({'; '.join(cases)})" for why, cases in failures.items()]
    spinning = {row["engine"] for row in done if row["idle_cpus"] > 0.02}
    if spinning:
        lines += ["", f"**Not idle while others ran: {', '.join(sorted(spinning))}.** A longer --settle may help."]
    others = [share for share in report["other_cpus"] if share is not None]
    if others:
        lines += ["", f"Other processes kept {statistics.mean(others):.2f} cores busy meanwhile, "
                  f"at most {max(others):.2f} during one table's block."]
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    report = heading() | measure(options)
    publish(report, markdown, options.output)
    if any(wrong(row) for row in report["rows"]):
        raise SystemExit("logits marked **wrong** are off by more than their engine's tolerance")


if __name__ == "__main__":
    main()
