"""Array types, and the two rules that every result keeps: copied, and read-only."""

from __future__ import annotations

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


def same_bits(left: Array, right: Array) -> bool:
    """Whether two arrays hold the same bits: 0.0 is not -0.0, a NaN equals itself."""
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()
    )
