"""Exports whole networks with random weights to ONNX and compares what this crate computes with ONNX Runtime.

    python tests/frameworks/check_onnx.py LOGITS torchvision|timm|keras [NAME...]

LOGITS is the example `logits`, built (`cargo build --release --example logits`). torchvision's networks need torch,
torchvision, onnx and onnxscript; timm's also timm; Keras's need tensorflow and tf2onnx; all need onnxruntime. Prints a
line a file, with the largest difference as a share of the largest logit; exits with 1 where one is over 1e-4 or a file is
refused.
"""
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime

warnings.filterwarnings("ignore")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TORCHVISION = """alexnet vgg11_bn squeezenet1_0 squeezenet1_1 resnet18 resnet50 resnext50_32x4d wide_resnet50_2 densenet121
    googlenet inception_v3 shufflenet_v2_x0_5 shufflenet_v2_x1_0 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large mnasnet1_0
    efficientnet_b0 efficientnet_v2_s regnet_x_400mf regnet_y_400mf""".split()
TIMM = """resnet18 resnet50d mobilenetv3_small_100 mobilenetv3_large_100 tf_mobilenetv3_small_100 efficientnet_b0
    tf_efficientnet_b0 tf_efficientnetv2_b0 mobilenetv2_100 mixnet_s regnety_002 ghostnet_100 seresnet18 res2net50_26w_4s
    hardcorenas_a fbnetc_100 semnasnet_100 dla34 repvgg_a0 hrnet_w18_small""".split()
KERAS = "MobileNet MobileNetV2 MobileNetV3Small ResNet50 ResNet50V2 EfficientNetB0 DenseNet121 NASNetMobile VGG16 Xception".split()


def image(side):
    i = np.arange(3 * side * side, dtype=np.float64)
    return (1.5 * np.sin(0.013 * i) + 0.5 * np.sin(0.37 * i)).astype(np.float32).reshape(1, 3, side, side)


def compare(logits, path, side, last=False):
    """The outcome for a file, as text, and whether it is good."""
    x = image(side)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(None, {session.get_inputs()[0].name: x.transpose(0, 2, 3, 1) if last else x})[0].reshape(-1)
    raw = path.with_suffix(".f32")
    raw.write_bytes(x.tobytes())
    run = subprocess.run([logits, path, raw], capture_output=True, text=True)
    if run.returncode != 0:
        return run.stderr.strip(), False
    found = np.array(run.stdout.split(), dtype=np.float64)
    if abs(expected.sum() - 1) < 1e-3 and (expected > 0).all():
        # Probabilities say what the logits are but for a number that is added to all.
        expected = np.log(expected.astype(np.float64))
        expected, found = expected - expected.mean(), found - found.mean()
    error = np.abs(found - expected).max() / np.abs(expected).max()
    spread = expected.std() / np.abs(expected).max()
    return f"{error:.1e} of the largest output (outputs spread over {spread:.2f} of it)", bool(error <= 1e-4)


def lively(model):
    """Statistics and weights under which neither signals nor differences die out."""
    import torch
    from torch import nn
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    model.train()
    momenta = [(m, m.momentum) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for module, _ in momenta:
        module.momentum = 1.0
    with torch.no_grad():
        model(torch.randn(4, 3, 224, 224))
    return model.eval()


def lively_keras(model, side):
    """The same for Keras."""
    from keras import layers
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in model.layers:
        weights = layer.get_weights()
        if layer in norms:
            layer.momentum = 0.0
            weights = [np.random.uniform(0.7, 1.3, w.shape) if i == 0 else w for i, w in enumerate(weights)]
        elif weights and weights[0].ndim >= 2:
            fan = np.prod(weights[0].shape[:-1]) / (weights[0].shape[-2] if "depthwise" in layer.name else 1)
            weights[0] = np.random.standard_normal(weights[0].shape) * np.sqrt(2 / fan)
        layer.set_weights(weights)
    model(np.random.standard_normal((2, side, side, 3)).astype(np.float32), training=True)


def exported(model, folder, name, side):
    """The model as the old exporter writes it for a batch of one and a free one, and as the new one does."""
    import torch
    x = torch.from_numpy(image(side))
    for kind in ("opset 11", "opset 17, free batch", "dynamo"):
        path = folder / f"{name}.onnx"
        try:
            if kind == "dynamo":
                torch.onnx.export(model, (x,), path, dynamo=True, external_data=False, verbose=False)
            else:
                free = dict(input_names=["x"], dynamic_axes={"x": {0: "batch"}}) if "free" in kind else {}
                opset = 17 if "free" in kind else 11
                torch.onnx.export(model, (x,), str(path), opset_version=opset, dynamo=False, **free)
        except Exception as error:
            yield kind, None, f"PyTorch does not export it: {str(error).splitlines()[0][:100]}"
            continue
        yield kind, path, None


def main():
    logits, source, *names = sys.argv[1:]
    bad, missing = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def tell(name, kind, outcome, good):
            nonlocal bad
            bad += not good
            print(f"{'ok ' if good else 'BAD'} {name:26} {kind:22} {outcome}", flush=True)

        if source == "keras":
            import keras
            import tensorflow as tf
            import tf2onnx
            for name in names or KERAS:
                keras.utils.set_random_seed(0)
                options = dict(include_preprocessing=True) if "V3" in name else {}
                # Random weights saturate a softmax, of which nothing can be compared then.
                model = getattr(keras.applications, name)(weights=None, classifier_activation=None, **options)
                side = model.input_shape[1] or 224
                lively_keras(model, side)
                signature = (tf.TensorSpec((None, side, side, 3), tf.float32, name="x"),)
                function = tf.function(lambda x: model(x, training=False), input_signature=signature)
                for opset in (11, 17):
                    path = folder / f"{name}.onnx"
                    made, _ = tf2onnx.convert.from_function(function, signature, opset=opset, output_path=str(path))
                    if [value.name for value in made.graph.input] == ["x"]:
                        tell(name, f"opset {opset}", *compare(logits, path, side, last=True))
                    else:
                        missing += 1
                        print(f"--  {name:26} {f'opset {opset}':22} tf2onnx makes inputs of its constants", flush=True)
        else:
            for name in names or (TIMM if source == "timm" else TORCHVISION):
                if source == "timm":
                    import timm
                    model = timm.create_model(name, pretrained=False, exportable=True)
                else:
                    import torchvision
                    options = dict(aux_logits=False) if name in ("googlenet", "inception_v3") else {}
                    model = getattr(torchvision.models, name)(weights=None, **options)
                model, side = lively(model), 299 if name == "inception_v3" else 224
                for kind, path, failure in exported(model, folder, name, side):
                    if path:
                        tell(name, kind, *compare(logits, path, side))
                    else:
                        missing += 1
                        print(f"--  {name:26} {kind:22} {failure}", flush=True)
    print(f"{bad} are bad, and {missing} were not exported")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
