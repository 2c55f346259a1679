"""Runs that use every row of the tables that inputs index."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from prelu_tools.commands.verify.inputs.drawing import Drawer
from prelu_tools.commands.verify.inputs.feeds import Feeds, n_values
from prelu_tools.core.arrays import Array
from prelu_tools.core.domains import Values

_LARGEST = 4096  # tables up to this many rows are used completely
_ROWS = 128  # of one run
_MOST_RUNS = 32
_MOST_VALUES = 1 << 22  # of all inputs in all of these runs


def sweeps(drawer: Drawer, feeds: Sequence[Feeds], seed: int, number: int) -> list[Feeds]:
    """Runs that take each value once, of the inputs that index a table and have some left.

    They are the rows of tables up to a few thousand, as long as that takes a few runs of inputs of
    a moderate size; of others the rows that are drawn have to do, which begin with both ends.

    Args:
        drawer: draws the other inputs.
        feeds: the runs so far.
        seed: of the order.
        number: the first number of a run that is not used yet.
    """
    tables = {n: v for n, v in drawer.domains.items() if v.origin == "table" and not v.up_to}
    tables = {
        name: v
        for name, v in tables.items()
        if v.high < _LARGEST and not _is_used_up([run[name] for run in feeds], v)
    }
    example = drawer.run({}, 1, number)
    needed = max((_rows_for(example[name], v) for name, v in tables.items()), default=0)
    each = _ROWS if drawer.rows.names else drawer.rows.count(example)
    runs = math.ceil(needed / each)
    values = n_values(example) // drawer.rows.count(example) * needed
    if not runs or runs > _MOST_RUNS or values > _MOST_VALUES:
        return []
    count = math.ceil(needed / runs) if drawer.rows.names else each
    found = [drawer.run({}, count, number + run) for run in range(runs)]
    for name, domain in tables.items():
        _fill([run[name] for run in found], domain, np.random.default_rng([seed, number]))
    return found


def _is_used_up(arrays: Sequence[Array], domain: Values) -> bool:
    """Whether these have every value already."""
    places = len(domain.tops) or 1
    used = np.concatenate([values.reshape(-1, places) for values in arrays])
    tops = domain.tops or (int(domain.high),)
    counts = [top + 1 - int(domain.low) for top in tops]
    return all(len(np.unique(used[:, i])) >= count for i, count in enumerate(counts))


def _rows_for(example: Array, domain: Values) -> int:
    """How many rows hold each value once: at each place of the last axis, where these differ."""
    tops = np.array(domain.tops or (domain.high,))
    each = max(1, example.size // len(tops))
    return math.ceil((int(tops.max()) + 1) / each)


def _fill(arrays: list[Array], domain: Values, generator: np.random.Generator) -> None:
    """Each value in a random order, again and again, through the arrays of all runs."""
    flat = np.concatenate([values.reshape(-1) for values in arrays])
    places = len(domain.tops) or 1
    by_place = flat.reshape(-1, places)
    for place in range(places):
        top = int(domain.tops[place] if domain.tops else domain.high)
        every = np.arange(int(domain.low), top + 1)
        by_place[:, place] = np.resize(generator.permutation(every), len(by_place))
    start = 0
    for values in arrays:
        values[...] = flat[start : start + values.size].reshape(values.shape)
        start += values.size
