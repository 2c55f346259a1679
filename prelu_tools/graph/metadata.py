"""What an exported model says of its own PReLU layers, where Netron shows it."""

from __future__ import annotations

import onnx

LAYER = "prelu_tools.layer"
PARAMETER = "prelu_tools.parameter"
TOOL = "prelu-tools"


def describe_layer(node: onnx.NodeProto, layer: str, parameter: str) -> None:
    """Write the source's names on a PRelu node; whatever else stood there goes."""
    del node.metadata_props[:]
    node.metadata_props.add(key=LAYER, value=layer)
    node.metadata_props.add(key=PARAMETER, value=parameter)


def properties(node: onnx.NodeProto) -> dict[str, str]:
    """The metadata of a node."""
    return {entry.key: entry.value for entry in node.metadata_props}
