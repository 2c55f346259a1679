"""A reference whose operators are perturbed: which of its runs count, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from numpy_models import NumpyModel
from told_source import ALL, ONE, PLAN, TWO, prelu

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.reference import run as module
from prelu_tools.commands.verify.reference.perturbed import RUNS
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.run import ReferencePlan, run_reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.rounding.tolerance import Extent

WIDE = replace(PLAN, wide=True)


class _Wide(NumpyModel):
    """Gives something else for `y` in float64."""

    other: Callable[[Array], Array] = staticmethod(lambda y: y)
    stayed: tuple[str, ...] = ()

    @contextmanager
    def wide_runner(self, observe: Any = None) -> Iterator[Any]:
        with super().wide_runner(observe) as inner:
            model = self

            class Runner:
                stayed_narrow = model.stayed

                def run(self, feeds: Any) -> dict[str, Array]:
                    found = inner.run(feeds)
                    return found | {"y": model.other(found["y"])}

            yield Runner()


def _run(
    model: NumpyModel, *feeds: Any, plan: ReferencePlan = WIDE
) -> tuple[Reference, dict[Any, Array]]:
    """The reference, and what its stash held."""
    with run_reference(cast(Source, model), feeds or (TWO, ONE), plan) as reference:
        keys = [(kind, run, "a", 0) for kind in ("float32", "float64", "spread") for run in (0, 1)]
        return reference, {key[:2]: reference.stash.get(key) for key in keys
                           if key in reference.stash}  # fmt: skip


def test_values_are_those_of_float64_with_how_far_rounding_takes_them() -> None:
    found, seen = _run(NumpyModel())
    assert (found.precision, found.notes) == ("float64", [])
    assert found.perturbed is not None
    assert found.perturbed.runs == 6
    assert [y["y"].dtype.name for y in found.outputs] == ["float64"] * 2
    assert np.array_equal(found.outputs[0]["y"], prelu({"x": TWO["x"].astype(np.float64)})["y"])
    assert set(seen) == {("float64", 0), ("float64", 1), ("spread", 0), ("spread", 1)}
    assert found.extents["y"].own_error == 0.0
    assert found.layer_extents["a"].own_error == 0.0


def test_layers_that_nobody_asks_for_are_not_kept() -> None:
    observed: list[Any] = []

    class Noting(NumpyModel):
        def perturbed_runner(self, noise: Any, observe: Any = None) -> Any:
            observed.append(observe)
            return super().perturbed_runner(noise, observe)

    found, seen = _run(Noting(), plan=replace(WIDE, layers=False))
    assert (found.precision, seen, found.layer_extents) == ("float64", {}, {})
    assert observed == [None]


def test_nothing_is_perturbed_where_no_float64_is_asked_for() -> None:
    found, seen = _run(NumpyModel(), plan=PLAN)
    assert (found.precision, found.perturbed) == ("float32", None)
    assert set(seen) == {("float32", 0), ("float32", 1)}


def test_a_random_reference_is_not_perturbed() -> None:
    draws = iter(np.float32(n) for n in range(999))
    found, _ = _run(NumpyModel(change=lambda _layer, y: y + next(draws)))
    assert found.is_random
    assert found.perturbed is None
    assert not [note for note in found.notes if "perturbed" in note]


def test_a_large_reference_is_perturbed_less_often_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(module, "affordable_runs", lambda effort: asked.append(effort) or 3)
    found, _ = _run(NumpyModel())
    assert asked == [found.effort]
    assert found.perturbed is not None
    assert found.perturbed.runs == 3
    assert found.notes == [
        "the reference is large: it was run 3 times with its operators perturbed, instead of 6"
    ]


@pytest.mark.parametrize("error", [PReLUToolsError("no"), KeyError("no"), ValueError("no")])
def test_a_reference_that_fails_while_it_is_perturbed(error: Exception) -> None:
    class Failing(NumpyModel):
        @contextmanager
        def perturbed_runner(self, noise: Any, observe: Any = None) -> Iterator[Any]:
            with super().perturbed_runner(noise, observe) as inner:
                runs = iter(range(RUNS))  # all of the first input's

                class Runner:
                    def run(self, feeds: Any) -> dict[str, Array]:
                        if next(runs, None) is None:
                            raise error
                        return cast(dict[str, Array], inner.run(feeds))

                yield Runner()

    found, seen = _run(Failing())
    assert (found.perturbed, found.precision) == (None, "float64")
    assert found.notes == [
        f"the operators of the reference cannot be perturbed ({error}): each output has one limit "
        "for all its values"
    ]
    assert set(seen) == {("float64", 0), ("float64", 1)}


def test_a_layer_that_float64_does_not_show_is_known_from_float32() -> None:
    class Blind(NumpyModel):
        def wide_runner(self, observe: Any = None) -> Any:
            return super().wide_runner()

    found, _ = _run(Blind(), TWO)
    assert found.perturbed is not None
    assert (found.precision, found.layer_extents) == ("float64", {"a": Extent(5.0, None)})


def _strange(rows: slice, *outputs: str) -> _Wide:
    def other(y: Array) -> Array:
        found = y.copy()
        found[rows] += 1
        return found

    made = _Wide(outputs=outputs or ("y",))
    made.other = other
    return made


def test_values_that_are_others_in_float64_are_those_of_float32() -> None:
    found, _ = _run(_strange(slice(0, 1)), TWO)
    assert found.precision == "float64"
    assert np.array_equal(found.outputs[0]["y"], prelu(TWO)["y"])
    assert found.notes == [
        "output 'y': 3 of 6 values differ in float64 by more than rounding; there, candidates are "
        "compared with the float32 run"
    ]


def test_float64_is_not_taken_where_it_is_something_else_everywhere() -> None:
    found, seen = _run(_strange(slice(None)), TWO)
    assert (found.precision, len(found.notes)) == ("float32", 1)
    assert found.outputs[0]["y"].dtype == np.float32
    assert set(seen) == {("float32", 0), ("spread", 0)}


def test_float64_is_taken_for_the_outputs_that_it_agrees_on() -> None:
    found, _ = _run(_strange(slice(None), "y", "z"), TWO)
    assert (found.precision, len(found.notes)) == ("float64", 1)
    assert [np.array_equal(y, prelu(TWO)["y"]) for y in found.outputs[0].values()] == [True, True]
    assert list(found.extents) == ["y", "z"]


@pytest.mark.parametrize("count", [0, 5, 6])
def test_parts_that_stay_narrow_are_named(count: int) -> None:
    made = _Wide()
    made.stayed = tuple("abcdef"[:count])
    found, _ = _run(made)
    more = " and 1 more" if count == 6 else ""
    words = f"computed in a narrower type even in the float64 run: a, b, c, d, e{more}"
    assert found.notes == ([words] if count else [])


def test_what_float64_lacks_is_said_where_nothing_else_tells_rounding() -> None:
    for can_perturb, n_notes in ((True, 0), (False, 2)):
        found, seen = _run(NumpyModel(is_wide=False, can_perturb=can_perturb), ALL)
        assert (found.precision, len(found.notes)) == ("float32", n_notes)
        assert ("float32", 0) in seen
        assert ("spread", 0) in seen or not can_perturb


def test_the_seed_moves_it() -> None:
    plans = [replace(WIDE, seed=seed) for seed in (1, 1, 2)]
    first, same, other = (_run(NumpyModel(), plan=plan)[0].perturbed for plan in plans)
    assert first is not None
    assert same is not None
    assert other is not None
    scales = [perturbed.outputs[0]["y"].scale for perturbed in (first, same, other)]
    assert np.array_equal(scales[0], scales[1])
    assert not np.array_equal(scales[0], scales[2])
