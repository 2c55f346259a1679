"""The values that an input may take: their limits, and how they are described."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prelu_tools.core.domains import ANY, Origin, Values

LENGTHS = Values(1, -2, up_to="t", origin="tried")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (ANY, None),
        (Values(-2, 3.5), (-2, 3.5)),
        (LENGTHS, (1, 7)),
        (replace(LENGTHS, high=3), (1, 12)),
        (replace(LENGTHS, high=-20), (1, 1)),
    ],
)
def test_the_limits_at_some_sizes(values: Values, expected: tuple[float, float] | None) -> None:
    assert values.limits({"t": 9, "h": 100}) == expected


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("asked", "as asked for"),
        ("table", "the rows of the table that it indexes"),
        ("example", "within its example_inputs()"),
        ("type", "all of its type"),
        ("tried", "found by trying"),
        ("usual", "as usual"),
    ],
)
def test_how_the_values_are_known(origin: Origin, words: str) -> None:
    assert str(replace(ANY, origin=origin)) == words
    assert str(Values(0.5, 999, origin=origin)) == f"0.5 to 999, {words}"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (LENGTHS, "1 to t - 2"),
        (replace(LENGTHS, high=0), "1 to t"),
        (replace(LENGTHS, high=0.5), "1 to t + 0.5"),
        (replace(LENGTHS, high=0.5, is_whole=True), "whole numbers, 1 to t + 0.5"),
        (replace(LENGTHS, tops=(3, 5)), "1 to (3, 5) along its last axis"),
    ],
)
def test_the_largest_value_in_words(values: Values, words: str) -> None:
    assert str(values) == f"{words}, found by trying"
