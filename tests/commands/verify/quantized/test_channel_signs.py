"""Which channels have the reference's sign, and what a candidate's values are in its terms."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.commands.verify.quantized.signs import ChannelSigns
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.reasons import code_of

pytestmark = pytest.mark.filterwarnings("error")
X = np.array([[1.0, -2.0, 4.0], [8.0, 16.0, -2.0]], np.float32)
BOTH = np.array([[True, False, True]])


def _of(expected: Array, found: Array, inverted: Array = BOTH) -> int:
    signs = ChannelSigns(inverted)
    signs.restored(expected, found)
    return signs.n_kept


def test_values_of_inverted_channels_get_the_sign_and_the_size_of_the_reference() -> None:
    signs = ChannelSigns(BOTH)
    found = signs.restored(X, X * np.float32([[-0.5, -0.5, -4]]))
    assert found.dtype == np.float32
    assert found.tolist() == (X * [[1, -0.5, 1]]).tolist()
    assert (signs.n_kept, signs.doubt) == (0, None)
    near = ChannelSigns(BOTH).restored(X, np.float32([[-2, 9, 0], [-12, 9, 0]]))
    assert near[:, 1:].tolist() == [[9, 0], [9, 0]]
    assert near[:, 0] == pytest.approx([2 * 98 / 148, 12 * 98 / 148])


@pytest.mark.parametrize(
    ("signs", "n_kept"), [([-1, 1, -1], 0), ([1, 1, -1], 1), ([-1, -1, 3], 1), ([1, -1, 1], 2)]
)
def test_channels_with_the_reference_sign_are_counted(signs: list[int], n_kept: int) -> None:
    assert _of(X, X * np.float32([signs])) == n_kept


@pytest.mark.parametrize(("share", "n_kept"), [(0.0, 0), (0.19, 0), (0.21, 1), (-0.5, 0)])
def test_rounding_is_no_sign(share: float, n_kept: int) -> None:
    """The share is the cosine between what both give."""
    expected = np.array([[3.0], [0.0]])
    found = 7 * np.array([[share], [np.sqrt(1 - share**2)]])
    assert _of(expected, found, np.array([[True]])) == n_kept


def test_what_gives_nothing_has_no_sign() -> None:
    assert _of(X * 0, X) == _of(X, X * 0) == 0
    assert np.array_equal(ChannelSigns(BOTH).restored(X, X * 0), X * 0)


def test_what_is_no_number_does_not_count() -> None:
    broken = X.copy()
    broken[0] = np.nan
    signs = ChannelSigns(BOTH)
    assert np.isnan(signs.restored(X, -broken)[0]).all()
    assert signs.n_kept == 0
    assert _of(broken, X) == _of(X, broken) == 2


@pytest.mark.parametrize("order", [1, -1])
def test_all_calls_count_together(order: int) -> None:
    signs = ChannelSigns(BOTH)
    large = X * np.float32([[16, 16, -16]])
    calls = [(X * 16, large), (X, X * np.float32([[-1, 1, 1]]))][::order]
    for expected, found in calls:
        signs.restored(expected, found)
    assert signs.n_kept == 1
    assert code_of(signs.doubt) == "slopes_inverted"


@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 3, 1)])
def test_what_has_another_shape_is_not_seen(shape: tuple[int, ...]) -> None:
    signs = ChannelSigns(BOTH)
    other = X.reshape(shape)
    assert signs.restored(X, other) is other
    assert signs.n_kept == 0
    assert "which was not seen" in str(signs.doubt)


def test_slopes_with_more_axes_than_the_values_are_not_seen() -> None:
    signs, other = ChannelSigns(BOTH.reshape(1, 1, 3)), -X
    assert signs.restored(X, other) is other
    assert "which was not seen" in str(signs.doubt)


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1, 1)])
def test_channels_lie_where_the_slopes_do(shape: tuple[int, ...]) -> None:
    x = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 2, 2)
    signs = ChannelSigns(BOTH.reshape(shape))
    turned = np.float32([-1, 1, 1]).reshape(3, 1, 1)
    assert np.array_equal(signs.restored(x, x * turned), x)
    assert signs.n_kept == 1
    assert str(signs.doubt) == (
        "1 slopes are 1 / a where the reference has a, and their channels are not negated"
    )
