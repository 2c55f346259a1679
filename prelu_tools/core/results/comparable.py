"""Results with arrays and mappings that compare and hash like other results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, TypeVar

WRITTEN: Final = {"written": True}
"""Marks a field whose text is itself a document, as it goes to a file."""

Class = TypeVar("Class", bound=type[Any])


def comparable(kind: Class) -> Class:
    """Have the objects of a frozen dataclass compare by their fields, arrays by their bits.

    Equal objects have equal hashes; put it above `@dataclass(frozen=True, eq=False)`.
    """
    names = [field.name for field in dataclasses.fields(kind) if field.compare]

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        if type(other) is not kind or type(self) is not kind:
            return NotImplemented
        return all(_equal(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash((kind.__name__, *(_digest(getattr(self, name)) for name in names)))

    setattr(kind, "__eq__", __eq__)  # noqa: B010
    setattr(kind, "__hash__", __hash__)  # noqa: B010
    return kind


def _equal(left: Any, right: Any) -> bool:
    if _is_array(left) or _is_array(right):
        from prelu_tools.core.arrays import same_bits

        return _is_array(left) and _is_array(right) and same_bits(left, right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_equal(left[k], right[k]) for k in left)
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left is right or left == right or (left != left and right != right))


def _is_array(value: Any) -> bool:
    """Told without numpy, which not every result needs."""
    return type(value).__name__ == "ndarray"


def _digest(value: Any) -> object:
    """A hashable value, equal for equal values."""
    if _is_array(value):
        return value.shape, str(value.dtype)
    if isinstance(value, Mapping):
        return frozenset(value)
    if isinstance(value, tuple | list):
        return tuple(map(_digest, value))
    return "NaN" if value != value else value
