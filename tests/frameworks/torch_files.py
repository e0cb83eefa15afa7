"""Writes tests/data/torch: small files by torch.save that hold more than tensors, or tensors of rare kinds.

    python tests/frameworks/torch_files.py

Needs torch, numpy and safetensors, and omegaconf for one file. Every state dict holds `w`, the numbers from 0 to 5 in two
rows, unless it is about something else.
"""
import argparse
import collections
import datetime
import decimal
import enum
import functools
import logging
import pathlib
import random
import sys
import types
import uuid
from pathlib import Path

import numpy as np
import torch
import torch.nn.utils.prune
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).resolve().parents[1] / "data" / "torch"


class Stage(enum.Enum):
    TRAINING = 1


class Config(dict):
    """What many training programs keep their arguments in."""


def weights():
    return {"w": torch.arange(6.0).view(2, 3)}


def history_buffer():
    """As mmengine's message hub keeps its logs; the module is made up, so that its package need not be there."""
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self):
            self._log_history = np.array([1.0, 2.0])

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging", module.__name__):
        sys.modules[name] = module
    return HistoryBuffer()


def extras():
    """What people keep beside a state dict."""
    model = nn.Linear(2, 2)
    sgd = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    sgd.step()
    yield "array", np.arange(5.0)
    yield "fortran_array", np.asfortranarray(np.ones((2, 3)))
    yield "object_array", np.array([{"a": 1}, None], dtype=object)
    yield "dates_array", np.array(["2026-01-01"], dtype="datetime64[D]")
    yield "float64", np.float64(91.5)
    yield "numpy_text", np.str_("x")
    yield "numpy_dtype", np.dtype("float32")
    yield "numpy_state", np.random.get_state()
    yield "numpy_generator", np.random.default_rng(0)
    yield "python_state", random.getstate()
    yield "torch_state", torch.get_rng_state()
    yield "date", datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    yield "duration", datetime.timedelta(3)
    yield "path", pathlib.PurePosixPath("/a/b")
    yield "unreadable_path", "/a/\udce9/b"
    yield "decimal", decimal.Decimal("1.5")
    yield "uuid", uuid.UUID(int=1)
    yield "namespace", argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("/a"))
    yield "simple_namespace", types.SimpleNamespace(a=1)
    yield "deque", collections.deque([1, 2], maxlen=3)
    yield "default", collections.defaultdict(list, {"a": [1]})
    yield "counter", collections.Counter("aab")
    yield "config", Config(a=1, b=Config(c=2))
    yield "enum", Stage.TRAINING
    yield "class", nn.Linear
    yield "function", torch.nn.functional.relu
    yield "method", "abc".upper
    yield "partial", functools.partial(int, base=2)
    yield "exception", ValueError("x")
    yield "ellipsis", ...
    yield "slice", slice(1, 2)
    yield "range", range(3)
    yield "complex", 1 + 2j
    yield "large", 2**200
    yield "bytes", b"\xff"
    yield "set", {1, 2}
    yield "size", torch.Size([1, 2])
    yield "device", torch.device("cuda:1")
    yield "dtype", torch.float32
    yield "layout", torch.sparse_coo
    yield "criterion", nn.CrossEntropyLoss()
    yield "optimizer_object", sgd
    yield "scheduler_object", torch.optim.lr_scheduler.StepLR(sgd, 1)
    yield "optimizers", [sgd.state_dict()]
    yield "logger", logging.getLogger("train")
    yield "history", {"loss": history_buffer()}


def rare():
    """A tensor of each kind that is not read, and of some that look so and are."""
    yield "complex", torch.ones(2, dtype=torch.complex64)
    yield "complex_half", torch.ones(2, dtype=torch.complex32)
    yield "float8", torch.ones(2).to(torch.float8_e4m3fn)
    yield "coo", torch.eye(3).to_sparse()
    yield "csr", torch.eye(3).to_sparse_csr()
    yield "quantised", torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    yield "quantised_by_channel", torch.quantize_per_channel(
        torch.ones(3, 2), torch.ones(3) * 0.1, torch.zeros(3, dtype=torch.int64), 0, torch.quint8
    )
    yield "meta", torch.ones(3, device="meta")
    yield "negated", torch._neg_view(torch.ones(3))
    yield "conjugated", torch.ones(3, dtype=torch.complex64).conj()
    yield "nested", torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    yield "lazy", nn.LazyLinear(2).weight
    yield "list", [torch.ones(2)]
    yield "text", "not a tensor"


class OnTpu:
    """Pickles as a tensor of a TPU does."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return torch._utils._rebuild_device_tensor_from_cpu_tensor, (self.tensor, torch.float32, "xla:0", False)


class Named(torch.Tensor):
    """A tensor of a class of one's own."""


def readable():
    """Tensors that take more than a view to make, which are read all the same."""
    tagged = torch.arange(3.0)
    tagged.tag = "x"
    parameter = nn.Parameter(torch.arange(3.0))
    parameter.tag = "x"
    yield "tagged", tagged
    yield "tagged_parameter", parameter
    yield "buffer", nn.Buffer(torch.arange(3.0))
    yield "of_class", torch.arange(3.0).as_subclass(Named)
    yield "u16", torch.arange(3).to(torch.uint16)
    yield "view", torch.arange(9.0)[2:8:2]
    yield "empty", torch.zeros(0, 3)


