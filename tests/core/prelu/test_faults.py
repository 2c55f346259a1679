"""Planted faults: each is what it says, changes some bit, and is the same for a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.prelu.faults import KINDS, Fault, faults_in

_RANDOM = np.random.default_rng(0)
CHANNELS = _RANDOM.normal(size=(1, 4, 1, 1)).astype(np.float32)
OTHERS = _RANDOM.normal(size=(1, 4, 1, 1)).astype(np.float32)
ELEMENTS = _RANDOM.normal(size=(1, 2, 3, 5)).astype(np.float32)
SHARED = np.full((1, 1, 1, 1), 0.3, np.float32)


def _all(n: int) -> Array:
    return np.ones(n, np.bool_)


def _faults(
    *slopes: Array, layer: int = 0, reached: Array | None = None, size: int = 0, seed: int = 0
) -> dict[str, Fault]:
    wanted = _all(slopes[layer].size) if reached is None else reached
    return {fault.kind: fault for fault in faults_in(layer, slopes, wanted, size, seed)}


def _moved(right: Array, fault: Fault) -> list[int]:
    return np.flatnonzero(right.reshape(-1) != fault.slopes.reshape(-1)).tolist()


def test_every_kind_is_planted_where_it_can_be() -> None:
    found = _faults(CHANNELS, OTHERS, size=4)
    assert set(found) == set(KINDS) - {"transposed"}
    found = _faults(ELEMENTS, ELEMENTS + 1)
    assert set(found) == set(KINDS) - {"misplaced"}
    found = _faults(SHARED, SHARED * 2)
    assert set(found) == {"moved", "negated", "neighbour", "rounded"}


@pytest.mark.parametrize("right", [CHANNELS, ELEMENTS, SHARED], ids=["channel", "element", "one"])
def test_what_a_fault_says_of_itself(right: Array) -> None:
    found = _faults(right, right + 1, size=4)
    assert found
    for fault in found.values():
        assert fault.layer == 0
        assert fault.slopes.dtype == right.dtype
        if fault.kind == "misplaced":
            continue
        assert fault.slopes.shape == right.shape
        assert not same_bits(fault.slopes, right)
        assert fault.touched.shape == (right.size,)
        assert np.flatnonzero(fault.touched).tolist() == _moved(right, fault)


def test_one_slope_moved_by_a_tenth() -> None:
    fault = _faults(CHANNELS)["moved"]
    (place,) = _moved(CHANNELS, fault)
    assert f"slope {place} " in fault.description
    right, wrong = CHANNELS.reshape(-1)[place], fault.slopes.reshape(-1)[place]
    assert wrong == pytest.approx(1.1 * right)


def test_a_slope_of_zero_moves_too() -> None:
    fault = _faults(np.zeros((1, 3), np.float32))["moved"]
    assert sorted(fault.slopes.reshape(-1).tolist()) == [0.0, 0.0, pytest.approx(0.1)]


def test_two_slopes_exchanged() -> None:
    fault = _faults(CHANNELS)["exchanged"]
    first, second = _moved(CHANNELS, fault)
    right, wrong = CHANNELS.reshape(-1), fault.slopes.reshape(-1)
    assert (wrong[first], wrong[second]) == (right[second], right[first])
    assert str(first) in fault.description
    assert str(second) in fault.description


def test_equal_slopes_are_not_exchanged() -> None:
    right = np.array([[0.25, 0.25, 0.5, 0.25]], np.float32)
    for seed in range(10):
        assert 2 in _moved(right, _faults(right, seed=seed)["exchanged"])


def test_slopes_negated() -> None:
    assert same_bits(_faults(CHANNELS)["negated"].slopes, -CHANNELS)


def test_element_wise_slopes_transposed() -> None:
    wrong = _faults(ELEMENTS)["transposed"].slopes
    assert wrong.reshape(2, 5, 3).tolist() == ELEMENTS[0].transpose(0, 2, 1).tolist()
    partly = ELEMENTS[:, :, :, :1]
    wrong = _faults(partly)["transposed"].slopes
    assert wrong.reshape(3, 2).tolist() == partly.reshape(2, 3).T.tolist()


def test_slopes_averaged() -> None:
    wrong = _faults(CHANNELS)["averaged"].slopes
    assert np.unique(wrong).tolist() == [pytest.approx(CHANNELS.mean())]


def test_slopes_shifted_by_one() -> None:
    wrong = _faults(ELEMENTS)["shifted"].slopes.reshape(-1)
    assert wrong.tolist() == [ELEMENTS.reshape(-1)[-1], *ELEMENTS.reshape(-1)[:-1]]


def test_the_neighbours_slopes() -> None:
    after = _faults(CHANNELS, OTHERS)["neighbour"]
    before = _faults(OTHERS, CHANNELS, layer=1)["neighbour"]
    assert same_bits(after.slopes, OTHERS)
    assert same_bits(before.slopes, OTHERS)
    assert before.layer == 1
    both = _faults(SHARED, OTHERS, CHANNELS, layer=1)["neighbour"]
    assert same_bits(both.slopes, CHANNELS)
    assert "neighbour" not in _faults(CHANNELS, ELEMENTS)


def test_slopes_rounded_to_half_precision() -> None:
    wrong = _faults(CHANNELS)["rounded"].slopes
    assert same_bits(wrong, CHANNELS.astype(np.float16).astype(np.float32))


def test_a_column_made_a_row() -> None:
    fault = _faults(CHANNELS, size=4)["misplaced"]
    assert fault.slopes.shape == (4,)
    assert fault.slopes.tolist() == CHANNELS.reshape(-1).tolist()
    assert fault.touched.tolist() == [True] * 4
    assert "[4,1,1] made [4]" in fault.description
    assert "misplaced" not in _faults(CHANNELS, size=5)  # would not broadcast
    row = CHANNELS.reshape(1, 4)
    assert "misplaced" not in _faults(row, size=4)  # is where it belongs


@pytest.mark.parametrize(
    ("right", "left_out"),
    [
        pytest.param(np.full((1, 3, 1, 1), 0.25), {"rounded", "averaged", "shifted", "exchanged"},
                     id="equal, and exact in float16"),
        pytest.param(np.full((1, 2, 2, 2), 0.25), {"transposed"}, id="symmetric"),
        pytest.param(np.full((1, 1), 0.25), {"rounded", "averaged", "shifted", "transposed"},
                     id="one slope"),
    ],
)  # fmt: skip
def test_what_changes_no_bit_is_not_planted(right: Array, left_out: set[str]) -> None:
    found = _faults(right.astype(np.float32))
    assert not left_out & set(found)
    assert {"moved", "negated"} <= set(found)


def test_a_neighbour_of_equal_slopes_is_no_fault() -> None:
    assert "neighbour" not in _faults(CHANNELS, CHANNELS.copy())


def test_a_zero_that_is_negated_is_no_fault() -> None:
    """Keras' slopes begin at 0, and no output tells 0.0 from -0.0."""
    assert set(_faults(np.zeros((1, 2), np.float32))) == {"moved"}
    signed = np.array([[0.0, -0.0]], np.float32)
    assert set(_faults(signed)) == {"moved"}
    partly = _faults(np.array([[0.0, 0.5]], np.float32))["negated"]
    assert partly.touched.tolist() == [False, True]


