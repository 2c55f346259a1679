"""Special values: which they are, when two results differ, and which differences are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_layers import layer_of

from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.core.prelu.special import differs, documented, special_input, special_values

NAN, INF = math.nan, math.inf
TINY = float(np.finfo(np.float32).tiny)
SUBNORMAL = float(np.finfo(np.float32).smallest_subnormal)
DTYPES = [np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_values_of_both_signs(dtype: type) -> None:
    values = special_values(np.dtype(dtype))
    assert values.dtype == dtype
    information = np.finfo(dtype)
    zeros = values[values == 0]
    assert sorted(np.signbit(zeros).tolist()) == [False, True]
    for size in (information.smallest_subnormal, information.tiny, 1, information.max, np.inf):
        assert dtype(size) in values
        assert -dtype(size) in values
    assert np.isnan(values).sum() == 1
    assert values.size == 13


@pytest.mark.parametrize(
    ("slopes", "input_shape", "shape"),
    [
        pytest.param((1, 1, 1, 1), (None, 3, 4, 5), (13, 3, 1, 1), id="one for all channels"),
        pytest.param((1, 1), (None, 3), (13, 3), id="two axes"),
        pytest.param((1, 1), (None, None), (13, 1), id="channels that are not known"),
        pytest.param((1,), (None,), (13,), id="no channels"),
        pytest.param((1, 1, 1), (None, 3, 4, 5), (13, 1, 1), id="an input of another rank"),
        pytest.param((1, 1), None, (13, 1), id="an input that is not known"),
        pytest.param((1, 3, 1, 1), (None, 3, 4, 5), (13, 3, 1, 1), id="a slope for each channel"),
        pytest.param((1, 1, 2, 1), (None, 3, 2, 5), (13, 1, 2, 1), id="along another axis"),
        pytest.param((2, 3), (2, 3), (2, 3), id="along the batch"),
    ],
)
def test_every_slope_meets_every_special_value(
    slopes: tuple[int, ...], input_shape: Shape | None, shape: tuple[int, ...]
) -> None:
    layer = layer_of(np.ones(slopes, np.float32), input_shape)
    found = special_input(layer, np.dtype(np.float32))
    values = special_values(np.dtype(np.float32))
    expected = np.resize(values, shape) if len(found) < 13 else np.repeat(values, found[0].size)
    assert found.shape == shape
    assert np.array_equal(found.reshape(-1), expected.reshape(-1), equal_nan=True)


def _differ(expected: float, found: float, dtype: type = np.float32) -> bool:
    with np.errstate(over="ignore"):
        left, right = np.array([expected], dtype), np.array([found], dtype)
    with np.errstate(all="raise"):
        return bool(differs(left, right)[0])


@pytest.mark.parametrize(
    ("expected", "found", "apart"),
    [
        (1.0, 1.0, False),
        (0.0, 0.0, False),
        (0.0, -0.0, True),
        (-0.0, 0.0, True),
        (-0.0, -0.0, False),
        (INF, INF, False),
        (INF, -INF, True),
        (INF, 3e38, True),
        (NAN, NAN, False),
        (NAN, 0.0, True),
        (0.0, NAN, True),
        (NAN, INF, True),
        (1.0, 1.0 + 2**-23, False),
        (1.0, 1.0 + 4 * 2**-23, False),
        (1.0, 1.0 + 5 * 2**-23, True),
        (3e38, 2.9e38, True),
        (TINY, TINY / 2, True),
        (TINY, 0.0, True),
        (0.0, 100 * SUBNORMAL, True),
        (100 * SUBNORMAL, 101 * SUBNORMAL, False),  # rounded at the end of the numbers
    ],
)
def test_results_that_differ(expected: float, found: float, apart: bool) -> None:
    assert _differ(expected, found) is apart


def test_the_largest_numbers_of_both_signs_differ() -> None:
    largest = float(np.finfo(np.float64).max)
    assert _differ(largest, -largest, np.float64)


def test_results_differ_one_by_one() -> None:
    found = differs(np.array([1, 2, NAN], np.float32), np.array([1, 3, NAN], np.float32))
    assert found.tolist() == [False, True, False]


def test_the_units_are_those_of_the_candidates_type() -> None:
    assert not differs(np.array([1.0], np.float32), np.array([1 + 2**-10], np.float16))[0]
    assert differs(np.array([1.0], np.float32), np.array([1 + 2**-10], np.float32))[0]


def test_the_sign_of_a_zero_is_documented() -> None:
    why = documented("prelu", -0.0, -0.5, (-0.0, 0.0), "cpu", "1.27")
    assert why == "only the sign of a zero differs"


@pytest.mark.parametrize(
    ("form", "value", "found", "runtime", "known"),
    [
        ("prelu", INF, NAN, "1.26.3", True),
        ("prelu", INF, NAN, "0.99.0", True),
        ("prelu", INF, NAN, "1.27.0", False),
        ("prelu", INF, NAN, "1.100.0", False),
        ("prelu", INF, NAN, "2.0", False),
        ("prelu", INF, NAN, "", False),
        ("prelu", INF, NAN, "unknown", False),
        ("prelu", INF, NAN, "1", False),
        ("prelu", INF, NAN, "1.x", False),
        ("prelu", INF, NAN, "1.26", True),
        ("prelu", INF, NAN, "1.26.0rc1", True),
        ("prelu", -INF, NAN, "1.26.3", True),
        ("prelu", INF, 0.0, "1.26.3", False),
        ("where_mask", INF, NAN, "1.26.3", False),
        ("linear", INF, NAN, "1.26.3", False),
    ],
)
def test_nan_of_infinity_is_documented_for_the_node_of_old_versions_only(
    form: str, value: float, found: float, runtime: str, known: bool
) -> None:
    why = documented(form, value, 0.5, (INF, found), "cpu", runtime)
    words = "onnxruntime before 1.27 computes PRelu of infinities as NaN on the CPU"
    assert why == (words if known else None)


@pytest.mark.parametrize(
    ("value", "slope", "results", "known"),
    [
        (-INF, 0.0, (NAN, 0.0), True),
        (-INF, 0.0, (0.0, NAN), True),
        (-INF, 0.0, (0.0, 1.0), False),
        (-INF, 0.0, (NAN, 1.0), False),
        (-INF, 1.0, (0.0, NAN), False),
        (INF, 0.0, (0.0, NAN), False),
        (-1.0, 0.0, (0.0, NAN), False),
    ],
)
def test_a_slope_of_0_on_infinity_is_documented(
    value: float, slope: float, results: tuple[float, float], known: bool
) -> None:
    words = "a slope of 0 turns -inf into NaN, and a Relu in its place turns it into 0"
    why = documented("where_mask", value, slope, results, "cpu", "1.27")
    assert why == (words if known else None)


@pytest.mark.parametrize(
    ("expected", "found", "known"),
    [
        (SUBNORMAL, 0.0, True),
        (-SUBNORMAL, 0.0, True),
        (0.0, TINY / 4, True),
        (TINY, 0.0, True),
        (0.0, 1e-30, False),
        (1e-30, 0.0, False),
        (0.0, NAN, False),
        (TINY / 2, TINY / 4, False),
    ],
)
def test_subnormals_taken_for_zero_are_documented(
    expected: float, found: float, known: bool
) -> None:
    assert (documented("prelu", TINY, 0.5, (expected, found), "cuda", "1.27") is not None) is known


def test_who_takes_them_for_zero_is_said() -> None:
    def why(expected: float, found: float, provider: str) -> str:
        return documented("prelu", SUBNORMAL, 0.5, (expected, found), provider, "1.27") or ""

    assert why(0.0, SUBNORMAL, "cuda").startswith("the reference treats")
    assert why(SUBNORMAL, 0.0, "cuda").startswith("cuda treats")
    assert why(SUBNORMAL, 0.0, "").startswith("the candidate treats")
    words = "cuda treats subnormal numbers as 0, as TensorFlow does"
    assert documented("prelu", 0.0, 0.5, (SUBNORMAL, 0.0), "cuda", "1.27") == words


@pytest.mark.parametrize(
    ("value", "slope", "results", "known"),
    [
        pytest.param(-TINY / 2, 3.0, (-1.5 * TINY, -TINY / 2), True, id="steep"),
        pytest.param(-TINY / 2, 0.5, (-TINY / 2, 1.5 * TINY), False, id="too large for a flat one"),
        pytest.param(-TINY / 2, 0.5, (-TINY / 2, TINY), True, id="just not too large"),
        pytest.param(-1.0, SUBNORMAL, (2.0, 3.0), False, id="two results out of nothing"),
        pytest.param(-1.0, 0.0, (0.0, 0.25), False, id="a slope of 0 is not a subnormal one"),
        pytest.param(-INF, TINY, (TINY, -INF), False, id="nor is the smallest normal one"),
        pytest.param(-INF, TINY / 2, (TINY, -INF), True, id="the next smaller one is"),
    ],
)
def test_how_far_subnormals_excuse_a_difference(
    value: float, slope: float, results: tuple[float, float], known: bool
) -> None:
    assert (documented("prelu", value, slope, results, "cpu", "1.27") is not None) is known


@pytest.mark.parametrize(
    ("value", "expected", "found", "who"),
    [
        (-SUBNORMAL, -SUBNORMAL, SUBNORMAL, "the reference"),
        (-SUBNORMAL, SUBNORMAL, -SUBNORMAL, "cpu"),
        (SUBNORMAL, -SUBNORMAL, SUBNORMAL, "the reference"),
        (SUBNORMAL, SUBNORMAL, -SUBNORMAL, "cpu"),
        (-SUBNORMAL, -SUBNORMAL, 1e-30, None),
        (-SUBNORMAL, -SUBNORMAL, NAN, None),
        (-TINY, -TINY, TINY, None),
    ],
)
def test_subnormals_taken_for_zero_may_pass_as_the_other_side(
    value: float, expected: float, found: float, who: str | None
) -> None:
    why = documented("prelu", value, -1.0, (expected, found), "cpu", "1.27")
    assert why == (who and f"{who} treats subnormal numbers as 0, as TensorFlow does")


def test_a_sum_that_loses_a_subnormal_term_may_be_less_than_the_smallest_number_off() -> None:
    """`x - (1 - a) * min(x, 0)`, where the product is taken for 0."""
    why = documented("prelu", -TINY, 0.25, (-TINY, -0.25 * TINY), "cpu", "1.27")
    assert why is not None
    assert why.startswith("terms of a sum")
    assert documented("prelu", -1.0, 0.25, (-TINY, -0.25 * TINY), "cpu", "1.27") is None
    assert documented("prelu", -TINY, 0.25, (-TINY, 0.25 * TINY), "cpu", "1.27") is None
    assert documented("prelu", -TINY, 3.0, (-TINY, -3 * TINY), "cpu", "1.27") is None


@pytest.mark.parametrize(
    ("value", "expected", "found"),
    [(1.0, 1.0, 2.0), (NAN, NAN, 0.0), (INF, INF, -INF), (-1.0, -0.25, 0.25)],
)
def test_nothing_else_is_documented(value: float, expected: float, found: float) -> None:
    assert documented("prelu", value, 0.5, (expected, found), "cpu", "1.20") is None


def test_a_slope_that_is_subnormal_may_be_taken_for_0_too() -> None:
    small = float(SUBNORMAL)
    big = -3e38
    assert "the reference treats subnormal" in (
        documented("prelu", big, small, (-0.0, big * small), "cpu", "1.27") or ""
    )
    assert documented("prelu", -INF, small, (float("nan"), -INF), "cpu", "1.27") is not None
    assert documented("prelu", big, 0.5, (0.0, big), "cpu", "1.27") is None
    assert documented("prelu", big, small, (float("nan"), big * small), "cpu", "1.27") is None


@pytest.mark.parametrize(
    ("expected", "found", "known"),
    [
        (TINY, TINY * 1.5, True), (-TINY, -TINY * 1.5, True), (3 * TINY, 2.5 * TINY, True),
        (TINY * 2, TINY * 3, False), (TINY * 2, -TINY * 2, False), (-TINY * 2, TINY * 2, False),
        (TINY * 2, 0.0, False), (0.0, TINY * 2, False), (2.0, 3.0, False),
    ],
)  # fmt: skip
def test_sums_of_subnormal_terms_are_off_by_less_than_the_smallest_normal_number(
    expected: float, found: float, known: bool
) -> None:
    why = documented("relu_sub", TINY, 2.0, (expected, found), "cpu", "1.27")
    assert (why is not None and why.startswith("terms of a sum")) is known
    other = documented("relu_sub", TINY * 2, 2.0, (expected, found), "cpu", "1.27")
    assert other is None or not other.startswith("terms of a sum")
