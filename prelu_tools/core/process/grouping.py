"""Process a long list in groups, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

BUDGET = 256 << 20
"""Bytes of activations that are held at once."""


def grouped(items: Sequence[T], sizes: Sequence[int], budget: int = BUDGET) -> Iterator[list[T]]:
    """Neighbours together, as many as fit into the budget; one that is larger goes alone.

    Args:
        items: the items to group.
        sizes: bytes of each.
        budget: bytes of a group.
    """
    group: list[T] = []
    total = 0
    for item, size in zip(items, sizes, strict=True):
        if group and total + size > budget:
            yield group
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield group
