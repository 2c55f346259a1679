"""Runtimes without a batch get one row after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from prelu_tools.backends.runtimes.rows import in_rows
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError


def _sum(feeds: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
    return [np.asarray(sum(feeds.values())) for _ in names]


def test_each_row_is_run_and_put_behind_the_other() -> None:
    feeds = {"x": np.array([[1, 2], [3, 4]]), "z": np.array([[10, 20], [30, 40]])}
    assert in_rows(feeds, ["y"], _sum)["y"].tolist() == [[11, 22], [33, 44]]


def test_a_scalar_has_no_rows_and_is_fed_as_it_is() -> None:
    assert in_rows({"k": np.array(3.0)}, ["y"], _sum)["y"].tolist() == [3.0]
    with pytest.raises(PReLUToolsError, match="different first sizes"):
        in_rows({"x": np.ones((2, 2)), "k": np.ones((3, 2))}, ["y"], _sum)
