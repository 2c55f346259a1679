"""Small graphs written as text, with the constants that the tests of this folder share."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.match.recognise import Match, find_prelus
from prelu_tools.graph.passes.canonical import fuse_prelus
from prelu_tools.graph.view import GraphView

Array = NDArray[np.generic]

SLOPES = np.array([0.25, -0.5, 0.125], np.float32)  # powers of two: products of these are exact
IMAGE = "float[N,3,4,5]"
COLUMN = SLOPES.reshape(3, 1, 1)
CONSTANTS: Mapping[str, Array] = {
    "a": COLUMN,
    "a_half": COLUMN / 2,
    "a_inverse": 1 / COLUMN,
    "a_negated": -COLUMN,
    "a_rest": 1 - COLUMN,
    "w_negated": -SLOPES.reshape(3, 1, 1, 1),
    "w_minus_one": np.full((3, 1, 1, 1), -1, np.float32),
    "zero": np.float32(0),
    "zeros": np.zeros((1, 3, 1, 1), np.float32),
    "tiny": np.float32(1e-3),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "two": np.float32(2),
    "six": np.float32(6),
    "minus_one": np.float32(-1),
    "minus_ones": np.full((3, 1, 1), -1, np.float32),
    "infinity": np.float32(np.inf),
    "minus_infinity": np.float32(-np.inf),
}  # fmt: skip
FORMS = {
    "prelu": "y = PRelu(x, a)",
    "relu_neg": "p = Relu(x) n = Neg(x) q = Relu(n) s = Mul(q, a_negated) y = Add(p, s)",
    "relu_sub": "p = Relu(x) n = Neg(x) q = Relu(n) s = Mul(q, a) y = Sub(p, s)",
    "where": "c = Greater(x, zero) s = Mul(x, a) y = Where(c, x, s)",
    "where_mask": "c = GreaterOrEqual(x, zero) d = Not(c) m = Cast<to = 1>(c) k = Cast<to = 1>(d) "
    "s = Mul(x, a) u = Mul(m, x) v = Mul(k, s) y = Add(u, v)",
    "max_min": "p = Relu(x) q = Min(x, zero) s = Mul(q, a) y = Add(p, s)",
    "clip": "p = Relu(x) q = Clip(x, , zero) s = Mul(q, a) y = Add(p, s)",
    "abs": "p = Relu(x) b = Abs(x) q = Sub(x, b) s = Mul(q, a_half) y = Add(p, s)",
    "max": "s = Mul(x, a) y = Max(x, s)",
    "linear": "p = Relu(x) r = Mul(p, a_rest) s = Mul(a, x) y = Add(r, s)",
    "depthwise": "p = Relu(x) n = Conv<group = 3>(x, w_minus_one) q = Relu(n) "
    "s = Mul(q, a_negated) y = Add(p, s)",
}
"""Every form, of an image x."""


def model(
    body: str,
    inputs: str = f"{IMAGE} x",
    outputs: str = f"{IMAGE} y",
    constants: Mapping[str, Array | float] | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """A model from the text of its nodes; constants that the text names become initializers.

    The domain `custom` may be used as well. Nodes have no names unless the text gives them some.
    """
    text = f"""<ir_version: 8, opset_import: ["": {opset}, "custom": 1]>
        graph ({inputs}) => ({outputs}) {{ {body} }}"""
    return parsed(text, {**CONSTANTS, **(constants or {})})


def parsed(text: str, constants: Mapping[str, Array | float]) -> onnx.ModelProto:
    """A model from its text; constants that this names become initializers."""
    proto = parser.parse_model(text)
    for name, values in constants.items():
        if re.search(rf"\b{re.escape(name)}\b", text):
            proto.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return proto


def whole(proto: onnx.ModelProto) -> OnnxModel:
    """A model that was never a file."""
    return OnnxModel(proto, None)


def view(proto: onnx.ModelProto) -> GraphView:
    """The main graph of a model."""
    return GraphView(OnnxModel(proto, None))


def matches(proto: onnx.ModelProto) -> list[Match]:
    """The PReLUs of the main graph."""
    return list(find_prelus(view(proto)))


def match_one(proto: onnx.ModelProto) -> Match:
    """The only PReLU of the main graph."""
    (found,) = matches(proto)
    return found


def fused_one(proto: onnx.ModelProto) -> Match:
    """The only PReLU of a model of images: fused, it is one node that computes what was there."""
    found, x = match_one(proto), numbers(2, 3, 4, 5)
    before = run(proto, x=x)[0]
    fuse_prelus(whole(proto), lambda match: match.form == found.form)
    assert operators(proto) == ["PRelu"]
    assert np.array_equal(run(proto, x=x)[0], before)
    return found


def layers(proto: onnx.ModelProto) -> tuple[PReLULayer, ...]:
    """The layers of a model."""
    return read_layers(OnnxModel(proto, None))


def run(proto: onnx.ModelProto, **feeds: Array) -> list[Array]:
    """The outputs that onnxruntime computes on the CPU."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results: list[Array] = session.run(None, feeds)
    return results


def numbers(*shape: int, seed: int = 0) -> Array:
    """Multiples of 1/8 of both signs, zero among them: products with `SLOPES` are exact."""
    drawn = np.random.default_rng(seed).integers(-32, 33, shape)
    return (drawn / 8).astype(np.float32)


def operators(proto: onnx.ModelProto) -> list[str]:
    """The operators of the main graph in order."""
    return [node.op_type for node in proto.graph.node]


def initializers(proto: onnx.ModelProto) -> dict[str, Array]:
    """The initializers of the main graph."""
    return {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
