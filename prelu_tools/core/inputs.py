"""Informative random inputs: seeded, of both signs, of several scales and structures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError

DEFAULT_SAMPLES = 16
DEFAULT_SEED = 0
_MOST = 1 << 29  # values of one input in all rows: 4 GB while they are drawn
_SMALL_INTEGERS = (0.0, 9.0)
_SILENT = 13  # the second sparse row of the default 16 is 0: silence, a black image
_UNIFORM = 3  # the kind of row that is U(0, 1)
_KEPT = 0.75  # the share of ones in a mask
_NARROW = 63  # a wider range of integers may be that of images or audio


class Wanted(NamedTuple):
    """One input to draw."""

    dtype: str
    """The numpy name of its type."""
    sizes: tuple[int, ...]
    """Sizes of one row, without the batch."""
    limits: tuple[float, float] | None = None
    """The values that it may take; None for any."""
    is_whole: bool = False
    """Whether a floating input takes whole numbers only."""
    tops: tuple[int, ...] = ()
    """The largest value at each place of the last axis, where these differ; see `limits`."""


def draw(
    wanted: Mapping[str, Wanted], samples: int, seed: int | Sequence[int], first: int = 0
) -> dict[str, Array]:
    """A batch of inputs for a model.

    Floating inputs cycle through N(0, 1), 4 N(0, 1), U(-1, 1), U(0, 1), one value everywhere,
    N(0, 1) with nine zeros in ten, a smooth wave, and 32 N(0, 1); within limits these are moved and
    clipped. The fourteenth row of sixteen is 0 instead, or the limit next to it. Where there are
    several inputs, a floating one may be a mask: in turns they are 0 or 1 in place of U(0, 1), so
    that what a mask lets through is seen. Integers lie
    within their limits, whose ends are the first to be drawn, or from 0 to 9; booleans are fair
    coins, and a single one takes both values in turn.

    Args:
        wanted: the inputs by name.
        samples: rows in all, at least 1.
        seed: of the generator.
        first: where the rows begin in the cycle.

    Raises:
        PReLUToolsError: an input is so large that its rows do not fit in memory.
    """
    for name, what in wanted.items():
        count = samples * math.prod(what.sizes)
        if count > _MOST:
            raise PReLUToolsError(
                f"{samples:,} rows of the input {name!r} are {count:,} values, which would need "
                "too much memory: use fewer --samples, or smaller sizes with --input if they are "
                "dynamic"
            )
    generator = np.random.default_rng(seed)
    floating = [name for name, what in wanted.items() if _is_any_float(what)]
    found = {}
    for name, what in wanted.items():
        rows = [_row(generator, what, index) for index in range(first, first + samples)]
        if name in floating and len(wanted) > 1:
            turn = floating.index(name) if len(floating) > 1 else None
            rows = [_masked(row, first + place, turn) for place, row in enumerate(rows)]
        found[name] = np.stack(rows).astype(what.dtype)
    return found


def _is_any_float(wanted: Wanted) -> bool:
    floating = np.issubdtype(np.dtype(wanted.dtype), np.floating)
    return floating and not wanted.is_whole and wanted.limits is None


def _masked(row: Array, index: int, turn: int | None) -> Array:
    """A row of U(0, 1) as a mask, mostly of ones, where it is this input's turn."""
    if index % 8 != _UNIFORM or (turn is not None and (index // 8 + turn) % 2):
        return row
    return (row < _KEPT).astype(np.float64)


def _row(generator: np.random.Generator, wanted: Wanted, index: int) -> Array:
    if wanted.dtype == "bool":
        coins = generator.random(wanted.sizes) < 0.5
        return np.full(wanted.sizes, bool(index)) if coins.size == 1 and index < 2 else coins
    if wanted.is_whole or np.issubdtype(np.dtype(wanted.dtype), np.integer):
        return _whole(generator, wanted, index)
    row = _floating(generator, wanted.sizes, index % 8)
    low, high = wanted.limits or (-np.inf, np.inf)
    if index % 16 == _SILENT:
        return np.zeros_like(row).clip(low, high)
    if wanted.limits is None:
        return row
    return np.asarray((low + (high - low) * (row + 2.0) / 4.0).clip(low, high))


def _whole(generator: np.random.Generator, wanted: Wanted, index: int) -> Array:
    """Whole numbers, uniform; of a wide range one value everywhere and waves too."""
    low, high = wanted.limits or _SMALL_INTEGERS
    first, last = int(np.ceil(low)), int(np.floor(high))
    tops: int | Array = np.array(wanted.tops) if wanted.tops else last
    row = np.asarray(generator.integers(first, np.asarray(tops) + 1, wanted.sizes))
    if wanted.limits is None or not row.size:
        return row
    if not wanted.tops and last - first > _NARROW and index % 8 in (4, 6):
        shape = _floating(generator, wanted.sizes, index % 8)
        return np.rint(first + (last - first) * (shape + 2.0) / 4.0).clip(first, last)
    ends = np.broadcast_to(tops, wanted.sizes).reshape(-1)
    if row.size == 1 and index < 2:
        return np.full(wanted.sizes, ends[0] if index else first)
    if index % 8 == 0 and row.size > 1:
        row.reshape(-1)[[0, -1]] = first, ends[-1]
    return row


def _floating(generator: np.random.Generator, sizes: Sequence[int], kind: int) -> Array:
    normal = generator.normal(0.0, 1.0, sizes)
    if kind in (2, _UNIFORM):
        return generator.uniform(-1.0 if kind == 2 else 0.0, 1.0, sizes)
    if kind == 4:
        return np.full(sizes, generator.normal())
    if kind == 5:
        return np.asarray(normal * (generator.random(sizes) < 0.1))
    if kind == 6:
        return _wave(generator, sizes)
    return np.asarray(normal * {0: 1.0, 1: 4.0, 7: 32.0}[kind])


def _wave(generator: np.random.Generator, sizes: Sequence[int]) -> Array:
    """A sum of a few slow waves along the axes, like smooth images or audio."""
    total = np.zeros(sizes)
    for axis, size in enumerate(sizes):
        phase, turns = generator.uniform(0, 2 * np.pi), generator.uniform(0.25, 3.0)
        wave = np.sin(phase + 2 * np.pi * turns * np.arange(size) / size)
        total = total + wave.reshape([size if a == axis else 1 for a in range(len(sizes))])
    return np.asarray(generator.normal(0.0, 2.0) + generator.uniform(0.5, 2.0) * total)


def pictures(wanted: Mapping[str, Wanted], rows: int, seed: int) -> dict[str, Array]:
    """A realistic batch: the cost of a kernel with a branch depends on its input.

    Inputs of three axes a row are pictures, whose amplitudes fall with 1/frequency (Field, 1987,
    https://doi.org/10.1364/JOSAA.4.002379), of mean 0 and deviation 1 a channel, channels first or,
    where the last axis is the shortest, last. Other floating inputs are N(0, 1); see `draw` for
    limits, integers and booleans.

    Args:
        wanted: the inputs by name.
        rows: rows in all, at least 1.
        seed: of the generator.
    """
    generator = np.random.default_rng(seed)
    found = {}
    for name, what in wanted.items():
        floating = np.issubdtype(np.dtype(what.dtype), np.inexact)
        if len(what.sizes) == 3 and floating and what.limits is None:
            drawn = [_picture(generator, what.sizes) for _ in range(rows)]
        else:
            drawn = [_row(generator, what, 0) for _ in range(rows)]
        found[name] = np.stack(drawn).astype(what.dtype)
    return found


def _picture(generator: np.random.Generator, sizes: Sequence[int]) -> Array:
    axes = (0, 1) if sizes[2] < min(sizes[:2]) else (1, 2)
    high, wide = (sizes[axis] for axis in axes)
    frequency = np.hypot(np.fft.fftfreq(high)[:, None], np.fft.rfftfreq(wide))
    frequency[0, 0] = np.inf  # no constant part
    frequency = np.expand_dims(frequency, 2 if axes == (0, 1) else 0)
    spectrum = np.fft.rfftn(generator.normal(0.0, 1.0, sizes), axes=axes) / frequency
    picture = np.fft.irfftn(spectrum, s=(high, wide), axes=axes)
    deviation = picture.std(axis=axes, keepdims=True)
    return np.asarray(picture / np.where(deviation > 0, deviation, 1.0))
