"""Generates ONNX graphs as exporters write them, and as they might: a seed makes always the same one.

Graphs are of every operator that this crate imports, over joined, cut and shuffled channels, in the forms of operator sets
7 to 21, with channels first and last, with sizes that are fixed or free, in any order of their nodes.
"""
import random

import numpy as np
from onnx import TensorProto, helper, numpy_helper

LOWEST = float(np.finfo(np.float32).min)
UNARY = ["Relu", "Sigmoid", "HardSigmoid", "Neg"]


class Graph:
    """What is generated so far. A value is a name with channels, height and width, channels first."""

    def __init__(self, seed):
        self.r, self.rs = random.Random(seed), np.random.RandomState(seed % 2**32)
        self.opset = self.r.choice([7, 8, 9, 10, 11, 12, 13, 13, 14, 15, 17, 17, 18, 19, 20, 21])
        self.nodes, self.tensors, self.constants, self.count = [], [], [], 0
        self.values = []

    def name(self, prefix="v"):
        self.count += 1
        return f"{prefix}{self.count}"

    def chance(self, p):
        return self.r.random() < p

    def tensor(self, array):
        """Numbers of the file: an initializer, or a node."""
        name = self.name("w")
        proto = numpy_helper.from_array(np.asarray(array), name)
        if self.chance(0.2):
            self.nodes.append(helper.make_node("Constant", [], [name], value=proto))
        else:
            self.tensors.append(proto)
        return name

    def noise(self, *shape, scale=1.0):
        return self.tensor((self.rs.standard_normal(shape) * scale).astype(np.float32))

    def ints(self, *values):
        return self.tensor(np.array(values, np.int64))

    def node(self, op, inputs, outputs=1, **attributes):
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=self.name("n") if self.chance(0.7) else "", **attributes))
        return names[0] if outputs == 1 else names

    def value(self, name, c, h, w):
        self.values.append((name, c, h, w))
        return self.values[-1]

    # Forms that changed from one operator set to another.

    def clip(self, x, low, high):
        if self.opset < 11:
            return self.node("Clip", [x], **{k: v for k, v in (("min", low), ("max", high)) if v is not None})
        bounds = [self.tensor(np.float32(v)) if v is not None else "" for v in (low, high)]
        return self.node("Clip", [x, *bounds])

    def pad(self, x, pads, value=0.0):
        if self.opset < 11:
            return self.node("Pad", [x], pads=pads, value=value, mode="constant")
        extra = [self.tensor(np.float32(value))] if value or self.chance(0.5) else []
        return self.node("Pad", [x, self.ints(*pads), *extra])

    def listed(self, op, x, since, attribute, values, **more):
        """An operator whose list of integers is an attribute before `since`, and an input from then on."""
        if self.opset < since:
            return self.node(op, [x], **{attribute: values}, **more)
        return self.node(op, [x, self.ints(*values)], **more)

    def slice(self, x, axis, start, end):
        if self.opset < 10:
            return self.node("Slice", [x], axes=[axis], starts=[start], ends=[end])
        return self.node("Slice", [x, self.ints(start), self.ints(end), self.ints(axis)])

    def split(self, x, axis, sizes):
        if self.opset < 13:
            return self.node("Split", [x], len(sizes), axis=axis, split=sizes)
        return self.node("Split", [x, self.ints(*sizes)], len(sizes), axis=axis)

    def squeeze(self, x, axes):
        return self.listed("Squeeze", x, 13, "axes", axes)

    def reduce(self, op, x, axes, keep):
        return self.listed(op, x, {"ReduceMean": 18, "ReduceMax": 18}[op], "axes", axes, keepdims=int(keep))


