"""Feed special values to each layer in isolation, on both sides."""

from __future__ import annotations

import numpy as np

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation, inverse, moved_from
from prelu_tools.core.prelu.slopediff import compare_slopes, in_type_of, pair_layers
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.special import differs, documented, special_input
from prelu_tools.core.results.verification.parity import SpecialValue

_SMALLEST_HALF = float(np.finfo(np.float16).tiny)


def compare_special_values(
    reference: Source,
    candidate: Source,
    provider: str,
    runtime: str,
    layouts: Layouts,
    strict: bool = False,
) -> tuple[SpecialValue, ...]:
    """Every special value, through every layer with every one of its slopes, where both differ.

    A layer whose slopes are not the reference's is skipped: it has failed already. Each kind of
    difference is reported once per layer.

    Args:
        reference: the source that is taken to be right.
        candidate: the one that is compared with it.
        provider: what runs the candidate; "" for its own framework.
        runtime: the version of onnxruntime; "" if it does not run it.
        layouts: the user's axis orders.
        strict: whether a difference for an infinite or NaN input is a failure.

    Raises:
        PReLUToolsError: the layers cannot be run by themselves.
    """
    pairs = [
        (mine, other)
        for own, other in pair_layers(reference.layers(), candidate.layers()).pairs
        for mine in [in_type_of(own, other)]
        if mine.slopes.ndim  # a layer on a scalar has no rows for them
        and all(np.issubdtype(layer.slopes.dtype, np.floating) for layer in (mine, other))
        and compare_slopes(mine, other, layouts.permutation(mine.slopes.ndim)).equal
    ]
    orders = {other.name: _order(mine, other, layouts) for mine, other in pairs}
    inputs = {
        other.name: special_input(mine, mine.slopes.dtype)
        .transpose(order)
        .astype(other.slopes.dtype)
        for mine, other in pairs
        if (order := orders[other.name]) is not None
    }
    outputs = candidate.isolated(inputs, provider)
    found: list[SpecialValue] = []
    for mine, other in pairs:
        order = orders[other.name]
        if order is None or other.name not in outputs:
            continue
        x = special_input(mine, mine.slopes.dtype)
        expected = _activation(reference, mine, x)
        result = outputs[other.name].transpose(inverse(order))
        found += _differences(mine, other, x, expected, result, provider, runtime, strict)
    return tuple(found)


def _activation(reference: Source, layer: PReLULayer, x: Array) -> Array:
    """The reference layer's output for an input in a type that may be narrower than its own."""
    own = next(other for other in reference.layers() if other.name == layer.name)
    with np.errstate(over="ignore", under="ignore"):
        return reference.activation(layer.name)(x.astype(own.slopes.dtype)).astype(x.dtype)


def _order(mine: PReLULayer, other: PReLULayer, layouts: Layouts) -> Permutation | None:
    """From the reference's axes to the candidate's; None if that is not known."""
    left, right = mine.slopes, other.slopes
    fitting = AxisAlignment.inside(left.shape, right.shape)
    if left.size != right.size and right.size == 1:  # equal ones, which were merged into one
        fitting = AxisAlignment.between((None,) * left.ndim, (None,) * right.ndim)
    return fitting.stated(moved_from(mine.axes, other.axes), layouts.permutation(left.ndim))


def _differences(
    mine: PReLULayer,
    other: PReLULayer,
    x: Array,
    expected: Array,
    found: Array,
    provider: str,
    runtime: str,
    strict: bool,
) -> list[SpecialValue]:
    if expected.shape != found.shape:
        raise PReLUToolsError(f"{mine.name} gives {list(found.shape)} in isolation")
    slopes = np.broadcast_to(mine.slopes, x.shape)
    by_definition = _is_definition(x, slopes, expected, found)
    told: dict[tuple[float, bool], SpecialValue] = {}
    for place in zip(*np.nonzero(differs(expected, found)), strict=True):
        value, was, now = float(x[place]), float(expected[place]), float(found[place])
        slope = float(slopes[place])
        why = documented(other.form, value, slope, (was, now), provider, runtime)
        if why is None and x.dtype == np.float16 and abs(slope) < _SMALLEST_HALF:
            why = "the slope is too small for float16, which stores it imprecisely or as 0"
        # It may clip infinities, or produce one in between.
        departs = np.isnan(was) or np.isinf(now) or (np.isinf(was) and np.isfinite(value))
        if why is None and by_definition[place] and (other.form == "prelu" or departs):
            why = "it computes PReLU correctly; the reference's own form does not"
        elif not abs(value) < float(np.finfo(x.dtype).max) / 2:  # sums of these overflow
            why = None if strict else why or f"{other.form} differs for infinite or NaN inputs only"
        key = (np.copysign(1.0, value) * (abs(value) + 1 if value == value else 0), why is None)
        told.setdefault(
            key,
            SpecialValue(mine.name, other.form, slope, value, was, now, why),
        )
    return list(told.values())


def _is_definition(x: Array, slopes: Array, expected: Array, found: Array) -> Array:
    """Where infinities or NaN occur, and the candidate follows PReLU's definition."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        definition = np.where(x > 0, x, slopes * x)
    finite = np.isfinite(x) & np.isfinite(expected) & np.isfinite(found)
    return np.asarray(~finite & ~differs(definition, found))
