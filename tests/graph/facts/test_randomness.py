"""Random nodes, and nodes in training mode, are read off the graph, wherever they are in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from graph_text import parsed, whole

from prelu_tools.graph.facts.randomness import batch_nodes, random_nodes
from prelu_tools.graph.io.model import OnnxModel

CONSTANTS = {
    "half": np.float32(0.5),
    "none": np.float32(0.0),
    "on": np.array(True),
    "off": np.array(False),
    "ones": np.ones(3, np.float32),
    "two": np.int64(2),
    "three": np.int64(3),
}


def _model(body: str, opset: int = 18, inputs: str = "float[b,3] x", more: str = "") -> OnnxModel:
    text = f"""<ir_version: 8, opset_import: ["": {opset}, "own": 1]>
        main ({inputs}) => (float[b,3] y) {{ {body} }} {more}"""
    return whole(parsed(text, CONSTANTS))


def _found(body: str, **other: Any) -> list[tuple[str, str, bool]]:
    return [tuple(node) for node in random_nodes(_model(body, **other))]  # type: ignore[misc]


@pytest.mark.parametrize(
    "body",
    [
        "[n] y = RandomNormalLike(x)",
        "[n] y = RandomUniformLike(x)",
        "[n] y = Bernoulli(x)",
        "[n] r = RandomNormal <shape=[3]>() y = Add(x, r)",
        "[n] r = RandomUniform <shape=[3]>() y = Add(x, r)",
        "[n] i = Multinomial <sample_size=3>(x) y = Cast <to=1>(i)",
        "[n] y = Dropout(x, half, on)",
        "[n] y = Dropout(x, , on)",
        "m = Not(off) [n] y = Dropout(x, half, m)",
        "m = Less(two, three) [n] y = Dropout(x, half, m)",
        "m = Constant <value_int=1>() k = Cast <to=9>(m) [n] y = Dropout(x, half, k)",
    ],
)
def test_what_is_random(body: str) -> None:
    ((name, _, is_certain),) = _found(body)
    assert (name, is_certain) == ("n", True)


@pytest.mark.parametrize(
    "body",
    [
        "y = Relu(x)",
        "y = Dropout(x)",
        "y = Dropout(x, half)",
        "y = Dropout(x, half, off)",
        "m = Not(on) y = Dropout(x, half, m)",
        "y = Dropout(x, none, on)",
        "n = RandomNormalLike <scale=0.0>(x) y = Add(x, n)",
        "n = RandomNormalLike(x) y = Relu(x)",
    ],
)
def test_what_is_not_random(body: str) -> None:
    assert _found(body) == []


def test_a_mode_that_an_input_sets_is_not_certain() -> None:
    found = _found("[n] y = Dropout(x, half, mode)", inputs="float[b,3] x, bool mode")
    assert found == [("n", "Dropout", False)]


def test_a_node_without_a_name_is_called_after_its_output() -> None:
    assert _found("y = RandomNormalLike(x)") == [("y", "RandomNormalLike", True)]


BRANCHES = """y = If ({condition}) <
    then_branch = t () => (float[b,3] ty) {{ [n] r = RandomNormalLike(x) ty = Add(x, r) }},
    else_branch = e () => (float[b,3] ey) {{ ey = Identity(x) }}>"""


def test_a_branch_is_looked_into_unless_it_never_runs() -> None:
    asked = "m = ReduceMax <keepdims=0>(x) c = Greater(m, half) "
    assert _found(asked + BRANCHES.format(condition="c")) == [("n", "RandomNormalLike", True)]
    assert _found(BRANCHES.format(condition="on")) == [("n", "RandomNormalLike", True)]
    assert _found(BRANCHES.format(condition="off")) == []


def test_a_loop_is_looked_into() -> None:
    body = """c = Identity(on) y = Loop (two, c, x) <
        body = b (int64 i, bool k, float[b,3] v) => (bool k2, float[b,3] w) {
            k2 = Identity(k) [n] w = Dropout(v, half, on) }>"""
    assert _found(body) == [("n", "Dropout", True)]


def test_functions_are_looked_into() -> None:
    more = """<domain: "own", opset_import: ["": 18]>
        noisy (v) => (w) { r = RandomNormalLike(v) w = Add(v, r) }"""
    ((_, op, _),) = _found("y = own.noisy(x)", more=more)
    assert op == "RandomNormalLike"
    assert _found("z = own.noisy(x) y = Relu(x)", more=more) == []


@pytest.mark.parametrize(
    ("opset", "body", "random"),
    [
        (6, "y = Dropout(x)", True),
        (6, "y = Dropout <is_test=1>(x)", False),
        (7, "y = Dropout(x)", False),
        (11, "y = Dropout <ratio=0.5>(x)", False),
    ],
)
def test_dropout_of_older_opsets(opset: int, body: str, random: bool) -> None:
    assert bool(_found(body, opset=opset)) is random


def test_operators_of_other_domains_are_not_onnx_s() -> None:
    assert _found("y = own.Bernoulli(x)") == []


@pytest.mark.parametrize(
    ("opset", "body", "trains"),
    [
        (18, "y = BatchNormalization(x, ones, ones, ones, ones)", False),
        (18, "y = BatchNormalization <training_mode=0>(x, ones, ones, ones, ones)", False),
        (18, "y, m, v = BatchNormalization <training_mode=1>(x, ones, ones, ones, ones)", True),
        (9, "y = BatchNormalization(x, ones, ones, ones, ones)", False),
        (9, "y, m, v, p, q = BatchNormalization(x, ones, ones, ones, ones)", True),
        (6, "y = BatchNormalization(x, ones, ones, ones, ones)", True),
        (6, "y = BatchNormalization <is_test=1>(x, ones, ones, ones, ones)", False),
    ],
)
def test_batch_normalization_in_training_mode(opset: int, body: str, trains: bool) -> None:
    model = _model(body, opset=opset)
    assert bool(batch_nodes(model)) is trains
    assert random_nodes(model) == ()


def test_nothing_is_changed() -> None:
    model = _model("m = Not(off) y = Dropout(x, half, m)")
    before = onnx.ModelProto.FromString(model.proto.SerializeToString())
    random_nodes(model)
    assert model.proto == before
