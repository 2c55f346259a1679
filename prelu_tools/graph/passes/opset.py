"""Raise a model to a newer opset."""

from __future__ import annotations

from dataclasses import replace

import onnx
from onnx import version_converter

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.natives import inlined
from prelu_tools.graph.passes.prune import UNLISTED

FIRST_OPSET = 13
"""The oldest that is written: from it on operators take axes and shapes as inputs."""


def newest_known() -> int:
    """The newest opset that the installed onnx knows."""
    return int(onnx.defs.onnx_opset_version())


def inline_functions(model: OnnxModel) -> None:
    """Put the nodes of local functions in the place of their calls, in place."""
    if model.proto.functions:
        model.proto.CopyFrom(inlined(model.proto))


def raise_opset(model: OnnxModel, wanted: int) -> OnnxModel:
    """The model in a newer opset of the default domain; the same one if it has it already.

    Metadata of main-graph nodes stays; inferred types are lost.

    Raises:
        UsageError: it is of a newer opset.
        PReLUToolsError: it has an operator that onnx cannot convert.
    """
    if model.opset == wanted:
        return model
    if model.opset > wanted:
        raise UsageError(
            f"the model has opset {model.opset}, which cannot be lowered to {wanted}: use "
            f"--opset {model.opset}, or leave it out"
        )
    model.proto.ir_version = max(model.proto.ir_version, UNLISTED)
    try:
        proto: onnx.ModelProto = version_converter.convert_version(model.proto, wanted)
    except Exception as error:
        raise PReLUToolsError(
            f"opset {model.opset} cannot be raised to {wanted} by onnx {onnx.__version__}: "
            f"{' '.join(str(error).split())}; use --opset {model.opset}"
        ) from error
    notes = {node.output[0]: node.metadata_props for node in model.proto.graph.node if node.output}
    for node in proto.graph.node:
        if node.output and not node.metadata_props:
            node.metadata_props.extend(notes.get(node.output[0], []))
    return replace(model, proto=proto)
