"""Forms: the names of the ways to write PReLU.

Recognition needs none of these: it goes by what a region computes (`graph/match/recognise.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prelu_tools.graph.match.arithmetic import COMPARISONS

if TYPE_CHECKING:
    from prelu_tools.graph.match.running import Running

FORMS: Mapping[str, str] = {
    "prelu": "the operator PRelu",
    "relu": "Relu: every slope is 0, and the node says that it is a PReLU",
    "identity": "Identity: every slope is 1, and the node says so",
    "leaky_relu": "LeakyRelu: every slope is the same, and the node says so",
    "depthwise": "relu(x) + conv(-a, relu(conv(-1, x))), in onnxruntime's layout NCHWc",
    "relu_mul": "relu(x) + (-a) * relu(-1 * x), a -1 for each slope",
    "relu_neg": "relu(x) + (-a) * relu(-x): what Keras writes",
    "relu_sub": "relu(x) - a * relu(-x)",
    "where": "where(x > 0, x, a * x)",
    "where_mask": "both branches, each times its mask: what tf2onnx makes of tf.where",
    "max_min": "max(x, 0) + a * min(x, 0)",
    "clip": "the same with Clip",
    "abs": "relu(x) + a * (x - |x|): x - |x| is twice the negative part",
    "max": "max(x, a * x), where no slope is above 1",
    "max_neg": "max(x, a * min(x, 0)), where no slope is above 1",
    "linear": "(1 - a) * relu(x) + a * x",
    "expression": "any other that computes it",
}
"""Their names in the JSON contract."""
_CUTS: Mapping[str, str] = {"Min": "max_min", "Max": "max_min", "Clip": "clip", "Sub": "abs"}
_NEGATIONS: Mapping[str, str] = {"Neg": "relu_neg", "Mul": "relu_mul", "Conv": "depthwise"}


def name_of(probe: Running) -> str:
    """The form of a region, by its last operator and by the one that cuts off positive values."""
    makers = {name: node for node in probe.nodes for name in node.output}
    root, kinds = probe.nodes[0].op_type, {node.op_type for node in probe.nodes}
    sides = [(node, probe.sides(node.output[0])) for node in reversed(probe.nodes)]
    cut = next((node for node, side in sides if side == (False, True)), None)
    if root == "Where":
        return "where"
    if root == "Max":
        return "max" if cut is None else "max_neg"
    if root == "Sub" and cut is not None and cut.op_type == "Relu":
        return "relu_sub"
    if root != "Add":
        return "expression"
    if "Cast" in kinds and kinds & set(COMPARISONS):
        return "where_mask"
    if all(side != (True, False) for _, side in sides):
        return "expression"
    if cut is None:
        return "linear"
    if cut.op_type != "Relu":
        return _CUTS.get(cut.op_type, "expression")
    source = makers.get(cut.input[0])
    while source is not None and source.op_type in ("Identity", "Transpose", "Cast"):
        source = makers.get(source.input[0])
    return "expression" if source is None else _NEGATIONS.get(source.op_type, "expression")
