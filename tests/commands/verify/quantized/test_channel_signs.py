"""Inverse slopes are right in negated channels: which are, and what becomes of a layer."""

from __future__ import annotations

import numpy as np
import pytest
from quantized_layer_rig import Rig, X, Y

from prelu_tools.commands.verify.quantized.signs import ChannelSigns
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.reasons import code_of

pytestmark = pytest.mark.filterwarnings("error")
VALUES = np.array([[1.0, -2.0, 4.0], [8.0, 16.0, -2.0]], np.float32)
BOTH = np.array([[True, False, True]])


def _of(expected: Array, found: Array) -> ChannelSigns:
    signs = ChannelSigns(BOTH)
    signs.restored(expected, found)
    return signs


def test_values_of_inverted_channels_get_the_sign_and_the_size_of_the_reference() -> None:
    signs = ChannelSigns(BOTH)
    found = signs.restored(VALUES, VALUES * np.float32([[-0.5, -0.5, -4]]))
    assert found.dtype == np.float32
    assert found.tolist() == (VALUES * [[1, -0.5, 1]]).tolist()
    assert (signs.n_kept, signs.n_negated, signs.doubt) == (0, 2, None)
    near = ChannelSigns(BOTH).restored(VALUES, np.float32([[-2, 9, 0], [-12, 9, 0]]))
    assert near[:, 1:].tolist() == [[9, 0], [9, 0]]
    assert near[:, 0] == pytest.approx([2 * 98 / 148, 12 * 98 / 148])


@pytest.mark.parametrize(
    ("signs", "n_kept"), [([-1, 1, -1], 0), ([1, 1, -1], 1), ([-1, -1, 3], 1), ([1, -1, 1], 2)]
)
def test_channels_with_the_reference_sign_are_counted(signs: list[int], n_kept: int) -> None:
    assert _of(VALUES, VALUES * np.float32([signs])).n_kept == n_kept


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (-0.21, None),
        (-0.19, "but this was not seen"),
        (0.0, "but this was not seen"),
        (0.19, "but this was not seen"),
        (0.21, "but the channels are not negated"),
    ],
)
def test_rounding_is_no_sign(share: float, words: str | None) -> None:
    """The share is the cosine between what both give."""
    signs = ChannelSigns(np.array([[True]]))
    signs.restored(np.array([[3.0], [0.0]]), 7 * np.array([[share], [np.sqrt(1 - share**2)]]))
    assert (signs.n_kept, signs.n_negated) == (share > 0.2, share < -0.2)
    assert signs.doubt is None if words is None else str(signs.doubt).endswith(words)


def test_a_share_on_the_limit_is_no_sign_and_small_values_have_one() -> None:
    signs = ChannelSigns(np.array([[True]]))
    signs.restored(np.array([[1.0, 0, 0, 0]]).T, np.array([[1.0, 2, 2, 4]]).T)  # a fifth
    assert (signs.n_kept, signs.n_negated) == (0, 0)
    tiny = VALUES * np.float32(2.0**-10)
    assert (_of(tiny, tiny).n_kept, _of(tiny, -tiny).n_negated) == (2, 2)


def test_the_share_at_which_a_sign_is_seen_is_more_than_a_fifth() -> None:
    signs = ChannelSigns(np.array([[True]]))
    signs.restored(np.array([[1.0], [0], [0], [0]]), np.array([[1.0], [2], [4], [2]]))
    assert (signs.n_kept, signs._count(0)) == (0, 1)


@pytest.mark.parametrize("size", [2.0**-10, 2.0**10])
def test_channels_of_any_size_have_a_sign(size: float) -> None:
    assert _of(VALUES * np.float32(size), -VALUES * np.float32(size)).n_negated == 2


def test_what_gives_nothing_has_no_sign() -> None:
    for signs in (_of(VALUES * 0, VALUES), _of(VALUES, VALUES * 0)):
        assert (signs.n_kept, signs.n_negated, signs.doubt) == (0, 0, None)
    small = ChannelSigns(BOTH).restored(VALUES, VALUES * np.float32(-(2.0**-10)))
    assert small.tolist() == (VALUES * [[1, -(2.0**-10), 1]]).tolist()
    assert np.array_equal(ChannelSigns(BOTH).restored(VALUES, VALUES * 0), VALUES * 0)


def test_what_is_no_number_does_not_count() -> None:
    broken = VALUES.copy()
    broken[0] = np.nan
    signs = ChannelSigns(BOTH)
    assert np.isnan(signs.restored(VALUES, -broken)[0]).all()
    assert signs.n_kept == 0
    assert _of(broken, VALUES).n_kept == _of(VALUES, broken).n_kept == 2


@pytest.mark.parametrize("order", [1, -1])
def test_all_calls_count_together(order: int) -> None:
    signs, first = ChannelSigns(BOTH), ChannelSigns(np.array([[True, False, False]]))
    large = VALUES * np.float32([[16, 16, -16]])
    calls = [(VALUES * 16, large), (VALUES, VALUES * np.float32([[-1, 1, -1]]))][::order]
    for expected, found in calls:
        signs.restored(expected, found)
        first.restored(expected, found)
    assert signs.n_kept == first.n_kept == 1
    assert code_of(signs.doubt) == "slopes_inverted"


@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 3, 1)])
def test_what_has_another_shape_is_not_seen(shape: tuple[int, ...]) -> None:
    signs = ChannelSigns(BOTH)
    other = VALUES.reshape(shape)
    assert signs.restored(VALUES, other) is other
    assert signs.n_kept == 0
    assert "but this was not seen" in str(signs.doubt)
    assert code_of(signs.doubt) == "slopes_inverted"


