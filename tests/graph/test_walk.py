"""What nodes read, and what the bodies in them hide."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import parser

from prelu_tools import inspect
from prelu_tools.graph.walk import inner_names, reads

_BODY = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N,4] x, bool c) => (float[N,4] y)
<float[4] s = {0.25, 0.5, 0.75, 1.0}>
{
    y = If(c) <
        then_branch = one () => (float[N,4] t) <float[4] s = {1, 2, 3, 4}> { t = PRelu(x, s) },
        else_branch = two () => (float[N,4] e) { y = PRelu(x, s) e = Identity(y) }
    >
}
"""


def _net() -> onnx.ModelProto:
    return parser.parse_model(_BODY)


def test_a_body_reads_what_it_does_not_have_itself() -> None:
    (node,) = _net().graph.node
    assert sorted(reads(node)) == ["c", "s", "x", "x"]
    assert inner_names(_net().graph) == {"s", "t", "y", "e"}


def test_a_sparse_tensor_of_a_body_hides_the_one_outside(tmp_path: Path) -> None:
    """Its slopes were shown as those outside."""
    net = _net()
    branch = next(a.g for a in net.graph.node[0].attribute if a.name == "else_branch")
    values = onnx.helper.make_tensor("s", onnx.TensorProto.FLOAT, [4], [5, 6, 7, 8])
    indices = onnx.helper.make_tensor("", onnx.TensorProto.INT64, [4], [0, 1, 2, 3])
    branch.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, indices, [4]))
    assert sorted(reads(net.graph.node[0])) == ["c", "x", "x"]
    onnx.save(net, tmp_path / "net.onnx")
    shown = inspect(tmp_path / "net.onnx").layers
    assert 1.0 not in [layer.layer.slopes.max() for layer in shown]


def test_a_body_that_has_the_name_of_its_node_s_output_is_no_circle(tmp_path: Path) -> None:
    """Read as one it never ended, and took all memory."""
    path = tmp_path / "net.onnx"
    onnx.save(_net(), path)
    found = inspect(path)
    assert sorted(layer.layer.slopes.max() for layer in found.layers) == [1.0, 4.0]
