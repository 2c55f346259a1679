"""Random inputs of a check: their values, rows and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.domains import Domains
from prelu_tools.commands.verify.inputs.feeds import NO_ROWS, Feeds
from prelu_tools.commands.verify.inputs.linking import InputLink
from prelu_tools.commands.verify.inputs.rows import Rows, find_rows
from prelu_tools.commands.verify.inputs.sizes import Sizes
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import Wanted, draw
from prelu_tools.core.options import Dim, free_size

Shapes = Mapping[str, Sequence[Dim]]
Others = Sequence[tuple[Sequence[TensorSpec], Sequence[InputLink]]]
"""The inputs of each candidate, and how they are fed."""

_GROUPS = 4  # runs with their own values for inputs that have no rows


@dataclass(frozen=True)
class DrawPlan:
    """What to draw."""

    samples: int
    """Rows in all."""
    seed: int
    """The seed of the draws."""
    ranges: Mapping[str, tuple[float, float]]
    """For an input's name the values that it may take."""


def known_shapes(reference: Sequence[TensorSpec], others: Others) -> dict[str, list[Dim]]:
    """The shapes of the reference's inputs, with the sizes that any of the models fixes.

    A dynamic size without a name in the reference has that of a candidate.

    Raises:
        PReLUToolsError: a model fixes a batch of no rows.
    """
    shapes = {spec.name: _known_shape(spec, others) for spec in reference}
    for name, shape in shapes.items():
        if shape and shape[0] == 0:
            raise PReLUToolsError(f"input {name!r} {NO_ROWS}")
    taken = {size for shape in shapes.values() for size in shape}
    for name, shape in shapes.items():
        for axis, size in enumerate(shape):
            names = _names_of(name, axis, others) if axis and size == free_size(name, axis) else ()
            shape[axis] = next((one for one in names if one not in taken), size)
            taken.add(shape[axis])
    return shapes


def _names_of(name: str, axis: int, others: Others) -> Iterator[str]:
    """What the candidates call a dynamic size of an input, if it is a name for that one alone."""
    for specs, links in others:
        used = Counter(size for spec in specs for size in spec.shape)
        by_name = {spec.name: spec for spec in specs}
        for link in links:
            if link.reference != name:
                continue
            place = link.permutation.index(axis)
            size = by_name[link.candidate].shape[place]
            is_named = size != free_size(link.candidate, place) and used[size] == 1
            if isinstance(size, str) and is_named:
                yield size


def _known_shape(spec: TensorSpec, others: Others) -> list[Dim]:
    known: list[Dim] = list(spec.shape)
    for specs, links in others:
        link = next((link for link in links if link.reference == spec.name), None)
        if link is None:
            continue
        other = next(s for s in specs if s.name == link.candidate)
        for axis, source in enumerate(link.permutation):
            if isinstance(known[source], str) and isinstance(other.shape[axis], int):
                known[source] = other.shape[axis]
    return known


def of_one_batch(shapes: Shapes) -> dict[str, list[Dim]] | None:
    """The shapes with all first sizes fixed, as those of the other inputs are; None if none is."""
    fixed = [shape[0] for shape in shapes.values() if shape and isinstance(shape[0], int)]
    if not fixed:
        return None
    return {
        name: [max(fixed), *shape[1:]] if shape and isinstance(shape[0], str) else list(shape)
        for name, shape in shapes.items()
    }


