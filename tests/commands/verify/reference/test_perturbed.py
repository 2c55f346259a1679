"""The perturbed runs of a reference: how many, of what, and what they say of outputs and layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.reference.perturbed import (
    PerturbedRuns,
    affordable_runs,
    run_perturbed,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.rounding.noise import Noise
from prelu_tools.core.rounding.spread import SpreadBook, pooled

X = np.linspace(1, 2, 8, dtype=np.float32).reshape(2, 4)
NOISE = Noise(3)
STEPS = (np.float32(1e-6), np.float32(-3e-6))


class _Moving:
    """Gives its input, perturbed by one more step each time, and shows that as a layer's output."""

    def __init__(self, change: Callable[[Array], Array] = lambda y: y) -> None:
        self.asked: list[Any] = []
        self.n_runs = 0
        self._change = change

    @contextmanager
    def perturbed_runner(self, noise: Noise, observe: Any) -> Iterator[Any]:
        self.asked.append((noise, observe is not None))
        self._observe = observe
        yield self

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        x = feeds["x"]
        y = x * (1 + STEPS[self.n_runs % 2])
        self.n_runs += 1
        if self._observe:
            self._observe("a", 0, x, self._change(y))
            self._observe("a", 1, x, 2 * y)
            self._observe("unknown", 0, x, y)
        return {"y": y, "z": -y, "more": y}


def _run(
    source: _Moving, *feeds: Array, runs: int = 2, stash: Stash | None = None
) -> PerturbedRuns:
    outputs = [{"y": x, "z": -x} for x in feeds]
    given = [{"x": x} for x in feeds]
    return run_perturbed(cast(Source, source), given, outputs, NOISE, runs, stash)


@pytest.mark.parametrize(
    ("effort", "runs"),
    [(0.0, 6), (3.33, 6), (3.4, 5), (4.0, 5), (4.01, 4), (10.0, 4), (1e9, 4)],
)
def test_a_large_reference_is_perturbed_less_often(effort: float, runs: int) -> None:
    assert affordable_runs(effort) == runs


def _spread(x: Array, runs: int, sign: int = 1) -> Any:
    book = SpreadBook(sign * x)
    for run in range(runs):
        book.add(sign * x * (1 + STEPS[run % 2]))
    return book.finished()


@pytest.mark.parametrize("runs", [2, 4])
def test_outputs_are_perturbed_in_every_run_of_every_input(runs: int) -> None:
    source = _Moving()
    found = _run(source, X, 3 * X, runs=runs)
    assert (source.asked, source.n_runs, found.runs) == ([(NOISE, False)], 2 * runs, runs)
    for x, spreads in zip((X, 3 * X), found.outputs, strict=True):
        assert list(spreads) == ["y", "z"]
        assert np.array_equal(spreads["y"].scale, _spread(x, runs).scale)
        assert np.array_equal(spreads["z"].scale, _spread(x, runs, -1).scale)


def test_an_output_that_becomes_another_one_cannot_be_perturbed() -> None:
    class Other(_Moving):
        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            return {"y": feeds["x"], "z": 5 - feeds["x"]}

    with pytest.raises(PReLUToolsError, match=r"^output 'z' changes completely when perturbed$"):
        _run(Other(), X)


# Layers


def _stash(*inputs: Array) -> Stash:
    stash = Stash()
    for run, x in enumerate(inputs):
        stash.put(("float32", run, "a", 0), x)
        stash.put(("float32", run, "a", 1), 2 * x)
    return stash


def _norm(x: Array, factor: int = 1) -> Array:
    """The root of the sum of the squares of both differences."""
    first, second = (factor * (x * (1 + step)) - factor * x for step in STEPS)
    return np.hypot(first, second)


def test_layers_are_perturbed_in_every_call_of_every_input() -> None:
    inputs = X, 3 * X
    stash, source = _stash(*inputs), _Moving()
    _run(source, *inputs, stash=stash)
    assert source.asked == [(NOISE, True)]
    for run, x in enumerate(inputs):
        for call, factor in ((0, 1), (1, 2)):
            found = stash.get(("spread", run, "a", call))
            wanted = pooled(_norm(x, factor), 2, factor * x)
            assert found.dtype == np.float32
            assert np.allclose(found, wanted, rtol=1e-5, atol=0)
        assert ("spread", run, "unknown", 0) not in stash


def test_one_run_is_how_far_it_went() -> None:
    stash = _stash(X)
    _run(_Moving(), X, runs=1, stash=stash)
    wanted = pooled(np.abs(X * (1 + STEPS[0]) - X), 1, X)
    assert np.array_equal(stash.get(("spread", 0, "a", 0)), wanted)
    assert (stash.get(("spread", 0, "a", 0)) > 0).any()


def test_a_layer_of_another_shape_has_no_spread() -> None:
    stash = _stash(X)
    _run(_Moving(lambda y: y[:1]), X, stash=stash)
    assert ("spread", 0, "a", 0) not in stash
    assert ("spread", 0, "a", 1) in stash


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_moves_nothing(value: float) -> None:
    def change(y: Array) -> Array:
        found = y.copy()
        found[0, 0] = value
        return found

    stash = _stash(X)
    _run(_Moving(change), X, stash=stash)
    norm = _norm(X)
    norm[0, 0] = 0
    found = stash.get(("spread", 0, "a", 0))
    assert np.allclose(found, pooled(norm, 2, X), rtol=1e-5, atol=0)


def test_what_overflows_on_both_sides_moves_nothing_and_raises_nothing() -> None:
    def change(y: Array) -> Array:
        found = y.copy()
        found[0, 0] = np.inf
        return found

    stash = _stash(X)
    base = change(X)
    stash.put(("float32", 0, "a", 0), base)
    with np.errstate(all="raise"):
        _run(_Moving(change), X, stash=stash)
    assert stash.get(("spread", 0, "a", 0))[0, 0] == 0.0


def test_a_call_of_one_input_alone_is_none_of_the_others() -> None:
    stash = _stash(X, 3 * X)
    stash.drop(("float32", 1, "a", 1))
    _run(_Moving(), X, 3 * X, stash=stash)
    keys = [("spread", run, "a", call) in stash for run in (0, 1) for call in (0, 1)]
    assert keys == [True, True, True, False]


def test_what_runs_before_the_first_input_is_none_of_them() -> None:
    class Early(_Moving):
        @contextmanager
        def perturbed_runner(self, noise: Noise, observe: Any) -> Iterator[Any]:
            with super().perturbed_runner(noise, observe):
                observe("a", 0, X, 9 * X)
                yield self

    plain, early = _stash(X, 3 * X), _stash(X, 3 * X)
    _run(_Moving(), X, 3 * X, stash=plain)
    _run(Early(), X, 3 * X, stash=early)
    for run in (0, 1):
        key = ("spread", run, "a", 0)
        assert np.array_equal(plain.get(key), early.get(key))
