"""Layers are asked, not read: what is a PReLU, how its slopes lie, and what is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from prelu_tools.backends.probe import could_be_slope, probe
from prelu_tools.core.arrays import Array
from prelu_tools.core.slopes import Shape

Dims = tuple[int, ...]
Layer = Callable[[Array, Array], Array]


def _plain(x: Array, a: Array) -> Array:
    """PReLU with slopes laid over the input by numpy's rule."""
    return np.where(x > 0, x, a * x)


def _along(axis: int) -> Layer:
    """PReLU with slopes [C] along one axis of the input."""

    def layer(x: Array, a: Array) -> Array:
        shape = [1] * x.ndim
        shape[axis] = -1
        return _plain(x, a.reshape(shape))

    return layer


SPELLINGS: dict[str, Layer] = {
    "where": _plain,
    "relu": lambda x, a: np.maximum(x, 0) - a * np.maximum(-x, 0),
    "min and max": lambda x, a: np.maximum(x, 0) + a * np.minimum(x, 0),
    "abs": lambda x, a: np.maximum(x, 0) + a * ((x - np.abs(x)) * np.float32(0.5)),
    "mask": lambda x, a: x * (x > 0) + a * x * (x <= 0),
}


@pytest.mark.parametrize("layer", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize(
    ("parameter", "shape"),
    [
        pytest.param((1,), (None, 3, 4, 5), id="one"),
        pytest.param((), (None, 3, 4, 5), id="a scalar"),
        pytest.param((3, 1, 1), (None, 3, 4, 5), id="channels first"),
        pytest.param((1, 1, 5), (None, 3, 4, 5), id="channels last"),
        pytest.param((3, 4, 5), (None, 3, 4, 5), id="each position"),
        pytest.param((3, 1, 5), (None, 3, 4, 5), id="shared along one axis"),
        pytest.param((3, 1, 1), (None, 3, None, None), id="free sizes"),
        pytest.param((7,), (None, 7), id="after a dense layer"),
        pytest.param((7,), (2, 7), id="a fixed batch"),
        pytest.param((1, 6), (None, None, 6), id="a free number of steps"),
    ],
)
def test_how_slopes_lie_over_the_input(layer: Layer, parameter: Dims, shape: Shape) -> None:
    indices = probe(layer, parameter, shape)
    assert indices is not None
    assert indices.ndim == len(shape)
    values = np.arange(np.prod(parameter, dtype=int)).reshape(parameter)
    expected = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    assert np.array_equal(values.reshape(-1)[indices], expected)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_where_the_channels_are_when_all_sizes_are_equal(axis: int) -> None:
    indices = probe(_along(axis), (4,), (None, 4, 4, 4))
    assert indices is not None
    assert indices.shape == tuple(4 if i == axis else 1 for i in range(4))
    assert indices.ravel().tolist() == [0, 1, 2, 3]


def test_slopes_in_another_order_are_followed() -> None:
    indices = probe(lambda x, a: _along(1)(x, a[::-1]), (4,), (None, 4, 5))
    assert indices is not None
    assert indices.ravel().tolist() == [3, 2, 1, 0]


def test_slopes_of_each_position_that_are_turned_are_followed() -> None:
    indices = probe(lambda x, a: _plain(x, a.T), (3, 3), (None, 3, 3))
    assert indices is not None
    assert indices[0].tolist() == np.arange(9).reshape(3, 3).T.tolist()


def test_axes_of_size_one_are_shared() -> None:
    indices = probe(_plain, (1, 4, 1), (None, 1, 4, 1))
    assert indices is not None
    assert indices.shape == (1, 1, 4, 1)


OTHERS: dict[str, Layer] = {
    "linear": lambda x, a: a * x,
    "identity": lambda x, a: x,
    "relu": lambda x, a: np.maximum(x, 0),
    "leaky relu": lambda x, a: np.where(x > 0, x, np.float32(0.25) * x),
    "negated slope": lambda x, a: np.where(x > 0, x, -a * x),
    "half the slope": lambda x, a: np.where(x > 0, x, np.float32(0.5) * a * x),
    "exponential": lambda x, a: np.where(x > 0, x, a * np.expm1(x)),
    "scaled above": lambda x, a: np.where(x > 0, a * x, x),
    "scaled on both sides": lambda x, a: np.where(x > 0, 2 * x, a * x),
    "thresholded": lambda x, a: np.where(x > -0.75, x, a * x),
    "shifted": lambda x, a: np.where(x > 0, x, a * x + 1),
    "a constant below": lambda x, a: np.where(x > 0, x, -a),
    "squared": lambda x, a: np.where(x > 0, x, a * x * np.abs(x)),
    "gated": lambda x, a: x * a / (1 + np.abs(x)),
    "cut at two": lambda x, a: np.minimum(_plain(x, a), 2),
    "summed": lambda x, a: np.where(x > 0, x, a.sum() * x),
    "another shape": lambda x, a: _plain(x, a)[:, :2],
    "another rank": lambda x, a: _plain(x, a)[..., None],
    "a row more": lambda x, a: np.concatenate([_plain(x, a), _plain(x, a)]),
    "not a number": lambda x, a: np.where(x > 0, x, np.nan),
    "slopes by size": lambda x, a: np.where(x > 0, x, np.where(x < -0.75, a, a[..., ::-1]) * x),
}


@pytest.mark.parametrize("layer", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_prelu(layer: Layer) -> None:
    assert probe(layer, (3,), (None, 4, 3)) is None


MIXING: dict[str, Layer] = {
    "mirrored": lambda x, a: _plain(x, a)[:, ::-1],
    "rolled": lambda x, a: np.roll(_plain(x, a), 1, axis=1),
    "averaged": lambda x, a: np.broadcast_to(_plain(x, a).mean(1, keepdims=True), x.shape),
    "with exchanged axes": lambda x, a: _plain(x, a).swapaxes(1, 2),
}


@pytest.mark.parametrize("layer", MIXING.values(), ids=MIXING.keys())
def test_a_layer_that_moves_its_input_about_is_no_prelu(layer: Layer) -> None:
    assert probe(layer, (1,), (None, 4, 4)) is None


@pytest.mark.parametrize(
    ("parameter", "shape"),
    [((3,), (None, 4, 5)), ((2, 3), (None, 4, 3)), ((3, 4, 5), (None, 4, 5)), ((3,), (3,))],
)
def test_a_parameter_that_does_not_fit_is_not_even_asked(parameter: Dims, shape: Shape) -> None:
    def layer(x: Array, a: Array) -> Array:
        raise AssertionError("the layer was called")

    assert probe(layer, parameter, shape) is None


@pytest.mark.parametrize(
    ("parameter", "shape", "could"),
    [
        ((), (None, 3), True),
        ((1,), (None, 3), True),
        ((1, 1, 1), (None, 3), True),
        ((3,), (None, 3), True),
        ((3,), (None, 3, 4, 5), True),
        ((5,), (None, 3, 4, 5), True),
        ((2,), (None, 3, 4, 5), False),
        ((2,), (2, 3, 4, 5), False),
        ((2,), (None, None, None), False),
        ((3, 1, 1), (None, 3, 4, 5), True),
        ((4, 1), (None, 3, 4, 5), True),
        ((3, 1), (None, 3, 4, 5), False),
        ((3, 4, 5), (None, 3, 4, 5), True),
        ((3, 4, 6), (None, 3, 4, 5), False),
        ((3, 4, 5), (None, 3, None, 5), False),
        ((1, 3, 4, 5), (None, 3, 4, 5), False),
    ],
)
def test_what_could_be_a_slope(parameter: Dims, shape: Shape, could: bool) -> None:
    assert could_be_slope(parameter, shape) is could
