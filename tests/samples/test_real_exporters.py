"""What the frameworks' own exporters write today is recognised, with the true slopes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.spelling import build_object, parse_spelling
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import read_layers

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
NETS = ("PNet", "RNet", "ONet")

Write = Callable[[Any, Path], None]


def _torch(dynamo: bool) -> Write:
    def write(module: Any, path: Path) -> None:
        import torch

        with quiet(show=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inputs = module.eval().example_inputs()
            torch.onnx.export(module, inputs, str(path), dynamo=dynamo, external_data=False)

    return write


def _tf2onnx(model: Any, path: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    with quiet(show=False):
        function = tf.function(lambda x: model(x, training=False), autograph=False)
        spec = tf.TensorSpec(model.inputs[0].shape, tf.float32, name="x")
        proto, _ = tf2onnx.convert.from_function(function, [spec], opset=18)
    path.write_bytes(proto.SerializeToString())


def _slopes(path: Path) -> list[bytes]:
    return [layer.slopes.reshape(-1).tobytes() for layer in read_layers(read_model(path))]


@pytest.mark.torch
@pytest.mark.keras
@pytest.mark.real_models
@pytest.mark.parametrize("net", NETS)
def test_mtcnn_has_the_same_slopes_in_every_spelling(net: str, tmp_path: Path) -> None:
    with quiet(show=False):
        module: Any = build_object(parse_spelling(f"{SAMPLES}/mtcnn_torch.py:{net}"))
        model: Any = build_object(parse_spelling(f"{SAMPLES}/mtcnn_keras.py:{net}"))
    expected = [
        weight.detach().numpy().reshape(-1).tobytes()
        for name, weight in module.named_parameters()
        if name.startswith("prelu")
    ]
    writers = {"dynamo": _torch(True), "legacy": _torch(False)}
    for name, write in writers.items():
        write(module, tmp_path / f"{name}.onnx")
        assert _slopes(tmp_path / f"{name}.onnx") == expected, name
    _tf2onnx(model, tmp_path / "tf2onnx.onnx")
    layers = read_layers(read_model(tmp_path / "tf2onnx.onnx"))
    assert {layer.form for layer in layers} == {"relu_neg"}
    assert _slopes(tmp_path / "tf2onnx.onnx") == expected


_FORMS = """
import torch
from torch import nn

A = [-0.5, 0.25, 1.5]


class Net(nn.Module):
    def __init__(self, form):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(A if form != "max" else [-0.5, 0.25, 1.0]).view(3, 1, 1))
        self.form = form

    def forward(self, x):
        a = self.a
        return {
            "where": lambda: torch.where(x >= 0, x, a * x),
            "where_less": lambda: torch.where(x < 0, a * x, x),
            "clamp": lambda: x.clamp(min=0) + a * x.clamp(max=0),
            "max_min": lambda: torch.maximum(x, torch.zeros_like(x))
            + a * torch.minimum(x, torch.zeros_like(x)),
            "relu_sub": lambda: torch.relu(x) - a * torch.relu(-x),
            "abs": lambda: torch.relu(x) + a * (x - x.abs()) * 0.5,
            "max": lambda: torch.maximum(x, a * x),
            "linear": lambda: (1 - a) * torch.relu(x) + a * x,
            "prelu": lambda: torch.prelu(x, a.view(-1)),
        }[self.form]()

    def example_inputs(self):
        return (torch.randn(2, 3, 4, 4),)
"""


@pytest.mark.torch
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "legacy"])
@pytest.mark.parametrize(
    "form",
    ["where", "where_less", "clamp", "max_min", "relu_sub", "abs", "max", "linear", "prelu"],
)
def test_forms_as_torch_writes_them(form: str, dynamo: bool, tmp_path: Path) -> None:
    source = tmp_path / f"forms_{form}_{dynamo}.py"
    source.write_text(_FORMS)
    module: Any = build_object(parse_spelling(f"{source}:Net({form!r})"))
    path = tmp_path / "net.onnx"
    _torch(dynamo)(module, path)
    layers = read_layers(read_model(path))
    assert len(layers) == 1
    expected = module.a.detach().numpy().reshape(-1)
    assert np.array_equal(layers[0].slopes.reshape(-1), expected)
    assert layers[0].channel_axis == 1


@pytest.mark.keras
def test_the_mask_form_as_tf2onnx_writes_it(tmp_path: Path) -> None:
    with quiet(show=False):
        model: Any = build_object(parse_spelling(f"{SAMPLES}/keras_where.py:sequential_net"))
    _tf2onnx(model, tmp_path / "net.onnx")
    layers = read_layers(read_model(tmp_path / "net.onnx"))
    assert [layer.form for layer in layers] == ["where_mask"] * 3
    values = [float(layer.slopes.reshape(-1)[0]) for layer in layers]
    assert values == [float(np.float32(v)) for v in (-0.31, 0.17, 1.23)]


@pytest.mark.keras
def test_element_wise_slopes_as_tf2onnx_writes_them(tmp_path: Path) -> None:
    with quiet(show=False):
        model: Any = build_object(parse_spelling(f"{SAMPLES}/keras_digits.py:convnet"))
    _tf2onnx(model, tmp_path / "net.onnx")
    layers = read_layers(read_model(tmp_path / "net.onnx"))
    assert [layer.sharing for layer in layers] == ["element-wise", "element-wise", "channel-wise"]
    for layer, name in zip(layers, ("prelu1", "prelu2", "prelu3"), strict=True):
        alpha = np.array(model.get_layer(name).alpha)
        if alpha.ndim == 3:
            alpha = alpha.transpose(2, 0, 1)
        assert np.array_equal(layer.slopes[0], alpha)