def with_old_parameters(model):
    """`model` with parameters that pickle as those of PyTorch 0.1 to 0.3 did."""
    reduce = nn.Parameter.__reduce_ex__
    nn.Parameter.__reduce_ex__ = lambda self, _: (
        nn.Parameter, (self.data,), (True, False, collections.OrderedDict())
    )
    try:
        yield model
    finally:
        nn.Parameter.__reduce_ex__ = reduce


def save(name, what, legacy=True, **options):
    torch.save(what, FOLDER / f"{name}.pth", **options)
    if legacy:
        torch.save(what, FOLDER / f"{name}_legacy.pth", _use_new_zipfile_serialization=False, **options)


def main():
    torch.manual_seed(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    # The legacy stream would carry the source text of every class, and its path.
    torch.serialization.get_source_lines_and_file = without_source

    save("extras", {"state_dict": weights(), **dict(extras())})
    save("kinds", {**weights(), **dict(rare())}, legacy=False)
    legacy_kinds = {name: t for name, t in rare() if name not in ("csr", "coo", "nested", "meta")}
    torch.save({**weights(), **legacy_kinds}, FOLDER / "kinds_legacy.pth", _use_new_zipfile_serialization=False)
    save("only_kinds", dict(list(rare())[:8]), legacy=False)
    save("readable", dict(readable()))
    save("on_tpu", {"w": OnTpu(weights()["w"])}, legacy=False)

    save("nested", {"checkpoint": {"model": {"state_dict": weights(), "epoch": 3}, "step": 7}, "seed": 1}, legacy=False)
    save("tuple", (weights(), {"state": {}, "param_groups": []}, 5), legacy=False)
    save("averaged", {"weights": weights(), "ema": {"w": torch.ones(2, 3)}, "rng": {"torch": torch.get_rng_state()}}, legacy=False)
    save("two_models", {"generator": weights(), "discriminator": {"w": torch.ones(2, 3)}, "step": 5}, legacy=False)
    save("two_whole", {"generator": nn.Linear(2, 2), "discriminator": nn.Linear(2, 2)}, legacy=False)
    save("within", {**weights(), "head": {"fc": {"weight": torch.ones(3)}}, "step": 5}, legacy=False)
    save("dict_subclass", {"state_dict": Config(weights())}, legacy=False)
    save("arrays", {name: tensor.numpy() for name, tensor in weights().items()}, legacy=False)

    one, two = torch.ones(2), torch.zeros(2)
    save("keys_number_and_text", {0: one, "0": two}, legacy=False)
    save("keys_of_numbers", {0: one, 1: two}, legacy=False)
    save("keys_of_bytes", {b"a": one, "b": two}, legacy=False)
    save("keys_of_all_kinds", {**weights(), None: one, ("a", 0): one, True: one, 1.5: one}, legacy=False)
    save("keys_of_no_kind", {None: one, ("a", 0): one}, legacy=False)

    loose = nn.Linear(2, 2)
    loose.mean = torch.ones(2)
    save("loose", loose, legacy=False)
    save("quantised_whole", torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear}), legacy=False)
    save("quantised_state", torch.load(FOLDER / "quantised_whole.pth", weights_only=False).state_dict(), legacy=False)
    pruned = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    nn.utils.prune.l1_unstructured(pruned[0], "weight", 0.5)
    nn.utils.weight_norm(pruned[2])
    save("pruned_whole", pruned, legacy=False)

    stack = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    for model in with_old_parameters(stack):
        save("old_whole", model)
        save("old_parameters", {"state_dict": collections.OrderedDict(model.named_parameters())})
    expected = {f"old.{name}": value for name, value in stack.state_dict().items()}

    for name, wrap in {
        "weight_norm": nn.utils.weight_norm,
        "weight_norm_dim1": functools.partial(nn.utils.weight_norm, dim=1),
        "weight_norm_whole_matrix": functools.partial(nn.utils.weight_norm, dim=None),
        "weight_norm_parametrised": nn.utils.parametrizations.weight_norm,
        "pruned": functools.partial(nn.utils.prune.l1_unstructured, name="weight", amount=0.5),
        "spectral_norm": nn.utils.spectral_norm,
        "spectral_norm_parametrised": nn.utils.parametrizations.spectral_norm,
    }.items():
        layer = wrap(nn.Conv2d(3, 4, 3))
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.mul_(1.5)
        layer.eval()(torch.ones(1, 3, 3, 3))
        save(name, {f"conv.{k}": v for k, v in layer.state_dict().items()}, legacy=False)
        expected[f"{name}.conv.weight"] = layer.weight.detach().clone()
    save_file({name: value.contiguous() for name, value in expected.items()}, FOLDER / "expected.safetensors")

    try:
        from omegaconf import OmegaConf
    except ImportError:
        return
    save("omegaconf", {"state_dict": weights(), "hyper_parameters": {"cfg": OmegaConf.create({"a": 1, "b": [1, 2]})}}, legacy=False)


def without_source(_):
    raise OSError("no source")


if __name__ == "__main__":
    main()
