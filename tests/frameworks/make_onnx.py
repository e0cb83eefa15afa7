"""Writes tests/data/onnx: small networks with random weights as the exporters write them, and what they compute.

    python tests/frameworks/make_onnx.py torch tests/data/onnx      # needs torch, onnx, onnxscript, onnxruntime
    python tests/frameworks/make_onnx.py keras tests/data/onnx      # needs tensorflow, tf2onnx, onnxruntime
    python tests/frameworks/make_onnx.py helper tests/data/onnx     # needs onnx, onnxruntime
    python tests/frameworks/make_onnx.py cases tests/data/onnx      # needs onnx, onnxruntime

expected.json holds, for each file, the shape of its input (channels first), the outputs of ONNX Runtime for the image
whose number i is 1.5 sin(0.013 i) + 0.5 sin(0.37 i), and whether these are probabilities, since the file ends in a softmax.
cases.json has that of files which leave something open or say something of their own, with the output to choose, if there
are several, and the preset of images; number i of an image of integers is 37 i modulo 256.
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

warnings.filterwarnings("ignore")


def image(shape):
    i = np.arange(np.prod(shape), dtype=np.float64)
    return (1.5 * np.sin(0.013 * i) + 0.5 * np.sin(0.37 * i)).astype(np.float32).reshape(shape)


def record(folder, name, shape, last=False, softmax=False):
    """Runs the file on the image and writes down what it gives."""
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    x = image(shape)
    given = session.get_inputs()[0]
    if last:
        x = x.transpose(1, 2, 0)
    x = x.reshape([1, *x.shape] if len(given.shape) == 4 else [1, -1])
    if isinstance(given.shape[0], int) and given.shape[0] > 1:
        x = np.concatenate([x] * given.shape[0])
    output = session.run(None, {given.name: x})[0]
    file = folder / "expected.json"
    expected = json.loads(file.read_text()) if file.exists() else {}
    if softmax == "log":
        output, softmax = np.exp(output), True
    numbers = [float(f"{v:.8g}") for v in output[0].reshape(-1)]
    expected[name] = {"input": list(shape), "softmax": softmax, "output": numbers}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(expected.items())]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    size = (folder / f"{name}.onnx").stat().st_size
    operators = sorted({node.op_type for node in onnx.load(folder / f"{name}.onnx").graph.node})
    print(f"{name}: {size} bytes, {' '.join(operators)}")


def from_torch(folder):
    import torch
    from torch import nn
    from torch.nn import functional as F

    def conv(a, b, k, *activation, **options):
        options = {"padding": k // 2} | options if isinstance(k, int) else options
        return nn.Sequential(nn.Conv2d(a, b, k, bias=False, **options), nn.BatchNorm2d(b), *activation)

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv(3, 8, 3, nn.ReLU6(), stride=2)
            self.expand = conv(8, 16, 1, nn.ReLU6())
            self.depthwise = conv(16, 16, 3, nn.ReLU6(), groups=16)
            self.project = conv(16, 8, 1)
            self.drop = nn.Dropout(0.2)
            self.fc = nn.Linear(8, 5)

        def forward(self, x):
            x = self.stem(x)
            x = F.relu(x + self.project(self.depthwise(self.expand(x))))
            return self.fc(self.drop(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))

    class Shuffle(nn.Module):
        """A unit of ShuffleNetV2 that halves, and one that does not."""

        def __init__(self):
            super().__init__()
            self.stem = conv(3, 6, 3, nn.ReLU(), stride=2)
            self.left = nn.Sequential(conv(6, 6, 3, stride=2, groups=6), conv(6, 7, 1, nn.ReLU()))
            self.right = nn.Sequential(conv(6, 7, 1, nn.ReLU()), conv(7, 7, 3, stride=2, groups=7))
            self.branch = nn.Sequential(conv(7, 7, 1, nn.ReLU()), conv(7, 7, 3, groups=7), conv(7, 7, 1, nn.ReLU()))
            self.fc = nn.Linear(14, 5)

        @staticmethod
        def shuffle(x):
            batch, channels, height, width = x.size()
            x = x.view(batch, 2, channels // 2, height, width)
            return torch.transpose(x, 1, 2).contiguous().view(batch, channels, height, width)

        def forward(self, x):
            x = self.stem(x)
            x = self.shuffle(torch.cat((self.left(x), self.right(x)), dim=1))
            a, b = x.chunk(2, dim=1)
            x = self.shuffle(torch.cat((a, self.branch(b)), dim=1))
            return self.fc(x.mean([2, 3]))

    class Megvii(nn.Module):
        """The shuffle of ShuffleNetV2's authors, which splits as well."""

        def __init__(self):
            super().__init__()
            self.stem = conv(3, 8, 3, nn.ReLU(), stride=2)
            self.branch = conv(4, 6, 1, nn.ReLU())
            self.fc = nn.Linear(10, 4, bias=False)

        def forward(self, x):
            x = self.stem(x)
            batch, channels, height, width = x.data.size()
            x = x.reshape(batch * channels // 2, 2, height * width).permute(1, 0, 2)
            x = x.reshape(2, -1, channels // 2, height, width)
            x = torch.cat((x[0], self.branch(x[1])), 1)
            return self.fc(F.avg_pool2d(x, x.shape[2:]).view(-1, 10))

    class Squeeze(nn.Module):
        """MobileNetV3's and EfficientNet's: squeeze-excite, hard-swish, SiLU."""

        def __init__(self):
            super().__init__()
            self.stem = conv(3, 8, 3, nn.Hardswish(), stride=2)
            self.depthwise = conv(8, 8, 5, nn.Hardswish(), groups=8)
            self.reduce, self.expand = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
            self.second = conv(8, 8, 3, nn.SiLU())
            self.head = nn.Sequential(nn.Linear(8, 12), nn.Hardswish(), nn.Dropout(), nn.Linear(12, 6))

        def forward(self, x):
            x = self.depthwise(self.stem(x))
            gate = self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1))))
            x = x * F.hardsigmoid(gate)
            y = self.second(x)
            return self.head((y * torch.sigmoid(F.adaptive_avg_pool2d(y, 1)) + x).mean((2, 3)))

    class Pools(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv(3, 8, 3, nn.ReLU())
            self.a = conv(8, 6, (1, 3), nn.ReLU(), padding=(0, 1))
            self.b = conv(8, 5, 3, nn.ReLU(), padding=2, dilation=2)
            self.fc1, self.fc2 = nn.Linear(11 * 3 * 3, 9), nn.Linear(9, 4)

        def forward(self, x):
            x = self.stem(F.pad(x, (0, 1, 2, 0)))
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            a = F.avg_pool2d(self.a(x), 3, 2, padding=1)
            b = F.avg_pool2d(self.b(x), 3, 2, padding=1, count_include_pad=False)
            x = F.max_pool2d(torch.cat([a, b], 1), 2, 2, padding=1)
            p, q, r = torch.split(x, [3, 6, 2], 1)
            x = torch.cat([q, r * 2 - 1, p / 3], 1)
            x = F.relu(self.fc1(torch.flatten(x, 1)))
            return F.log_softmax(self.fc2(F.dropout(x, 0.5, self.training)), dim=1)

    class Perceptron(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 5))

        def forward(self, x):
            return self.layers(x.flatten(1))

    def model(kind, seed=0):
        torch.manual_seed(seed)
        made = kind()
        for module in made.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.uniform_(module.bias, -0.2, 0.2)
                nn.init.uniform_(module.running_mean, -0.1, 0.1)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        return made.eval()

    def export(name, kind, shape, opset, free=False, dynamo=False, batch=1, softmax=False, **options):
        x = torch.from_numpy(image(shape)).repeat(batch, 1, 1, 1)
        path = folder / f"{name}.onnx"
        if dynamo:
            if free:
                options["dynamic_shapes"] = ({0: torch.export.Dim.DYNAMIC},)
            torch.onnx.export(model(kind), (x,), path, opset_version=opset, dynamo=True, external_data=False,
                              verbose=False, **options)
        else:
            names = dict(input_names=["input"], output_names=["logits"])
            if free:
                names["dynamic_axes"] = {"input": {0: "batch"}, "logits": {0: "batch"}}
            torch.onnx.export(model(kind), (x,), str(path), opset_version=opset, dynamo=False, **names, **options)
        # Traces of this machine.
        stripped = onnx.load(path)
        for node in stripped.graph.node:
            node.ClearField("doc_string")
            node.ClearField("metadata_props")
        for value in [*stripped.graph.value_info, *stripped.graph.input, *stripped.graph.output]:
            value.ClearField("metadata_props")
        stripped.graph.ClearField("metadata_props")
        onnx.save(stripped, path)
        record(folder, name, shape, softmax=softmax)

    plain = dict(do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    for opset in (7, 9, 11, 13, 17):
        export(f"torch_residual_{opset}", Residual, (3, 20, 21), opset)
    export("torch_residual_unfolded", Residual, (3, 20, 21), 13, **plain)
    export("torch_residual_batch_of_3", Residual, (3, 20, 21), 13, batch=3)
    for opset in (7, 11, 17):
        export(f"torch_shuffle_{opset}", Shuffle, (3, 24, 20), opset)
    export("torch_shuffle_free_batch", Shuffle, (3, 24, 20), 13, free=True)
    export("torch_shuffle_batch_of_2", Shuffle, (3, 24, 20), 13, batch=2)
    export("torch_megvii", Megvii, (3, 12, 10), 13)
    export("torch_megvii_free_batch", Megvii, (3, 12, 10), 17, free=True)
    for opset in (9, 13, 17):
        export(f"torch_squeeze_{opset}", Squeeze, (3, 18, 18), opset)
    export("torch_pools_11", Pools, (3, 18, 19), 11, softmax="log")
    export("torch_pools_17", Pools, (3, 18, 19), 17, softmax="log", **plain)
    export("torch_perceptron", Perceptron, (1, 8, 8), 13, **plain)
    export("torch_dynamo_residual", Residual, (3, 20, 21), 18, dynamo=True)
    export("torch_dynamo_shuffle", Shuffle, (3, 24, 20), 21, dynamo=True, free=True)
    export("torch_dynamo_squeeze", Squeeze, (3, 18, 18), 20, dynamo=True)
    export("torch_dynamo_pools", Pools, (3, 18, 19), 18, dynamo=True, softmax="log")


def from_keras(folder):
    import keras
    import tensorflow as tf
    import tf2onnx
    from keras import layers as L

    def mobile(x):
        x = L.Rescaling(1 / 127.5, offset=-1)(x)
        x = L.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = L.Conv2D(8, 3, strides=2, use_bias=False)(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
        y = L.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        y = L.ReLU(6.0)(L.BatchNormalization()(y))
        y = L.BatchNormalization()(L.Conv2D(8, 1, use_bias=False)(y))
        x = L.Add()([x, y])
        x = L.Conv2D(12, 3, strides=2, padding="same")(x)
        x = L.GlobalAveragePooling2D()(L.Activation("swish")(x))
        return L.Dense(5, activation="softmax")(L.Dropout(0.3)(x))

    def residual(x):
        x = L.Conv2D(8, 7, strides=2)(L.ZeroPadding2D(3)(x))
        x = L.ReLU()(L.BatchNormalization(epsilon=1e-3)(x))
        x = L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(1)(x))
        x = L.ReLU()(L.Add()([x, L.Conv2D(8, 3, padding="same")(x)]))
        x = L.Concatenate()([L.AveragePooling2D(2, strides=1, padding="same")(x), x])
        x = L.MaxPooling2D(3, strides=2, padding="same")(x)
        x = L.Dense(10, activation="relu")(L.Flatten()(x))
        return L.Dense(4)(x)

    def excite(x):
        x = L.Rescaling([2.0, 1.0, 0.5], offset=[-0.1, -0.2, -0.3])(x)
        x = L.Conv2D(8, 3, strides=2, padding="same", activation="hard_silu")(x)
        gate = L.Reshape((1, 1, 8))(L.GlobalAveragePooling2D()(x))
        gate = L.Conv2D(8, 1, activation="hard_sigmoid")(L.Conv2D(4, 1, activation="relu")(gate))
        x = L.Multiply()([x, gate])
        x = L.SeparableConv2D(6, 3, padding="same", activation="sigmoid")(x)
        x = L.GlobalMaxPooling2D()(x)
        return L.Activation("softmax")(L.Dense(5)(x))

    def lenet(x):
        x = L.MaxPooling2D()(L.Conv2D(6, 5, padding="same", activation="relu")(x))
        x = L.MaxPooling2D()(L.Conv2D(8, 5, activation="relu")(x))
        return L.Dense(10, activation="softmax")(L.Dense(12, activation="relu")(L.Flatten()(x)))

    def export(name, build, shape, opset, softmax, batch=None, **options):
        keras.utils.set_random_seed(0)
        entry = keras.Input(shape, batch_size=batch)
        model = keras.Model(entry, build(entry))
        for layer in model.layers:
            if isinstance(layer, L.BatchNormalization):
                numbers = [np.random.uniform(low, high, w.shape) for w, (low, high) in
                           zip(layer.get_weights(), [(0.7, 1.3), (-0.2, 0.2), (-0.1, 0.1), (0.5, 1.5)])]
                layer.set_weights(numbers)
        signature = (tf.TensorSpec((batch, *shape), tf.float32, name="input"),)
        function = tf.function(lambda x: model(x, training=False), input_signature=signature)
        made, _ = tf2onnx.convert.from_function(function, signature, opset=opset, **options)
        onnx.save(made, folder / f"{name}.onnx")
        record(folder, name, (shape[2], shape[0], shape[1]), last="inputs_as_nchw" not in options, softmax=softmax)

    for opset in (9, 11, 13, 17):
        export(f"keras_mobile_{opset}", mobile, (22, 22, 3), opset, True)
    export("keras_residual_11", residual, (29, 27, 3), 11, False)
    export("keras_residual_18", residual, (29, 27, 3), 18, False)
    export("keras_excite", excite, (15, 17, 3), 15, True)
    export("keras_lenet", lenet, (20, 20, 1), 13, True, batch=1)


def from_helper(folder):
    """What no exporter writes today, and some once wrote."""
    from onnx import TensorProto, helper, numpy_helper
    rng = np.random.default_rng(0)

    def tensor(name, *shape):
        fan = max(1, int(np.prod(shape[1:])))
        return numpy_helper.from_array((rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32), name)

    def constant(name, value, dtype=np.float32):
        return numpy_helper.from_array(np.array(value, dtype), name)

    def save(name, nodes, tensors, shape, opset, classes, softmax=False, ir=8):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *classes])
        graph = helper.make_graph(nodes, name, [x], [y], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")
        record(folder, name, shape, softmax=softmax)

    n = helper.make_node
    # Hard-swish and hard-sigmoid by hand, in each way of writing them; paddings of both kinds.
    nodes = [
        n("Conv", ["x", "w1", "b1"], ["a"], auto_pad="SAME_LOWER", strides=[2, 2]),
        n("Add", ["a", "three"], ["a3"]),
        n("Clip", ["a3", "zero", "six"], ["a6"]),
        n("Mul", ["a", "a6"], ["am"]),
        n("Div", ["am", "six"], ["s1"]),
        n("Conv", ["s1", "w2"], ["b"], auto_pad="SAME_UPPER", strides=[2, 2], group=2),
        n("Add", ["three", "b"], ["b3"]),
        n("Relu", ["b3"], ["br"]),
        n("Min", ["br", "six"], ["b6"]),
        n("Mul", ["b6", "sixth"], ["bh"]),
        n("Mul", ["bh", "b"], ["s2"]),
        n("Mul", ["s2", "fifth"], ["l"]),
        n("Add", ["l", "half"], ["lh"]),
        n("Clip", ["lh", "zero", "one"], ["gate"]),
        n("Sigmoid", ["s2"], ["sig"]),
        n("Mul", ["sig", "s2"], ["silu"]),
        n("Mul", ["gate", "silu"], ["g"]),
        n("Sub", ["one", "g"], ["m"]),
        n("Pad", ["m", "pads"], ["padded"]),
        n("MaxPool", ["padded"], ["pooled"], kernel_shape=[3, 2], strides=[2, 2], dilations=[1, 2]),
        n("GlobalMaxPool", ["pooled"], ["peak"]),
        n("Squeeze", ["peak", "pixels"], ["v"]),
        n("MatMul", ["v", "w3"], ["f"]),
        n("Add", ["f", "b3_"], ["z"]),
        n("Unsqueeze", ["z", "pixels"], ["zu"]),
        n("Softmax", ["zu"], ["p"], axis=1),
        n("Reshape", ["p", "shape"], ["y"]),
    ]
    tensors = [tensor("w1", 8, 3, 3, 4), tensor("b1", 8), tensor("w2", 6, 4, 3, 3), tensor("w3", 6, 5), tensor("b3_", 5)]
    tensors += [constant("three", 3), constant("zero", 0), constant("six", 6), constant("sixth", 1 / 6)]
    tensors += [constant("fifth", 0.2), constant("half", 0.5), constant("one", 1)]
    tensors += [constant("pads", [0, 0, 1, 0, 0, 0, 0, 2], np.int64), constant("pixels", [2, 3], np.int64)]
    tensors += [constant("shape", [-1, 5], np.int64)]
    save("helper_by_hand", nodes, tensors, (3, 13, 15), 13, [5], softmax=True)

    # One tensor read three ways; a batch normalisation in parts, and one that stands alone; a slice and a gather.
    nodes = [
        n("Sub", ["x", "mean"], ["x0"]),
        n("Div", ["x0", "deviation"], ["x1"]),
        n("Gather", ["x1", "first"], ["r"], axis=1),
        n("Unsqueeze", ["r"], ["r1"], axes=[1]),
        n("Slice", ["x1"], ["gb"], axes=[1], starts=[1], ends=[9223372036854775807]),
        n("Concat", ["gb", "r1"], ["x2"], axis=1),
        n("Conv", ["x2", "w"], ["c"], pads=[1, 1, 1, 1]),
        n("Mul", ["c", "gamma"], ["c1"]),
        n("Add", ["c1", "beta"], ["c2"]),
        n("MaxPool", ["c2"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        n("BatchNormalization", ["d", "g", "b", "m", "v"], ["e"], epsilon=0.01),
        n("Relu", ["e"], ["e1"]),
        n("Transpose", ["e1"], ["t"], perm=[0, 2, 3, 1]),
        n("Reshape", ["t", "flat"], ["u"]),
        n("Gemm", ["u", "square", "b"], ["h"], transB=0, alpha=0.5, beta=2.0),
        n("Gemm", ["h", "second", "one"], ["k"], transB=1),
        n("Transpose", ["second"], ["turned"]),
        n("MatMul", ["k", "turned"], ["y"]),
    ]
    tensors = [constant("mean", np.reshape([0.1, 0.2, 0.3], (1, 3, 1, 1))), constant("deviation", np.reshape([0.5, 1, 2], (3, 1, 1)))]
    tensors += [constant("first", 0, np.int64), tensor("w", 6, 3, 3, 3), tensor("gamma", 1, 6, 1, 1), tensor("beta", 6, 1, 1)]
    tensors += [tensor("g", 6), tensor("b", 6), tensor("m", 6), constant("v", [0.5, 1, 2, 1, 0.7, 0.9])]
    tensors += [constant("flat", [0, -1], np.int64), tensor("square", 6 * 4 * 3, 6), tensor("second", 6, 6), constant("one", [1])]
    save("helper_parts", nodes, tensors, (3, 8, 6), 9, [6])

    # TensorFlow's padding as PyTorch's exporter writes it: worked out from the shape, and never less than none.
    nodes = [
        n("Shape", ["x"], ["shape"]),
        n("Slice", ["shape", "two", "four"], ["sides"]),
        n("Add", ["sides", "one"], ["more"]),
        n("Div", ["more", "two"], ["outputs"]),
        n("Sub", ["outputs", "one"], ["steps"]),
        n("Clip", ["steps", "", "most"], ["few"]),
        n("Mul", ["few", "two"], ["last"]),
        n("Add", ["last", "three"], ["seen"]),
        n("Sub", ["seen", "sides"], ["missing"]),
        n("Clip", ["missing", "least"], ["padding"]),
        n("Div", ["padding", "two"], ["before"]),
        n("Sub", ["padding", "before"], ["after"]),
        n("Concat", ["zeros", "before", "zeros", "after"], ["pads"], axis=0),
        n("Pad", ["x", "pads"], ["padded"]),
        n("Conv", ["padded", "w"], ["c"], strides=[2, 2]),
        n("Clip", ["c", "low"], ["d"]),
        n("GlobalAveragePool", ["d"], ["e"]),
        n("Flatten", ["e"], ["y"]),
    ]
    ints = {"one": [1], "two": [2], "three": [3], "four": [4], "most": 6, "least": 1, "zeros": [0, 0]}
    tensors = [constant(name, value, np.int64) for name, value in ints.items()]
    tensors += [tensor("w", 7, 3, 3, 3), constant("low", -0.25)]
    save("helper_same", nodes, tensors, (3, 12, 15), 13, [7])


def from_cases(folder):
    """What is resolved for the size that is asked, or told by something else than shapes."""
    from onnx import TensorProto, helper, numpy_helper
    rng = np.random.default_rng(3)
    n = helper.make_node
    cases = {}

    def tensor(name, *shape):
        fan = max(1, int(np.prod(shape[1:])))
        return numpy_helper.from_array((rng.standard_normal(shape) / np.sqrt(fan)).astype(np.float32), name)

    def constant(name, value, dtype=np.float32):
        return numpy_helper.from_array(np.array(value, dtype), name)

    def save(name, nodes, tensors, shape, runs, outputs=("y",), kind=TensorProto.FLOAT, opset=13, preset=None, unused=()):
        x = helper.make_tensor_value_info("x", kind, shape)
        unused = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in unused]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(nodes, name, [x, *unused], made, tensors)
        path = folder / f"{name}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        last = len(shape) == 4 and shape[3] == 3
        cases[name] = {"output": outputs[0] if len(outputs) > 1 else None, "preset": preset, "runs": []}
        for size in runs:
            i = np.arange(np.prod(size), dtype=np.int64)
            given = (37 * i % 256).astype(np.uint8).reshape(size) if kind == TensorProto.UINT8 else image(size)
            given = given.transpose(1, 2, 0) if last else given
            feeds = {"x": given[None]} | {value.name: np.zeros(1, np.float32) for value in unused}
            numbers = [float(f"{v:.8g}") for v in session.run([outputs[0]], feeds)[0].reshape(-1)]
            cases[name]["runs"].append({"input": list(size), "output": numbers})

    free = ["N", 3, "H", "W"]
    nodes = [
        n("Conv", ["x", "w"], ["a"], auto_pad="SAME_UPPER", strides=[2, 2]),
        n("Relu", ["a"], ["b"]),
        n("MaxPool", ["b"], ["c"], auto_pad="SAME_LOWER", kernel_shape=[2, 2], strides=[2, 2]),
        n("GlobalMaxPool", ["c"], ["g"]),
        n("ReduceMax", ["b"], ["h"], axes=[2, 3]),
        n("Concat", ["g", "h"], ["k"], axis=1),
        n("Flatten", ["k"], ["y"]),
    ]
    save("case_free", nodes, [tensor("w", 4, 3, 3, 3)], free, [(3, 9, 12), (3, 10, 7)])
    nodes = [n("Conv", ["x", "w"], ["a"], group=2), n("GlobalAveragePool", ["a"], ["b"]), n("Flatten", ["b"], ["y"])]
    save("case_all_free", nodes, [tensor("w", 6, 2, 3, 3)], ["N", "C", "H", "W"], [(4, 5, 8)])
    nodes = [
        n("Relu", ["x"], ["a"]),
        n("Pad", ["a", "pads"], ["b"]),
        n("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        n("Pad", ["x", "pads", "lowest"], ["d"]),
        n("MaxPool", ["d"], ["e"], kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1),
        n("GlobalAveragePool", ["c"], ["f"]),
        n("GlobalAveragePool", ["e"], ["g"]),
        n("Concat", ["f", "g"], ["h"], axis=1),
        n("Flatten", ["h"], ["y"]),
    ]
    pads = [constant("pads", [0, 0, 0, 0, 0, 0, 1, 1], np.int64), constant("lowest", np.finfo(np.float32).min)]
    save("case_pad_ceil", nodes, pads, [1, 3, 4, 4], [(3, 4, 4)])
    nodes = [
        n("Cast", ["x"], ["a"], to=TensorProto.FLOAT),
        n("Transpose", ["a"], ["b"], perm=[0, 3, 1, 2]),
        n("Conv", ["b", "w"], ["c"], strides=[2, 2]),
        n("GlobalAveragePool", ["c"], ["d"]),
        n("Flatten", ["d"], ["y"]),
    ]
    save("case_integers", nodes, [tensor("w", 4, 3, 3, 3)], [1, 8, 6, 3], [(3, 8, 6)], kind=TensorProto.UINT8, preset="levels")
    nodes = [n("Div", ["x", "most"], ["a"]), n("Sub", ["a", "mean"], ["b"]), n("Div", ["b", "std"], ["c"])]
    rest = [n("Conv", ["c", "w"], ["d"]), n("GlobalAveragePool", ["d"], ["e"]), n("Flatten", ["e"], ["y"])]
    numbers = [constant("most", 255), constant("mean", np.reshape([0.485, 0.456, 0.406], (3, 1, 1)))]
    numbers += [constant("std", np.reshape([0.229, 0.224, 0.225], (3, 1, 1))), tensor("w", 4, 3, 3, 3)]
    save("case_levels", nodes + rest, numbers, [1, 3, 8, 6], [(3, 8, 6)], preset="levels")
    nodes[:2] = [n("Sub", ["x", "mean"], ["b"])]
    save("case_unit", nodes + rest, numbers[1:], [1, 3, 8, 6], [(3, 8, 6)], preset="unit")
    nodes = [
        n("Gemm", ["h", "v", "b"], ["y"]),
        n("BatchNormalization", ["f", "gain", "shift", "mean", "variance"], ["h"]),
        n("Flatten", ["c"], ["f"]),
        n("Sin", ["c"], ["nobody_reads_it"]),
        n("Conv", ["x", "w"], ["c"]),
    ]
    numbers = [tensor("w", 2, 3, 3, 3), tensor("v", 24, 5), tensor("b", 5), tensor("gain", 24), tensor("shift", 24)]
    numbers += [tensor("mean", 24), constant("variance", rng.uniform(0.5, 2, 24))]
    save("case_out_of_order", nodes, numbers, [1, 3, 6, 5], [(3, 6, 5)], outputs=("y", "c"), unused=("z",))
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(cases.items())]
    (folder / "cases.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    kind, folder = sys.argv[1], Path(sys.argv[2])
    {"torch": from_torch, "keras": from_keras, "helper": from_helper, "cases": from_cases}[kind](folder)
