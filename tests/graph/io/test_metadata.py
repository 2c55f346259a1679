"""What a PRelu node says of its layer, and what is read back."""

from __future__ import annotations

import pytest
from graph_text import model

from prelu_tools.core.prelu.layout import BoundaryAxes
from prelu_tools.graph.io.metadata import (
    AXES,
    LAYER,
    OUTPUT_AXES,
    PARAMETER,
    describe_layer,
    properties,
    state_boundary,
    stated_boundary,
)
from prelu_tools.graph.io.metadata import stated_axes as read_axes


def test_a_description_takes_the_place_of_other_notes() -> None:
    node = model("y = PRelu(x, a)").graph.node[0]
    node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/someone/net.py")
    describe_layer(node, "block.act", "block.act.weight", (0, 2, 1))
    assert properties(node) == {LAYER: "block.act", PARAMETER: "block.act.weight", AXES: "0,2,1"}
    assert read_axes(node) == (0, 2, 1)


def test_unknown_axes_are_not_written() -> None:
    node = model("y = PRelu(x, a)").graph.node[0]
    describe_layer(node, "act", "act.weight", None)
    assert AXES not in properties(node)
    assert read_axes(node) is None


@pytest.mark.parametrize("text", ["", "a,b", "1,2", "0,0", "0;1", "-1,0", ","])
def test_what_is_no_permutation_is_not_believed(text: str) -> None:
    node = model("y = PRelu(x, a)").graph.node[0]
    node.metadata_props.add(key=AXES, value=text)
    assert read_axes(node) is None


def test_moved_inputs_and_outputs_are_read_back() -> None:
    axes = BoundaryAxes({"x": (0, 3, 1, 2)}, {"y": (0, 2, 1)})
    net = model("y = PRelu(x, a)")
    for key, value in state_boundary(axes).items():
        net.metadata_props.add(key=key, value=value)
    assert stated_boundary(net) == axes
    assert state_boundary(BoundaryAxes()) == {}


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", '{"y": 3}', '{"y": [0, 0]}', '{"y": [0, "1"]}', '{"y": [0.0, 1]}',
     '{"y": [true, 0]}', '{"y": [1, 2]}', '{"y": ' + str([*range(65)]) + "}"],
)  # fmt: skip
def test_what_is_no_order_of_axes_is_not_believed(text: str) -> None:
    net = model("y = PRelu(x, a)")
    net.metadata_props.add(key=OUTPUT_AXES, value=text)
    assert stated_boundary(net) == BoundaryAxes()
