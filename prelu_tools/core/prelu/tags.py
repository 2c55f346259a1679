"""Tags: stand-ins for slopes that survive an exporter.

An exporter merges tensors of equal value, folds constants, drops a multiplication by one, negates
and transposes. So a source is converted with *tags* in place of its slopes: every element of every
slope tensor is a unique float32 bit pattern. Each value that comes out shows which parameter it
was, where each element went, and whether its sign was flipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.errors import PReLUToolsError

# From 0.5 on: normal, positive, far from 0 and infinity, and finite when doubled. Odd patterns
# only: they are no numbers that people write, nor what rounding to float16 or bfloat16 leaves.
_FIRST = 0x3F000001
_CAPACITY = 0x3F000000 // 2


@dataclass(frozen=True)
class Tagged:
    """Where the elements of an array came from."""

    key: str
    """The parameter that all the elements belong to."""
    indices: IntArray
    """The flat index into that parameter of each element; the array's own shape."""
    sign: int
    """1, or -1 if every element was negated."""

    def restore(self, values: Array) -> Array:
        """The true values in the place of the tags, of the shape of the tagged array."""
        return np.asarray(values).reshape(-1)[self.indices]


class TagBook:
    """Hands out tags, and recognises them."""

    def __init__(self) -> None:
        """Start with no parameter tagged."""
        self._starts: list[int] = []
        self._keys: list[str] = []
        self._next = 0

    def tag(self, key: str, shape: tuple[int, ...]) -> Array:
        """Distinct positive float32 values for a parameter of this shape.

        Raises:
            PReLUToolsError: more than 500 million elements in all.
        """
        count = int(np.prod(shape, dtype=np.int64))
        if self._next + count > _CAPACITY:
            raise PReLUToolsError(
                f"found more than {_CAPACITY:,} slopes in one model; expected fewer: "
                "share them across positions (shared_axes)"
            )
        self._starts.append(self._next)
        self._keys.append(key)
        numbers = np.arange(self._next, self._next + count, dtype=np.uint32)
        bits = numbers * np.uint32(2) + np.uint32(_FIRST)
        self._next += count
        return bits.view(np.float32).reshape(shape)

    def find(self, values: Array) -> Tagged | None:
        """The parameter that these values are the tags of; None if they are not tags, or mixed."""
        exact = np.asarray(values).astype(np.float32)
        if exact.size == 0 or not np.array_equal(exact, values):
            return None
        sign = -1 if exact.reshape(-1)[0] < 0 else 1
        bits = (exact * np.float32(sign)).view(np.uint32).astype(np.int64) - _FIRST
        numbers = bits // 2
        if (bits % 2).any() or numbers.min() < 0 or numbers.max() >= self._next:
            return None
        owners = np.searchsorted(self._starts, numbers.reshape(-1), side="right") - 1
        if owners.min() != owners.max():
            return None
        owner = int(owners[0])
        return Tagged(self._keys[owner], numbers - self._starts[owner], sign)
