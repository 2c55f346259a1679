"""Special values, for which forms of PReLU differ that agree on random inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer

_ULPS = 4.0


def special_values(dtype: np.dtype[Any]) -> Array:
    """0, -0, subnormals, the smallest and largest numbers, 1, infinities and NaN, of both signs."""
    information = np.finfo(dtype)
    sizes = [0.0, information.smallest_subnormal, information.tiny, 1.0, information.max, np.inf]
    values = [value for size in sizes for value in (size, -size)]
    return np.array([*values, np.nan], dtype)


def special_input(layer: PReLULayer, dtype: np.dtype[Any]) -> Array:
    """An input of a layer: a row for each special value, which meets every slope.

    Slopes that differ along the batch fix its size: there each slope meets one of the values. One
    slope that a source expands to its channels needs as many of these as the layer has.

    Args:
        layer: the layer; its slopes have at least one axis.
        dtype: the type of these special values.
    """
    values = special_values(dtype)
    if layer.slopes.shape[:1] not in ((), (1,)):
        return np.resize(values, layer.slopes.shape)
    shape = [values.size, *layer.slopes.shape[1:]]
    known = layer.input_shape or ()
    if layer.slopes.size == 1 and len(known) == len(shape) > 1:
        shape[1] = known[1] or 1
    rows = values.reshape(-1, *[1] * (len(shape) - 1))
    return np.ascontiguousarray(np.broadcast_to(rows, shape))


def differs(expected: Array, found: Array) -> Array:
    """Where two results are not the same: values within a few ulps are, zeros by their sign."""
    with np.errstate(invalid="ignore", over="ignore"):
        left, right = expected.astype(np.float64), found.astype(np.float64)
        room = _ULPS * float(np.finfo(found.dtype).eps) * np.maximum(np.abs(left), np.abs(right))
        room = np.maximum(room, float(np.finfo(found.dtype).smallest_subnormal))
        close = np.isfinite(left) & np.isfinite(right) & (np.abs(left - right) <= room)
        both_zero = (left == 0) & (right == 0)
        same = np.where(both_zero, np.signbit(left) == np.signbit(right), close | (left == right))
    return np.asarray(~(same | (np.isnan(left) & np.isnan(right))))


def documented(
    form: str,
    value: float,
    slope: float,
    results: tuple[float, float],
    provider: str,
    runtime: str,
) -> str | None:
    """Why a difference is to be expected; None if it is not.

    Args:
        form: how the candidate spells PReLU.
        value: the input.
        slope: the slope.
        results: the reference's result, and the candidate's.
        provider: what ran the candidate; "" for its own framework.
        runtime: the version of onnxruntime; "" if it did not run it.
    """
    expected, found = results
    if expected == 0 and found == 0:
        return "only the sign of a zero differs"
    if form == "prelu" and np.isinf(value) and np.isnan(found) and _before(runtime, (1, 27)):
        return "onnxruntime before 1.27 computes PRelu of infinities as NaN on the CPU"
    if value == -np.inf and slope == 0 and 0.0 in results and np.isnan(results).any():
        return "a slope of 0 turns -inf into NaN, and a Relu in its place turns it into 0"
    tiny = float(np.finfo(np.float32).tiny)
    subnormal = any(0 < abs(number) < tiny for number in (value, slope))
    subnormal = subnormal or any(0 < abs(number) <= tiny for number in results)
    lost = 0.0 in results or (np.isinf(value) and abs(slope) < tiny)
    crossed = _on_the_other_side(value, slope, results, tiny)
    if subnormal and (lost or crossed) and not (np.isfinite(value) and np.isnan(results).any()):
        by_reference = expected == 0 or np.isnan(expected)
        by_reference |= crossed and (expected == value) == (value < 0)
        who = "the reference" if by_reference else provider
        return f"{who or 'the candidate'} treats subnormal numbers as 0, as TensorFlow does"
    if abs(value) == tiny and abs(expected) >= tiny > abs(expected - found):
        return "terms of a sum are subnormal numbers, which are treated as 0, as in TensorFlow"
    return None


def _on_the_other_side(
    value: float, slope: float, results: tuple[float, float], tiny: float
) -> bool:
    """Whether a comparison treated a subnormal x as 0 while the value was passed on."""
    largest = tiny * max(1.0, abs(slope))
    return 0 < abs(value) < tiny and value in results and max(map(abs, results)) <= largest


def _before(version: str, limit: tuple[int, int]) -> bool:
    parts = version.split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        return False
    return (int(parts[0]), int(parts[1])) < limit
