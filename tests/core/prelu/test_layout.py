"""Permutations against numpy.transpose, and what shapes tell about axis orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import (
    BoundaryAxes,
    Layout,
    Permutation,
    channels_first,
    channels_last,
    compose,
    from_layouts,
    inverse,
    moved_between,
    moved_from,
)
from prelu_tools.core.prelu.slopes import Shape

LAST = {3: (2, 7, 5), 4: (2, 7, 8, 5), 5: (2, 7, 8, 9, 5)}
FIRST = {3: (2, 5, 7), 4: (2, 5, 7, 8), 5: (2, 5, 7, 8, 9)}


@pytest.mark.parametrize("rank", LAST)
def test_channels_move_to_the_front_and_back(rank: int) -> None:
    last = np.zeros(LAST[rank])
    first = last.transpose(channels_first(rank))
    assert first.shape == FIRST[rank]
    assert first.transpose(channels_last(rank)).shape == LAST[rank]


@pytest.mark.parametrize("permutation", itertools.permutations(range(4)))
def test_inverse_undoes(permutation: Permutation) -> None:
    x = np.arange(120).reshape(2, 3, 4, 5)
    assert np.array_equal(x.transpose(permutation).transpose(inverse(permutation)), x)


@pytest.mark.parametrize("inner", itertools.permutations(range(3)))
@pytest.mark.parametrize("outer", itertools.permutations(range(3)))
def test_compose_is_one_transpose_after_the_other(outer: Permutation, inner: Permutation) -> None:
    x = np.arange(24).reshape(2, 3, 4)
    expected = x.transpose(inner).transpose(outer)
    assert np.array_equal(x.transpose(compose(outer, inner)), expected)


@pytest.mark.parametrize(
    ("source", "target", "rank", "expected"),
    [
        ("nchw", "nchw", 4, (0, 1, 2, 3)),
        ("nhwc", "nhwc", 4, (0, 1, 2, 3)),
        ("nhwc", "nchw", 4, (0, 3, 1, 2)),
        ("nchw", "nhwc", 4, (0, 2, 3, 1)),
        ("nhwc", "nchw", 3, (0, 2, 1)),
        ("nhwc", "nchw", 2, (0, 1)),
        ("nchw", "nhwc", 1, (0,)),
    ],
)
def test_from_layouts(source: Layout, target: Layout, rank: int, expected: Permutation) -> None:
    assert from_layouts(source, target, rank) == expected


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        pytest.param((None, 3, 8, 9), (None, 3, 8, 9), [(0, 1, 2, 3)], id="same"),
        pytest.param((None, 8, 9, 3), (None, 3, 8, 9), [(0, 3, 1, 2)], id="to channels first"),
        pytest.param((None, 3, 8, 9), (None, 8, 9, 3), [(0, 2, 3, 1)], id="to channels last"),
        pytest.param((None, 3, 8, 9), (None, 3, 9, 8), [], id="exchanged height and width"),
        pytest.param((None, 3, 8, 9), (None, 3, 8, 7), [], id="another size"),
        pytest.param((2, 3), (None, 3), [(0, 1)], id="any size fits None"),
        pytest.param((3, 4), (4, 3), [], id="rank 2 is never moved"),
        pytest.param((None, 3), (None, 3, 1), [], id="another rank"),
        pytest.param((None, 3, 5), (None, 5, 3), [(0, 2, 1)], id="rank 3: one way, told once"),
        pytest.param(
            (None, 4, 4, 4), (None, 4, 4, 4), [(0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)], id="doubt"
        ),
        pytest.param(
            (None, 3, None, None), (None, 3, None, None),
            [(0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)], id="free sizes leave a doubt",
        ),
        pytest.param(
            (None, 3, 3, 8), (None, 3, 3, 8), [(0, 1, 2, 3)], id="a wrong rotation is out",
        ),
    ],
)  # fmt: skip
def test_orders_by_shapes(source: Shape, target: Shape, expected: list[Permutation]) -> None:
    assert list(AxisAlignment.between(source, target)) == expected


@pytest.mark.parametrize(
    ("reference", "axes", "expected"),
    [
        (None, (0, 2, 3, 1), (0, 2, 3, 1)),
        ((0, 2, 3, 1), None, None),
        ((0, 2, 3, 1), (0, 2, 3, 1), (0, 1, 2, 3)),
        ((0, 3, 1, 2), (0, 1, 2, 3), (0, 2, 3, 1)),
        ((0, 1), (0, 2, 1), None),
    ],
)
def test_files_of_one_source_are_compared_with_each_other(
    reference: tuple[int, ...] | None,
    axes: tuple[int, ...] | None,
    expected: tuple[int, ...] | None,
) -> None:
    assert moved_from(reference, axes) == expected
    if reference and axes and expected:
        source = np.zeros(tuple(range(2, 2 + len(axes))))
        moved = source.transpose(reference).transpose(expected)
        assert moved.shape == source.transpose(axes).shape


def test_tensors_that_were_moved_are_known_by_name() -> None:
    first, last = (0, 3, 1, 2), (0, 2, 3, 1)
    assert moved_between({}, {"y": first}) == {"y": first}
    assert moved_between({"y": first}, {}) == {"y": last}
    assert moved_between({"y": first, "z": first}, {"y": first, "z": last}) == {"z": first}
    assert moved_between({"y": (0, 2, 1)}, {"y": first}) == {}
    assert moved_between({"y": first, "z": (0, 2, 1)}, {"y": first}) == {"z": (0, 2, 1)}
    assert BoundaryAxes() == BoundaryAxes({}, {})  # where nothing is said, nothing was moved