class Drawer:
    """Draws runs for a model."""

    def __init__(
        self,
        specs: Sequence[TensorSpec],
        shapes: Shapes,
        plan: DrawPlan,
        domains: Domains,
        examples: Mapping[str, int] | None = None,
    ) -> None:
        """Take the model's inputs.

        Args:
            specs: the inputs.
            shapes: their shapes; see `known_shapes`.
            plan: what to draw.
            domains: the values that each may take.
            examples: sizes of dynamic axes in the place of those of the example.
        """
        self.rows: Rows = find_rows(shapes)
        self._specs = specs
        self._shapes = shapes
        self._plan = plan
        self.domains = domains
        self._examples = {**_examples(specs, shapes), **(examples or {})}

    @property
    def sizes(self) -> Sizes:
        """The example's size for each dynamic axis."""
        return self._examples

    @property
    def free(self) -> Sizes:
        """The example's size for each dynamic axis that does not count rows."""
        return {n: size for n, size in self._examples.items() if n not in self.rows.names}

    def is_plain(self, name: str) -> bool:
        """Whether an input has its rows first, and takes any values."""
        return self.rows.axes.get(name) == 0 and self.domains[name].is_any

    def usual(self) -> list[Feeds]:
        """`samples` rows at the sizes of the example, and the first one again alone.

        Inputs without rows have other values in each of a few runs. Where the batch is fixed, there
        are as many runs as it takes.
        """
        samples = self._plan.samples
        if not self.rows.names:
            rows = self.rows.axes.values() and max(
                int(self._shapes[name][0]) for name in self.rows.axes
            )
            count = rows or 1
            return [self.run({}, count, i) for i in range(-(-samples // count))]
        alike = all(name in self.rows.axes for name in self._shapes)
        groups = 1 if alike else min(_GROUPS, max(1, samples // 2))
        count = -(-samples // groups)
        runs = [self.run({}, count, i) for i in range(groups)]
        if count > 1:
            bound = any(values.up_to in self.rows.names for values in self.domains.values())
            runs.insert(1, self.run({}, 1, 0) if bound else self.rows.take(runs[0], [0]))
        return runs

    def sizes_of(self, feeds: Mapping[str, Array]) -> Sizes:
        """The sizes of dynamic axes in a run."""
        return {
            size: feeds[name].shape[axis]
            for name, shape in self._shapes.items()
            for axis, size in enumerate(shape)
            if isinstance(size, str)
        }

    def run(self, sizes: Mapping[str, int], count: int, number: int) -> Feeds:
        """One run.

        Args:
            sizes: of dynamic axes; the example's for those that it lacks.
            count: the rows.
            number: which run it is: another one has other values.
        """
        known = {**self._examples, **dict.fromkeys(self.rows.names, count), **sizes}
        shapes = {
            name: [size if isinstance(size, int) else known[size] for size in shape]
            for name, shape in self._shapes.items()
        }
        wanted = {s.name: self._wanted(s, shapes[s.name], known) for s in self._specs}
        axes, seed = self.rows.axes, self._plan.seed
        rows = {name: what for name, what in wanted.items() if name in axes}
        others = {name: what for name, what in wanted.items() if name not in axes}
        drawn = draw(rows, count, [seed, number], number * count)
        whole = draw(others, 1, [seed, number, 1], number)
        return {
            name: self._laid(name, drawn[name], shapes[name])
            if name in axes
            else np.asarray(whole[name][0])
            for name in wanted
        }

    def _laid(self, name: str, rows: Array, shape: Sequence[int]) -> Array:
        """As many of the rows as an input takes, along its own axis."""
        axis = self.rows.axes[name]
        rows = -np.sort(-rows, axis=0) if self.domains[name].is_falling else rows
        return np.ascontiguousarray(np.moveaxis(rows[: shape[axis]], 0, axis))

    def _wanted(self, spec: TensorSpec, sizes: Sequence[int], known: Mapping[str, int]) -> Wanted:
        axis = self.rows.axes.get(spec.name)
        row = tuple(size for place, size in enumerate(sizes) if place != axis)
        values = self.domains[spec.name]
        return Wanted(spec.dtype, row, values.limits(known), values.is_whole, values.tops)


def _examples(specs: Sequence[TensorSpec], shapes: Shapes) -> Sizes:
    """The largest size of each name: where it is a first one, 1 is the example of a batch."""
    found: Sizes = {}
    for spec in specs:
        for size, example in zip(shapes[spec.name], spec.example, strict=True):
            if isinstance(size, str):
                found[size] = max(example, found.get(size, example))
    return found
