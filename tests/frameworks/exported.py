"""What the checks of exported models share: which models, their inputs, and the outputs that are expected of them.

EXPORTS is a folder that `PRETRAINED_EXPORTS=EXPORTS cargo test --test graphs export::` filled: of each generated network NAME.onnx,
NAME-folded.onnx and the same as .mindir, and in NAME.safetensors an input and the output of the reference loops.
FIXTURES is a folder of checkpoints, of which those of NETWORKS are exported here; PyTorch computed what is expected.
"""
import math
import subprocess
from pathlib import Path

import numpy

import written

TOLERANCE = 1e-5

# A checkpoint, and where its input and logits are: a file, and what their names begin with.
NETWORKS = [
    ("mlp.safetensors", "mlp", "mlp."),
    ("tutorial_mlp.pth", "mlp", "tutorial."),
    ("lenet_f16.safetensors", "lenet", ""),
    ("shufflenetv2_tiny_odd.pth", "shufflenetv2_tiny_odd", ""),
    *((f"shufflenetv2_{width}_f16.safetensors", f"shufflenetv2_{width}", "") for width in ("x0_5", "x1_0", "x1_5", "x2_0")),
]


def models(binary, exports, fixtures, folder, extension):
    """Yields what to call each model, its file, an input and the output expected."""
    generated = sorted(Path(exports).glob("*.safetensors"))
    assert generated, f"{exports} holds no exports"
    for path in generated:
        tensors = written.read(path)
        for model in (path.with_suffix(f".{extension}"), path.with_name(f"{path.stem}-folded.{extension}")):
            yield model.name, model, tensors["input"][1], tensors["output"][1]
    for source, file, prefix in NETWORKS:
        tensors = written.read(Path(fixtures) / f"{file}_expected.safetensors")
        images, logits = (tensors[prefix + key][1].astype("f4") for key in ("input", "logits"))
        # Vectors of square images.
        height, width = images.shape[2:] if images.ndim == 4 else (math.isqrt(images.shape[1]),) * 2
        for options in [(), ("--fold",)]:
            what = " ".join([source, *options])
            model = folder / f"{what}.{extension}"
            export(binary, Path(fixtures) / source, model, "--input", f"{height}x{width}", *options)
            yield what, model, images, logits


def export(binary, source, target, *options):
    done = subprocess.run([binary, "export", source, target, *options], capture_output=True, text=True)
    assert done.returncode == 0, (source, options, done.stderr)


def compare(what, found, expected):
    """Returns the largest error as a share of the largest number expected."""
    found = found.reshape(len(found), -1)
    assert found.shape == expected.shape and numpy.isfinite(found).all(), (what, found.shape, expected.shape)
    error = numpy.abs(found - expected).max() / numpy.abs(expected).max()
    assert error <= TOLERANCE, (what, error)
    return error
