"""A candidate on the inputs of a check: what it refuses, adds, or gives otherwise at some sizes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from specs import spec

from prelu_tools.commands.verify.candidates.running import (
    run_feeds,
    sizes_that_differ,
    without_added_axes,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, RefusedInputError
from prelu_tools.core.options import Dim
from prelu_tools.core.results.reasons import code_of


def _feed(*shape: int) -> dict[str, Array]:
    return {"x": np.zeros(shape, np.float32)}


FEEDS = [_feed(2, 3), _feed(1, 3), _feed(2, 5)]


class _Runner:
    """Gives the sizes of its inputs, unless they are refused."""

    def __init__(self, layers: Any, *refused: tuple[int, ...], why: str = "no") -> None:
        self._layers, self._refused, self._why = layers, refused, why
        self.runs: list[int] = []

    def run(self, feed: dict[str, Array]) -> Any:
        self.runs.append(self._layers.run)
        if feed["x"].shape in self._refused:
            raise PReLUToolsError(f"{self._why} {feed['x'].shape}")
        return feed["x"].shape


def _ran(
    *refused: tuple[int, ...], declared: tuple[Dim, ...] = ("n", "c"), why: str = "no"
) -> tuple[Any, list[int]]:
    layers = cast(Any, SimpleNamespace(run=None))
    runner = _Runner(layers, *refused, why=why)
    source = cast(Any, SimpleNamespace(inputs=lambda: [spec("x", *declared)]))
    try:
        return run_feeds(cast(Any, runner), FEEDS, layers, source), runner.runs
    except PReLUToolsError as error:
        return error, runner.runs


def test_every_run_is_made_and_the_layers_know_which() -> None:
    assert _ran() == ([(2, 3), (1, 3), (2, 5)], [0, 1, 2])


@pytest.mark.parametrize("declared", [("n", "c"), (2, "c"), ("n", 5), (2, 5)])
def test_inputs_that_it_says_it_takes_are_refused(declared: tuple[Dim, ...]) -> None:
    found, runs = _ran((2, 5), declared=declared)
    assert isinstance(found, RefusedInputError)
    assert runs == [0, 1, 2]
    assert str(found) == (
        "it fails on 1 of 3 runs, all of which the reference accepts; the first is x of shape 2x5: "
        "no (2, 5)"
    )
    several, _ = _ran((1, 3), (2, 5))
    assert "it fails on 2 of 3 runs" in str(several)
    assert str(several).endswith("the first is x of shape 1x3: no (1, 3)")


@pytest.mark.parametrize(
    ("refused", "declared", "why"),
    [
        (((2, 5),), ("n", 3), "no"),
        (((2, 5),), (1, "c"), "no"),
        (((2, 5),), ("n", "c", "h"), "no"),
        (((2, 3), (1, 3), (2, 5)), ("n", "c"), "no"),
        (((2, 5),), ("n", "c"), "bad Allocation of"),
    ],
)
def test_what_may_not_be_the_model_s_fault_is_no_refusal(
    refused: Any, declared: tuple[Dim, ...], why: str
) -> None:
    found, _ = _ran(*refused, declared=declared, why=why)
    assert type(found) is PReLUToolsError
    assert str(found) == f"{why} {refused[0]}"


# Axes that a runtime adds


def _dropped(
    mine: tuple[int, ...], theirs: list[tuple[int, ...]], why: tuple[str | None, str | None]
) -> tuple[list[tuple[int, ...]], list[str]]:
    sources = cast(Any, tuple(SimpleNamespace(adds_axes=one) for one in why))
    results = [{"y": np.zeros((2, 2)), "z": np.arange(np.prod(s)).reshape(s)} for s in theirs]
    references = {"y": np.zeros((2, 2)), "z": np.zeros(mine)}
    notes = [*without_added_axes(sources, references, results)]
    assert all(code_of(note) == "axes_dropped" for note in notes)
    assert all(np.array_equal(run["z"].ravel(), np.arange(run["z"].size)) for run in results)
    return [run["z"].shape for run in results], list(map(str, notes))


def test_axes_of_size_1_at_the_end_are_ignored_where_a_runtime_adds_them() -> None:
    said = (
        "output 'z' has {} axes, the reference {}, because {}: trailing axes of size 1 are ignored"
    )
    assert _dropped((4, 3), [(4, 3, 1, 1), (1, 3, 1, 1)], (None, "it does")) == (
        [(4, 3), (1, 3)], [said.format(4, 2, "it does")]
    )  # fmt: skip
    assert _dropped((4, 3, 1), [(4, 3), (1, 3)], ("it did", None)) == (
        [(4, 3, 1), (1, 3, 1)], [said.format(2, 3, "it did")]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mine", "theirs", "why"),
    [
        ((4, 3), [(4, 3), (1, 3)], ("it did", "it does")),
        ((4, 3), [(4, 3, 1)], ("it did", None)),
        ((4, 3, 1), [(4, 3)], (None, "it does")),
        ((4, 3), [(4, 3, 1), (4, 3, 2)], (None, "it does")),
        ((4, 3), [(4, 3, 2), (4, 3, 1)], (None, "it does")),
    ],
)
def test_other_axes_stay(mine: Any, theirs: Any, why: Any) -> None:
    assert _dropped(mine, theirs, why) == (theirs, [])


# Sizes at which it differs


def _differs(*differing: bool, feeds: Any = FEEDS) -> str | None:
    outputs = cast(
        Any, SimpleNamespace(notices=lambda result, run: differing[run] and result == run)
    )
    found = sizes_that_differ(feeds, outputs, cast(Any, range(len(feeds))))
    assert (code_of(found) == "differs_at_sizes") is (found is not None)
    return None if found is None else str(found)


def test_the_sizes_at_which_it_differs_are_named() -> None:
    said = "it differs for {}, but not for {}"
    assert _differs(True, True, True) is _differs(False, False, False) is None
    assert _differs(False, False, True) == said.format(
        "x of shape 2x5", "x of shape 2x3 and x of shape 1x3"
    )
    twice = [FEEDS[0], FEEDS[1], FEEDS[0]]
    for differing in ((True, False, False), (False, False, True), (True, False, True)):
        assert _differs(*differing, feeds=twice) == said.format("x of shape 2x3", "x of shape 1x3")
    many = [_feed(n, 3) for n in range(1, 9)]
    assert _differs(*[n < 4 for n in range(8)], feeds=many) == said.format(
        "x of shape 1x3 and x of shape 2x3 and x of shape 3x3",
        "x of shape 5x3 and x of shape 6x3 and x of shape 7x3",
    )
