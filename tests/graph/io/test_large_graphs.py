"""Recognition in a large graph: everything is found, and the work grows as the graph does."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.facts.survey import survey
from prelu_tools.graph.io import reader
from prelu_tools.graph.io.reader import OnnxModel


def _chain(n_layers: int) -> onnx.ModelProto:
    nodes, tensors, last = [], [], "x"
    for i in range(n_layers):
        tensors.append(
            numpy_helper.from_array(np.full((4, 1, 1), -0.1 * i - 0.01, np.float32), f"a{i}")
        )
        nodes += [
            helper.make_node("Relu", [last], [f"r{i}"]),
            helper.make_node("Neg", [last], [f"n{i}"]),
            helper.make_node("Relu", [f"n{i}"], [f"m{i}"]),
            helper.make_node("Mul", [f"m{i}", f"a{i}"], [f"q{i}"]),
            helper.make_node("Add", [f"r{i}", f"q{i}"], [f"x{i}"]),
        ]
        last = f"x{i}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4, 8, 8])
        for name in ("x", last)
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_every_layer_of_ten_thousand_nodes_is_found() -> None:
    found = survey(OnnxModel(_chain(2000), None), explain=True, target=None)
    assert [layer.layer.form for layer in found.layers] == ["relu_neg"] * 2000
    slopes = [float(layer.layer.slopes.reshape(-1)[0]) for layer in found.layers]
    assert slopes == [float(np.float32(0.1 * i + 0.01)) for i in range(2000)]
    assert found.refused == ()


def test_ten_times_the_nodes_are_ten_times_the_work() -> None:
    small, large = (_calls(_chain(n_layers)) for n_layers in (200, 2000))
    assert large < 10.5 * small


def _calls(model: onnx.ModelProto) -> int:
    """How many Python functions recognition calls."""
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        survey(OnnxModel(model, None), explain=True, target=None)
    finally:
        sys.setprofile(None)
    return count


def test_a_file_of_too_many_nodes_is_refused_before_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MOST", 99)
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(100)]
    values = [helper.make_tensor_value_info(name, 1, [1]) for name in ("t0", "t100")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    path = tmp_path / "net.onnx"
    opsets = [helper.make_opsetid("", 18)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    with pytest.raises(PReLUToolsError, match="more than 99 nodes and tensors"):
        reader.read_model(path)
    monkeypatch.setattr(reader, "_MOST", 100)
    assert len(reader.read_model(path).proto.graph.node) == 100
