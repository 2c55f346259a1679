"""What ATen operators reduce: rows of terms, or the groups of a norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch


class Norm(NamedTuple):
    """A norm with its own statistics."""

    places: tuple[int, int]
    """The positions of its weight and bias among its arguments."""
    shape: tuple[int, ...]
    """The shape of its statistics that broadcasts over the groups."""
    terms: float
    """Values in each group."""


def norm_of(name: str, args: Any) -> Norm | None:
    """The positions of the parts of a norm with its own statistics; None without them."""
    x = args[0]
    if name == "native_layer_norm":
        n = math.prod(args[1])
        return Norm((2, 3), (*x.shape[: x.ndim - len(args[1])], *(1 for _ in args[1])), n)
    if name == "native_group_norm":
        return Norm((1, 2), (args[3], args[6], 1), x.numel() / (args[3] * args[6]))
    if not args[5]:
        return None
    shape = (1, x.shape[1], *(1 for _ in x.shape[2:]))
    return Norm((1, 2), shape, x.numel() / x.shape[1])


def groups_of(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """A row of values for each group that a norm has statistics of, by the shape of these."""
    over_rows = x.ndim == len(shape) > 1 and shape[0] == 1
    return (x.movedim(1, 0) if over_rows else x).reshape(math.prod(shape), -1)


def rows_of(x: torch.Tensor, axes: Sequence[int]) -> tuple[torch.Tensor, list[int]]:
    """Float32 with these axes as its last one, and the shape with 1 in the place of each."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = x.permute(*kept, *axes).flatten(len(kept)) if axes else x.unsqueeze(-1)
    return rows.float(), [1 if axis in axes else size for axis, size in enumerate(x.shape)]


def axes_of(x: torch.Tensor, args: Sequence[Any], place: int) -> list[int]:
    """Which axes an operator adds along, in order; of a pool all, where one place is left."""
    if place < 0:
        pooled = range(x.ndim - len(args[1]), x.ndim)
        return list(pooled) if all(size == 1 for size in args[1]) else []
    named = args[place] if len(args) > place else None
    axes = [named] if type(named) is int else named if isinstance(named, Sequence) else None
    return sorted({axis % x.ndim for axis in axes or range(x.ndim)}) if x.ndim else []