def test_one_slope_is_said_to_be_one() -> None:
    one = np.array([[False, False, True]])
    assert str(ChannelSigns(one).doubt) == (
        "1 slope is 1/a where the reference has a; that is right if the channels are negated, but "
        "this was not seen"
    )


def test_slopes_with_more_axes_than_the_values_are_not_seen() -> None:
    signs, other = ChannelSigns(BOTH.reshape(1, 1, 3)), -VALUES
    assert signs.restored(VALUES, other) is other
    assert "but this was not seen" in str(signs.doubt)


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1, 1)])
def test_channels_lie_where_the_slopes_do(shape: tuple[int, ...]) -> None:
    x = np.arange(1, 25, dtype=np.float32).reshape(2, 3, 2, 2)
    signs = ChannelSigns(BOTH.reshape(shape))
    turned = np.float32([-1, 1, 1]).reshape(3, 1, 1)
    assert np.array_equal(signs.restored(x, x * turned), x)
    assert signs.n_kept == 1
    assert str(signs.doubt) == (
        "1 slope is 1/a where the reference has a, but the channels are not negated"
    )


# What becomes of a layer

STEEP = np.array([[2.0, 0.5, 4.0]], np.float32)
INVERSE = np.array([[0.5, 0.5, 0.25]], np.float32)
NEGATED = np.array([[-1.0, 1.0, -1.0]], np.float32)


def _prelu(x: Array, slopes: Array) -> Array:
    return np.asarray(np.where(x > 0, x, slopes * x))


def _inverse(x: Array, is_seen: bool = True, runs: int = 1) -> Rig:
    """A candidate with inverse slopes that was given this where the reference was given X."""
    rig = Rig(slopes=STEEP, found=INVERSE, activation=_prelu(X, STEEP) if is_seen else None)
    for run in range(runs):
        assert rig.observe(x, _prelu(x, INVERSE), run=run).off == 0.0
    return rig


def test_inverse_slopes_are_right_in_negated_channels() -> None:
    rig = _inverse(X * NEGATED, runs=2)
    found = rig.parity()
    assert (found.verdict, found.slopes_equal, found.difference) == ("pass", True, None)
    assert (found.n_by_value, found.max_abs_diff) == (3, 0.0)
    (note,) = rig.layers.notes("net.onnx")
    assert code_of(note) == "channels_negated"
    assert str(note) == (
        "net.onnx: 2 slopes of 1 layer are 1/a where the reference has a; the channels are "
        "negated, which computes the same"
    )


@pytest.mark.parametrize(
    ("x", "is_seen", "verdict", "words"),
    [
        (X, True, "fail",
         "2 slopes are 1/a where the reference has a, but the channels are not negated"),
        (X * NEGATED[:, ::-1] * [1, -1, -1], True, "fail",
         "1 slope is 1/a where the reference has a, but the channels are not negated"),
        (X * NEGATED, False, "inconclusive",
         "2 slopes are 1/a where the reference has a; that is right if the channels are "
         "negated, but this was not seen"),
    ],
    ids=["not negated", "one of them", "not seen"],
)  # fmt: skip
def test_inverse_slopes_elsewhere_are_not_right(
    x: Array, is_seen: bool, verdict: str, words: str
) -> None:
    rig = _inverse(x.astype(np.float32), is_seen)
    found = rig.parity()
    assert (found.verdict, code_of(found.difference)) == (verdict, "slopes_inverted")
    assert str(found.difference) == f"act: {words}"
    assert list(rig.layers.notes("net.onnx")) == []


@pytest.mark.parametrize(("slope", "verdict"), [(4.0, "fail"), (32.0, "inconclusive")])
def test_a_steep_slope_hides_that_a_channel_is_not_negated(slope: float, verdict: str) -> None:
    """P_a and P_1/a of the same values have little in common then, but nothing is negated."""
    x = np.array([[-1.0], [1.0]], np.float32)
    steep, flat = np.array([[slope]], np.float32), np.array([[1 / slope]], np.float32)
    rig = Rig(slopes=steep, found=flat, activation=_prelu(x, steep))
    rig.observe(x, _prelu(x, flat))
    found = rig.parity()
    assert (found.verdict, code_of(found.difference)) == (verdict, "slopes_inverted")
    assert list(rig.layers.notes("net.onnx")) == []


def test_one_inverse_slope_is_noted_as_one() -> None:
    slopes, found = np.array([[2.0, 0.5, 0.25]], np.float32), INVERSE
    rig = Rig(slopes=slopes, found=found, activation=_prelu(X, slopes))
    x = X * np.float32([[-1, 1, 1]])
    rig.observe(x, _prelu(x, found))
    (note,) = rig.layers.notes("net.onnx")
    assert str(note).startswith("net.onnx: 1 slope of 1 layer is 1/a where the reference has a; ")


def test_channels_that_give_nothing_are_not_noted() -> None:
    x = X * np.float32([[-1, 1, 0]])
    rig = Rig(slopes=STEEP, found=INVERSE, activation=_prelu(X * np.abs(np.sign(x)), STEEP))
    rig.observe(x, _prelu(x, INVERSE))
    assert rig.parity().verdict == "pass"
    (note,) = rig.layers.notes("net.onnx")
    assert str(note).startswith("net.onnx: 1 slope of 1 layer is 1/a")


def test_slopes_that_are_not_inverted_are_not_noted() -> None:
    rig = Rig(activation=np.asarray(Y))
    rig.observe(X, Y)
    assert list(rig.layers.notes("net.onnx")) == []
