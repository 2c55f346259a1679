"""The cost model: which form it takes for the fastest where."""

from __future__ import annotations

import pytest

from prelu_tools.core.prelu.costs import Surroundings, forecast

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


FORMS = ("identity", "relu", "leaky_relu", "max", "max_neg", "max_min", "relu_neg", "relu_mul",
         "linear", "depthwise")  # fmt: skip


@pytest.mark.parametrize(
    ("n_channels", "blocked", "by_channel", "costs"),
    [
        pytest.param(64, False, True, [0, 0, 100, 360, 480, 540, 600, 660, 560, 750], id="plain"),
        pytest.param(10, False, True, [0, 0, 100, 360, 480, 540, 600, 660, 560, 750],
                     id="plain, odd"),
        pytest.param(64, True, True, [0, 0, 190, 840, 800, 860, 920, 530, 530, 540], id="blocks"),
        pytest.param(64, True, False, [0, 0, 190, 680, 800, 860, 920, 980, 880, 1070],
                     id="blocks, other slopes"),
        pytest.param(12, True, True,
                     [0, 0, 253.333333, 840, 800, 860, 920, 706.666667, 706.666667, 720],
                     id="blocks that are not full"),
        pytest.param(4, True, True, [0, 0, 380, 840, 800, 860, 920, 1060, 1060, 1080],
                     id="half a block"),
        pytest.param(10, True, True, [0, 0, 304, 520, 480, 540, 600, 848, 848, 910],
                     id="no blocks at all"),
        pytest.param(10, True, False, [0, 0, 304, 360, 480, 540, 600, 660, 560, 750],
                     id="no blocks at all, other slopes"),
    ],
)  # fmt: skip
def test_what_each_form_costs(
    n_channels: int, blocked: bool, by_channel: bool, costs: list[float]
) -> None:
    place = Surroundings(1000, n_channels, blocked, by_channel)
    found = [forecast(form, place, "1.31.1") for form in FORMS]
    assert found == pytest.approx(costs, abs=1e-6)


@pytest.mark.parametrize(
    ("runtime", "plain", "blocked"),
    [
        ("1.31.1", 5600, 5920), ("1.27", 5600, 5920), ("1.26.3", 340, 660), ("0.99", 340, 660),
        ("2.0", 5600, 5920), ("1", 5600, 5920), ("1.x", 5600, 5920), ("", 5600, 5920),
        ("1.26.0rc1", 340, 660),
    ],
)  # fmt: skip
def test_what_the_node_costs(runtime: str, plain: float, blocked: float) -> None:
    found = [
        forecast("prelu", Surroundings(1000, 64, inside, by_channel=True), runtime)
        for inside in (False, True)
    ]
    assert found == pytest.approx([plain, blocked])
