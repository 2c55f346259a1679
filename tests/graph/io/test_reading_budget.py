"""Small files that would fill the memory or never end are refused, in a sentence and soon."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_text import model, whole
from onnx import helper, numpy_helper

from prelu_tools.core.files.budget import BudgetError
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import read_layers

CASTS = " ".join(f"c{i + 1} = Cast<to = {11 if i % 2 else 1}>(c{i})" for i in range(30))
NEGATIONS = " ".join(f"c{i + 1} = Neg(c{i})" for i in range(30))
MILLIONS = np.array([1 << 22])


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """A gigabyte more than what is held: what fills the memory fails here."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _stated(shape: str, kind: str = "Relu") -> onnx.ModelProto:
    proto = model(f"y = {kind}(x)")
    node = proto.graph.node[0]
    node.metadata_props.add(key="prelu_tools.slope_name", value="s")
    node.metadata_props.add(key="prelu_tools.slope_shape", value=shape)
    return proto


BOMBS = {
    "casts": lambda: model(
        f"c0 = Expand(one, wide) {CASTS} y = PRelu(x, c30)",
        constants={"one": np.float32([0.5]), "wide": MILLIONS},
    ),
    "negations": lambda: model(
        f"c0 = Expand(one, wide) {NEGATIONS} y = PRelu(x, c30)",
        constants={"one": np.float32([0.5]), "wide": MILLIONS},
    ),
    "a widened slope": lambda: model(
        "c = Expand(one, wide) y = PRelu(x, c)",
        constants={"one": np.float32([0.5]), "wide": np.array([1 << 40])},
    ),
    "many shapes": lambda: model(
        "r = Relu(x) n = Neg(x) m = Relu(n) e = Mul(m, left) b = Mul(e, top) y = Sub(r, b)",
        constants={"left": np.zeros((8000, 1), "f"), "top": np.zeros((1, 8000), "f")},
    ),
    "stated": lambda: _stated("1500000000"),
    "stated by several": lambda: _stated("70000,70000", "LeakyRelu"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_fill_the_memory_is_refused(name: str) -> None:
    with pytest.raises(BudgetError, match="would need too much memory"):
        read_layers(whole(BOMBS[name]()))


def test_one_slope_of_many_layers_is_not_copied_without_end() -> None:
    slopes = numpy_helper.from_array(np.zeros((1 << 20,), np.float32), "a")
    nodes = []
    for number in range(60):
        node = helper.make_node("PRelu", [f"x{number}", "a"], [f"x{number + 1}"])
        node.metadata_props.add(key="prelu_tools.layer", value=f"l{number}")
        nodes.append(node)
    values = [helper.make_tensor_value_info(name, 1, [1, 1 << 20]) for name in ("x0", "x60")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [slopes])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    with pytest.raises(BudgetError, match="would need too much memory"):
        read_layers(OnnxModel(proto, None))


def test_a_tree_that_many_nodes_share_is_walked_once() -> None:
    nodes = [helper.make_node("Identity", ["a"], ["t0"])]
    nodes += [
        helper.make_node("DequantizeLinear", [f"t{i}", f"t{i}"], [f"t{i + 1}"]) for i in range(40)
    ]
    nodes += [helper.make_node("PRelu", [f"x{i}", "t40"], [f"x{i + 1}"]) for i in range(500)]
    values = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("x0", "x500")]
    slope = numpy_helper.from_array(np.zeros(4, np.int32), "a")
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [slope])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    assert len(read_layers(OnnxModel(proto, None))) <= 1
