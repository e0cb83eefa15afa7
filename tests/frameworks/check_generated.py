"""Runs generated graphs, or those of a folder, in this crate and in ONNX Runtime, and tells where they differ.

    python tests/frameworks/check_generated.py OUTPUTS FIRST LAST [DEVICE...]
    python tests/frameworks/check_generated.py OUTPUTS FOLDER [DEVICE...]

OUTPUTS is the example `outputs`, built (`cargo build --release --example outputs`); FIRST and LAST are seeds of
generate_onnx.py, which is where the graphs come from; without a DEVICE it is the CPU with each of its instruction sets.
Needs onnx, onnxruntime and numpy. Prints every graph that differs by more than 1e-4 of its largest output, or that devices
do not agree on, and keeps it under the temporary folder; then how many are equal and how many refused, by reason. Graphs
that ONNX Runtime itself does not run, or whose outputs are not finite, are counted apart; so are those whose outputs are
what sums of much larger numbers leave, where both are as far from what 64 bits give. Exits with 1 where any differs.
"""
import collections
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime

from generate_onnx import generate

AT_ONCE = 250


def expected(model, image, last):
    """What ONNX Runtime gives, or None where it does not run or gives what is not finite."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Its rewrites are another engine's.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        known = {tensor.name for tensor in model.graph.initializer}
        feeds = {"x": image[None].transpose(0, 2, 3, 1) if last else image[None]}
        feeds = {value.name: feeds.get(value.name, np.zeros(1, np.float32))
                 for value in session.get_inputs() if value.name not in known}
        found = session.run(None, feeds)[0].reshape(-1)
    except Exception:
        return None
    return found if np.isfinite(found).all() else None


def exact(model, image, last):
    """What onnx's own evaluator computes with 64 bits, or None where it cannot."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)

    def widen(tensor):
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    for tensor in wide.graph.initializer:
        widen(tensor)
    for node in wide.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                widen(attribute.t)
            if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = onnx.TensorProto.DOUBLE
    image = (image[None].transpose(0, 2, 3, 1) if last else image[None]).astype(np.float64)
    try:
        return onnx.reference.ReferenceEvaluator(wide).run(None, {"x": image})[0].reshape(-1)
    except Exception:
        return None


def ended(logits, end):
    if end in ("softmax", "log"):
        logits = logits - logits.max()
        logits = logits - np.log(np.exp(logits).sum())
        return np.exp(logits) if end == "softmax" else logits
    return logits


def graphs_of(folder):
    """The graphs of a folder, with images of noise; their inputs are fixed and channels come first."""
    for path in sorted(Path(folder).glob("*.onnx")):
        model = onnx.load(path)
        shape = [dim.dim_value or 1 for dim in model.graph.input[0].type.tensor_type.shape.dim]
        model.graph.input[0].name == "x" or sys.exit(f"{path}: its input is not called x")
        yield path.stem, (model, np.random.RandomState(0).standard_normal(shape[1:]).astype(np.float32), False, "")


def main():
    outputs, first, *rest = sys.argv[1:]
    if Path(first).is_dir():
        graphs, devices = graphs_of(first), rest
    else:
        graphs, devices = ((f"{seed:08}", generate(seed)) for seed in range(int(first), int(rest[0]))), rest[1:]
    counts, reasons = collections.Counter(), collections.Counter()
    bad = Path(tempfile.mkdtemp(prefix="onnx-that-differ-"))
    while True:
        batch = dict(graph for _, graph in zip(range(AT_ONCE), graphs))
        if not batch:
            break
        with tempfile.TemporaryDirectory() as folder:
            wanted = {}
            for name, (model, image, last, end) in batch.items():
                wanted[name] = (expected(model, image, last), end)
                if wanted[name][0] is None:
                    counts["not run by ONNX Runtime, or not finite"] += 1
                    continue
                path = Path(folder, f"{name}.onnx")
                path.write_bytes(model.SerializeToString())
                path.with_suffix(".f32").write_bytes(image.astype("<f4").tobytes())
                path.with_suffix(".json").write_text(json.dumps({"sides": image.shape[1:]}))
            run = subprocess.run([outputs, folder, *devices], capture_output=True, text=True)
            if run.returncode != 0:
                print(f"the runner ended with {run.returncode}: {run.stderr[-2000:]}")
                counts["DIFFERENT"] += 1
            by_device = collections.defaultdict(dict)
            for line in run.stdout.splitlines():
                line = json.loads(line)
                by_device[Path(line["model"]).stem][line["device"]] = line
            for name, lines in by_device.items():
                (truth, end), troubles = wanted[name], []
                for device, line in lines.items():
                    if "error" in line:
                        reason = re.sub(r"`[^`]*`|\d+", "_", line["error"].split(".onnx: ")[-1])
                        troubles.append(f"{device}: {line['error']}")
                        reasons[reason[:160]] += 1
                        continue
                    found = np.array([np.nan if v is None else v for v in line["outputs"]])
                    error = np.inf
                    if len(found) == len(truth):
                        found = ended(found, end)
                        error = np.abs(found - truth).max() / max(np.abs(truth).max(), 1e-3)
                    if error <= 1e-4:
                        continue
                    model, image, last, _ = batch[name]
                    wide = exact(model, image, last) if error <= 1e-2 else None
                    if wide is not None and np.abs(found - wide).max() <= 2 * np.abs(truth - wide).max():
                        counts["as far from 64 bits as ONNX Runtime"] += 1
                        continue
                    troubles.append(f"{device}: DIFFERENT by {error:.1e}")
                refused = sum("DIFFERENT" not in trouble for trouble in troubles)
                if refused == len(lines):
                    counts["refused"] += 1
                elif troubles:
                    counts["DIFFERENT"] += 1
                    print(name, *troubles, sep="\n  ", flush=True)
                    Path(bad, f"{name}.onnx").write_bytes(Path(folder, f"{name}.onnx").read_bytes())
                else:
                    counts["equal"] += 1
        print(dict(counts), flush=True)
    for reason, count in reasons.most_common(40):
        print(f"{count:6} {reason}")
    print(f"those that differ are in {bad}" if counts["DIFFERENT"] else "none differs")
    sys.exit(counts["DIFFERENT"] > 0)


if __name__ == "__main__":
    main()
