"""Array types, and the two rules that every result keeps: copied, and read-only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
IntArray = NDArray[np.int64]


def frozen(values: Array) -> Array:
    """A read-only copy, so that a result cannot change behind its reader's back."""
    copy = np.array(values)
    copy.flags.writeable = False
    return copy


def packed(values: Array) -> Array:
    """The array in C order; unlike `np.ascontiguousarray`, a scalar keeps its shape `()`."""
    return np.asarray(values, order="C")


def shapes_in_words(arrays: Mapping[str, Array]) -> str:
    """As in `x of shape 2x3, flag of shape ()`."""
    shapes = {name: "x".join(map(str, values.shape)) or "()" for name, values in arrays.items()}
    return ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())


def same_bits(left: Array, right: Array) -> bool:
    """Whether two arrays hold the same bits: 0.0 is not -0.0, a NaN equals itself."""
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()
    )
