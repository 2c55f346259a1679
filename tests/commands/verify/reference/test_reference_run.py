"""How a reference is run: as it is, twice, and in float64; what is said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from told_source import (
    ALL,
    ONE,
    PLAN,
    TWO,
    Model,
    ToldSource,
    prelu,
    rows,
    run,
)

from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.commands.verify.inputs.branch_search import BranchSearch
from prelu_tools.commands.verify.reference import run as module
from prelu_tools.commands.verify.reference.repeated import RepeatedRun
from prelu_tools.commands.verify.reference.run import ReferencePlan
from prelu_tools.commands.verify.reference.searching import SearchPlan
from prelu_tools.core.arrays import Array
from prelu_tools.core.process.effort import effort_of
from prelu_tools.core.process.progress import listening
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.rounding.tolerance import Extent

# As it is


def test_every_run_is_kept() -> None:
    found = run(ToldSource(), TWO, ONE)
    assert found.feeds == [TWO, ONE]
    assert [list(outputs) for outputs in found.outputs] == [["y"], ["y"]]
    assert np.array_equal(found.outputs[0]["y"], prelu(TWO)["y"])
    assert found.extents == {"y": Extent(5.0, None)}
    assert found.layer_extents == {"a": Extent(10.0, None)}
    assert (found.coverage.exercised, found.coverage.total) == (2, 3)
    assert found.coverage.counts("a").tolist() == [0, 4, 2]
    assert (found.precision, found.n_given, found.n_searched) == ("float32", 2, 0)
    assert (found.notes, found.doubts) == ([], [])
    activations: list[Array] = found.activations
    y, z = prelu(TWO)["y"], prelu(ONE)["y"]
    expected = [y, 2 * y, z, 2 * z]
    assert all(np.array_equal(a, b) for a, b in zip(activations, expected, strict=True))


def test_what_the_source_has_to_say_is_said() -> None:
    assert run(ToldSource(notes=("it is old",)), ONE).notes == ["it is old"]


def test_layers_are_not_kept_where_nobody_asks() -> None:
    found = run(ToldSource(), TWO, plan=replace(PLAN, layers=False))
    assert found.activations == [None] * 4
    assert found.layer_extents == {}
    assert found.coverage.exercised == 2


def test_the_effort_of_runs_follows_from_their_values_alone() -> None:
    found = run(ToldSource(), TWO)
    assert (found.n_values, found.values_per_row) == ([24], 12.0)  # x, y, and x of two calls
    more = run(ToldSource(), TWO, ONE)
    assert more.n_values == [24, 12]
    assert more.effort == effort_of(24, 1, 3) + effort_of(12, 1, 3)
    assert more.effort_of(7) == effort_of(7 * 12, 1, 3)


# By others, who look at what was run


def _looked(monkeypatch: pytest.MonkeyPatch, code: str = "a_code", **plan: Any) -> Any:
    """The reference, and what each who looks at it was given; each says its own name."""
    asked: dict[str, tuple[Any, ...]] = {}

    def answer(name: str) -> Any:
        return lambda *given: asked.update({name: given}) or [Reason(name, code)]

    for name in ("untrained_notes", "depends_on_batch", "random_parts", "run_unobserved",
                 "of_inputs", "of_slopes", "constant_outputs"):  # fmt: skip
        monkeypatch.setattr(module, name, answer(name))
    source = ToldSource(notes=("it is old",))
    return run(source, TWO, ONE, plan=replace(PLAN, **plan)), asked, source


def test_all_who_look_at_a_reference_are_asked_and_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked, source = _looked(monkeypatch)
    assert found.notes == [
        "it is old", "untrained_notes", "depends_on_batch", "of_inputs", "of_slopes"
    ]  # fmt: skip
    assert found.doubts == ["the reference: random_parts", "the reference run_unobserved"]
    assert found.unmoved == ["constant_outputs"]
    runs = found.feeds, found.outputs
    assert asked == {
        "untrained_notes": (source,), "depends_on_batch": (*runs, PLAN.rows),
        "random_parts": (source,), "run_unobserved": (source, *runs),
        "of_inputs": (found.feeds,), "of_slopes": (found.coverage,),
        "constant_outputs": (*runs, PLAN.rows),
    }  # fmt: skip


def test_what_is_random_or_has_no_layers_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked, _ = _looked(monkeypatch, "random_node", layers=False)
    assert found.doubts == ["the reference: random_parts"]
    assert asked.keys().isdisjoint({"run_unobserved", "of_slopes"})


def test_what_a_second_run_shows_is_said_of_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = RepeatedRun([Reason("doubts", "a_code")], [Reason("notes", "another")])
    monkeypatch.setattr(module, "run_again", lambda *_: shown)
    found = run(ToldSource(), TWO)
    assert (found.doubts, found.notes) == (["the reference doubts"], ["the reference notes"])
    assert list(map(code_of, [*found.doubts, *found.notes])) == ["a_code", "another"]
    more = run(ToldSource(found=[ALL]), TWO, plan=replace(PLAN, search=SearchPlan()))
    assert (more.doubts, more.notes) == (2 * found.doubts, 2 * found.notes)  # of what was found


def test_each_part_of_the_work_is_told_to_who_listens() -> None:
    parts: list[tuple[str, int]] = []

    class Listener:
        def begin(self, part: str, total: int) -> None:
            parts.append((part, total))

        def step(self) -> None: ...

        def end(self) -> None: ...

    with listening(Listener()):
        plan = replace(WIDE, search=SearchPlan())
        run(ToldSource(found=[ALL], wide=_wide()), TWO, ONE, plan=plan)
    assert parts == [
        ("running the reference", 2),
        ("looking for inputs that reach the remaining slopes", 0),
        ("running the reference", 1),
        ("running the reference in float64", 3),
    ]


@pytest.mark.parametrize("more", [[ALL, TWO], []])
def test_inputs_that_turn_decisions_are_run_too(
    more: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"": [Reason("it is never taken")]} if more else {}
    theirs = {"c": [Reason("nor this")]}
    turned = BranchSearch(list(more), {**own, **theirs}, [Reason("a note")])
    asked: list[Any] = []

    def search(source: Any, feeds: Any, turning: Any, effort: float) -> BranchSearch:
        asked.append((source, list(feeds), turning, effort))
        return turned

    monkeypatch.setattr(module, "search_branches", search)
    source, turning = ToldSource(), cast(Any, "whose")
    found = run(source, TWO, plan=replace(PLAN, turning=turning))
    assert asked == [(source, [TWO], turning, effort_of(24, 1, 3))]
    assert (found.feeds, len(found.outputs)) == ([TWO, *more], 1 + len(more))
    assert (found.n_given, found.n_searched) == (1, 3 if more else 0)
    said = ["the reference: it is never taken"] if more else []
    assert (found.notes, found.doubts, found.untaken) == (["a note"], said, theirs)
    assert len(source.fed) == (6 if more else 2)


def test_what_turns_decisions_adds_to_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    turned = BranchSearch([ONE], {}, [Reason("a note")])
    monkeypatch.setattr(module, "search_branches", lambda *_: turned)
    plan = replace(PLAN, turning=cast(Any, "whose"), search=SearchPlan())
    found = run(ToldSource(notes=("it is old",), found=[ALL]), TWO, plan=plan)
    assert found.notes == ["it is old", "a note"]
    assert (found.feeds, found.n_searched) == ([TWO, ONE, ALL], 2)
    assert found.n_values == [24, 12, 12]


def test_nobody_s_decisions_are_turned_unless_that_is_asked_for() -> None:
    assert ReferencePlan(False, True, SearchPlan(), 3, {}, False, PLAN.rows).turning is None


# Twice


def test_a_run_of_each_size_is_repeated() -> None:
    source = ToldSource()
    run(source, TWO, ONE, TWO)
    assert [feeds["x"].shape[0] for feeds in source.fed] == [2, 1, 2, 1, 2]


def test_a_reference_that_is_random_proves_nothing() -> None:
    calls = iter(range(99))
    source = ToldSource(model=lambda feeds: {"z": feeds["x"], "y": feeds["x"] + next(calls)})
    (doubt,) = run(source, TWO).doubts
    assert doubt.startswith("the reference gives different outputs when it is run again")


def test_a_run_that_is_repeated_counts_once() -> None:
    found = run(ToldSource(), TWO)
    assert found.coverage.counts("a").tolist() == [0, 2, 2]
    assert len(found.outputs) == 1


BATCH = (
    "output 'y' of a row depends on the other rows of its batch: is a BatchNorm using batch "
    "statistics?"
)


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
        assert run(ToldSource(model=model), TWO, ONE).notes == notes


def test_rows_are_only_compared_with_their_own() -> None:
    other = rows([9, 9, 9])
    assert run(ToldSource(model=_by_batch(0.5)), TWO, other).notes == []
    assert run(ToldSource(model=_by_batch(0.5)), TWO).notes == []
    assert run(ToldSource(model=_by_batch(0.5)), ONE, TWO).notes == []
    assert run(ToldSource(model=_by_batch(0.5)), TWO, ONE, TWO).notes == [BATCH]


# In float64


def _wide(add: float = 0.0) -> Model:
    return lambda feeds: {"y": prelu(feeds)["y"] + add}


WIDE = replace(PLAN, wide=True)


def test_outputs_and_layers_are_those_of_float64() -> None:
    source = ToldSource(wide=_wide(2.0**-20), wide_layer=_wide(2.0**-18))
    found = run(source, TWO, ONE, plan=WIDE)
    assert (found.precision, found.notes) == ("float64", [])
    assert {values.dtype for outputs in found.outputs for values in outputs.values()} == {
        np.dtype(np.float64)
    }
    assert found.extents == {"y": Extent(5.0 + 2.0**-20, 2.0**-20)}
    assert found.layer_extents == {"a": Extent(5.0 + 2.0**-18, 2.0**-18)}
    seen: dict[Any, Array] = found.seen
    assert list(seen) == [("float64", 0, 0), ("float64", 1, 0)]
    assert np.array_equal(seen["float64", 0, 0], prelu(TWO)["y"] + 2.0**-18)
    activations: list[Array | None] = found.activations
    assert [values is None for values in activations] == [False, True, False, True]


def test_layers_are_not_seen_in_float64_where_nobody_asks() -> None:
    found = run(ToldSource(wide=_wide()), TWO, plan=replace(WIDE, layers=False))
    assert (found.precision, found.layer_extents) == ("float64", {})


UNUSED = (
    "{!r} differs in float64 by far more than rounding: that run is not used; the default "
    "tolerance of each type is used instead"
)


@pytest.mark.parametrize(
    ("source", "name"),
    [(ToldSource(wide=_wide(9.0)), "y"), (ToldSource(wide=_wide(), wide_layer=_wide(9.0)), "a"),
     (ToldSource(wide=_wide(9.0), wide_layer=_wide(9.0)), "y")],
)  # fmt: skip
def test_another_function_in_float64_is_not_used(source: ToldSource, name: str) -> None:
    found = run(source, TWO, plan=WIDE)
    assert (found.precision, found.notes) == ("float32", [UNUSED.format(name)])
    assert found.outputs[0]["y"].dtype == np.float32
    assert (found.extents["y"].own_error, found.layer_extents["a"].own_error) == (None, None)


def _raising(error: Exception) -> Model:
    def model(rows: Mapping[str, Array]) -> dict[str, Array]:
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
    found = run(ToldSource(wide=wide), TWO, plan=WIDE)
    note = f"float64 is not available for the reference ({words}): "
    note += "the default tolerance of each type is used"
    assert (found.precision, found.notes) == ("float32", [note])
    assert found.outputs[0]["y"].dtype == np.float32
    assert set(found.seen) == {("float32", 0, 0), ("float32", 0, 1)}


def test_a_layer_that_float64_does_not_show_is_known_from_float32() -> None:
    class Blind(ToldSource):
        def wide_runner(self, observe: Observer | None = None) -> Any:
            return super().wide_runner()

    found = run(Blind(wide=_wide()), TWO, plan=WIDE)
    assert (found.precision, found.layer_extents) == ("float64", {"a": Extent(10.0, None)})


@pytest.mark.parametrize(
    ("stayed", "named"),
    [("abc", "a, b, c"), ("abcde", "a, b, c, d, e"), ("abcdef", "a, b, c, d, e and 1 more")],
)
def test_parts_that_stayed_narrow_are_named(stayed: str, named: str) -> None:
    found = run(ToldSource(wide=_wide(), stayed=tuple(stayed)), TWO, plan=WIDE)
    assert found.notes == [f"computed in a narrower type even in the float64 run: {named}"]
