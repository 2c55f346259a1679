"""What the slopes of a layer say that its owner should know, and when they say nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.findings import slope_findings
from prelu_tools.core.prelu.slopes import PReLULayer, Shape
from prelu_tools.core.prelu.statistics import DEFAULT_THRESHOLDS, Thresholds
from prelu_tools.core.results.inspection import Finding

CHANNELS: Shape = (None, 2, 5, 6)


def _layer(slopes: Array, input_shape: Shape | None = CHANNELS) -> PReLULayer:
    return PReLULayer("act", ("act",), None, "prelu", slopes, input_shape, slopes.shape, None, True)


def _two(first: float, second: float) -> PReLULayer:
    return _layer(np.array([first, second], np.float64).reshape(1, 2, 1, 1))


def _findings(layer: PReLULayer, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> list[Finding]:
    found = list(slope_findings(layer, thresholds))
    assert all(finding.layer == "act" and len(finding.message) > 20 for finding in found)
    return found


def _codes(layer: PReLULayer) -> dict[str, str]:
    return {finding.code: finding.severity for finding in _findings(layer)}


@pytest.mark.parametrize(
    ("first", "second", "codes"),
    [
        pytest.param(0.3, -0.7, {}, id="learned"),
        pytest.param(0.25, 0.25, {"at_init": "warning"}, id="as torch starts"),
        pytest.param(0.0, 0.0, {"at_init": "warning"}, id="as Keras starts"),
        pytest.param(0.005, -0.005, {"relu_like": "info"}, id="relu"),
        pytest.param(0.995, 1.005, {"identity_like": "info"}, id="identity"),
        pytest.param(0.5, 0.5, {"uniform": "info"}, id="uniform"),
        pytest.param(math.nan, 0.5, {"non_finite": "error"}, id="NaN"),
        pytest.param(0.5, math.inf, {"non_finite": "error"}, id="infinite"),
        pytest.param(math.nan, math.nan, {"non_finite": "error"}, id="all NaN"),
    ],
)
def test_what_was_learned(first: float, second: float, codes: dict[str, str]) -> None:
    assert _codes(_two(first, second)) == codes


def test_slopes_that_are_not_finite_are_counted() -> None:
    (finding,) = _findings(_layer(np.array([np.nan, 0.5, -np.inf]).reshape(1, 3, 1, 1)))
    assert finding.message.startswith("2 of 3 slopes")


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "initial value, 0.25:"), (0.5, "2 slopes are 0.5:")]
)
def test_the_one_value_is_named(value: float, text: str) -> None:
    assert text in _findings(_two(value, value))[0].message


def test_thresholds_are_the_callers() -> None:
    layer = _two(0.04, -0.04)
    assert _findings(layer) == []
    assert [f.code for f in _findings(layer, Thresholds(near=0.05))] == ["relu_like"]


@pytest.mark.parametrize(
    ("value", "large", "lost"),
    [
        (65504.0, 0, 0),
        (65519.0, 0, 0),
        (65520.0, 1, 0),
        (-1e9, 1, 0),
        (2.0**-24, 0, 0),
        (2.0**-25, 0, 1),
        (-(2.0**-25), 0, 1),
        (1.0001 * 2.0**-25, 0, 0),
        (1e-30, 0, 1),
        (0.0, 0, 0),
    ],
)  # fmt: skip
def test_what_float16_cannot_hold(value: float, large: int, lost: int) -> None:
    with np.errstate(over="ignore"):
        rounded = np.float16(value)
    assert (int(np.isinf(rounded)), int(value != 0 and rounded == 0)) == (large, lost)
    found = [f for f in _findings(_two(value, 0.3)) if f.code == "beyond_float16"]
    assert len(found) == (large or lost)
    if found:
        assert found[0].severity == "warning"
        assert f"{large} of its slopes become infinite and {lost} become 0" in found[0].message


def test_slopes_that_are_not_finite_are_no_matter_of_precision() -> None:
    assert set(_codes(_two(math.inf, math.nan))) == {"non_finite"}


@pytest.mark.parametrize(
    ("slope_shape", "input_shape", "code"),
    [
        pytest.param((1, 2, 5, 6), CHANNELS, "element_wise", id="each position"),
        pytest.param((1, 2, 5, 1), CHANNELS, None, id="partial"),
        pytest.param((1, 2, 1, 1), CHANNELS, None, id="each channel"),
        pytest.param((1, 1, 1, 1), CHANNELS, "one_slope", id="one for two channels"),
        pytest.param((1, 1, 1, 1), (None, 1, 5, 1), None, id="one for one channel"),
        pytest.param((1, 1, 1, 1), (None, 1, 5, 6), "one_slope", id="channels that come last"),
        pytest.param((1, 1, 1, 1), (None, None, 5, None), None, id="unknown channels"),
        pytest.param((1, 1, 1, 1), (None, 1, 5, None), None, id="one channel, or unknown ones"),
        pytest.param((1, 1, 1, 1), None, None, id="unknown input"),
        pytest.param((1,), (7,), None, id="no channels"),
        pytest.param((1, 1), (None, 7), "one_slope", id="after a dense layer"),
    ],
)
def test_how_slopes_are_shared(
    slope_shape: tuple[int, ...], input_shape: Shape | None, code: str | None
) -> None:
    slopes = np.random.default_rng(0).normal(size=slope_shape) + 5
    assert list(_codes(_layer(slopes, input_shape))) == ([code] if code else [])


def test_the_size_that_element_wise_slopes_tie_a_model_to_is_named() -> None:
    slopes = np.arange(60.0).reshape(1, 2, 5, 6) + 5
    (finding,) = _findings(_layer(slopes))
    assert finding.severity == "warning"
    assert "60 slopes" in finding.message
    assert "2 x 5 x 6" in finding.message


@pytest.mark.parametrize(
    ("shape", "label"),
    [
        (CHANNELS, "PReLU(shared_axes=[1, 2])"),
        ((None, 9, 7), "PReLU(shared_axes=[1])"),
        ((None, 7), "PReLU()"),
    ],
)
def test_the_slopes_that_were_meant_are_spelled_out(shape: Shape, label: str) -> None:
    (finding,) = _findings(_layer(np.full((1,) * len(shape), 0.3), shape))
    assert (finding.code, finding.severity) == ("one_slope", "info")
    assert f"nn.PReLU(num_parameters=channels) (torch) or {label} (Keras)" in finding.message


@pytest.mark.parametrize(
    ("nodes", "same_instance", "said"),
    [(("a", "b"), False, True), (("a", "b"), True, False), (("a",), False, False)],
)
def test_nodes_that_may_be_several_layers(
    nodes: tuple[str, ...], same_instance: bool, said: bool
) -> None:
    layer = replace(_two(0.3, -0.7), nodes=nodes, same_instance=same_instance)
    assert _codes(layer) == ({"same_values": "info"} if said else {})


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            _two(math.nan, 0.5),
            "1 of 2 slopes are NaN or infinite, and so is the output for negative inputs; go back "
            "to a checkpoint before training diverged",
        ),
        (
            _two(0.25, 0.25),
            "all slopes have their initial value, 0.25: they were not trained, or the trained "
            "weights were not loaded",
        ),
        (_two(0.005, -0.005), "the layer is effectively a ReLU"),
        (_two(0.995, 1.005), "the layer is effectively the identity"),
        (_two(0.5, 0.5), "all 2 slopes are 0.5: LeakyRelu would do the same"),
        (
            _two(1e9, 1e-30),
            "in float16 1 of its slopes become infinite and 1 become 0: keep this layer in float32",
        ),
        (
            _layer(np.arange(1200.0).reshape(1, 2, 20, 30) + 5, (None, 2, 20, 30)),
            "its 1,200 slopes, one for each position, tie this layer to inputs of 2 x 20 x 30, "
            "and so the model to one input size; "
            "train it with shared slopes (Keras: shared_axes=[1, 2])",
        ),
        (
            _layer(np.full((1, 1, 1, 1), 0.3)),
            "one slope for all channels; for one per channel, use "
            "nn.PReLU(num_parameters=channels) (torch) or PReLU(shared_axes=[1, 2]) (Keras)",
        ),
        (
            replace(_two(0.3, -0.7), nodes=("a", "b"), same_instance=False),
            "2 nodes use one initializer; exporters merge initializers of equal value, so these "
            "may be several layers",
        ),
    ],
)  # fmt: skip
def test_what_a_finding_says(layer: PReLULayer, message: str) -> None:
    (finding,) = _findings(layer)
    assert finding.message == message


def test_a_start_of_its_own_is_where_it_was_not_trained() -> None:
    layer = _two(0.125, 0.125)
    assert set(_codes(layer)) == {"uniform"}
    assert set(_codes(replace(layer, start=0.125))) == {"at_init"}
