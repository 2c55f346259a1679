"""Slope faults that exporters, converters and people make, which a check has to catch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array

KINDS = ("moved", "exchanged", "negated", "transposed", "averaged", "shifted", "neighbour",
         "rounded", "misplaced")  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One fault in the slopes of one layer."""

    layer: int
    """Which layer, from 0."""
    kind: str
    """One of `KINDS`."""
    description: str
    """In words, without the layer."""
    slopes: Array
    """The wrong slopes, of the shape of the right ones (but for `misplaced`)."""
    touched: Array
    """For each slope, flat, whether it is another one now."""


def faults_in(
    layer: int, slopes: Sequence[Array], reached: Array, size: int, seed: int
) -> Iterator[Fault]:
    """The faults of one layer that change any value; -0.0 counts as 0.0.

    Args:
        layer: which of the layers.
        slopes: of all layers, each such that it broadcasts to its input.
        reached: for each slope of this layer, flat, whether the inputs reach it: single slopes are
            taken from these if there are any.
        size: the last dimension of the layer's input; 0 if it is not known.
        seed: of the choice of single slopes.
    """
    right = slopes[layer]
    if not right.size:
        return
    generator = np.random.default_rng([seed, layer])
    for kind, description, wrong in _variants(layer, slopes, reached, generator):
        touched = (_bits(wrong) != _bits(right)) & ((wrong != 0) | (right != 0))
        if touched.any():
            yield Fault(layer, kind, description, wrong, touched.reshape(-1))
    values = right.reshape(-1)
    unlike = bool((_bits(values) != _bits(values)[:1]).any())
    if unlike and right.shape[-1] == 1 and values.size == size:
        everything = np.ones(values.size, np.bool_)
        yield Fault(layer, "misplaced", f"[{size},1,1] made [{size}]", values, everything)


def _variants(
    layer: int, slopes: Sequence[Array], reached: Array, generator: np.random.Generator
) -> Iterator[tuple[str, str, Array]]:
    right = slopes[layer]
    flat = right.reshape(-1)
    where = np.flatnonzero(reached) if reached.any() else np.arange(flat.size)
    place = int(generator.choice(where))
    moved = flat.copy()
    moved[place] = flat[place] * flat.dtype.type(1.1) if flat[place] else flat.dtype.type(0.1)
    yield "moved", f"slope {place} changed by 10%", moved.reshape(right.shape)
    other = _unlike(flat, place, where)
    if other is not None:
        swapped = flat.copy()
        swapped[[place, other]] = flat[[other, place]]
        yield "exchanged", f"slopes {place} and {other} swapped", swapped.reshape(right.shape)
    yield "negated", "slopes negated", -right
    turned = _transposed(right)
    if turned is not None:
        yield "transposed", "slopes transposed", turned
    mean = flat.astype(np.float64).mean()
    yield "averaged", "slopes averaged", np.full_like(right, mean)
    shifted = np.roll(flat, 1).reshape(right.shape)
    yield "shifted", "slopes shifted by one", shifted
    for near in (layer + 1, layer - 1):
        if 0 <= near < len(slopes) and slopes[near].size == right.size:
            theirs = slopes[near].reshape(right.shape).astype(right.dtype)
            yield "neighbour", "has the slopes of its neighbour", theirs
            break
    with np.errstate(over="ignore"):
        rounded = right.astype(np.float16).astype(right.dtype)
    yield "rounded", "slopes rounded to float16", rounded


def _unlike(flat: Array, place: int, where: Array) -> int | None:
    """Another slope of another value; the nearest in number, reached ones first."""
    bits = _bits(flat)
    for choice in (where, np.arange(flat.size)):
        others = [int(i) for i in choice if bits[i] != bits[place]]
        if others:
            return min(others, key=lambda i: (i - place) % flat.size)
    return None


def _transposed(slopes: Array) -> Array | None:
    """Element-wise slopes with their last two axes swapped, in the shape that they had."""
    varying = [axis for axis, size in enumerate(slopes.shape) if size > 1]
    if len(varying) < 2:
        return None
    return np.ascontiguousarray(slopes.swapaxes(varying[-1], varying[-2])).reshape(slopes.shape)


def _bits(values: Array) -> Array:
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
