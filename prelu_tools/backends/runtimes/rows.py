"""Runtimes that have no batch, run one row after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError

RunRow = Callable[[Mapping[str, Array], Sequence[str]], list[Array]]
"""Tensors by name, for one row of each input; no array has an axis for the batch."""


def in_rows(feeds: Mapping[str, Array], names: Sequence[str], run: RunRow) -> dict[str, Array]:
    """Tensors of all rows, with the axis of the batch before their own.

    Raises:
        PReLUToolsError: inputs have different numbers of rows, or the rows different shapes.
    """
    counts = {values.shape[0] if values.ndim else 1 for values in feeds.values()}
    if len(counts) != 1:
        raise PReLUToolsError("its inputs have different first sizes, and it has no batch")
    rows = [
        run({name: values[row] if values.ndim else values for name, values in feeds.items()}, names)
        for row in range(counts.pop())
    ]
    if any(len({part.shape for part in parts}) > 1 for parts in zip(*rows, strict=True)):
        raise PReLUToolsError("it gives results of different shapes for different rows")
    return {
        name: np.stack(parts) for name, parts in zip(names, zip(*rows, strict=True), strict=True)
    }
