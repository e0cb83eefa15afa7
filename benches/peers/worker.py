"""Serves one engine over stdin and stdout: `worker.py NAME [VARIANT...]` runs `workers/NAME.py`.

A module of `workers/` has one function, `load(case, variant)`, which returns what to say about the engine (a dict
with at least `engine` and `version`) and a function from a batch on the host (float32, N x C x H x W) to logits on
the host. Everything between these two is timed. The README describes the protocol.
"""

import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy


def main():
    # Whatever a library prints goes to standard error: standard output belongs to the protocol.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    engine = importlib.import_module(f"workers.{sys.argv[1]}")
    variant = frozenset(sys.argv[2:])
    run = inputs = output = None
    count = 0

    def step():
        nonlocal output, count
        batch = inputs[count % len(inputs)]
        output = None
        began = time.perf_counter_ns()
        output = run(batch)
        took = time.perf_counter_ns() - began
        count += 1
        return took / 1e6

    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        try:
            if command == "load":
                run = output = None
                gc.collect()
                case = SimpleNamespace(**json.loads(rest))
                inputs = [numpy.fromfile(path, numpy.float32).reshape(case.batch, *case.shape) for path in case.inputs]
                began = time.perf_counter()
                about, run = engine.load(case, variant)
                count = 0
                first = step()
                reply = {"about": about, "load_ms": (time.perf_counter() - began) * 1e3 - first, "first_ms": first}
                gc.collect()
                gc.freeze()
            elif command == "run":
                warm_up, runs, seconds = rest.split()
                gc.disable()
                ends = time.perf_counter() + float(seconds)
                for _ in range(int(warm_up)):
                    step()
                    if time.perf_counter() > ends:
                        break
                times = []
                while len(times) < int(runs) and (not times or time.perf_counter() < ends):
                    times.append(step())
                gc.enable()
                reply = {"ms": times}
            elif command == "logits":
                logits = numpy.ascontiguousarray(output, numpy.float32)
                Path(rest).write_bytes(logits.tobytes())
                reply = {"input": (count - 1) % len(inputs), "shape": list(logits.shape)}
            else:
                reply = {"error": f"unknown command {command!r}"}
        except Exception as error:  # The harness lists it and goes on with the other engines.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


main()
