"""The matrix of what `export` is tried on: its axes, its cells, and pairs of values that meet.

A cell is one net with one PReLU, exported with one set of options. `make test` exports enough
cells that every two values of two axes meet in one; `make test-matrix` exports them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

CHANNELS = 3
FEATURES = 2  # channels of the net's input

SHARINGS = ("channel-shared", "channel-wise", "element-wise", "partial")
RANKS = (2, 3, 4, 5)
SIZES = ("distinct", "cube", "dynamic")
OPSETS = (16, 18, 28)
DTYPES = ("float32", "float16")
_AT_ONCE = 16  # cells of a framework in `make test`


@dataclass(frozen=True)
class Group:
    """What the cells of one file have in common: they differ in their form only."""

    sharing: str
    """Along which axes there is one slope; partial: one a position, for all channels."""
    rank: int
    """Of PReLU's input, the batch included."""
    size: str
    """Of the dimensions besides batch and channels: all distinct, all as many as there are channels
    (a slope along a wrong axis would still broadcast), or the first two dynamic: with three, verify
    would run on volumes of half a million places."""
    opset: int
    """`--opset`."""
    dtype: str
    """`--dtype`."""

    def __str__(self) -> str:
        """Return the values of all axes."""
        return "-".join(str(getattr(self, field.name)) for field in fields(self))

    @property
    def places(self) -> tuple[int, ...]:
        """The sizes besides batch and channels."""
        return place_sizes(self.rank, self.size)

    @property
    def free(self) -> tuple[bool, ...]:
        """Which of these are dynamic."""
        return tuple(self.size == "dynamic" and axis < 2 for axis in range(self.rank - 2))

    @property
    def options(self) -> tuple[str, ...]:
        """What the command line is told."""
        return ("--opset", str(self.opset), "--dtype", self.dtype)


@dataclass(frozen=True)
class Cell:
    """One form in one group."""

    form: str
    """How the net spells PReLU: `native`, or by hand."""
    group: Group
    """Everything else."""

    def __str__(self) -> str:
        """Return the values of all axes."""
        return f"{self.form}-{self.group}"

    @property
    def values(self) -> tuple[tuple[str, Any], ...]:
        """Each axis with its value."""
        axes = [(field.name, getattr(self.group, field.name)) for field in fields(self.group)]
        return (("form", self.form), *axes)


Exclusion = tuple[str, Callable[[Cell], bool]]
"""Why some combinations of values are no cells, and which."""

EXCLUDED: tuple[Exclusion, ...] = (
    (
        "rank 2 has no dimension besides batch and channels that could vary",
        lambda cell: cell.group.rank == 2 and cell.group.size != "distinct",
    ),
    (
        "at rank 2 the elements are the channels: element-wise is channel-wise there",
        lambda cell: cell.group.rank == 2 and cell.group.sharing == "element-wise",
    ),
    (
        "at rank 2 there are no positions to have a slope each",
        lambda cell: cell.group.rank == 2 and cell.group.sharing == "partial",
    ),
    (
        "a slope a position fixes how many positions there are",
        lambda cell: (
            cell.group.size == "dynamic" and cell.group.sharing in ("element-wise", "partial")
        ),
    ),
)


def every_cell(forms: Sequence[str], excluded: Sequence[Exclusion]) -> tuple[Cell, ...]:
    """All cells, those of a group one after the other."""
    every = (
        Cell(form, Group(*values))
        for *values, form in product(SHARINGS, RANKS, SIZES, OPSETS, DTYPES, forms)
    )
    return tuple(cell for cell in every if not any(no(cell) for _, no in excluded))


def pairs(cell: Cell) -> frozenset[Any]:
    """Every two values that meet in a cell."""
    return frozenset(combinations(cell.values, 2))


def pairwise(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Few cells that hold every pair that is in any: always the next one with the most new pairs.

    Ties go to the cell whose values have been used least, and then to the earlier one.
    """
    held = {cell: pairs(cell) for cell in cells}
    missing = set().union(*held.values())
    used: dict[Any, int] = {}
    chosen: list[Cell] = []
    while missing:
        best = max(
            cells,
            key=lambda cell: (
                len(held[cell] & missing),
                -sum(used.get(value, 0) for value in cell.values),
            ),
        )
        chosen.append(best)
        missing -= held[best]
        for value in best.values:
            used[value] = used.get(value, 0) + 1
    return tuple(chosen)


def a_part_at_once(cells: Sequence[Cell]) -> list[Any]:
    """Parameters of a test: the first cells, which hold every value, and the rest as `thorough`."""
    chosen: list[Any] = list(cells[:_AT_ONCE])
    return chosen + [pytest.param(cell, marks=pytest.mark.thorough) for cell in cells[_AT_ONCE:]]


def groups(cells: Sequence[Cell]) -> dict[Group, tuple[str, ...]]:
    """The forms of every group."""
    found: dict[Group, tuple[str, ...]] = {}
    for cell in cells:
        found[cell.group] = (*found.get(cell.group, ()), cell.form)
    return found


def place_sizes(rank: int, size: str) -> tuple[int, ...]:
    """Sizes of the dimensions besides batch and channels."""
    return (CHANNELS,) * (rank - 2) if size == "cube" else (4, 2, 5)[: rank - 2]


def drawn_slopes(form: str, sharing: str, rank: int, size: str) -> np.ndarray[Any, Any]:
    """Slopes of either sign, some above 1, other ones for each form: [C, ...], 1 where shared."""
    places = place_sizes(rank, size)
    shape = {
        "channel-shared": (1,) * (rank - 1),
        "channel-wise": (CHANNELS, *(1,) * len(places)),
        "element-wise": (CHANNELS, *places),
        "partial": (1, *places),
    }[sharing]
    generator = np.random.default_rng(sum(form.encode()))
    slopes = generator.uniform(-1.5, 1.5, shape).astype(np.float32)
    return np.minimum(slopes, np.float32(0.9)) if form == "max" else slopes
