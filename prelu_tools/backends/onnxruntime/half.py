"""Convert a model to float16 with onnxruntime's converter; report lost values first."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.reasons import counted
from prelu_tools.graph.io.model import OnnxModel, all_tensors, is_external
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.passes.tidy import tidy
from prelu_tools.graph.walk import all_nodes

LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).tiny)


def to_float16(model: OnnxModel) -> tuple[OnnxModel, tuple[str, ...]]:
    """A copy of a finished model that computes in float16, inputs and outputs included.

    Operators that onnxruntime's converter keeps in float32 get a Cast on each side.

    Returns:
        The model, and what the user should know of numbers that float16 holds badly.

    Raises:
        PReLUToolsError: a slope or a weight is too large for float16.
    """
    notes = [note for layer in read_layers(model) for note in _slope_notes(layer)]
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    copy = OnnxModel(proto, model.file, dict(model.memory))
    library = importlib.import_module("onnxruntime.transformers.float16")
    nodes = list(all_nodes(proto.graph.node))
    slopes = {name for node in nodes if node.op_type == "PRelu" for name in node.input}
    kept = {name for n in nodes if n.op_type in library.DEFAULT_OP_BLOCK_LIST for name in n.input}
    lost = 0
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and int(np.prod(tensor.dims)) > 1:
            lost += _round(copy, tensor, tensor.name in kept) * (tensor.name not in slopes)
    if lost:
        notes.append(f"{counted(lost, 'weight')} too close to 0 for float16 became 0")
    for tensor in all_tensors(proto):
        if tensor.data_type == onnx.TensorProto.FLOAT and is_external(tensor):
            tensor.CopyFrom(numpy_helper.from_array(copy.values(tensor), tensor.name))
    half: onnx.ModelProto = library.convert_float_to_float16(proto)
    _unite_casts(half.graph)
    tidy(half.graph, {tensor.name: tensor.name for tensor in half.graph.initializer})
    found = OnnxModel(half, copy.file, copy.memory)
    found.forget_unused()
    return found, tuple(notes)


def _slope_notes(layer: PReLULayer) -> Sequence[str]:
    """What float16 makes of a layer's slopes.

    Raises:
        PReLUToolsError: one is too large.
    """
    slopes = layer.slopes.astype(np.float64)
    size = np.abs(slopes[np.isfinite(slopes)])
    if (_rounded(size) > LARGEST).any():
        raise PReLUToolsError(
            f"{layer.name}: its slope {size.max():.6g} is too large for float16 (at most "
            f"{LARGEST:g}): export in float32"
        )
    notes = []
    halved = _rounded(size)
    gone = int(((halved == 0) & (size > 0)).sum())
    if gone:
        notes.append(f"{layer.name}: {gone} of its slopes became 0 in float16")
    subnormal = int(((halved > 0) & (halved < SMALLEST)).sum())
    if subnormal:
        notes.append(
            f"{layer.name}: {subnormal} of its slopes are below {SMALLEST:.2g}, where float16 "
            "has fewer than its usual 11 bits"
        )
    return notes


def _round(model: OnnxModel, tensor: onnx.TensorProto, kept: bool) -> int:
    """Make a weight float16, in place: how many of it became 0.

    What a node in float32 reads is only rounded, and left to the converter, which by itself moves
    what is out of range to the nearest number in it.

    Raises:
        PReLUToolsError: one is too large.
    """
    values = model.values(tensor)
    halved = _rounded(values)
    if (np.isinf(halved) & np.isfinite(values)).any():
        worst = float(np.abs(values[np.isfinite(values)]).max())
        raise PReLUToolsError(
            f"weight {tensor.name} contains {worst:.6g}, which is too large for float16 (at most "
            f"{LARGEST:g}): export in float32"
        )
    written = (
        numpy_helper.from_array(halved.astype(values.dtype), tensor.name)
        if kept
        else model.tensor(tensor.name, halved)
    )
    tensor.CopyFrom(written)
    return int(((halved == 0) & (values != 0)).sum())


def _rounded(values: Array) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float16)


def _unite_casts(graph: onnx.GraphProto) -> None:
    """Keep one of the equal Casts that the converter adds for each reader of a tensor."""
    made: set[str] = set()
    kept = []
    for node in graph.node:
        if node.op_type != "Cast" or node.output[0] not in made:
            kept.append(node)
        made.update(node.output)
    del graph.node[:]
    graph.node.extend(kept)
