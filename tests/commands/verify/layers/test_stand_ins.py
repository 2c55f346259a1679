"""Additional layers in the place of calls that the candidate lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from made_layers import layer_of

from prelu_tools.commands.verify.layers.stand_ins import StandIns
from prelu_tools.core.prelu.slopediff import LayerPairs
from prelu_tools.core.prelu.slopes import PReLULayer

SQUARE = np.array([[[0.1, 0.2], [0.3, 0.4]]], np.float32)
PLAIN, TURNED = (0, 1, 2), (0, 2, 1)
EITHER = frozenset([PLAIN, TURNED])


def _layer(name: str, calls: int = 1, turned: bool = False) -> PReLULayer:
    slopes = SQUARE.transpose(TURNED) if turned else SQUARE
    return replace(layer_of(slopes, name=name), nodes=tuple(f"{name}{i}" for i in range(calls)))


def _stand_ins(*extra: PReLULayer, pairs: Sequence[tuple[int, int]] = ((3, 1),)) -> StandIns:
    """With so many calls of each layer in the reference and in the candidate."""
    made = tuple(
        (_layer(f"a{i}", mine), _layer(f"a{i}", theirs)) for i, (mine, theirs) in enumerate(pairs)
    )
    return StandIns(LayerPairs(made, (), extra))


def _places(found: StandIns, name: str) -> list[tuple[str, int]]:
    return [(layer.name, number) for layer, number in found.places(name)]


def test_an_additional_layer_may_stand_for_any_call_of_a_layer_that_has_fewer() -> None:
    found = _stand_ins(_layer("x"), pairs=[(2, 2), (3, 1), (1, 2), (2, 1)])
    assert _places(found, "x") == [("a1", 0), ("a1", 1), ("a1", 2), ("a3", 0), ("a3", 1)]
    assert _places(found, "a1") == []


def test_it_stands_for_the_calls_that_it_was_like_in_every_run() -> None:
    found = _stand_ins(_layer("x"), pairs=[(3, 1), (2, 1)])
    found.note(("x", 0), {("a0", 0): EITHER, ("a0", 1): EITHER, ("a1", 0): EITHER})
    found.note(("x", 0), {("a0", 1): frozenset([PLAIN]), ("a1", 0): EITHER, ("a0", 2): EITHER})
    mine, other = _layer("a0", 3), _layer("a1", 2)
    assert [name for name, _ in found.of(mine, {0, 1, 2})] == ["x"]
    assert [name for name, _ in found.of(other, {0, 1})] == ["x"]
    assert list(found.of(mine, {0, 2})) == []
    assert list(found.of(_layer("b"), {0, 1})) == []
    found.note(("x", 0), {("a0", 1): frozenset([TURNED])})  # in no order in all runs
    assert list(found.of(mine, {0, 1, 2})) == []
    found.note(("x", 0), {("a0", 1): EITHER})
    assert list(found.of(mine, {0, 1, 2})) == []


def test_each_call_of_it_stands_for_itself() -> None:
    found = _stand_ins(_layer("x", 2), _layer("z"))
    found.note(("x", 0), {("a0", 1): frozenset([PLAIN])})
    found.note(("x", 1), {("a0", 2): frozenset([PLAIN])})
    found.note(("z", 0), {})
    assert [name for name, _ in found.of(_layer("a0", 3), {1, 2})] == ["x", "x"]
    assert [name for name, _ in found.of(_layer("a0", 3), {2})] == ["x"]


def test_slopes_are_compared_in_the_order_in_which_they_differ_least() -> None:
    def differs(turned: bool, orders: Any) -> tuple[bool, bool]:
        found = _stand_ins(_layer("x", turned=turned))
        found.note(("x", 0), {("a0", 1): frozenset(orders)})
        ((_, difference),) = found.of(_layer("a0", 3), {1})
        return difference.equal, difference.ambiguous

    assert differs(False, [PLAIN]) == (True, False)
    assert differs(False, EITHER) == (True, False)
    assert differs(True, EITHER) == (True, False)
    assert differs(True, [PLAIN])[0] is False
