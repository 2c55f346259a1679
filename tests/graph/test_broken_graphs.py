"""Graphs that no runtime would load are read as far as they go, or refused in a sentence."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import onnx
import pytest
from graph_text import SLOPES, layers, model
from onnx import helper

from prelu_tools.core.errors import PReLUToolsError

FORM = "r = Relu(x) {} y = Add(r, s)"
CHAIN = 1500


def _read(proto: onnx.ModelProto) -> None:
    with contextlib.suppress(PReLUToolsError):
        layers(proto)


def _chain(first: str, link: str) -> str:
    """`first` makes t0, and every link makes t{next} of t{last}."""
    links = (link.format(last=i, next=i + 1) for i in range(CHAIN))
    return f"{first} {' '.join(links)}"


OPERATORS = (
    "Identity", "Neg", "Mul", "Div", "Clip", "Conv", "Transpose", "Relu", "Min", "Reshape"
)  # fmt: skip
TRACEBACKS = {("Identity", 0), ("Neg", 0), ("Mul", 0), ("Mul", 1), ("Div", 0), ("Div", 1)}
WITHOUT = [
    pytest.param(
        *case,
        marks=[pytest.mark.xfail(strict=True, reason="traceback")] if case in TRACEBACKS else [],
    )
    for case in itertools.product(OPERATORS, (0, 1))
]


@pytest.mark.parametrize(("operator", "left"), WITHOUT)
def test_a_node_without_its_inputs(operator: str, left: int) -> None:
    proto = model(FORM.format("s = Mul(x, a)"))
    proto.graph.node[1].op_type = operator
    del proto.graph.node[1].input[left:]
    _read(proto)


@pytest.mark.parametrize("left", [0, 1])
def test_a_prelu_without_its_inputs(left: int) -> None:
    proto = model("y = PRelu(x, a)")
    del proto.graph.node[0].input[left:]
    _read(proto)


@pytest.mark.parametrize(
    "outputs",
    [
        pytest.param(
            [], marks=pytest.mark.xfail(strict=True, raises=IndexError, reason="traceback")
        ),
        [""],
        ["x"],
        ["y", "y"],
    ],
)
def test_a_prelu_with_other_outputs(outputs: list[str]) -> None:
    proto = model("r = Relu(x) y = PRelu(r, a)")
    del proto.graph.node[1].output[:]
    proto.graph.node[1].output.extend(outputs)
    _read(proto)


@pytest.mark.parametrize(
    "values",
    [np.zeros(0, np.float32), np.array([1, 2, 3]), np.array(["a"], object), np.ones((1,) * 9)],
    ids=["empty", "integers", "text", "nine axes"],
)
def test_a_slope_of_an_odd_kind(values: np.ndarray) -> None:
    _read(model("y = PRelu(x, b)", constants={"b": values}))


@pytest.mark.xfail(strict=True, raises=ValueError, reason="traceback")
def test_a_slope_of_more_axes_than_the_transpose_around_it() -> None:
    body = (
        "q = Min(x, zero) t = Transpose<perm = [0, 3, 1, 2]>(q) m = Mul(t, b) "
        "s = Transpose<perm = [0, 2, 3, 1]>(m)"
    )
    _read(model(FORM.format(body), constants={"b": SLOPES.reshape(1, 1, 1, 1, 3)}))


@pytest.mark.parametrize(
    ("body", "tensor"),
    [
        ("y = PRelu(x, a)", "a"),
        ("r = Relu(x) s = Mul(x, a) y = Add(r, s)", "s"),
    ],
)
@pytest.mark.xfail(strict=True, raises=RecursionError, reason="traceback")
def test_a_tensor_that_is_made_of_itself(body: str, tensor: str) -> None:
    proto = model(body)
    loop = proto.graph.node[-2] if tensor == "s" else None
    if loop is not None:
        loop.input[0] = tensor
    else:
        del proto.graph.initializer[:]
        for source, target in (("b", "a"), ("a", "b")):
            proto.graph.node.append(helper.make_node("Identity", [source], [target]))
    _read(proto)


@pytest.mark.xfail(run=False, reason="walks around the circle without end")
def test_an_input_that_is_made_of_itself() -> None:
    proto = model("y = PRelu(x, a)")
    proto.graph.node[0].input[0] = "p"
    for source, target in (("q", "p"), ("p", "q")):
        proto.graph.node.append(helper.make_node("Identity", [source], [target]))
    _read(proto)


@pytest.mark.parametrize(
    "body",
    [
        _chain("t0 = Identity(a)", "t{next} = Identity(t{last})") + f" y = PRelu(x, t{CHAIN})",
        _chain("t0 = Identity(x)", "t{next} = Identity(t{last})") + f" y = PRelu(t{CHAIN}, a)",
        _chain("r = Relu(x) t0 = Mul(x, half)", "t{next} = Mul(t{last}, half)")
        + f" y = Add(r, t{CHAIN})",
    ],
    ids=["of constants", "of identities", "of factors"],
)
@pytest.mark.xfail(strict=True, raises=RecursionError, reason="traceback")
def test_a_long_chain(body: str) -> None:
    _read(model(body))
