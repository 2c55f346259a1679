"""What candidates are compared with, value by value: float64 where it agrees, float32 elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prelu_tools.commands.verify.reference.expected import (
    expected_layers,
    expected_of,
    expected_outputs,
)
from prelu_tools.commands.verify.reference.perturbed import PerturbedRuns
from prelu_tools.core.arrays import Array
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import FACTOR, Extent

UNIT = 2.0**-23  # of float32 between 1 and 2


def _narrow(*values: float) -> Array:
    return np.array(values, np.float32)


def _wide(*values: float) -> Array:
    return np.array(values, np.float64)


@pytest.mark.parametrize(
    ("narrow", "wide", "scale", "is_same"),
    [
        pytest.param(1.0, 1.0, 0.0, True, id="equal"),
        pytest.param(1.0, 1 + UNIT, 0.0, True, id="plausible rounding"),
        pytest.param(1.0, 1 + 1.1e-4, 0.0, True, id="just plausible"),
        pytest.param(1.0, 1 + 1.2e-4, 0.0, False, id="too far"),
        pytest.param(-1.0, -1.00011, 0.0, True, id="of negative values too"),
        pytest.param(1.0, 1.0 + FACTOR, 1.0, True, id="within the spread"),
        pytest.param(1.0, 1.001 + FACTOR, 1.0, False, id="beyond the spread"),
        pytest.param(0.0, FACTOR * 2.0**-150, 0.0, True, id="half a unit of nothing"),
        pytest.param(0.0, FACTOR * 2.0**-149.9, 0.0, False, id="more than that"),
    ],
)
def test_float64_is_right_where_it_is_the_same_but_for_rounding(
    narrow: float, wide: float, scale: float, is_same: bool
) -> None:
    found = expected_of(_narrow(narrow), _wide(wide), _narrow(scale))
    error = abs(wide - float(np.float32(narrow))) if is_same else 0.0
    assert found.values.dtype == np.float64
    assert found.values[0] == (wide if is_same else np.float32(narrow))
    assert found.scale.dtype == np.float32
    assert found.scale[0] == np.float32(max(scale, error))
    assert (found.own_error, found.n_strange) == (error, 0 if is_same else 1)


def test_what_is_not_finite_is_as_float32_has_it() -> None:
    narrow = _narrow(math.inf, math.inf, math.nan, math.nan, 1.0, 5.0, 1.0)
    wide = _wide(math.inf, 1e39, math.nan, 1.0, math.nan, 9.0, math.inf)
    with np.errstate(all="raise"):
        found = expected_of(narrow, wide, np.zeros(7, np.float32))
    assert np.array_equal(found.values, narrow.astype(np.float64), equal_nan=True)
    assert (found.own_error, found.n_strange) == (0.0, 5)
    assert not found.scale.any()


def test_nothing_is_expected_of_no_values() -> None:
    found = expected_of(_narrow(), _wide(), _narrow())
    assert (found.values.size, found.own_error, found.n_strange) == (0, 0.0, 0)


# Outputs


def test_outputs_of_every_run_are_taken_and_their_spread_widened() -> None:
    runs = [{"y": _narrow(1, 2), "n": np.array([7])}, {"y": _narrow(4, 8), "n": np.array([9])}]
    wide = [{"y": _wide(1.0001, 2), "n": np.array([7])}, {"y": _wide(4, 99), "n": np.array([9])}]
    border = np.array([True, False])
    moved = PerturbedRuns(2, [
        {"y": Spread(_narrow(0, 0.5), border), "n": Spread(_narrow(0))},
        {"y": Spread(_narrow(0, 0)), "n": Spread(_narrow(0))},
    ])  # fmt: skip
    found = expected_outputs(runs, wide, moved)
    assert [y["y"].tolist() for y in found.outputs] == [[1.0001, 2.0], [4.0, 8.0]]
    assert [y["n"] is run["n"] for y, run in zip(found.outputs, runs, strict=True)] == [True] * 2
    assert found.extents["y"].scale == 8.0
    assert found.extents["y"].own_error == pytest.approx(1e-4)
    assert found.extents["n"] == Extent()
    assert (found.strange, found.n_agreed) == ({"y": (1, 4)}, 3)
    first, second = (spreads["y"] for spreads in moved.outputs)
    assert first.border is border
    assert first.scale.tolist() == [np.float32(1.0001 - 1), 0.5]
    assert second.scale.tolist() == [0.0, 0.0]


def test_an_output_of_another_shape_in_float64_stays_as_it_is() -> None:
    narrow, moved = {"z": _narrow(1, -3), "y": _narrow(1)}, PerturbedRuns(1)
    moved.outputs.append({name: Spread(np.zeros_like(y)) for name, y in narrow.items()})
    found = expected_outputs([narrow], [{"z": _wide(1), "y": _wide(1)}], moved)
    assert found.outputs[0]["z"] is narrow["z"]
    assert found.outputs[0]["y"].dtype == np.float64
    assert found.extents == {"z": Extent(3.0), "y": Extent(1.0, 0.0)}
    assert found.strange == {}


# Layers


def test_layers_are_taken_call_by_call() -> None:
    stash = Stash()
    calls = [(0, "a", 0), (0, "a", 1), (1, "b", 0), (1, "b", 1)]
    narrow = [_narrow(1), _narrow(2), _narrow(4), _narrow(5, 6)]
    wide = [_wide(1.0001), _wide(9), _wide(4.0001), _wide(5)]
    for call, own, exact in zip(calls, narrow, wide, strict=True):
        stash.put(("float32", *call), own)
        stash.put(("float64", *call), exact)
        if call != (1, "b", 0):  # of which no moved run knew
            stash.put(("spread", *call), np.zeros_like(own))
    found = expected_layers(stash, calls)
    assert list(found) == ["a", "b"]
    assert found["a"].scale == 2.0
    assert found["a"].own_error == pytest.approx(1e-4)
    assert stash.get(("float64", 0, "a", 0)).tolist() == [1.0001]
    assert stash.get(("float64", 0, "a", 1)).tolist() == [2.0]
    assert stash.get(("spread", 0, "a", 0)).tolist() == [np.float32(1.0001 - 1)]
    assert stash.get(("float64", 1, "b", 0)).tolist() == [4.0001]
    assert ("spread", 1, "b", 0) not in stash
    assert stash.get(("float64", 1, "b", 1)).tolist() == [5.0]
    assert found["b"].scale == 6.0
    assert found["b"].own_error == pytest.approx(1e-4)
