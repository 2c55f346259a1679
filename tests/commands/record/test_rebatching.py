"""Rows of recorded tensors in batches of another size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from prelu_tools.backends.protocol.recording import RecordedRun
from prelu_tools.commands.verify.reference.rebatching import WITHOUT_ROWS, Part, parts_of, rows_of

RUN = RecordedRun({}, {}, {})


@pytest.mark.parametrize(("axis", "share"), [(0, 1), (0, 3), (1, 1), (1, 2)])
def test_each_row_has_its_share_of_an_axis(axis: int, share: int) -> None:
    count = 4
    shape = [5, 5]
    shape[axis] = count * share
    values = np.arange(shape[0] * shape[1]).reshape(shape)
    found = rows_of(values, axis, count, [2, 0])
    pieces = np.split(values, count, axis)
    np.testing.assert_array_equal(found, np.concatenate([pieces[2], pieces[0]], axis))


def test_what_has_no_rows_stays_and_what_is_unknown_is_none() -> None:
    part = Part(0, RUN, {}, is_first=True, count=4, places=(1,))
    values = np.arange(8.0).reshape(4, 2)
    assert part.take(values, WITHOUT_ROWS) is values
    assert part.take(values, None) is None
    assert part.take(values, 2) is part.take(values, 7) is None
    assert Part(0, RUN, {}, is_first=True, count=1, places=(0,)).take(values, 7) is None
    assert part.take(values[:3], 0) is None
    assert part.take(values[:0], 0) is None
    np.testing.assert_array_equal(part.take(values, 0), values[1:2])
    np.testing.assert_array_equal(part.take(values.T, 1), values.T[:, 1:2])
    assert part.take(values, -1) is values  # as it stands in files


def test_a_run_that_fits_is_taken_whole() -> None:
    values = np.zeros(3)
    assert Part(0, RUN, {}, is_first=True).take(values, None) is values


def test_rows_are_taken_once_and_inputs_without_rows_stay() -> None:
    x, state = np.arange(8.0).reshape(4, 2), np.ones(5)
    runs = [{"x": x, "state": state}, {"x": x[:1], "state": state}]
    record: Any = SimpleNamespace(
        row_axes={"x": 0}, row_names=frozenset({"batch"}), outputs={}, runs=(RUN, RUN)
    )
    found = [*parts_of(record, runs, {"x": (1, 2), "state": (5,)})]
    assert [(part.number, part.places, part.is_first) for part in found] == [
        (0, (row,), row == 0) for row in range(4)
    ]
    for row, part in enumerate(found):
        np.testing.assert_array_equal(part.feeds["x"], x[row : row + 1])
        assert part.feeds["state"] is state
