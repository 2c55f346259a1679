"""Which values the reference accepts: from what is known about its inputs, or by trying."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.core.domains import ANY, Values
from prelu_tools.core.options import Dim

Domains = Mapping[str, Values]
Score = Callable[[Domains], float]
"""The share of rows for which the reference gives finite numbers; less than 0 if it fails."""

_PICTURES = ("uint8", "int8", "uint16", "int16")
_MOST_SIZES = 4
ENOUGH = 0.5  # of the rows: the others are replaced


def known_domains(
    specs: Sequence[TensorSpec], asked: Mapping[str, tuple[float, float]]
) -> dict[str, Values]:
    """What is known of each input without running anything."""
    return {spec.name: _known(spec, asked.get(spec.name)) for spec in specs}


def _known(spec: TensorSpec, asked: tuple[float, float] | None) -> Values:
    if asked is not None:
        return Values(*asked, origin="asked")
    if spec.dtype in _PICTURES:
        limits = np.iinfo(spec.dtype)
        return Values(limits.min, limits.max, origin="type")
    whole = np.issubdtype(np.dtype(spec.dtype), np.integer)
    if spec.is_mask:
        return Values(0, 1, is_whole=not whole, origin="example")
    if whole and spec.seen is not None and spec.seen[0] < spec.seen[1]:
        return Values(*spec.seen, origin="example")
    return ANY


@dataclass(frozen=True)
class Found:
    """The result of the trials."""

    domains: dict[str, Values]
    """The domain of each input."""
    score: float
    """See `Score`."""


def try_domains(
    specs: Sequence[TensorSpec],
    shapes: Mapping[str, Sequence[Dim]],
    known: Domains,
    score: Score,
    most: int,
) -> Found:
    """Look for values with which the reference runs, one input at a time and then several.

    These are tried in order: the example's, [0, 1], positive numbers, [-1, 1], the inside of
    [0, 1], 0 and 1, whole numbers of 1 or more, and the same up to the size of an axis. The first
    for which all rows are finite is used, otherwise the best one. Inputs with a requested range
    and inputs that index a table keep their domain.

    Args:
        specs: the inputs.
        shapes: their shapes.
        known: where to start.
        score: see `Score`.
        most: the maximum number of trials.
    """
    best = Found(dict(known), score(known))
    groups = _groups([s for s in specs if known[s.name].origin not in ("asked", "table")])
    asked = 1
    for _ in range(2):
        before = best
        for group in groups:
            for values in _candidates(group[0], shapes):
                if best.score >= 1 or asked >= most:
                    return best
                trial = {**best.domains, **dict.fromkeys((s.name for s in group), values)}
                asked += 1
                found = score(trial)
                if found > best.score:
                    best = Found(trial, found)
            if best.score >= 1:
                return best
        if best is before:
            break
    return best


def _groups(specs: Sequence[TensorSpec]) -> list[list[TensorSpec]]:
    """Each input, integers first, and then all of one type together."""
    whole = [s for s in specs if np.issubdtype(np.dtype(s.dtype), np.integer)]
    floating = [s for s in specs if np.issubdtype(np.dtype(s.dtype), np.floating)]
    together = [group for group in (whole, floating) if len(group) > 1]
    return [*([s] for s in (*whole, *floating)), *together]


def _candidates(spec: TensorSpec, shapes: Mapping[str, Sequence[Dim]]) -> Iterator[Values]:
    is_floating = np.issubdtype(np.dtype(spec.dtype), np.floating)
    tried = Values(origin="tried", is_whole=is_floating)
    if spec.seen is not None and spec.seen[0] < spec.seen[1]:
        yield replace(tried, low=spec.seen[0], high=spec.seen[1], is_whole=False)
    if is_floating:
        yield replace(tried, low=0.0, high=1.0, is_whole=False)
        yield replace(tried, low=0.1, high=10.0, is_whole=False)
        yield replace(tried, low=1.0, high=100.0, is_whole=False)
        yield replace(tried, low=-1.0, high=1.0, is_whole=False)
        yield replace(tried, low=0.05, high=0.95, is_whole=False)
    yield replace(tried, low=0, high=1)
    yield replace(tried, low=1, high=9)
    sizes = dict.fromkeys(size for shape in shapes.values() for size in shape[1:] if size != 1)
    for size in list(sizes)[:_MOST_SIZES]:
        top = replace(tried, up_to=size) if isinstance(size, str) else replace(tried, high=size)
        yield replace(top, low=1)
        yield replace(top, high=top.high - 1)
        yield replace(top, low=1, is_falling=True)
    yield replace(tried, low=1, high=1)
