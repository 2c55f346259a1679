"""What is known of a reference, and what is asked of it later."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from told_source import (
    ONE,
    PLAN,
    TWO,
    ToldSource,
    prelu,
)

from prelu_tools.commands.verify.reference.perturbed import PerturbedRuns
from prelu_tools.commands.verify.reference.reference import Call, Reference
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.rounding.noise import SINGLE, Noise


def test_at_first_nothing_is_known() -> None:
    with Stash() as stash:
        found = Reference(cast(Any, ToldSource()), (), [], PLAN.rows, CoverageBook([]), stash)
    assert (found.n_given, found.n_searched, found.precision) == (0, 0, "float32")
    assert (found.n_values, found.values_per_row, found.effort) == ([], 0.0, 0.0)
    assert (found.outputs, found.notes, found.doubts) == ([], [], [])
    known = found.extents, found.kinds, found.layer_extents, found.unmoved, found.untaken
    assert known == ({}, {}, {}, {}, {})
    assert (found.perturbed, found.known_calls, found.looked_at, found.coarser) == (
        None,
        None,
        0,
        {},
    )
    assert not found.is_random


def _known(source: Any = None, **facts: Any) -> Reference:
    return Reference(
        source, (), [TWO, ONE], PLAN.rows, CoverageBook([]), Stash(), outputs=[{}], **facts
    )


def test_a_coarser_type_moves_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def move(*arguments: Any) -> PerturbedRuns:
        asked.append(arguments)
        return PerturbedRuns(9)

    monkeypatch.setattr("prelu_tools.commands.verify.reference.reference.run_perturbed", move)
    perturbed = PerturbedRuns(4)
    found = _known(perturbed=perturbed)
    assert found.perturbed_to(SINGLE) is found.perturbed_to(SINGLE / 2) is perturbed
    coarse = found.perturbed_to(2 * SINGLE)
    assert coarse is not None
    assert coarse.runs == 9
    assert found.perturbed_to(2 * SINGLE) is coarse
    assert asked == [(None, [TWO, ONE], [{}], Noise(0, 2 * SINGLE), 4)]
    assert found.perturbed_to(4 * SINGLE) is not coarse
    assert _known().perturbed_to(2 * SINGLE) is None


def test_calls_that_were_kept_are_those_of_the_layers() -> None:
    x = np.ones(1)
    calls = [Call(name, 0, x, x) for name in ("a", "b", "a")]
    assert _known(known_calls=calls).calls(["a"]) == [calls[0], calls[2]]
    for kept in ([], calls):
        with pytest.raises(PReLUToolsError) as raised:
            _known(known_calls=kept).calls(["c"])
        assert str(raised.value) == "the record does not keep the inputs of these layers"


@pytest.mark.parametrize(("looked_at", "rows"), [(0, 2), (1, 1)])
def test_calls_are_seen_in_the_run_that_is_looked_at(looked_at: int, rows: int) -> None:
    source = ToldSource()
    found = _known(cast(Any, source), looked_at=looked_at)
    assert found.calls(["b"]) == []
    first, second = found.calls(["a"])
    assert (first.layer, first.number, second.number) == ("a", 0, 1)
    assert [len(feeds["x"]) for feeds in source.fed] == [rows, rows]
    given = found.feeds[looked_at]
    assert np.array_equal(first.x, given["x"])
    assert np.array_equal(second.y, 2 * prelu(given)["y"])
    assert first.x is not given["x"]


def test_what_was_not_seen_is_none() -> None:
    found = _known()
    y = np.ones(2, np.float32)
    assert found.activation(0, "a", 1) is found.spread(0, "a", 1) is None
    found.stash.put(("float32", 0, "a", 1), y)
    found.stash.put(("spread", 0, "a", 1), 2 * y)
    for kept, expected in ((found.activation(0, "a", 1), y), (found.spread(0, "a", 1), 2 * y)):
        assert kept is not None
        assert np.array_equal(kept, expected)
    found.precision = "float64"
    assert found.activation(0, "a", 1) is None
