"""Runtimes without a batch get one row after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from prelu_tools.backends.runtimes.ncnn.running import in_rows
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError


def _sum(inputs: Sequence[Array]) -> list[Array]:
    return [np.asarray(sum(inputs))]


def test_each_row_is_run_and_put_behind_the_other() -> None:
    inputs = [np.array([[1, 2], [3, 4]]), np.array([[10, 20], [30, 40]])]
    assert in_rows(inputs, _sum)[0].tolist() == [[11, 22], [33, 44]]


def test_a_scalar_has_no_rows_and_is_fed_as_it_is() -> None:
    assert in_rows([np.array(3.0)], _sum)[0].tolist() == [3.0]
    rows = in_rows([np.array([[1.0], [2.0]]), np.array(3.0)], _sum)
    assert rows[0].tolist() == [[4.0], [5.0]]


def test_inputs_of_different_numbers_of_rows_are_refused() -> None:
    with pytest.raises(PReLUToolsError, match="differ in their first size"):
        in_rows([np.ones((2, 2)), np.ones((3, 2))], _sum)
