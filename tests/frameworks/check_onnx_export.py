"""Checks what `pretrained export --to onnx` writes: onnx.checker takes it, and ONNX Runtime computes the same.

    python tests/frameworks/check_onnx_export.py target/debug/pretrained EXPORTS FIXTURES

Needs onnx, onnxruntime and numpy; exported.py says what the folders hold. Each model is checked in full, shape inference
included, and run twice, on several images and on one, since the batch is free; the largest error allowed is 1e-5 of the
largest number. Exits with 1 at the first that differs.
"""
import json
import sys
import tempfile
from pathlib import Path

import onnx
import onnxruntime

import exported
import written

STANDARD = {"", "ai.onnx"}


def check(what, path, images, expected):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 17)}, model.opset_import
    assert all(node.domain in STANDARD for node in model.graph.node)
    # ncnn's converter expects the sizes.
    assert all(len(node.input) == 2 for node in model.graph.node if node.op_type == "Split")
    for value in [*model.graph.input, *model.graph.output]:
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch", value
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = images.reshape(len(images), *session.get_inputs()[0].shape[1:])
    error = 0
    for batch in (len(feed), 1):
        (output,) = session.run(["output"], {"input": feed[:batch]})
        error = max(error, exported.compare(what, output, expected[:batch]))
    print(f"same: {what}, {len(model.graph.node)} nodes, {error:.1e}")
    return error


def description(binary, folder):
    """The names of parameters and the metadata of a shipped model."""
    shipped = Path(__file__).parents[2] / "models" / "cifar10_shufflenet_v2_x0_5.safetensors"
    exported.export(binary, shipped, folder / "shipped.onnx")
    model = onnx.load(folder / "shipped.onnx")
    names = {initializer.name for initializer in model.graph.initializer}
    assert names == {name for name in written.read(shipped) if not name.endswith("num_batches_tracked")}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["preset"] == "cifar10" and metadata["network"] == "shufflenetv2_x0_5", metadata
    assert json.loads(metadata["labels"])[3] == "cat", metadata
    print("same: names and metadata of", shipped.name)


def main():
    binary, exports, fixtures = sys.argv[1:]
    errors = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        description(binary, folder)
        for model in exported.models(binary, exports, fixtures, folder, "onnx"):
            errors.append(check(*model))
    versions = f"onnx {onnx.__version__} and ONNX Runtime {onnxruntime.__version__}"
    print(f"{versions} take all {len(errors)} models; the largest error is {max(errors):.1e} of the largest number")


main()
