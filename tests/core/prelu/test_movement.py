"""What the slopes of a layer do from look to look."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.movement import SlopeTrack


def _followed(*looks: list[float]) -> SlopeTrack:
    track = SlopeTrack()
    for look in looks:
        track.add(np.array(look, np.float32))
    return track


def test_what_one_look_says_of_the_ones_before() -> None:
    first, second, third = _followed(
        [0.25, 0.5, -0.5], [0.25, 0.75, 0.5], [0.0, 3.0, 0.5]
    ).movements
    assert (first.max_change, first.from_start, first.n_unmoved) == (None, 0.0, 3)
    assert (second.max_change, second.n_sign_changes, second.n_unmoved) == (1.0, 1, 1)
    assert (third.max_change, third.from_start, third.n_sign_changes) == (2.25, 2.5, 0)
    assert (third.n_unmoved, third.n_outside) == (0, 1)
    assert third.mean_size == pytest.approx(3.5 / 3)


def test_a_sign_changes_although_a_slope_is_0_or_not_finite_between() -> None:
    track = SlopeTrack()
    looks = [[0.5, 0.5, 0.0], [0.0, np.nan, -0.5], [-0.5, 0.5, 0.0], [-1e-300, -1e-300, -1e-300]]
    changes = [track.add(np.array(look)).n_sign_changes for look in looks]
    assert changes == [0, 0, 1, 1]


def test_a_slope_that_comes_back_has_moved() -> None:
    track = _followed([0.25, 0.25], [0.25, 0.5], [0.25, 0.25])
    assert track.unmoved.tolist() == [True, False]
    assert "not_moving" not in track.trends()


@pytest.mark.parametrize(
    ("looks", "words"),
    [
        ([[0.25, 0.25]], ()),
        ([[0.25, 0.25], [0.25, 0.25]], ("not_moving",)),
        ([[0.25, 0.25], [0.25, np.nextafter(np.float32(0.25), np.float32(1))]], ()),
        ([[0.25], [2.5]], ("outside_range", "diverging")),
        ([[0.25], [2.5], [2.5]], ("outside_range",)),
        ([[0.25], [2.0], [-1.0]], ()),
        ([[0.25], [-1.5], [-1.25]], ("outside_range",)),
        ([[0.25], [np.nan]], ("diverging",)),
        ([[0.25, 0.1], [0.2, np.inf]], ("outside_range", "diverging")),
        ([[0.25], [0.22], [0.2], [0.19]], ("pulled_to_zero",)),
        ([[-0.25], [-0.22], [-0.2], [-0.19]], ("pulled_to_zero",)),
        ([[0.25], [0.24], [0.23], [0.22]], ()),  # less than a fifth
        ([[0.25], [0.22], [0.1], [0.12]], ()),  # and up again
        ([[0.25], [0.2], [0.1]], ()),  # too few looks
    ],
)
def test_what_all_looks_say(looks: list[list[float]], words: tuple[str, ...]) -> None:
    assert _followed(*looks).trends() == words


def test_no_look_says_nothing() -> None:
    assert SlopeTrack().trends() == ()


def test_another_number_of_slopes_is_another_layer() -> None:
    track = _followed([0.25, 0.25], [0.25, 0.25])
    movement = track.add(np.zeros(3))
    assert (movement.max_change, movement.n_unmoved, len(track.movements)) == (None, 3, 1)


def test_infinite_slopes_do_not_hide_how_far_the_others_went() -> None:
    slopes: list[Array] = [np.array([1.0, 1.0]), np.array([np.inf, 1.5])]
    track = SlopeTrack()
    for each in slopes:
        movement = track.add(each)
    assert movement.max_change == 0.5
    assert movement.mean_size == 1.5
