"""Rows of recorded tensors in batches of another size."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.backends.protocol.recording import RecordedRun
from prelu_tools.commands.verify.reference.rebatching import WITHOUT_ROWS, Part, rows_of

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
    assert part.take(values, 7) is None
    assert part.take(values[:3], 0) is None
    assert part.take(values[:0], 0) is None
    np.testing.assert_array_equal(part.take(values, 0), values[1:2])


def test_a_run_that_fits_is_taken_whole() -> None:
    values = np.zeros(3)
    assert Part(0, RUN, {}, is_first=True).take(values, None) is values
