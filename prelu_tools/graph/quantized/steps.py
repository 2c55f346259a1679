"""The steps of the quantized weights of a model, and how much of their codes the weights use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.constants import values_of
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of

_BITS: Final = {"int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16}
"""Types that may leave most codes unused; a type of 2 bits cannot."""
_LEAST_USED: Final = 1 / 8
"""Share of a type's codes: quantizers use all, or half of them if no weight is negative."""


@dataclass(frozen=True)
class WeightSteps:
    """One quantized weight, and by how much its rounding may have moved it."""

    values: Array
    """The weight as it is stored, dequantized."""
    steps: Array
    """The distance between neighbours, broadcasting to `values`; 0 if no code is used."""
    is_coarse: bool
    """Whether most of its scales are so wide that hardly any code is used."""


def weight_steps(model: OnnxModel, names: Iterable[str]) -> dict[str, WeightSteps]:
    """The steps of weights.

    Args:
        model: the meaning of a quantized model.
        names: the tensors that DequantizeLinear makes of stored codes.

    Raises:
        PReLUToolsError: the scales of one do not fit it.
    """
    view = GraphView(model)
    found = {}
    for name in names:
        node = view.producer[name]
        values, scale = values_of(view, name), values_of(view, node.input[1])
        codes = values_of(view, node.input[0])
        if values is None or scale is None:
            continue
        try:
            found[name] = _steps(node, np.asarray(values), np.asarray(scale), codes)
        except (ValueError, IndexError) as error:
            raise PReLUToolsError(f"the scales of the weight {name} do not fit it") from error
    return found


def _steps(node: onnx.NodeProto, values: Array, scale: Array, codes: Array | None) -> WeightSteps:
    wide = np.abs(scale.astype(np.float64))
    axis, block = int(attribute_of(node, "axis", 1)), int(attribute_of(node, "block_size", 0))
    if wide.size == 1:
        reduced = _ends(values, None)
        wide = wide.reshape((1,) * values.ndim)
    elif wide.ndim == 1 and not block:
        axis %= values.ndim
        reduced = _ends(values, tuple(a for a in range(values.ndim) if a != axis))
        wide = wide.reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    else:
        starts = np.arange(0, values.shape[axis], block)
        reduced = (np.maximum.reduceat(values, starts, axis),
                   np.minimum.reduceat(values, starts, axis))  # fmt: skip
    high, low = reduced
    span = np.maximum(high, 0) - np.minimum(low, 0)
    is_used = span > 0
    bits = None if codes is None else _BITS.get(codes.dtype.name)
    coarse = is_used & (span < (0.0 if bits is None else _LEAST_USED * 2.0**bits * wide))
    # The scale of nothing but zeros is arbitrary: quantizers write 1 for a pruned channel.
    finest = float(wide[is_used].min()) if is_used.any() else 0.0
    steps = np.where(is_used, wide, np.minimum(wide, finest))
    if block and wide.size > 1:
        steps = np.repeat(steps, block, axis).take(range(values.shape[axis]), axis)
    is_coarse = 2 * int(coarse.sum()) > int(is_used.sum())
    return WeightSteps(values, steps.astype(np.float32), is_coarse)


def _ends(values: Array, axes: tuple[int, ...] | None) -> tuple[Array, Array]:
    return values.max(axis=axes, keepdims=True), values.min(axis=axes, keepdims=True)


def demand_whole_codes(kind: int, place: str) -> None:
    """Reject codes that are floating point themselves: their steps are not equal.

    Args:
        kind: a `TensorProto` data type; 0 if it is not known.
        place: its owner, in words.

    Raises:
        PReLUToolsError: they are float8 or float4.
    """
    name = TensorProto.DataType.Name(kind)
    if name.startswith("FLOAT"):
        raise PReLUToolsError(f"{place} has codes of type {name.lower()}: expected integers")
