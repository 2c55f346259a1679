"""What a PRelu node says of its layer, and what is read back."""

from __future__ import annotations

import pytest
from graph_text import model

from prelu_tools.graph.io.metadata import AXES, LAYER, PARAMETER, describe_layer, properties
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
