"""How slopes are shared, where their channels are, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import (
    PReLULayer,
    Shape,
    Sharing,
    SlopeParameter,
    align,
    broadcasts,
    laid_over,
)

Dims = tuple[int, ...]


def _layer(
    slope_shape: Dims, input_shape: Shape | None, preceding_parameters: int | None = None
) -> PReLULayer:
    return PReLULayer(
        name="act",
        nodes=("act",),
        parameter="act.weight",
        form="prelu",
        slopes=np.ones(slope_shape, np.float32),
        input_shape=input_shape,
        stored_shape=slope_shape,
        preceding_parameters=preceding_parameters,
        same_instance=True,
    )


@pytest.mark.parametrize(
    ("slope_shape", "input_shape", "sharing", "channel_axis"),
    [
        pytest.param((1, 1, 1, 1), (None, 8, 5, 6), "channel-shared", None, id="one slope"),
        pytest.param((1,), None, "channel-shared", None, id="one slope, unknown input"),
        pytest.param((), None, "channel-shared", None, id="a scalar"),
        pytest.param((1, 1, 1, 1), (None, 1, 5, 6), "channel-shared", None, id="one channel"),
        pytest.param((1, 8, 1, 1), (None, 8, 5, 6), "channel-wise", 1, id="channels first"),
        pytest.param((1, 1, 1, 8), (None, 5, 6, 8), "channel-wise", 3, id="channels last"),
        pytest.param((1, 8), (None, 8), "channel-wise", 1, id="after a dense layer"),
        pytest.param((1, 8, 1, 1), (None, None, 5, 6), "channel-wise", 1, id="free channels"),
        pytest.param((8, 1, 1), None, "channel-wise", None, id="unknown input"),
        pytest.param((1, 8, 5, 6), (None, 8, 5, 6), "element-wise", None, id="one a position"),
        pytest.param((1, 8, 5, 6), (2, 8, 5, 6), "element-wise", None, id="fixed batch"),
        pytest.param((1, 1, 5, 6), (None, 1, 5, 6), "element-wise", None, id="of one channel"),
        pytest.param((1, 5, 8), (None, 5, 8), "element-wise", None, id="one a step"),
        pytest.param((1, 8, 5, 1), (None, 8, 5, 6), "partial", None, id="shared along one axis"),
        pytest.param((1, 1, 5, 6), (None, None, 5, 6), "partial", None, id="a free axis is shared"),
        pytest.param((2, 8, 5, 6), (2, 8, 5, 6), "partial", None, id="a slope for each row"),
        pytest.param((1, 8, 5, 6), None, "partial", None, id="several axes, unknown input"),
    ],
)
def test_sharing(
    slope_shape: Dims, input_shape: Shape | None, sharing: Sharing, channel_axis: int | None
) -> None:
    layer = _layer(slope_shape, input_shape)
    assert (layer.sharing, layer.channel_axis) == (sharing, channel_axis)


def test_axes_along_which_slopes_differ_are_counted_from_the_batch() -> None:
    assert _layer((1, 8, 1, 6), (None, 8, 5, 6)).varying_axes == (1, 3)


def test_axes_and_positions_are_unknown_where_nothing_is_said() -> None:
    layer = _layer((1,), None)
    assert layer.axes is None
    assert layer.positions == ()


def test_the_type_is_that_of_the_slopes() -> None:
    assert _layer((1,), None).dtype == "float32"


@pytest.mark.parametrize(
    ("preceding", "expected"), [(80, 10.0), (4, 200.0), (None, None), (0, None)]
)
def test_overhead_is_in_percent_of_the_layer_before(
    preceding: int | None, expected: float | None
) -> None:
    assert _layer((1, 8, 1, 1), (None, 8, 5, 6), preceding).overhead_percent == expected


@pytest.mark.parametrize(
    ("shape", "rank", "expected"),
    [
        ((3,), 4, (1, 1, 1, 3)),
        ((3, 1, 1), 4, (1, 3, 1, 1)),
        ((), 2, (1, 1)),
        ((1, 3), 2, (1, 3)),
        ((3, 1, 1), None, (3, 1, 1)),
        ((1, 1, 3), 2, (1, 1, 3)),
    ],
)
def test_align_adds_axes_in_front(shape: Dims, rank: int | None, expected: Dims) -> None:
    values = np.arange(np.prod(shape)).reshape(shape)
    aligned = align(values, rank)
    assert aligned.shape == expected
    assert aligned.ravel().tolist() == values.ravel().tolist()
    assert (aligned is values) is (shape == expected)


# Over inputs of other ranks


def _called(slopes: Array, input_shape: Shape | None) -> PReLULayer:
    return PReLULayer("a", ("a",), None, "PReLU", slopes, input_shape, slopes.shape, None, True)


@pytest.mark.parametrize(
    ("shape", "input_shape", "rank", "laid"),
    [
        pytest.param((1, 3, 1, 1), (None, 3, 4, 5), 4, (1, 3, 1, 1), id="the same"),
        pytest.param((3, 1, 1), None, 4, (1, 3, 1, 1), id="numpy's rule where nothing is known"),
        pytest.param((3, 1, 1), None, 2, None, id="more axes than the input"),
        pytest.param((1,), None, 0, (), id="one slope on a scalar"),
        pytest.param((1, 1, 1, 1), (None, 3, 4, 5), 2, (1, 1), id="one slope on anything"),
        pytest.param((1, 3, 1), (None, 3, 5), 2, (1, 3), id="channels of fewer axes"),
        pytest.param((1, 3), (None, 3), 4, (1, 3, 1, 1), id="channels of more axes"),
        pytest.param((1, 1, 1, 3), (None, 4, 5, 3), 3, (1, 1, 3), id="the last axis"),
        pytest.param((1, 1, 4, 1), (None, 3, 4, 5), 3, None, id="an axis in between"),
        pytest.param((1, 3, 4), (None, 3, 4), 4, None, id="several axes"),
    ],
)
def test_slopes_over_an_input_of_another_rank(
    shape: tuple[int, ...], input_shape: Shape | None, rank: int, laid: tuple[int, ...] | None
) -> None:
    slopes = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    found = laid_over(_called(slopes, input_shape), rank)
    assert (None if found is None else found.shape) == laid
    assert found is None or found.reshape(-1).tolist() == slopes.reshape(-1).tolist()


@pytest.mark.parametrize(
    ("slope", "shape", "fits"),
    [
        ((3,), (None, 3), True), ((1, 3), (2, 3), True), ((1,), (5,), True), ((3,), (None,), True),
        ((3, 1, 1), (None, 3, 4, 5), True), ((3,), (4,), False), ((3, 1), (3,), False),
        ((2, 3), (3, 3), False), ((2,), (1,), False), ((), (), True), ((3,), (), False),
    ],
)  # fmt: skip
def test_what_broadcasts_to_an_input(
    slope: tuple[int, ...], shape: tuple[int | None, ...], fits: bool
) -> None:
    assert broadcasts(slope, shape) is fits


def test_a_parameter_that_is_called_again_has_one_call_more() -> None:
    parameter = SlopeParameter("act", "act.weight", np.float32([1]), np.array([0]), 2)
    again = parameter.called_again()
    assert (again.n_calls, again.layer, again.call) == (3, "act", 0)
