"""Arguments that a source leaves out: which values of a checkpoint are shown, and which are not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from prelu_tools.backends.preflight.left_out import plain_values, why_left_out


def test_only_plain_values_are_shown() -> None:
    plain = {"a": 1, "b": 0.5, "c": "relu", "d": None, "e": True, "f": (1, [2, 3]), "g": []}
    nested: list[Any] = []
    for _ in range(9):
        nested = [nested]
    other = {"h": object(), "i": math.nan, "j": "x" * 999, "k": {"a": 1},
             "l": nested, "m": [math.inf], "n": [0] * 999, "not a name": 1, 3: 4}  # fmt: skip
    assert plain_values({**plain, **other}) == plain
    assert plain_values([1]) == {}
    assert plain_values(None) == {}


def _made(width: int, depth: int = 2, *more: int, act: str = "prelu", **other: int) -> None:
    """Something to call."""


BEGIN = "if made was trained with other arguments than the default ones "


@pytest.mark.parametrize(
    ("args", "kwargs", "stated", "expected"),
    [
        ([3], {}, {}, BEGIN + "(depth, act), use 'n.py:made(width=3, depth=DEPTH)@w.pt'"),
        ([3, 2], {}, {}, BEGIN + "(act), use 'n.py:made(width=3, depth=2, act=ACT)@w.pt'"),
        ([3, 2], {"act": "relu"}, {}, ""),
        ([3], {"x": 3}, {"depth": 3}, ""),  # what else it takes is not known
        ([3], {}, {"depth": 3, "lr": 1}, "use 'n.py:made(width=3, depth=3)@w.pt'"),
        ([3], {}, {"width": 4, "act": "it's"}, "use 'n.py:made(width=4, act=\"it's\")@w.pt'"),
        ([3], {}, {"depth": 2.0}, "use 'n.py:made(width=3, depth=2.0)@w.pt'"),
        ([3], {}, {"depth": 2, "width": 3}, BEGIN),  # as it was called
        ([3], {}, {"lr": 1}, BEGIN),
        (
            [],
            {"depth": [1]},
            {"depth": [1], "width": 3},
            "use 'n.py:made(depth=[1], width=3)@w.pt'",
        ),
    ],
)
def test_the_source_to_type(
    args: list[Any], kwargs: dict[str, Any], stated: dict[str, Any], expected: str
) -> None:
    found = why_left_out(_made, ("n.py:made", args, kwargs), "w.pt", stated)
    assert expected in found
    assert bool(found) == bool(expected)


def test_what_has_no_signature_or_no_such_argument_is_left_alone() -> None:
    assert why_left_out(type, ("n.py:t", [], {}), "w.pt", {}) == ""
    assert why_left_out(_made, ("n.py:made", [1, 2, 3], {}), "w.pt", {}) == ""
    assert why_left_out(lambda: None, ("n.py:f", [], {}), "w.pt", {"depth": 3}) == ""
