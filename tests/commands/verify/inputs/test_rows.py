"""Which axis of each input counts the rows."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.commands.verify.inputs.rows import find_rows, mixed
from prelu_tools.core.options import Dim


@pytest.mark.parametrize(
    ("shapes", "axes", "names"),
    [
        pytest.param({"x": ("batch", 3)}, {"x": 0}, {"batch"}, id="the first"),
        pytest.param({"x": ("n", 3), "y": ("m", 2)}, {"x": 0, "y": 0}, {"n", "m"}, id="two names"),
        pytest.param({"s": (), "x": ("n",)}, {"x": 0}, {"n"}, id="a scalar has none"),
        pytest.param(
            {"x": ("n", 7), "h": (2, "n", 5), "c": (2, "n", 5)}, {"x": 0, "h": 1, "c": 1}, {"n"},
            id="states of an LSTM",
        ),
        pytest.param(
            {"h": (2, "n", 5), "x": ("n", 7)}, {"x": 0, "h": 1}, {"n"}, id="states come first"
        ),
        pytest.param(
            {"x": ("time", "batch", 7), "h": (1, "batch", 5)}, {"x": 1, "h": 1}, {"batch"},
            id="time first",
        ),
        pytest.param({"x": ("n", 7), "table": (4, 7)}, {"x": 0}, {"n"}, id="a whole one"),
        pytest.param({"x": ("n", "t"), "m": ("t",)}, {"x": 0}, {"n"}, id="beside the rows"),
        pytest.param({"x": ("n", 7), "a": ("n", "n")}, {}, set(), id="nodes of a graph"),
        pytest.param({"a": ("n", "n")}, {}, set(), id="nothing but nodes"),
        pytest.param({"x": (3, "n"), "a": (3, "n", "n")}, {"x": 0, "a": 0}, set(), id="3 graphs"),
        pytest.param(
            {"x": ("b", "n", 7), "a": ("b", "n", "n")}, {"x": 0, "a": 0}, {"b"}, id="graphs",
        ),
        pytest.param({"x": (2, 7), "h": (1, 2)}, {"x": 0, "h": 0}, set(), id="fixed"),
        pytest.param({"x": (1, 3, "h", "w")}, {"x": 0}, set(), id="fixed beside free sizes"),
    ],
)  # fmt: skip
def test_where_the_rows_are(
    shapes: dict[str, tuple[Dim, ...]], axes: dict[str, int], names: set[str]
) -> None:
    rows = find_rows(shapes)
    assert (dict(rows.axes), set(rows.names)) == (axes, names)


def test_rows_are_counted_and_taken_along_their_own_axis() -> None:
    rows = find_rows({"s": (), "h": (2, "n", 5), "x": ("n", 7)})
    feeds = {"s": np.array(3.0), "h": np.arange(30).reshape(2, 3, 5), "x": np.ones((3, 7))}
    assert rows.count(feeds) == 3
    assert rows.count({"s": np.array(3.0)}) == 1
    last = rows.take(feeds, [2])
    assert {name: values.shape for name, values in last.items()} == {
        "s": (), "h": (2, 1, 5), "x": (1, 7)
    }  # fmt: skip
    assert np.array_equal(last["h"], feeds["h"][:, 2:])


def test_rows_beyond_the_last_begin_again() -> None:
    rows = find_rows({"x": ("n", 1)})
    assert rows.take({"x": np.array([[1], [2], [3]])}, [2, 3, 4])["x"].ravel().tolist() == [3, 1, 2]


def test_rows_of_two_runs_are_mixed_along_their_own_axis() -> None:
    rows = find_rows({"s": (), "h": (2, "n", 1), "x": ("n", 1)})
    one = {"s": np.array(3.0), "h": np.array([[[1], [2]], [[3], [4]]]), "x": np.array([[1], [2]])}
    other = {"s": np.array(4.0), "h": -one["h"], "x": np.array([[5]])}
    found = mixed(rows, one, other, np.array([0, 2]))
    assert list(found) == ["s", "h", "x"]
    assert found["s"] is one["s"]
    assert found["x"].tolist() == [[1], [5]]
    assert found["h"].tolist() == [[[1], [-1]], [[3], [-3]]]
