"""How a reference is run: as it is, twice, and in float64; what is said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.backends.interface import Observer, SearchLimits, Source
from prelu_tools.commands.reference import (
    Reference,
    ReferencePlan,
    is_first_row,
    run_reference,
    unsteady,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.coverage import CoverageBook
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.slopes import PReLULayer
from prelu_tools.core.stash import Stash
from prelu_tools.core.tolerance import Extent

Feeds = dict[str, Array]
Model = Callable[[Mapping[str, Array]], dict[str, Array]]
PLAN = ReferencePlan(
    wide=False, layers=True, search_seconds=0.0, seed=3, ranges={"x": (-9.0, 9.0)}, whole=False
)
SLOPES = np.array([[0.25, -0.5, 0.125]], np.float32)


def _layer(name: str = "a") -> PReLULayer:
    return PReLULayer(name, (name,), None, "prelu", SLOPES, None, (3,), None, True)


def _prelu(feeds: Mapping[str, Array]) -> dict[str, Array]:
    x = feeds["x"]
    return {"y": np.where(x > 0, x, x * SLOPES.astype(x.dtype))}


@dataclass
class _Source:
    """One layer that is called with the input, and what the tests say that it does."""

    model: Model = _prelu
    wide: Model | None = None
    wide_layer: Model = _prelu
    found: Sequence[Feeds] = ()
    stayed: tuple[str, ...] = ()
    fed: list[Feeds] = field(default_factory=list)
    sought: list[Any] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def layers(self) -> tuple[PReLULayer, ...]:
        return (_layer(),)

    @contextmanager
    def runner(self, observe: Observer | None = None) -> Iterator[Any]:
        yield _Runner(self, observe)

    @contextmanager
    def wide_runner(self, observe: Observer | None = None) -> Iterator[Any]:
        if self.wide is None:
            raise PReLUToolsError("no")
        yield _WideRunner(self, observe)

    def seek(
        self, targets: Mapping[str, Array], start: Feeds, limits: SearchLimits
    ) -> Iterator[Feeds]:
        masks = {name: mask.tolist() for name, mask in targets.items()}
        self.sought.append((masks, start, limits))
        yield from self.found


@dataclass
class _Runner:
    source: _Source
    observe: Observer | None

    def run(self, feeds: Feeds) -> dict[str, Array]:
        self.source.fed.append(feeds)
        if self.observe:
            self.observe("a", 0, feeds["x"], _prelu(feeds)["y"])
            self.observe("a", 1, feeds["x"], 2 * _prelu(feeds)["y"])
        return self.source.model(feeds)


@dataclass
class _WideRunner:
    source: _Source
    observe: Observer | None

    @property
    def stayed_narrow(self) -> Sequence[str]:
        return self.source.stayed

    def run(self, feeds: Feeds) -> dict[str, Array]:
        wide = {name: values.astype(np.float64) for name, values in feeds.items()}
        if self.observe:
            self.observe("a", 0, wide["x"], self.source.wide_layer(wide)["y"])
            self.observe("z", 0, wide["x"], wide["x"])  # it was not seen in float32
        assert self.source.wide is not None
        return self.source.wide(wide)


def _feeds(*rows: Sequence[float]) -> Feeds:
    return {"x": np.array(rows, np.float32)}


TWO = _feeds([1, -2, 3], [4, 5, -6])
ONE = _feeds([1, -2, 3])
ALL = _feeds([-1, -2, -3])


def _run(source: _Source, *feeds: Feeds, plan: ReferencePlan = PLAN) -> Reference:
    with run_reference(cast(Source, source), feeds, plan) as reference:
        found = replace(reference)
        keys = [("float32", 0), ("float64", 0), ("float32", 1), ("float64", 1)]
        found.seen = {  # type: ignore[attr-defined]
            (precision, run, call): reference.stash.get((precision, run, "a", call))
            for precision, run in keys for call in (0, 1)
            if (precision, run, "a", call) in reference.stash
        }  # fmt: skip
        found.activations = [  # type: ignore[attr-defined]
            reference.activation(run, "a", call) for run in (0, 1) for call in (0, 1)
        ]
    return found


# As it is


def test_every_run_is_kept() -> None:
    found = _run(_Source(), TWO, ONE)
    assert found.feeds == [TWO, ONE]
    assert [list(outputs) for outputs in found.outputs] == [["y"], ["y"]]
    assert np.array_equal(found.outputs[0]["y"], _prelu(TWO)["y"])
    assert found.extents == {"y": Extent(5.0, None)}
    assert found.layer_extents == {"a": Extent(10.0, None)}
    assert (found.coverage.exercised, found.coverage.total) == (2, 3)
    assert found.coverage.counts("a").tolist() == [0, 4, 2]
    assert (found.precision, found.n_given, found.n_searched) == ("float32", 2, 0)
    assert (found.notes, found.doubts) == ([], [])
    assert found.seconds_per_row > 0
    activations: list[Array] = found.activations  # type: ignore[attr-defined]
    y, z = _prelu(TWO)["y"], _prelu(ONE)["y"]
    expected = [y, 2 * y, z, 2 * z]
    assert all(np.array_equal(a, b) for a, b in zip(activations, expected, strict=True))


def test_what_the_source_has_to_say_is_said() -> None:
    assert _run(_Source(notes=("it is old",)), ONE).notes == ["it is old"]


class _Silent:
    """A source that has no notes."""

    def __init__(self) -> None:
        self.inner = _Source()

    def __getattr__(self, name: str) -> Any:
        if name == "notes":
            raise AttributeError(name)
        return getattr(self.inner, name)


def test_a_source_may_have_nothing_to_say() -> None:
    assert _run(cast(Any, _Silent()), ONE).notes == []


def test_at_first_nothing_is_known() -> None:
    with Stash() as stash:
        found = Reference(cast(Any, None), (), [], CoverageBook([]), stash)
    assert (found.n_given, found.n_searched, found.precision) == (0, 0, "float32")
    assert found.seconds_per_row == 0.0
    assert isinstance(found.seconds_per_row, float)
    assert (found.outputs, found.notes, found.doubts) == ([], [], [])


def test_layers_are_not_kept_where_nobody_asks() -> None:
    found = _run(_Source(), TWO, plan=replace(PLAN, layers=False))
    assert found.activations == [None] * 4  # type: ignore[attr-defined]
    assert found.layer_extents == {}
    assert found.coverage.exercised == 2


def _ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a quarter of a second whenever it is looked at."""
    clock = iter(tick / 4 for tick in range(99))
    fake = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("prelu_tools.commands.reference.time", fake)


