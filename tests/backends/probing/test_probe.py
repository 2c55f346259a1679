"""Layers are asked, not read: what is a PReLU, how its slopes lie, and what is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from prelu_tools.backends.probing.probe import Answer, could_be_slope, probe
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import Shape

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


def ask(
    layer: Layer, parameter: Dims | Array, shape: Shape, others: dict[str, Array] | None = None
) -> Answer | None:
    """Probe a layer with one parameter `a` of this shape or value, and with what else it has."""
    own = parameter
    if isinstance(own, tuple):
        own = np.random.default_rng(3).uniform(-0.8, 1.7, own).astype(np.float32)
    constants = {"a": own, **(others or {})}

    def call(x: Array, changed: Mapping[str, Array]) -> Array:
        return layer(x, *({**constants, **changed}).values())

    return probe(call, constants, shape)


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
    found = ask(layer, parameter, shape)
    assert found is not None
    assert found.is_own
    indices = found.indices
    assert indices.ndim == len(shape)
    values = np.arange(np.prod(parameter, dtype=int)).reshape(parameter)
    expected = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    assert np.array_equal(values.reshape(-1)[indices], expected)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_where_the_channels_are_when_all_sizes_are_equal(axis: int) -> None:
    found = ask(_along(axis), (4,), (None, 4, 4, 4))
    assert found is not None
    assert found.is_own
    indices = found.indices
    assert indices.shape == tuple(4 if i == axis else 1 for i in range(4))
    assert indices.ravel().tolist() == [0, 1, 2, 3]


def test_slopes_in_another_order_are_followed() -> None:
    found = ask(lambda x, a: _along(1)(x, a[::-1]), (4,), (None, 4, 5))
    assert found is not None
    assert found.is_own
    indices = found.indices
    assert indices.ravel().tolist() == [3, 2, 1, 0]


def test_slopes_of_each_position_that_are_turned_are_followed() -> None:
    found = ask(lambda x, a: _plain(x, a.T), (3, 3), (None, 3, 3))
    assert found is not None
    assert found.is_own
    indices = found.indices
    assert indices[0].tolist() == np.arange(9).reshape(3, 3).T.tolist()


def test_axes_of_size_one_are_shared() -> None:
    found = ask(_plain, (1, 4, 1), (None, 1, 4, 1))
    assert found is not None
    assert found.is_own
    indices = found.indices
    assert indices.shape == (1, 1, 4, 1)


def _to_bfloat16(x: Array) -> Array:
    return (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


OTHERS: dict[str, Layer] = {
    "linear": lambda x, a: a * x,
    "identity": lambda x, a: x,
    "relu": lambda x, a: np.maximum(x, 0),
    "leaky relu": lambda x, a: np.where(x > 0, x, np.float32(0.25) * x),
    "exponential": lambda x, a: np.where(x > 0, x, a * np.expm1(x)),
    "scaled above": lambda x, a: np.where(x > 0, a * x, x),
    "scaled on both sides": lambda x, a: np.where(x > 0, 2 * x, a * x),
    "thresholded": lambda x, a: np.where(x > -0.75, x, a * x),
    "shifted": lambda x, a: np.where(x > 0, x, a * x + 1),
    "a constant below": lambda x, a: np.where(x > 0, x, -a),
    "squared": lambda x, a: np.where(x > 0, x, a * x * np.abs(x)),
    "gated": lambda x, a: x * a / (1 + np.abs(x)),
    "cut at two": lambda x, a: np.minimum(_plain(x, a), 2),
    "another shape": lambda x, a: _plain(x, a)[:, :2],
    "another rank": lambda x, a: _plain(x, a)[..., None],
    "a row more": lambda x, a: np.concatenate([_plain(x, a), _plain(x, a)]),
    "a threshold near 0": lambda x, a: np.where(x > 0.01, x, a * x),
    "a threshold at the mean": lambda x, a: np.where(x > x.mean(), x, a * x),
    "a floor": lambda x, a: np.maximum(_plain(x, a), -0.5),
    "a cap far above": lambda x, a: np.minimum(_plain(x, a), 1e6),
    "an offset": lambda x, a: _plain(x, a) + a,
    "a small offset": lambda x, a: _plain(x, a) - np.float32(1e-6),
    "bfloat16 in between": lambda x, a: _plain(_to_bfloat16(x), a),
    "not a number": lambda x, a: np.where(x > 0, x, np.nan),
    "slopes by size": lambda x, a: np.where(x > 0, x, np.where(x < -0.75, a, a[..., ::-1]) * x),
}


@pytest.mark.parametrize("layer", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_prelu(layer: Layer) -> None:
    assert ask(layer, (3,), (None, 4, 3)) is None


MIXING: dict[str, Layer] = {
    "mirrored": lambda x, a: _plain(x, a)[:, ::-1],
    "rolled": lambda x, a: np.roll(_plain(x, a), 1, axis=1),
    "averaged": lambda x, a: np.broadcast_to(_plain(x, a).mean(1, keepdims=True), x.shape),
    "with exchanged axes": lambda x, a: _plain(x, a).swapaxes(1, 2),
}


@pytest.mark.parametrize("layer", MIXING.values(), ids=MIXING.keys())
def test_a_layer_that_moves_its_input_about_is_no_prelu(layer: Layer) -> None:
    assert ask(layer, (1,), (None, 4, 4)) is None


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "negated": lambda a: -a,
    "half": lambda a: np.float32(0.5) * a,
    "clipped": lambda a: np.clip(a, 0, 1),
    "positive": lambda a: np.maximum(a, 0),
    "absolute": np.abs,
    "softplus": lambda a: np.log1p(np.exp(a)),
    "more": lambda a: a + np.float32(0.25),
    "float16": lambda a: a.astype(np.float16).astype(np.float32),
    "quantized": lambda a: np.float32(0.125) * np.round(a * 8),
    "joined": lambda a: np.concatenate([a[:2], a[:1], a[2:3]]),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_slopes_are_what_a_function_makes_of_the_parameter(
    function: Callable[[Array], Array],
) -> None:
    own = np.array([-0.625, 0.3, 1.7, -0.1], np.float32)
    found = ask(lambda x, a: _plain(x, function(a)), own, (None, 5, 4))
    assert found is not None
    assert not found.is_own
    assert found.origin == "a"
    assert (
        found.values.reshape(-1)[found.indices].tolist() == function(own).reshape(1, 1, 4).tolist()
    )


def test_a_function_that_gives_one_slope_shares_it() -> None:
    found = ask(lambda x, a: _plain(x, a.mean()), np.array([1, 3], np.float32), (None, 2))
    assert found is not None
    assert found.values.tolist() == [[2.0]]


def test_equal_slopes_are_not_taken_for_a_shared_one() -> None:
    found = ask(lambda x, a: _plain(x, 2 * a), np.full(3, 0.25, np.float32), (None, 3))
    assert found is not None
    assert found.values.tolist() == [[0.5, 0.5, 0.5]]


def test_a_part_of_a_parameter_is_no_parameter_of_its_own() -> None:
    table = np.array([[0.5, -1], [2, 3]], np.float32)
    found = ask(lambda x, a: _plain(x, a[1]), table, (None, 2))
    assert found is not None
    assert not found.is_own
    assert found.values.tolist() == [[2.0, 3.0]]


def test_the_origin_is_the_first_that_the_slopes_depend_on() -> None:
    others = {"b": np.array([1.0, 2.0], np.float32), "c": np.array([0.5], np.float32)}
    found = ask(
        lambda x, a, b, c: _plain(x + 0 * a, b * c), np.zeros(2, np.float32), (None, 2), others
    )
    assert found is not None
    assert (found.origin, found.is_own) == ("b", False)
    assert found.values.tolist() == [[0.5, 1.0]]


@pytest.mark.parametrize(
    ("layer", "own"),
    [(lambda x, a: a * x, 1.0), (lambda x, a: x + a, 0.0), (lambda x, a: np.maximum(x, a), 0.0)],
    ids=["a scale of 1", "a bias of 0", "a floor of 0"],
)
def test_what_looks_like_a_prelu_for_its_present_value_is_none(layer: Layer, own: float) -> None:
    assert ask(layer, np.full(3, own, np.float32), (None, 3)) is None


def test_a_sum_that_rounds_is_a_prelu() -> None:
    half = np.float32(0.5)
    own = np.array([0.3, -0.7, 1.9], np.float32)
    found = ask(lambda x, a: half * (1 + a) * x + half * (1 - a) * np.abs(x), own, (None, 3))
    assert found is not None
    assert np.allclose(found.values.reshape(-1), own, rtol=1e-6)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_slopes_that_are_no_numbers_are_found_by_the_others(value: float) -> None:
    own = np.array([0.25, value], np.float32)
    found = ask(lambda x, a: x * (x > 0) + a * x * (x <= 0), own, (None, 2))
    assert found is not None
    assert found.is_own


def test_subnormal_slopes_that_a_framework_flushes_are_kept() -> None:
    own = np.array([0.5, 1e-42], np.float32)
    found = ask(lambda x, a: _plain(x, np.where(np.abs(a) < 1e-38, 0, a)), own, (None, 2))
    assert found is not None
    assert found.is_own
    assert found.values.tolist() == own.tolist()


def test_slopes_along_the_batch_are_no_parameter() -> None:
    assert ask(_plain, (2, 1), (None, 3)) is None
    assert ask(_plain, (2,), (None, None)) is None


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