def test_single_slopes_are_taken_from_those_that_are_reached() -> None:
    right = _RANDOM.normal(size=(1, 50)).astype(np.float32)
    reached = np.zeros(50, np.bool_)
    reached[[7, 31]] = True
    moved = set()
    for seed in range(20):
        found = _faults(right, reached=reached, seed=seed)
        moved.update(_moved(right, found["moved"]))
        assert _moved(right, found["exchanged"]) == [7, 31]
    assert moved == {7, 31}


def test_where_none_is_reached_any_may_be_taken() -> None:
    found = _faults(CHANNELS, reached=np.zeros(4, np.bool_))
    assert len(_moved(CHANNELS, found["moved"])) == 1


def _bytes(faults: Sequence[Fault]) -> list[tuple[str, str, bytes]]:
    return [(fault.kind, fault.description, fault.slopes.tobytes()) for fault in faults]


def test_a_seed_gives_the_same_faults_twice_and_another_one_others() -> None:
    right = _RANDOM.normal(size=(1, 500)).astype(np.float32)

    def planted(seed: int, layer: int = 0) -> list[tuple[str, str, bytes]]:
        return _bytes(list(faults_in(layer, [right, right], _all(500), 0, seed)))

    assert planted(3) == planted(3)
    assert planted(3)[0] != planted(4)[0]
    assert planted(3, 0)[0] != planted(3, 1)[0]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_faults_are_of_the_slopes_type(dtype: type) -> None:
    found = _faults(CHANNELS.astype(dtype), OTHERS)
    assert {fault.slopes.dtype for fault in found.values()} == {np.dtype(dtype)}
    assert ("rounded" in found) is (dtype is np.float64)


def test_the_right_slopes_stay_as_they_are() -> None:
    before = ELEMENTS.copy()
    _faults(ELEMENTS, ELEMENTS)
    assert same_bits(ELEMENTS, before)


def test_slopes_that_are_all_one_are_misplaced_nowhere() -> None:
    column = np.array([0.25, 0.5, 0.75], np.float32).reshape(3, 1)
    assert "misplaced" in _faults(column, size=3)
    assert _faults(column, size=3)["misplaced"].touched.dtype == np.bool_
    assert "misplaced" not in _faults(np.full((3, 1), 0.25, np.float32), size=3)


def test_no_slopes_have_no_faults() -> None:
    assert _faults(np.zeros((1, 0, 1), np.float32), size=0) == {}


def test_each_fault_says_what_it_is() -> None:
    neighbour = ELEMENTS.reshape(1, 5, 3, 2) + 1
    found = _faults(ELEMENTS, neighbour)
    words = {kind: found[kind].description for kind in found if kind not in ("moved", "exchanged")}
    assert words == {
        "negated": "slopes negated",
        "transposed": "slopes transposed",
        "averaged": "slopes averaged",
        "shifted": "slopes shifted by one",
        "neighbour": "has the slopes of its neighbour",
        "rounded": "slopes rounded to float16",
    }
    assert found["neighbour"].slopes.shape == ELEMENTS.shape


@pytest.mark.filterwarnings("error")
def test_a_slope_that_float16_cannot_hold_is_rounded_to_infinity() -> None:
    assert _faults(np.array([1e6], np.float32))["rounded"].slopes.tolist() == [np.inf]


@pytest.mark.parametrize("seed", range(8))
def test_a_slope_is_exchanged_with_the_next_one_that_is_another(seed: int) -> None:
    right = np.array([1, 1, 2, 2, 3], np.float32)
    fault = _faults(right, seed=seed)["exchanged"]
    place, other = (int(word) for word in fault.description.split() if word.isdecimal())
    following = [(place + step) % 5 for step in range(5)]
    assert other == next(i for i in following if right[i] != right[place])