def test_the_time_of_a_row_is_that_of_a_run_by_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    _ticks(monkeypatch)
    assert _run(_Source(), TWO).seconds_per_row == 0.125


# Twice


def test_the_smallest_run_is_repeated() -> None:
    source = _Source()
    _run(source, TWO, ONE)
    assert [feeds["x"].shape[0] for feeds in source.fed] == [2, 1, 1]
    source = _Source()
    _run(source, ONE, TWO)
    assert [feeds["x"].shape[0] for feeds in source.fed] == [1, 2, 1]


RANDOM = (
    "gives other outputs when it is run again on the same inputs: something in it is random "
    "(a Dropout that still acts?), so nothing can be proven"
)


def test_a_reference_that_is_random_proves_nothing() -> None:
    calls = iter(range(9))
    source = _Source(model=lambda feeds: {"z": feeds["x"], "y": feeds["x"] + next(calls)})
    assert _run(source, TWO).doubts == [f"the reference {RANDOM}"]


def test_the_same_bits_are_steady() -> None:
    runner = _Runner(_Source(), None)
    assert unsteady(runner, TWO, _prelu(TWO)) is None
    assert unsteady(runner, TWO, {"y": _prelu(TWO)["y"] + np.float32(1e-6)}) == RANDOM
    assert unsteady(runner, TWO, {}) is None


def test_what_is_the_first_row_of_another_run() -> None:
    scalar = {"s": np.array(2.0)}
    assert is_first_row(ONE, TWO)
    assert not is_first_row(TWO, TWO)
    assert not is_first_row(ONE, ONE)
    assert not is_first_row(_feeds([1, -2, 4]), TWO)
    assert not is_first_row(TWO, ONE)
    assert is_first_row(ONE | scalar, TWO | scalar)
    assert not is_first_row(ONE | {"s": np.array(3.0)}, TWO | scalar)
    assert not is_first_row({"x": np.zeros((0, 3))}, TWO)


BATCH = "output y of a row depends on the rest of its batch: is a BatchNorm using batch statistics?"


def _by_batch(share: float, value: float = 1.0) -> Model:
    """Of a row in company something else comes than of it alone, by a share."""

    def model(feeds: Mapping[str, Array]) -> dict[str, Array]:
        x = feeds["x"]
        return {"y": np.full_like(x, value if len(x) == 1 else value * (1 + share))}

    return model


