"""A model's inputs, the tables that they index, and the limits of a search for inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from prelu_tools.core.arrays import Array  # records are read by these types
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import Dim, example_sizes, free_size


@dataclass(frozen=True)
class TensorSpec:
    """One input of a model."""

    name: str
    """Its name in the model."""
    dtype: str
    """The numpy name of its type."""
    shape: tuple[Dim, ...]
    """Sizes; a dynamic dimension has a name instead, the first one usually `batch`."""
    example: tuple[int, ...]
    """Sizes that the model accepts: `shape` with a number for each name."""
    seen: tuple[float, float] | None = None
    """The smallest and the largest value of an example, where the model has one."""
    is_mask: bool = False
    """Whether the example is made of zeros and ones, and has both."""
    is_assumed: bool = False
    """Whether nobody said which sizes are dynamic: it was taken from an example or other models."""


def stated_spec(
    name: str, dtype: str, sizes: Sequence[Dim | None], given: Sequence[Dim] | None
) -> TensorSpec:
    """An input as a file states it.

    Args:
        name: its name.
        dtype: the numpy name of its type.
        sizes: its sizes, or their names; None for a dynamic size without a name.
        given: what the user gave with `--input`, which may fix dynamic sizes.

    Raises:
        UsageError: they have another number of dimensions.
    """
    if given is not None and len(given) != len(sizes):
        raise UsageError(
            f"--input {name} has {len(given)} dimensions; the model's input has {len(sizes)}"
        )
    shape = tuple(
        free_size(name, axis) if size is None else size for axis, size in enumerate(sizes)
    )
    return TensorSpec(name, dtype, shape, example_sizes(given or shape))


def one_size_a_name(specs: Sequence[TensorSpec]) -> list[TensorSpec]:
    """The inputs with one example for each name of a size, in whichever of them it stands.

    A first size is that of a batch, unless an input has it twice: its example is the smaller one.
    """
    found: dict[str, int] = {}
    for spec in specs:
        for size, example in zip(spec.shape, spec.example, strict=True):
            if isinstance(size, str):
                pick = max if any(s.shape.count(size) > 1 for s in specs) else min
                found[size] = pick(example, found.get(size, example))
    return [
        replace(
            spec,
            example=tuple(
                found[size] if isinstance(size, str) else example
                for size, example in zip(spec.shape, spec.example, strict=True)
            ),
        )
        for spec in specs
    ]


class Lookup(NamedTuple):
    """Something that a model looks up as it runs, by positions along an axis."""

    size: int
    """The size of that axis."""
    positions: Array
    """The positions, in whatever shape."""


@dataclass(frozen=True)
class SearchLimits:
    """Where a search for inputs stops."""

    spend: Callable[[int, int], bool]
    """Called before a batch of so many rows is run so many times; False where the search ends."""
    seed: int
    """The seed of its random draws."""
    ranges: Mapping[str, tuple[float, float]]
    """For an input's name the values that it may take; unbounded where it has none."""
    whole: bool = False
    """Whether batches have to keep the size of the one to start from."""
    axes: Mapping[str, int] | None = None
    """The axis of the rows of each input that has any; None for the first one of them all."""

    def count(self, feeds: Mapping[str, Array]) -> int:
        """How many rows a batch has."""
        found = ((values, self._axis(name, values)) for name, values in feeds.items())
        return next((values.shape[axis] for values, axis in found if axis is not None), 1)

    def take(self, feeds: Mapping[str, Array], rows: Sequence[int] | Array) -> dict[str, Array]:
        """A batch of these rows, as copies."""
        return {
            name: np.array(values) if axis is None else np.take(values, rows, axis)
            for name, values in feeds.items()
            for axis in [self._axis(name, values)]
        }

    def rest(self, name: str, move: Array, rows: Sequence[int]) -> Array:
        """A move of an input, 0 for these rows; for an input of all rows, if there is any."""
        resting = np.zeros(np.shape(move), np.bool_)
        axis = self._axis(name, resting)
        if axis is None:
            resting |= bool(rows)
        else:
            resting.swapaxes(0, axis)[list(rows)] = True
        return np.where(resting, np.zeros_like(move), move)

    def _axis(self, name: str, values: Array) -> int | None:
        if self.axes is None:
            return 0 if values.ndim else None
        return self.axes.get(name)
