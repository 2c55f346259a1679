"""Check that a model's opset defines each of its operators."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import defs

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.walk import OWN, all_nodes


def check_operators(proto: onnx.ModelProto) -> None:
    """Look up every node, those of bodies and functions included.

    Raises:
        PReLUToolsError: an operator is not defined by the version of its domain that the model
            imports; with the layer of the source that it comes from.
    """
    functions = {(function.domain, function.name) for function in proto.functions}
    parts: list[onnx.GraphProto | onnx.FunctionProto] = [proto.graph, *proto.functions]
    for part in parts:
        stated = part.opset_import if isinstance(part, onnx.FunctionProto) else proto.opset_import
        imports = {"" if e.domain in OWN else e.domain: e.version for e in stated}
        for node in all_nodes(part.node):
            if (node.domain, node.op_type) not in functions:
                _check(node, imports)


def _check(node: onnx.NodeProto, imports: Mapping[str, int]) -> None:
    domain = "" if node.domain in OWN else node.domain
    version = imports.get(domain)
    if version is not None and _is_defined(node.op_type, domain, version):
        return
    shown = f"{domain}.{node.op_type}" if domain else node.op_type
    place = f"layer {layer!r}" if (layer := _layer(node)) else "a node outside of any layer"
    raise PReLUToolsError(
        f"{place} became {shown}, which {_opset_text(domain, version)} does not define: "
        f"{_advice(node.op_type, domain, version)}"
    )


def _layer(node: onnx.NodeProto) -> str:
    """The layer that a node is named after: `layer/Operator`, or its own other name."""
    unnamed = node.name.startswith(node.op_type)  # as `graph/passes/tidy.py` calls it
    return node.name.rpartition("/")[0] or ("" if unnamed else node.name)


def _is_defined(operator: str, domain: str, version: int) -> bool:
    try:
        return not defs.get_schema(operator, version, domain).deprecated
    except defs.SchemaError:
        return False


def _opset_text(domain: str, version: int | None) -> str:
    if version is None:
        return f"no opset that the model imports ({domain or 'ai.onnx'})"
    return f"opset {version} of {domain or 'ONNX'}"


def _advice(operator: str, domain: str, version: int | None) -> str:
    newer = range((version or 0) + 1, defs.onnx_opset_version() + 1)
    first = next((v for v in newer if not domain and _is_defined(operator, domain, v)), None)
    if first is not None:
        return f"it was added in opset {first}, use --opset {first} or newer"
    return "the converter does not know that layer; write it with operations that ONNX has"
