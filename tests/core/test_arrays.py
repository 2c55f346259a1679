"""Results are copies that nobody can write to; equal means the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core.arrays import Array, frozen, packed, same_bits, shapes_in_words

ONE = np.array([1.0, 2.0], np.float32)
NAN = np.array([np.nan], np.float32)


def test_frozen_is_a_copy() -> None:
    values = np.array([1.0, 2.0])
    copy = frozen(values)
    values[0] = 5.0
    assert copy.tolist() == [1.0, 2.0]


def test_frozen_cannot_be_written_and_leaves_the_original_writable() -> None:
    values = np.array([1.0, 2.0])
    copy = frozen(values)
    with pytest.raises(ValueError, match="read-only"):
        copy[0] = 5.0
    assert values.flags.writeable


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        pytest.param(ONE, ONE.copy(), True, id="equal"),
        pytest.param(NAN, NAN.copy(), True, id="nan equals itself"),
        pytest.param(np.arange(6.0).reshape(2, 3).T, np.arange(6.0).reshape(2, 3).T.copy(), True,
                     id="strides do not matter"),
        pytest.param(np.array([0.0]), np.array([-0.0]), False, id="signed zero"),
        pytest.param(ONE, ONE.astype(np.float64), False, id="type"),
        pytest.param(np.zeros(2, np.float32), np.zeros(2, np.int32), False, id="bits, other type"),
        pytest.param(ONE, ONE.reshape(1, 2), False, id="shape"),
        pytest.param(ONE, np.nextafter(ONE, 3), False, id="last place"),
    ],
)  # fmt: skip
def test_same_bits(left: Array, right: Array, same: bool) -> None:
    assert same_bits(left, right) is same
    assert same_bits(right, left) is same


def test_packed_keeps_the_shape_of_a_scalar_and_turns_axes_back_in_place() -> None:
    assert packed(np.array(2.0)).shape == ()
    turned = packed(np.arange(6).reshape(2, 3).T)
    assert turned.flags.c_contiguous
    assert turned.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_shapes_are_said_with_the_names_of_their_arrays() -> None:
    arrays = {"x": np.zeros((2, 3)), "flag": np.zeros(()), "ids": np.zeros(7)}
    assert shapes_in_words(arrays) == "x of shape 2x3, flag of shape (), ids of shape 7"
