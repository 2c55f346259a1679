"""The inputs of a check that are drawn: which sizes, how many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.backends.interface import TensorSpec
from prelu_tools.commands.feeds import NO_ROWS, Feeds
from prelu_tools.commands.linking import InputLink
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import Wanted, draw
from prelu_tools.core.options import Dim

_LARGER = 16  # what is added to the first free size: most nets halve four times at most


@dataclass(frozen=True)
class DrawPlan:
    """What to draw."""

    samples: int
    """Rows in all."""
    seed: int
    """Of the draws."""
    ranges: Mapping[str, tuple[float, float]]
    """For an input's name the values that it may take."""


def draw_feeds(
    reference: Sequence[TensorSpec],
    others: Sequence[tuple[Sequence[TensorSpec], Sequence[InputLink]]],
    plan: DrawPlan,
) -> list[Feeds]:
    """Draw the inputs of a check in the reference's layout.

    A size that any of the models fixes is kept, the batch included. Else `samples` rows are run in
    one batch, the first of them again alone, and where other sizes are free too, three rows of
    larger sizes, each another one, so that one taken for another is seen.

    Raises:
        PReLUToolsError: a model fixes a batch of no rows.
    """
    shapes = {spec.name: _known_shape(spec, others) for spec in reference}
    return [
        {name: values if shapes[name] else np.asarray(values[0]) for name, values in run.items()}
        for run in _runs(reference, shapes, plan)
    ]


def _runs(
    reference: Sequence[TensorSpec], shapes: Mapping[str, Sequence[Dim]], plan: DrawPlan
) -> list[Feeds]:
    """What to run, with rows even for an input that has no axis."""
    batches = {shape[0] for shape in shapes.values() if shape and isinstance(shape[0], int)}
    for name, shape in shapes.items():
        if shape and shape[0] == 0:
            raise PReLUToolsError(f"input {name} {NO_ROWS}")
    wanted = {s.name: _wanted(s, shapes[s.name], plan, 0) for s in reference}
    if batches:
        batch = max(batches)
        rows = draw(wanted, -(-plan.samples // batch) * batch, plan.seed)
        own = {name: shape[0] if shape else 1 for name, shape in shapes.items()}
        sizes = {name: size if isinstance(size, int) else batch for name, size in own.items()}
        starts = range(0, len(next(iter(rows.values()))), batch)
        return [
            {name: values[start : start + sizes[name]] for name, values in rows.items()}
            for start in starts
        ]
    rows = draw(wanted, plan.samples, plan.seed)
    feeds = [rows]
    if plan.samples > 1:
        feeds.append({name: values[:1] for name, values in rows.items()})
    if any(isinstance(size, str) for shape in shapes.values() for size in shape[1:]):
        larger = {s.name: _wanted(s, shapes[s.name], plan, _LARGER) for s in reference}
        feeds.append(draw(larger, min(3, plan.samples), plan.seed + 1))
    return feeds


def _known_shape(
    spec: TensorSpec, others: Sequence[tuple[Sequence[TensorSpec], Sequence[InputLink]]]
) -> list[Dim]:
    """An input's shape with the sizes that any of the models fixes."""
    known: list[Dim] = list(spec.shape)
    for specs, links in others:
        link = next(link for link in links if link.reference == spec.name)
        other = next(s for s in specs if s.name == link.candidate)
        for axis, source in enumerate(link.permutation):
            if isinstance(known[source], str) and isinstance(other.shape[axis], int):
                known[source] = other.shape[axis]
    return known


def _wanted(spec: TensorSpec, shape: Sequence[Dim], plan: DrawPlan, more: int) -> Wanted:
    free = list(dict.fromkeys(size for size in shape[1:] if isinstance(size, str)))
    row = tuple(
        size if isinstance(size, int) else example + more * (1 + free.index(size))
        for size, example in zip(shape[1:], spec.example[1:], strict=True)
    )
    return Wanted(spec.dtype, row, plan.ranges.get(spec.name))
