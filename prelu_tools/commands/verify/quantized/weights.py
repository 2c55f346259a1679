"""Compare quantized weights with the reference's, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from onnx import numpy_helper

from prelu_tools.backends.onnxruntime.quantizing import folded
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.quantized.meaning import Meaning
from prelu_tools.graph.quantized.steps import WeightSteps

_HALF = 0.505  # of a step: the codes were rounded, and their scale is a float32
_FLOAT = 1e-5  # of a value: normalisations were folded in float32


def weights_within_half_a_step(meaning: Meaning, reference: OnnxGraph | None) -> tuple[int, int]:
    """How many quantized weights are, value by value, a tensor of the reference; and of how many.

    Normalisations count as folded into the layers before them. Equalized weights, and those in
    another layout, are not found.
    """
    steps = meaning.steps
    known: dict[tuple[int, ...], list[Array]] = {}
    for values in () if reference is None else _stored(reference):
        known.setdefault(values.shape, []).append(values)
    found = sum(
        any(_is_rounded(weight, values) for values in known.get(weight.values.shape, ()))
        for weight in steps.values()
    )
    return found, len(steps)


def _stored(reference: OnnxGraph) -> Iterator[Array]:
    model = reference.model
    protos = [plain := model.inlined()]
    with suppress(PReLUToolsError):  # a weight that onnxruntime cannot load is not folded
        if (changed := folded(plain)) is not plain:
            protos.append(changed)
    for proto in protos:
        for tensor in proto.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype.kind == "f":
                yield values
                if values.ndim == 2:
                    yield values.T


def _is_rounded(weight: WeightSteps, values: Array) -> bool:
    wide = values.astype(np.float64)
    allowed = _HALF * weight.steps + _FLOAT * np.abs(wide)
    return bool((np.abs(weight.values - wide) <= allowed).all())
