"""Attributes of convolutions that tf2onnx omits, or gives values that ONNX does not define."""

from __future__ import annotations

from onnx import helper

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.view import GraphView


def state_groups(model: OnnxModel) -> None:
    """Say how many groups a convolution has: of Conv3D tf2onnx does not, in place."""
    view = GraphView(model)
    for node in model.proto.graph.node:
        inputs, kernel = (
            (view.shape(node.input[0]), view.shape(node.input[1]))
            if node.op_type == "Conv"
            else (None, None)
        )
        if not inputs or not kernel or not inputs[1] or not kernel[1]:
            continue
        for attribute in node.attribute:
            if attribute.name == "group":
                attribute.i = inputs[1] // kernel[1]


def state_output_padding(model: OnnxModel) -> None:
    """State the padding at the end of a transposed convolution, in place; tf2onnx's is negative.

    Where the stride is larger than the kernel, the output ends with places that no input reaches.
    """
    for node in model.proto.graph.node:
        pads = next((a for a in node.attribute if a.name == "pads"), None)
        if node.op_type != "ConvTranspose" or pads is None or min(pads.ints) >= 0:
            continue
        rank = len(pads.ints) // 2
        sums = [pads.ints[axis] + pads.ints[axis + rank] for axis in range(rank)]
        added = next((a for a in node.attribute if a.name == "output_padding"), None)
        more = [max(0, -total) for total in sums]
        if added is not None:
            more = [a + b for a, b in zip(added.ints, more, strict=True)]
            node.attribute.remove(added)
        node.attribute.append(helper.make_attribute("output_padding", more))
        for axis, total in enumerate(sums):
            if total <= 0:
                pads.ints[axis] = pads.ints[axis + rank] = 0