def window(g, h, w, pool):
    """Kernel, strides, dilations and pads, and the size of what comes out; None where nothing would."""
    r = g.r
    k = [r.choice([1, 2, 3, 3, 3, 5]), r.choice([1, 2, 3, 3, 3, 4])]
    if g.chance(0.5):
        k[1] = k[0]
    s = [r.choice([1, 1, 2, 3])] * 2 if g.chance(0.6) else [r.choice([1, 2, 3]), r.choice([1, 2, 4])]
    d = [1, 1] if pool and g.opset < 10 or g.chance(0.7) else [r.choice([1, 2, 3]), r.choice([1, 2])]
    extent = [(k[i] - 1) * d[i] + 1 for i in (0, 1)]
    attributes = dict(kernel_shape=k, strides=s)
    if d != [1, 1] or not pool and g.chance(0.3):
        attributes["dilations"] = d
    ceil = pool and g.opset >= 10 and g.chance(0.4)
    same = g.chance(0.25) and not ceil and d == [1, 1]
    if same:
        attributes["auto_pad"] = r.choice(["SAME_UPPER", "SAME_LOWER"])
        return attributes, -(-h // s[0]), -(-w // s[1]), d
    most = [min(extent[i], k[i]) - 1 if pool else extent[i] for i in (0, 1)]
    p = [0] * 4 if g.chance(0.4) else [r.randint(0, most[i % 2]) for i in range(4)]
    if g.chance(0.1):
        p, attributes["auto_pad"] = [0] * 4, "VALID"
    else:
        attributes["pads"] = p
    if ceil:
        attributes["ceil_mode"] = 1
    out = []
    for i, side in enumerate((h, w)):
        room = side + p[i] + p[i + 2] - extent[i]
        if room < 0:
            return None
        count = room // s[i] + 1
        if ceil and room % s[i] and count * s[i] < side + p[i]:
            count += 1
        out.append(count)
    return (attributes, *out, d) if out[0] * out[1] <= 2500 else None


def convolution(g, v, c, h, w):
    kind = g.r.choice(["dense", "dense", "point", "depth", "group"])
    found = window(g, h, w, False)
    if kind == "point":
        found = (dict(kernel_shape=[1, 1]), h, w, [1, 1])
    if found is None:
        return
    attributes, oh, ow, _ = found
    groups = {"depth": c, "group": g.r.choice([n for n in range(1, c + 1) if c % n == 0])}.get(kind, 1)
    co = c * g.r.choice([1, 1, 2]) if kind == "depth" else groups * g.r.randint(1, 8) if groups > 1 else g.r.randint(1, 40)
    if co > 120:
        return
    k = attributes["kernel_shape"]
    weight = g.noise(co, c // groups, *k, scale=(c // groups * k[0] * k[1]) ** -0.5)
    if g.chance(0.5):
        attributes.pop("kernel_shape")
    if groups > 1 or g.chance(0.3):
        attributes["group"] = groups
    bias = [g.noise(co)] if g.chance(0.4) else []
    y = g.node("Conv", [v, weight, *bias], **attributes)
    if g.chance(0.2):
        y = g.node("Add", [y, g.noise(co, 1, 1)])
    if g.chance(0.4):
        y = norm(g, y, co)
    g.value(y, co, oh, ow)
    if g.chance(0.5):
        activation(g, *g.values[-1])


def norm(g, v, c):
    numbers = [g.rs.rand(c) + 0.5, g.rs.standard_normal(c), g.rs.standard_normal(c), g.rs.rand(c) + 0.5]
    return g.node("BatchNormalization", [v, *(g.tensor(n.astype(np.float32)) for n in numbers)],
                  **({"epsilon": 1e-3} if g.chance(0.3) else {}))


def activation(g, v, c, h, w):
    kind = g.r.choice(["plain", "plain", "relu6", "swish", "silu", "sigmoid", "hardswish", "within", "limits", "between"])
    number = lambda value: g.tensor(np.float32(value))
    either = lambda a, b: g.r.sample([a, b], 2)
    if kind == "plain":
        y = g.node(g.r.choice(UNARY), [v])
    elif kind == "relu6":
        y = g.clip(v, 0.0, 6.0)
    elif kind == "swish":
        y = g.clip(g.node("Add", either(v, number(3))), 0.0, 6.0)
        y = g.node("Mul", either(v, y)) if g.chance(0.7) else y
        y = g.node("Div", [y, number(6)]) if g.chance(0.5) else g.node("Mul", either(y, number(1 / 6)))
    elif kind == "silu":
        y = g.node("Mul", either(v, g.node("Sigmoid", [v])))
    elif kind == "sigmoid":
        y = g.node("HardSigmoid", [v], alpha=g.r.choice([1 / 6, 0.2, 0.9]), beta=g.r.choice([0.5, 0.3]))
        y = g.node("Mul", either(v, y)) if g.chance(0.5) else y
    elif kind == "hardswish" and g.opset >= 14:
        y = g.node("HardSwish", [v])
    elif kind == "limits" and g.opset >= 8:
        y = g.node("Max", either(v, number(-0.5))) if g.chance(0.5) else g.node("Min", either(v, number(0.7)))
    elif kind == "between":
        y = g.clip(g.node("Add", [g.node("Mul", [v, number(0.3)]), number(0.4)]), 0.0, 1.0)
    else:
        y = g.clip(v, *g.r.choice([(-1.0, None), (None, 0.5), (-0.3, 0.9), (0.0, None)]))
        y = g.node("Relu", [y]) if g.chance(0.4) else y
    g.value(y, c, h, w)


def pool(g, v, c, h, w):
    if g.chance(0.35):
        # Padded before, by what wins over nothing, or by zeros.
        value = g.r.choice([0.0, 0.0, LOWEST, -np.inf])
        if g.chance(0.5):
            v = g.node("Relu", [v])
        p = [g.r.randint(0, 2) for _ in range(4)]
        v, h, w = g.pad(v, [0, 0, p[0], p[1], 0, 0, p[2], p[3]], value), h + p[0] + p[2], w + p[1] + p[3]
        op = "MaxPool" if value or g.chance(0.5) else "AveragePool"
    else:
        op = g.r.choice(["MaxPool", "AveragePool"])
    found = window(g, h, w, True)
    if found is None:
        return
    attributes, oh, ow, dilation = found
    if op == "AveragePool":
        if dilation != [1, 1] and g.opset < 19:
            return
        attributes["count_include_pad"] = g.r.choice([0, 1])
        # Before, ONNX Runtime divided by taps beyond the padding.
        if g.opset < 19 and attributes.get("ceil_mode"):
            attributes["count_include_pad"] = 0
    g.value(g.node(op, [v], **attributes), c, oh, ow)


def arithmetic(g, v, c, h, w):
    op = g.r.choice(["Add", "Mul", "Sub"])
    alike = [q[0] for q in g.values if q[1:] == (c, h, w)]
    kind = g.r.choice(["image", "image", "channel", "number", "gate"])
    if kind == "image":
        pair = [v, g.r.choice(alike)]
        # What is left of a number less itself is rounding, which no two engines share.
        op = "Add" if op == "Sub" and pair[0] == pair[1] else op
    elif kind == "channel":
        pair = [v, g.noise(*g.r.choice([(c, 1, 1), (1, c, 1, 1)]))]
        if g.chance(0.3):
            op, pair[1] = "Div", g.tensor((g.rs.rand(c, 1, 1) + 0.5).astype(np.float32))
    elif kind == "number":
        pair = [v, g.tensor(np.float32(g.r.uniform(-2, 2)))]
    else:
        s = g.node("GlobalAveragePool", [v]) if g.chance(0.5) else g.reduce("ReduceMean", v, [2, 3], True)
        pair, op = [v, g.node(g.r.choice(["Sigmoid", "HardSigmoid", "Relu"]), [s])], g.r.choice(["Mul", "Add"])
    if op != "Div":
        g.r.shuffle(pair)
    g.value(g.node(op, pair), c, h, w)


def moved(g, v, c, h, w):
    kind = g.r.choice(["concat", "concat", "split", "slice", "shuffle", "shuffle", "gather", "flip", "last", "through"])
    if kind == "concat":
        parts = [g.r.choice([q for q in g.values if q[2:] == (h, w)]) for _ in range(g.r.randint(2, 4))]
        channels = sum(part[1] for part in parts)
        if channels <= 150:
            g.value(g.node("Concat", [part[0] for part in parts], axis=g.r.choice([1, 1, -3])), channels, h, w)
    elif kind == "split" and c > 1:
        a = g.r.randint(1, c - 1)
        sizes = [c // 2, c // 2] if c % 2 == 0 and g.chance(0.5) else [a, c - a]
        for name, size in zip(g.split(v, g.r.choice([1, -3]) if g.opset >= 11 else 1, sizes), sizes):
            g.value(name, size, h, w)
    elif kind == "slice" and c > 1:
        a = g.r.randint(0, c - 1)
        b = g.r.randint(a + 1, c)
        end = 2**63 - 1 if b == c and g.chance(0.5) else b
        g.value(g.slice(v, 1, a - c if a and g.chance(0.3) else a, end), b - a, h, w)
    elif kind == "shuffle":
        groups = [n for n in range(2, c) if c % n == 0]
        if groups:
            n = g.r.choice(groups)
            if g.chance(0.6):
                shape, order = [1, n, c // n, h, w], [0, 2, 1, 3, 4]
            else:
                shape, order = [n, c // n, h * w], [1, 0, 2]
            y = g.listed("Reshape", v, 5, "shape", shape)
            y = g.node("Transpose", [y], perm=order)
            if g.chance(0.2):
                half = c // n
                picked = g.r.randint(0, half - 1)
                at = order.index(2 if len(order) == 5 else 1)
                y = g.node("Gather", [y, g.tensor(np.int64(picked))], axis=at)
                g.value(g.listed("Reshape", y, 5, "shape", [1, n, h, w]), n, h, w)
            else:
                g.value(g.listed("Reshape", y, 5, "shape", g.r.choice([[1, c, h, w], [-1, c, h, w]])), c, h, w)
    elif kind == "gather":
        places = g.r.sample(range(c), g.r.randint(1, min(c, 6)))
        g.value(g.node("Gather", [v, g.ints(*places)], axis=1), len(places), h, w)
    elif kind == "flip" and g.opset >= 10 and c <= 8:
        y = g.node("Slice", [v, g.ints(-1), g.ints(-(2**31)), g.ints(1), g.ints(-1)])
        g.value(y, c, h, w)
    elif kind == "last":
        y = g.node("Transpose", [v], perm=[0, 2, 3, 1])
        if g.chance(0.5):
            y = g.node(g.r.choice(["Mul", "Add"]), [y, g.noise(c)])
        if g.chance(0.5):
            co = g.r.randint(1, 24)
            y, c = g.node("MatMul", [y, g.noise(c, co, scale=c**-0.5)]), co
            y = g.node("Add", [y, g.noise(co)]) if g.chance(0.5) else y
        if g.chance(0.3):
            y = g.node("Relu", [y])
        g.value(g.node("Transpose", [y], perm=[0, 3, 1, 2]), c, h, w)
    elif kind == "through":
        y = g.node(*g.r.choice([("Identity", [v]), ("Dropout", [v])]))
        g.value(y, c, h, w)


def softmax(g, v, c, h, w):
    # Of one pixel, it might end the network, where it is left to the head.
    if g.opset >= 13 and h * w > 1:
        g.value(g.node("Softmax", [v], axis=1), c, h, w)


STEPS = [convolution] * 5 + [pool] * 3 + [activation] * 2 + [arithmetic] * 3 + [moved] * 5 + [softmax]


def head(g, v, c, h, w):
    """What classifies, and its output: name, classes, and what is to be done to logits to come to it."""
    r = g.r
    kind = r.choice(["mean", "mean", "max", "flat", "flat"])
    if kind == "flat" and c * h * w > 20000:
        kind = "mean"
    if kind == "flat":
        n = c * h * w
        how = r.choice(["flatten", "reshape", "shape", "last"])
        if how == "flatten":
            y = g.node("Flatten", [v], **({"axis": 1} if g.chance(0.5) else {}))
        elif how == "reshape":
            y = g.listed("Reshape", v, 5, "shape", r.choice([[0, -1], [-1, n], [1, -1]]))
        elif how == "shape":
            batch = g.node("Gather", [g.node("Shape", [v]), g.tensor(np.int64(0))], axis=0)
            batch = g.listed("Unsqueeze", batch, 13, "axes", [0])
            y = g.node("Reshape", [v, g.node("Concat", [batch, g.ints(-1)], axis=0)])
        else:
            y = g.node("Flatten", [g.node("Transpose", [v], perm=[0, 2, 3, 1])])
        extra = g.chance(0.2)
        if extra:
            y = norm(g, y, n) if g.chance(0.5) else g.node("Mul", [y, g.noise(n)])
        if g.chance(0.3) and not extra:
            y = g.node("Relu", [y])
    else:
        n = c
        if kind == "mean":
            forms = [lambda: g.node("GlobalAveragePool", [v]), lambda: g.reduce("ReduceMean", v, [2, 3], True),
                     lambda: g.reduce("ReduceMean", v, r.choice([[2, 3], [-1, -2], [-2, -1]]), False)]
        else:
            forms = [lambda: g.node("GlobalMaxPool", [v]), lambda: g.reduce("ReduceMax", v, [2, 3], True),
                     lambda: g.reduce("ReduceMax", v, [-1, -2], False)]
        form = r.randrange(3)
        y = forms[form]()
        if form < 2:
            y = r.choice([lambda: g.node("Flatten", [y]), lambda: g.squeeze(y, [2, 3]),
                          lambda: g.listed("Reshape", y, 5, "shape", [-1, c])])()
    if g.chance(0.2):
        y = g.node("Dropout", [y])
    classes = n
    if n > 200 or kind == "flat" or g.chance(0.7):
        classes = r.choice([1, 2, 5, 7, 10, 16, 17, 33])
        weight = lambda *shape: g.noise(*shape, scale=n**-0.5)
        if g.chance(0.5):
            across = g.chance(0.5)
            inputs = [y, weight(classes, n) if across else weight(n, classes)]
            inputs += [g.noise(*r.choice([(classes,), (1, classes)]))] if g.opset < 11 or g.chance(0.6) else []
            options = {"transB": 1} if across else {}
            options |= {"alpha": 0.5} if g.chance(0.2) else {}
            options |= {"beta": 2.0} if len(inputs) > 2 and g.chance(0.2) else {}
            y = g.node("Gemm", inputs, **options)
        else:
            y = g.node("MatMul", [y, weight(n, classes)])
            y = g.node("Add", [y, g.noise(classes)]) if g.chance(0.6) else y
    end = r.choice(["", "", "", "", "softmax", "log", "sigmoid"])
    if classes > 1 and end in ("softmax", "log"):
        y = g.node({"softmax": "Softmax", "log": "LogSoftmax"}[end], [y], axis=1)
    elif end == "sigmoid":
        y = g.node("Sigmoid", [y])
    return y, classes, end if classes > 1 and end != "sigmoid" else ""


def generate(seed):
    """A model, the shape of its input with channels first, whether it takes them last, and what makes its output of
    logits: `softmax`, `log` or nothing."""
    g = Graph(seed)
    r = g.r
    c = r.choice([1, 2, 3, 3, 3, 4, 5, 7, 8, 15, 16, 17, 23, 31, 33])
    h, w = (r.choice([1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31]) for _ in range(2))
    last, integers = g.chance(0.2), g.chance(0.05)
    x = "x"
    if integers:
        x = g.node("Cast", [x], to=TensorProto.FLOAT)
    if last:
        if g.chance(0.3):
            x = g.node("Mul", [x, g.noise(c)])
        x = g.node("Transpose", [x], perm=[0, 3, 1, 2])
    if integers:
        x = g.node("Mul", [x, g.tensor(np.float32(1 / 255))])
    g.value(x, c, h, w)
    # Something that tells which axis is that of the channels.
    convolution(g, *g.values[-1])
    for _ in range(r.randint(1, 12)):
        v = g.values[-1] if g.chance(0.7) else r.choice(g.values)
        r.choice(STEPS)(g, *v)
    output, classes, end = head(g, *g.values[-1])
    outputs = [output]
    if g.chance(0.1):
        # Nobody reads it, and this crate has no such operator.
        g.node("Sin", [r.choice(g.values)[0]])
    # Of steps that were given up.
    read = {name for node in g.nodes for name in node.input}
    g.tensors = [tensor for tensor in g.tensors if tensor.name in read]
    if g.chance(0.15):
        g.r.shuffle(g.nodes)
    batch = r.choice(["N", 1])
    free = g.chance(0.3)
    sides = ["H", "W"] if free else [h, w]
    shape = [batch, *sides, c] if last else [batch, c, *sides]
    if free and g.chance(0.2) and not last:
        shape = ["N", "C", "H", "W"]
    kind = TensorProto.UINT8 if integers else TensorProto.FLOAT
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    if g.chance(0.1):
        inputs.append(helper.make_tensor_value_info("unused", TensorProto.FLOAT, [1]))
    if g.chance(0.1):
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in g.tensors]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(g.nodes, "generated", inputs, made, g.tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", g.opset)], ir_version=8 if g.opset < 21 else 10)
    if integers:
        image = g.rs.randint(0, 256, (c, h, w)).astype(np.uint8)
    else:
        image = g.rs.standard_normal((c, h, w)).astype(np.float32)
    return model, image, last, end
