"""Runtimes without a batch axis, run one row after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError


def in_rows(inputs: Sequence[Array], run: Callable[[Sequence[Array]], list[Array]]) -> list[Array]:
    """The results of all rows, with the axis of the batch before their own.

    Args:
        inputs: with the axis of the batch; a scalar has none, and is the same for all rows.
        run: takes one row of each, and gives results without that axis.

    Raises:
        PReLUToolsError: inputs have different numbers of rows, or the rows different shapes.
    """
    counts = {values.shape[0] for values in inputs if values.ndim} or {1}
    if len(counts) != 1:
        raise PReLUToolsError("its inputs differ in their first size, so it has no batch axis")
    rows = [
        run([values[row] if values.ndim else values for values in inputs])
        for row in range(counts.pop())
    ]
    if any(len({part.shape for part in parts}) > 1 for parts in zip(*rows, strict=True)):
        raise PReLUToolsError("it gives results of different shapes for different rows")
    return [np.stack(parts) for parts in zip(*rows, strict=True)]
