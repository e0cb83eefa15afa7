"""The engines: how a process that serves one starts, where it can run, and how it talks.

To add one: a module in `workers/` or a program in `src/bin/`, and a line in `ENGINES`.
"""

import json
import os
import select
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent

CPU, GPU, CUDA = "cpu", "gpu", "cuda"

# What is exact to f32 is held to the first; what rounds to 10 bits on the way, to the second.
F32, NARROW = 1e-3, 5e-2


@dataclass(frozen=True)
class Engine:
    """One way to run a network. `crate` is that of a Rust program, which Cargo.lock has the version of."""

    places: tuple
    worker: str
    variant: tuple = ()
    crate: str | None = None
    tolerance: float = F32


ENGINES = {
    "pretrained": Engine((CPU, GPU), "pretrained", crate="pretrained"),
    "ncnn": Engine((CPU,), "ncnn"),
    "ncnn-vulkan": Engine((GPU,), "ncnn", ("vulkan",)),
    "onnxruntime": Engine((CPU,), "onnxruntime"),
    "onnxruntime-cuda": Engine((CUDA,), "onnxruntime", ("cuda",)),
    "openvino": Engine((CPU,), "openvino"),
    "tract": Engine((CPU,), "tract", crate="tract-onnx"),
    "torch": Engine((CPU,), "torch"),
    "torch-last-fused": Engine((CPU,), "torch", ("last", "fused")),
    "torch-compile": Engine((CPU,), "torch", ("compile",)),
    "torch-cuda": Engine((CUDA,), "torch", ("cuda",)),
    "torch-cuda-compile": Engine((CUDA,), "torch", ("cuda", "compile")),
    "torch-cuda-graph": Engine((CUDA,), "torch", ("cuda", "graph", "fused")),
    "torch-cuda-graph-last": Engine((CUDA,), "torch", ("cuda", "graph", "fused", "last")),
    "torch-cuda-graph-tf32": Engine((CUDA,), "torch", ("cuda", "graph", "fused", "tf32"), tolerance=NARROW),
    "torch-cuda-graph-f16": Engine((CUDA,), "torch", ("cuda", "graph", "fused", "last", "f16"), tolerance=NARROW),
}


class Failed(Exception):
    """An engine cannot do what it was asked; the text says why."""


def build(names):
    """Builds the Rust programs of these engines, and returns their paths by name, without those that do not build."""
    workers = sorted({ENGINES[name].worker for name in names if ENGINES[name].crate})
    built = cargo_build(workers) if workers else {}
    if built is None:
        built = {name: path for worker in workers for name, path in (cargo_build([worker]) or {}).items()}
    return built


def cargo_build(workers):
    """The paths of some programs of this crate, each behind the feature of its name; none where cargo fails."""
    command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics",
               "--manifest-path", HERE / "Cargo.toml", "--features", ",".join(workers)]
    for worker in workers:
        command += ["--bin", worker]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return None
    paths = [path for path in (json.loads(line).get("executable") for line in done.stdout.splitlines()) if path]
    return {Path(path).stem: path for path in paths}


def locked(crate):
    """The version of a crate in Cargo.lock; of pretrained, the commit too."""
    packages = tomllib.loads((HERE / "Cargo.lock").read_text())["package"]
    version = next(package["version"] for package in packages if package["name"] == crate)
    if crate == "pretrained":
        describe = ["git", "-C", PROJECT, "describe", "--always", "--dirty", "--exclude=*"]
        commit = subprocess.run(describe, capture_output=True, text=True)
        version = f"{version} {commit.stdout.strip()}".strip()
    return version


class Process:
    """A running engine. Only the one that was asked works; the others wait for their standard input."""

    def __init__(self, name, programs, threads, log, patience):
        engine = ENGINES[name]
        if engine.crate:
            command = [programs[engine.worker]]
        else:
            command = [sys.executable, HERE / "worker.py", engine.worker, *engine.variant]
        # What reads its number of threads when it starts gets it here.
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
        self.name, self.engine, self.threads, self.log, self.patience = name, engine, threads, log, patience
        self.version = locked(engine.crate) if engine.crate else None
        with open(log, "w") as errors:
            self.child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=errors, bufsize=0)

    def ask(self, line):
        """Sends a line, and returns the answer."""
        try:
            self.child.stdin.write(line.encode() + b"\n")
        except OSError:
            raise Failed(self.last_words()) from None
        answer, ends = b"", time.monotonic() + self.patience
        while not answer.endswith(b"\n"):
            if not select.select([self.child.stdout], [], [], max(0, ends - time.monotonic()))[0]:
                self.stop()
                raise Failed(f"no answer in {self.patience} s")
            part = self.child.stdout.read(1 << 16)
            if not part:
                raise Failed(self.last_words())
            answer += part
        answer = json.loads(answer)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def last_words(self):
        code = self.child.wait()
        lines = Path(self.log).read_text(errors="replace").strip().splitlines()
        return f"ended with code {code}: {lines[-1] if lines else 'nothing on standard error'}"

    def cpu_seconds(self):
        """Processor time of the process so far, all threads; 0 where the system does not tell (Linux does)."""
        try:
            # clock_getcpuclockid(3): the clock of another process has the number ~pid << 3 | CPUCLOCK_SCHED.
            return time.clock_gettime((~self.child.pid << 3) | 2)
        except (AttributeError, OSError):
            return 0.0

    def stop(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()