@pytest.mark.parametrize(
    ("model", "notes"),
    [
        pytest.param(_by_batch(0.5), [BATCH], id="another value"),
        pytest.param(_by_batch(-0.5), [BATCH], id="a smaller one"),
        pytest.param(_by_batch(0.5, -1.0), [BATCH], id="a negative one"),
        pytest.param(_by_batch(0.02), [BATCH], id="just beyond rounding"),
        pytest.param(_by_batch(0.5, 0.01), [BATCH], id="a small one"),
        pytest.param(lambda feeds: {"y": np.zeros((len(feeds["x"]), 0))}, [], id="no values"),
        pytest.param(_by_batch(0.005), [], id="rounding"),
        pytest.param(lambda feeds: {"y": np.array(len(feeds["x"]))}, [], id="the number of rows"),
        pytest.param(
            lambda feeds: {"y": np.array([float(len(feeds["x"]))] * 2)}, [],
            id="an output that has no rows",
        ),
        pytest.param(
            lambda feeds: {"y": np.full((len(feeds["x"]), 1), len(feeds["x"]))}, [], id="integers"
        ),
        pytest.param(_by_batch(0.5, math.nan), [], id="NaN"),
    ],
)  # fmt: skip
def test_a_row_that_depends_on_its_batch_is_told(model: Model, notes: list[str]) -> None:
    with np.errstate(all="ignore"):
        assert _run(_Source(model=model), TWO, ONE).notes == notes


def test_rows_are_only_held_against_their_own() -> None:
    other = _feeds([9, 9, 9])
    assert _run(_Source(model=_by_batch(0.5)), TWO, other).notes == []
    assert _run(_Source(model=_by_batch(0.5)), TWO).notes == []
    assert _run(_Source(model=_by_batch(0.5)), ONE, TWO).notes == []
    assert _run(_Source(model=_by_batch(0.5)), TWO, ONE, TWO).notes == [BATCH]


# In float64


def _wide(add: float = 0.0) -> Model:
    return lambda feeds: {"y": _prelu(feeds)["y"] + add}


WIDE = replace(PLAN, wide=True)


def test_outputs_and_layers_are_those_of_float64() -> None:
    source = _Source(wide=_wide(2.0**-20), wide_layer=_wide(2.0**-18))
    found = _run(source, TWO, ONE, plan=WIDE)
    assert (found.precision, found.notes) == ("float64", [])
    assert {values.dtype for outputs in found.outputs for values in outputs.values()} == {
        np.dtype(np.float64)
    }
    assert found.extents == {"y": Extent(5.0 + 2.0**-20, 2.0**-20)}
    assert found.layer_extents == {"a": Extent(5.0 + 2.0**-18, 2.0**-18)}
    seen: dict[Any, Array] = found.seen  # type: ignore[attr-defined]
    assert list(seen) == [("float64", 0, 0), ("float64", 1, 0)]
    assert np.array_equal(seen["float64", 0, 0], _prelu(TWO)["y"] + 2.0**-18)
    activations: list[Array | None] = found.activations  # type: ignore[attr-defined]
    assert [values is None for values in activations] == [False, True, False, True]


def test_layers_are_not_seen_in_float64_where_nobody_asks() -> None:
    found = _run(_Source(wide=_wide()), TWO, plan=replace(WIDE, layers=False))
    assert (found.precision, found.layer_extents) == ("float64", {})


UNUSED = (
    "in float64 {} is another value altogether, beyond any rounding: that run is not used, and the "
    "defaults of each type are"
)


@pytest.mark.parametrize(
    ("source", "name"),
    [(_Source(wide=_wide(9.0)), "y"), (_Source(wide=_wide(), wide_layer=_wide(9.0)), "a"),
     (_Source(wide=_wide(9.0), wide_layer=_wide(9.0)), "y")],
)  # fmt: skip
def test_another_function_in_float64_is_not_used(source: _Source, name: str) -> None:
    found = _run(source, TWO, plan=WIDE)
    assert (found.precision, found.notes) == ("float32", [UNUSED.format(name)])
    assert found.outputs[0]["y"].dtype == np.float32
    assert (found.extents["y"].own_error, found.layer_extents["a"].own_error) == (None, None)


def _raising(error: Exception) -> Model:
    def model(_feeds: Mapping[str, Array]) -> dict[str, Array]:
        raise error

    return model


@pytest.mark.parametrize(
    ("wide", "words"),
    [
        (None, "no"),
        (_raising(ValueError("bad")), "bad"),
        (_raising(KeyError("k")), "'k'"),
        (lambda feeds: {"z": feeds["x"]}, "'y'"),
    ],
)
def test_float64_that_is_not_to_be_had(wide: Model | None, words: str) -> None:
    found = _run(_Source(wide=wide), TWO, plan=WIDE)
    note = f"float64 is not to be had for the reference ({words}): "
    note += "the defaults of each type are used"
    assert (found.precision, found.notes) == ("float32", [note])
    assert found.outputs[0]["y"].dtype == np.float32


@pytest.mark.parametrize(
    ("stayed", "named"),
    [("abc", "a, b, c"), ("abcde", "a, b, c, d, e"), ("abcdef", "a, b, c, d, e, ...")],
)
def test_parts_that_stayed_narrow_are_named(stayed: str, named: str) -> None:
    found = _run(_Source(wide=_wide(), stayed=tuple(stayed)), TWO, plan=WIDE)
    assert found.notes == [f"in float64 these stayed narrower inside: {named}"]
