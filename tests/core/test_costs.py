"""The cost model: which form it takes for the fastest where."""

from __future__ import annotations

import pytest

from prelu_tools.core.costs import Surroundings, forecast

ANY = ("prelu", "depthwise", "relu_mul", "relu_neg", "max", "max_neg", "max_min", "leaky_relu")
NOT_UNIFORM = ANY[:-1]


def fastest(place: Surroundings, forms: tuple[str, ...], runtime: str = "1.31.1") -> str:
    return min(forms, key=lambda form: forecast(form, place, runtime))


@pytest.mark.parametrize(
    ("place", "forms", "expected"),
    [
        (Surroundings(10_000, 64, blocked=True, by_channel=True), NOT_UNIFORM, "relu_mul"),
        (Surroundings(10_000, 10, blocked=True, by_channel=True), NOT_UNIFORM, "max_neg"),
        (Surroundings(10_000, 64, blocked=False, by_channel=True), NOT_UNIFORM, "max"),
        (Surroundings(10_000, 64, blocked=True, by_channel=False), NOT_UNIFORM, "max"),
        (Surroundings(10_000, 64, blocked=True, by_channel=True), ANY, "leaky_relu"),
        (Surroundings(10_000, 64, blocked=False, by_channel=False), ANY, "leaky_relu"),
    ],
)
def test_the_fastest_form(place: Surroundings, forms: tuple[str, ...], expected: str) -> None:
    assert fastest(place, forms) == expected


def test_the_kernel_before_1_27_needs_no_other_form_outside_of_blocks() -> None:
    plain = Surroundings(10_000, 64, blocked=False, by_channel=True)
    assert fastest(plain, NOT_UNIFORM, "1.26.0") == "prelu"
    assert fastest(plain, NOT_UNIFORM, "1.27.0") == "max"
    assert fastest(plain, NOT_UNIFORM, "of my own") == "max"


def test_cost_grows_with_the_elements() -> None:
    small, large = (Surroundings(n, 64, True, True) for n in (1_000, 10_000))
    for form in ANY:
        costs = [forecast(form, place, "1.31.1") for place in (small, large)]
        assert costs[1] == pytest.approx(10 * costs[0])
