"""What is seen of the layers of a quantized candidate, in numbers that can be computed by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from made.made_layers import layer_of

from prelu_tools.commands.verify.quantized.layers import QuantizedLayers
from prelu_tools.core.arrays import Array
from prelu_tools.core.inputs import DEFAULT_SEED
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.faults import faults_in
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.reasons import code_of
from prelu_tools.graph.quantized.codes import Codes

pytestmark = pytest.mark.filterwarnings("error")
SLOPES = np.array([[0.25, -0.5, 0.125]], np.float32)
ROOM = 0.55  # of a step
FLOAT = 4 * 2.0**-23  # of a value


def _codes(scale: Any, zero: Any, kind: str = "uint8") -> Codes:
    return Codes(np.asarray(scale, np.float32), np.asarray(zero, kind))


def _node(kind: str, x: str, y: str) -> Any:
    return SimpleNamespace(op_type=kind, input=x.split(), output=y.split())


def _layer(slopes: Array = SLOPES, name: str = "act") -> PReLULayer:
    return layer_of(slopes, (None, *slopes.shape[1:]), name)


class Rig:
    """One layer from `a` to `p`, in a graph that rounds its input, its output, or what is between.

    Args:
        codes: of the tensors of codes: `a` its input, `i` inside of it, `p` its output, `r` behind.
        slopes: of the reference.
        found: of the candidate; those of the reference where none are given.
        step: of the candidate's slopes.
        activation: what the reference gave.
        calls: how often it is called.
    """

    def __init__(
        self,
        codes: dict[str, Codes] | None = None,
        slopes: Array = SLOPES,
        found: Array | None = None,
        step: float = 0.0,
        activation: Array | None = None,
        calls: int = 1,
    ) -> None:
        inner, middle = _node("Neg", "a", "i"), _node("Neg", "i", "j")
        last = _node("PRelu", "j s", "p")
        before, after = _node("Identity", "e", "a"), _node("Identity", "p", "r")
        match = SimpleNamespace(x="a", node=last, nodes=(last, middle, inner), slopes=slopes)
        self.codes = codes or {}
        meaning = SimpleNamespace(
            codes=self.codes,
            rounded=tuple(self.codes),
            model=SimpleNamespace(
                proto=SimpleNamespace(
                    graph=SimpleNamespace(node=[before, inner, middle, last, after])
                )
            ),
        )
        mine = replace(_layer(slopes), parameter="act.weight")
        other = _layer(slopes if found is None else found)
        view = SimpleNamespace(is_constant=lambda _name: False, producer={})
        located = SimpleNamespace(
            layer=other, matches=(match,) * calls, calls=((view, match),) * calls
        )
        self.book = CoverageBook([mine])
        self.asked: list[tuple[int, str, int]] = []
        reference = SimpleNamespace(
            layers=[mine],
            coverage=self.book,
            activation=lambda *key: self.asked.append(key) or activation,
        )
        self.layers = QuantizedLayers(
            cast(Any, reference), cast(Any, [located]), cast(Any, meaning)
        )
        self.layers._steps = {"act": step}
        self.layers._apart = {"act": 0.0625}

    def observe(self, x: Array, y: Array, run: int = 0, **inside: Array) -> Any:
        """What was seen after a run."""
        self.layers.observe(run, {"a": np.asarray(x), "p": np.asarray(y), **inside})
        return self.layers._seen["act"]

    def parity(self, **placement: str) -> Any:
        """The outcome."""
        (found,) = self.layers.parities(placement, False)
        return found


X = np.array([[-4.0, 8.0, -2.0], [1.0, -6.0, 16.0]], np.float32)
Y = np.where(X > 0, X, SLOPES * X)
BEHIND = {"r": _codes(0.5, 128)}  # from -64 to 63.5
AT_END = {"p": _codes(0.5, 128)}
INSIDE = {"i": _codes(0.25, 128)}


@pytest.mark.parametrize(
    ("codes", "off", "step", "allowed"),
    [
        pytest.param({}, 2.0**-20, 0.0, FLOAT * 4, id="floating point"),
        pytest.param(BEHIND, 0.1, 0.0, ROOM * 0.5 + FLOAT * 4, id="rounded behind it"),
        pytest.param(AT_END, 0.1, 0.0, 2 * ROOM * 0.5 + FLOAT * 4, id="rounded at its end"),
        pytest.param(INSIDE, 0.1, 0.0, ROOM * 0.25 + FLOAT * 4, id="rounded inside of it"),
        pytest.param(INSIDE | BEHIND, 0.1, 0.0, ROOM * 0.75 + FLOAT * 4, id="rounded twice"),
        pytest.param({}, 0.1, 0.125, ROOM * 0.125 * 4 + FLOAT * 4, id="its slopes rounded"),
        pytest.param(BEHIND, 0.1, 0.125, ROOM * (0.5 + 0.125 * 4) + FLOAT * 4, id="both"),
    ],
)
def test_a_layer_may_be_off_by_what_rounding_does(
    codes: dict[str, Codes], off: float, step: float, allowed: float
) -> None:
    for sign in (1, -1):
        y = Y.astype(np.float64)
        y[0, 0] += sign * off
        seen = Rig(codes, step=step).observe(X, y)
        assert seen.off == pytest.approx(off / allowed, rel=1e-5)
        assert (seen.n_calls, seen.lost, seen.n_negative) == (1, None, 3)
    assert Rig(codes, step=step).observe(X, Y).off == 0.0
    assert Rig(codes, step=step).observe(X * 0, Y * 0).off == 0.0


def test_positive_values_have_no_room_for_slopes() -> None:
    y = Y.astype(np.float64)
    y[1, 0] += 2.0**-20
    assert Rig(step=0.125).observe(X, y).off == pytest.approx(2.0**-20 / FLOAT)
    half = X / 2
    y = Y / 2.0
    y[1, 0] += 2.0**-20
    assert Rig(step=0.125).observe(half, y).off == pytest.approx(2.0**-20 / (FLOAT / 2))


def test_steep_slopes_leave_more_room() -> None:
    steep = np.array([[2.0, -4.0, 0.5]], np.float32)
    y = np.where(X > 0, X, steep.astype(np.float64) * X)
    y[0, 0] += 0.1
    seen = Rig(INSIDE, steep).observe(X, y)
    assert seen.off == pytest.approx(0.1 / (4 * ROOM * 0.25 + 4 * FLOAT * 4), rel=1e-5)
    assert Rig(BEHIND, steep).observe(X, y).off == pytest.approx(
        0.1 / (ROOM * 0.5 + 4 * FLOAT * 4), rel=1e-5
    )


def test_what_is_no_number_is_off_beyond_all() -> None:
    y = Y.copy()
    y[0, 0] = np.nan
    assert Rig(BEHIND).observe(X, y).off > 1e300


def test_ranges_cut_off_what_is_beyond_them() -> None:
    short = {"p": _codes(0.5, 128)}
    x = np.array([[-4.0, 200.0, -2.0]], np.float32)
    y = np.where(x > 0, np.minimum(x, 63.5), SLOPES * x)
    assert Rig(short).observe(x, y).off == 0.0
    behind = Rig({"r": _codes(0.5, 128)})
    assert behind.observe(x, y).off == pytest.approx(
        136.5 / (136.5 + ROOM * 0.5 + FLOAT * 200), rel=1e-6
    )


def test_the_worst_of_all_runs_counts_and_the_reference_of_each_is_asked() -> None:
    rig = Rig(BEHIND, activation=np.asarray(Y))
    assert rig.observe(X, Y + np.float32(0.11)).off == pytest.approx(0.4, rel=0.01)
    assert rig.observe(X, Y, run=1).off == pytest.approx(0.4, rel=0.01)
    seen = rig.observe(X, Y - np.float32(0.22), run=2)
    assert seen.off == pytest.approx(0.8, rel=0.01)
    assert (seen.n_calls, seen.n_negative) == (3, 9)
    assert rig.asked == [(0, "act", 0), (1, "act", 0), (2, "act", 0)]
    assert seen.end_to_end.deviation.max_abs == pytest.approx(0.22, rel=1e-3)


def test_each_call_is_compared_with_its_own() -> None:
    rig = Rig(BEHIND, activation=np.asarray(Y), calls=2)
    assert rig.observe(X, Y).n_calls == 2
    assert rig.asked == [(0, "act", 0), (0, "act", 1)]


def test_without_the_reference_nothing_is_measured_from_end_to_end() -> None:
    assert np.isnan(Rig().observe(X, Y).end_to_end.deviation.max_abs)


def test_tensors_that_a_run_lacks_are_passed_over() -> None:
    rig = Rig()
    for given in ({"a": X}, {"p": Y}, {}):
        rig.layers.observe(0, given)
    assert rig.layers._seen["act"].n_calls == 0


@pytest.mark.parametrize(
    ("y", "slopes", "words"),
    [
        (Y[:1], SLOPES, "gives [1, 3] for an input of [2, 3]"),
        (Y, np.float32([[1, 2, 3, 4]]), "its slopes do not broadcast to an input of [2, 3]"),
    ],
)
def test_shapes_that_do_not_fit_are_said(y: Array, slopes: Array, words: str) -> None:
    rig = Rig(slopes=slopes)
    seen = rig.observe(X, y)
    assert (seen.lost, seen.n_calls) == (words, 0)
    found = rig.parity()
    assert (found.verdict, found.n_by_behaviour) == ("fail", 0)
    assert str(found.difference) == f"act: {words}"


def test_slopes_of_another_rank_are_lost() -> None:
    rig = Rig(slopes=np.zeros((1, 2, 3, 4), np.float32))
    assert rig.observe(X, Y).lost == "gives [2, 3] for an input of [2, 3]"


def test_codes_are_read_as_numbers() -> None:
    codes = {"a": _codes(0.5, 100), "r": _codes(0.25, 128)}
    stored = np.array([[92, 116, 96]], np.uint8)
    x = (stored.astype(np.float32) - 100) / 2
    assert Rig(codes).observe(stored, np.where(x > 0, x, SLOPES * x)).off == 0.0
    end = {"p": _codes(0.5, 100)}
    y = np.array([[98, 116, 99]], np.uint8)  # -1, 8, -0.5
    assert Rig(end).observe(np.float32([[-4, 8, -4]]), y).off == 0.0


# Values that are cut off


@pytest.mark.parametrize(
    ("codes", "x", "y", "cut"),
    [
        pytest.param({"a": _codes(0.5, 2)}, [-1, -0.75, -0.7, -0.5, 3], None, 2,
                     id="half a step from the end of its input"),
        pytest.param({"e": _codes(0.5, 2)}, [-1, -0.8, -0.7, -0.5, 3], None, 2,
                     id="of what its input was copied from"),
        pytest.param({"a": _codes([0.5] * 5, [2] * 5)}, [-1, -0.8, -0.7, -0.5, 3], None, 0,
                     id="but for several scales"),
        pytest.param({"r": _codes(0.5, 2)}, [-9, -9, -9, -9, 3], [-1, -1.1, -0.9, 0, 126.5], 2,
                     id="at the lower end behind it"),
        pytest.param({"r": _codes(0.5, 2)}, [-9, -9, -9, -9, 3], [126.5, 127, 126, 0, 127], 2,
                     id="at the upper end behind it"),
        pytest.param({"r": _codes([0.5] * 5, [2] * 5)}, [-9, -9, -9, -9, 3], [-1] * 5, 0,
                     id="but for several scales behind it"),
        pytest.param({}, [-9, -9, -9, -9, 3], [-1] * 5, 0, id="nothing in floating point"),
    ],
)  # fmt: skip
def test_negative_values_at_the_end_of_a_range_are_counted(
    codes: dict[str, Codes], x: Any, y: Any, cut: int
) -> None:
    values = np.float32([x])
    rig = Rig(codes, np.full((1, 5), 0.5, np.float32))
    seen = rig.observe(values, values if y is None else np.float32([y]))
    assert (seen.n_cut, seen.n_negative) == (cut, 4)


@pytest.mark.parametrize(
    ("inside", "codes", "off", "n_cut"),
    [
        pytest.param(np.uint8([[0, 7, 255]]), _codes(0.5, 9), 0.0, 2, id="both ends"),
        pytest.param(np.uint8([[0, 7, 255]]), _codes(0.5, 0), 1.0, 1, id="0 is no end"),
        pytest.param(np.uint8([[0, 7, 255]]), _codes(0.5, 255), 1.0, 1, id="nor is it there"),
        pytest.param(np.uint8([[0, 255, 7]]), _codes(0.5, 9), 1.0, 1, id="one negative"),
        pytest.param(np.uint8([[0, 7, 9]]), _codes([0.5, 1, 2], [9, 9, 9]), 1.0, 0, id="several"),
        pytest.param(np.uint8([[0, 7, 0]]), _codes([0.5, 1], [9, 9]), 1.0, 0, id="two"),
        pytest.param(np.float32([[0, 7, 255]]), _codes(0.5, 9), 1.0, 0, id="numbers"),
        pytest.param(np.uint8([[0], [0]]), _codes(0.5, 9), 1.0, 0, id="another shape"),
        pytest.param(np.int8([[-128, 0, 127]]), _codes(0.5, 0, "int8"), 0.0, 2, id="with a sign"),
    ],
)  # fmt: skip
def test_values_that_are_cut_off_inside_prove_nothing(
    inside: Array, codes: Codes, off: float, n_cut: int
) -> None:
    rig = Rig({"i": codes})
    x = np.float32([[-4, 8, -2]])
    y = np.where(x > 0, x, SLOPES * x) + np.float32([[9, 0, 9]])
    seen = rig.observe(x, y, i=inside)
    assert (seen.n_cut, seen.off > 1) == (n_cut, bool(off))
    assert seen.off > 1 or seen.off == 0
    assert rig.layers.tensors(["a", "i", "p", "x"]) == ("a", "p", "i")
    assert rig.layers.tensors(["a", "i"]) == ()
    assert rig.layers.tensors(["p", "i"]) == ()
    assert rig.layers.tensors(["a", "p"]) == ("a", "p")


# What becomes of it


def test_an_honest_layer_passes_with_what_was_proven() -> None:
    rig = Rig(BEHIND, activation=np.asarray(Y))
    rig.book.note("act", X)
    rig.observe(X, Y + np.float32(0.125))
    found = rig.parity(act="CUDAExecutionProvider")
    assert (found.name, found.node, found.parameter) == ("act", "act", "act.weight")
    assert (found.verdict, found.slopes_equal, found.difference) == ("pass", True, None)
    assert (found.n_slopes, found.n_by_value, found.n_by_behaviour) == (3, 3, 3)
    assert (found.coverage, found.least_positions) == (1.0, 1)
    assert (found.max_abs_diff, found.max_ulp_diff) == (0.125, None)
    assert found.deviation.max_abs == 0.125
    assert (found.slope_step, found.slope_error) == (None, None)
    assert found.provider == "CUDAExecutionProvider"


def test_slopes_that_were_not_reached_are_proven_by_value_only() -> None:
    rig = Rig(step=0.01)
    rig.book.note("act", X[:1])
    rig.observe(X, Y)
    found = rig.parity()
    assert (found.n_by_value, found.n_by_behaviour, found.least_positions) == (3, 2, 0)
    assert found.coverage == pytest.approx(2 / 3)
    assert (found.slope_step, found.slope_error, found.provider) == (0.01, 0.0625, None)


def test_a_layer_that_never_ran_is_proven_by_value_only() -> None:
    found = Rig().parity()
    assert (found.verdict, found.n_by_value, found.n_by_behaviour) == ("pass", 3, 0)
    assert (found.deviation, found.max_abs_diff) == (None, None)
    rig = Rig()
    rig.book.note("act", X)
    assert rig.parity().n_by_behaviour == 0


def test_no_slopes_have_no_coverage() -> None:
    found = Rig(slopes=np.zeros((1, 0), np.float32)).parity()
    assert (found.coverage, found.least_positions, found.n_slopes) == (None, None, 0)


@pytest.mark.parametrize(("off", "verdict"), [(0.27, "pass"), (0.55, "fail")])
def test_a_layer_that_is_off_fails(off: float, verdict: str) -> None:
    rig = Rig(BEHIND)
    rig.book.note("act", X)
    rig.observe(X, Y + np.float32(off))
    found = rig.parity()
    assert (found.verdict, found.slopes_equal) == (verdict, True)
    assert found.n_by_behaviour == (3 if verdict == "pass" else 0)
    if verdict == "fail":
        assert str(found.difference) == (
            "act: in isolation its error is 2 times what rounding to integer codes can explain"
        )
        assert code_of(found.difference) == "layer_differs"


def test_other_slopes_fail_and_say_how_they_differ() -> None:
    rig = Rig(found=SLOPES[:, ::-1].copy())
    found = rig.parity()
    assert (found.verdict, found.slopes_equal, found.n_by_value) == ("fail", False, 0)
    assert code_of(found.difference) == "slopes_differ"
    assert str(found.difference).startswith("act: ")
    rig.observe(X, Y + 9)
    found = rig.parity()
    assert code_of(found.difference) == "slopes_differ"
    assert "; in isolation its error is " in str(found.difference)


@pytest.mark.parametrize(("n_cut", "verdict"), [(1, "pass"), (2, "inconclusive")])
def test_slopes_that_hardly_count_prove_nothing(n_cut: int, verdict: str) -> None:
    codes = {"a": _codes(0.5, 2)}  # from -1
    x = np.float32([[-4 if place < n_cut else -0.25 for place in range(3)]])
    rig = Rig(codes)
    seen = rig.observe(x, np.where(x > 0, x, SLOPES * x))
    assert (seen.n_cut, seen.n_negative) == (n_cut, 3)
    found = rig.parity()
    assert found.verdict == verdict
    if n_cut == 2:
        assert code_of(found.difference) == "slopes_cut_off"
        assert str(found.difference) == (
            "act: 67% of its negative values are cut off at the end of a range, so its slopes "
            "hardly count: the ranges do not fit these inputs"
        )


def test_half_of_them_are_enough() -> None:
    rig = Rig({"a": _codes(0.5, 2)})
    x = np.float32([[-4, -0.25, 3]])
    rig.observe(x, np.where(x > 0, x, SLOPES * x))
    assert rig.parity().verdict == "pass"


def test_a_step_that_is_too_wide_proves_nothing() -> None:
    rig = Rig(step=0.126)
    found = rig.parity()
    assert (found.verdict, code_of(found.difference)) == ("inconclusive", "slopes_too_coarse")
    assert str(found.difference) == (
        "act: the step of its codes, 0.126, is too wide to show its slopes"
    )
    assert Rig(step=0.125).parity().verdict == "pass"


@pytest.mark.parametrize(("agreed", "verdict"), [(True, "inconclusive"), (False, "fail")])
def test_layers_of_one_side_only(agreed: bool, verdict: str) -> None:
    rig = Rig()
    pairs = rig.layers._pairs
    lost, extra = _layer(SLOPES + 1, "lost"), _layer(SLOPES + 2, "extra")
    rig.layers._pairs = type(pairs)(pairs.pairs, (lost,), (extra,))
    rig.layers._reference.layers.insert(0, lost)  # type: ignore[attr-defined]
    first, second, third = rig.layers.parities({}, agreed)
    assert [each.name for each in (first, second, third)] == ["lost", "act", "extra"]
    assert [each.verdict for each in (first, second, third)] == [verdict, "pass", verdict]
    assert [each.found for each in (first, second, third)] == ["nowhere", "pattern", "additional"]
    assert (first.slopes_equal, third.slopes_equal) == (False, False)
    assert str(first.difference) == ("lost: not found in the candidate, whose layers are quantized")
    assert str(third.difference) == "extra: a PReLU that the reference does not have"
    assert [code_of(each.difference) for each in (first, third)] == [
        "layer_not_found", "layer_additional"
    ]  # fmt: skip
    for each in (first, third):
        assert (each.max_abs_diff, each.max_ulp_diff, each.coverage) == (None, None, None)


# Faults that are planted


def _power(rig: Rig, x: Any, slopes: Array = SLOPES) -> tuple[int, int, int]:
    """Faults of the slopes that are caught, hidden and not reached."""
    x = np.asarray(x, np.float32)
    seen = rig.observe(x, np.where(x > 0, x, slopes * x))
    assert seen.off <= 1
    found = rig.layers.power()
    assert (found.by_outputs, found.sampled, found.escaped) == (0, True, ())
    assert found.detected == found.planted == found.by_layers
    return found.planted, found.hidden, found.unreached


def test_faults_in_floating_point_are_all_caught() -> None:
    every = len(list(faults_in(0, [SLOPES], np.ones(3, bool), 0, DEFAULT_SEED)))
    assert every == 5
    assert _power(Rig(), X) == (every, 0, 0)


def test_faults_that_rounding_hides_are_hidden() -> None:
    caught, hidden, unreached = _power(Rig(BEHIND), X)
    assert caught > 3
    assert hidden > 0
    assert unreached == 0
    wide = {"r": _codes(100.0, 128)}
    assert _power(Rig(wide), X) == (0, caught + hidden, 0)


def test_faults_where_nothing_is_negative_are_not_reached() -> None:
    every = sum(_power(Rig(), X))
    caught, hidden, unreached = _power(Rig(), np.abs(X))
    assert (caught, hidden, unreached) == (0, 0, every)
    some = np.float32([[1, 1, -4]])
    caught, hidden, unreached = _power(Rig(), some)
    assert (caught > 0, hidden, caught + unreached) == (True, 0, every)


def test_faults_where_values_are_cut_off_are_not_reached() -> None:
    rig = Rig({"i": _codes(0.001, 9)})
    inside = np.zeros((2, 3), np.uint8)
    rig.observe(X, Y, i=inside)
    found = rig.layers.power()
    assert (found.planted, found.hidden) == (0, 0)
    assert found.unreached == sum(_power(Rig(), X))


def test_faults_end_where_the_codes_do() -> None:
    """Slopes whose products are all beyond the range give its end, right or wrong."""
    steep = np.array([[2.0, 4.0, 8.0]], np.float32)
    x = np.full((1, 3), -100, np.float32)
    rig = Rig({"p": _codes(0.5, 128)}, steep)
    rig.observe(x, np.full((1, 3), -64, np.float32))
    found = rig.layers.power()
    assert found.hidden > 0
    free = Rig({}, steep)
    free.observe(x, steep * x)
    assert free.layers.power().hidden == 0
    assert found.planted + found.hidden == free.layers.power().planted


@pytest.mark.parametrize(("width", "caught"), [(166_666, True), (166_667, False)])
def test_half_a_million_values_of_a_layer_are_looked_at(width: int, caught: bool) -> None:
    x = np.ones((3, width), np.float32)
    x[2] = -1
    one = np.float32([[0.25]])
    assert bool(_power(Rig(slopes=one), x, one)[0]) is caught


@pytest.mark.parametrize(("most", "caught"), [(5, False), (6, True), (100, True)])
def test_few_rows_of_a_large_layer_are_looked_at(
    most: int, caught: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prelu_tools.commands.verify.quantized.layers._MOST_PLANTED", most)
    x = np.abs(X)
    x[1] = -x[1]  # the second row alone reaches the slopes
    assert bool(_power(Rig(), x)[0]) is caught
    rows = np.concatenate([x, x])
    assert bool(_power(Rig(), rows)[0]) is caught


def test_slopes_for_each_row_take_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prelu_tools.commands.verify.quantized.layers._MOST_PLANTED", 3)
    slopes = np.array([[0.25], [0.5]], np.float32)
    x = np.float32([[4, 4, 4], [-1, -1, -1]])
    assert _power(Rig(slopes=slopes), x, slopes)[0] > 0


def test_faults_are_planted_once_and_not_in_a_layer_that_is_off() -> None:
    rig = Rig()
    first = _power(rig, X)
    assert _power(rig, X) == tuple(2 * n for n in first)
    rig.observe(X, Y, run=1)
    assert sum((rig.layers.power().planted, rig.layers.power().hidden)) == 2 * sum(first)
    off = Rig(BEHIND)
    off.observe(X, Y + np.float32(0.4))
    assert off.layers.power().planted == 0
    twice = Rig(calls=2)
    assert _power(twice, X) == first


def test_slopes_for_each_position_have_faults_too() -> None:
    slopes = np.linspace(0.1, 0.9, 6, dtype=np.float32).reshape(1, 2, 3)
    x = np.full((2, 2, 3), -4, np.float32)
    x[:, 1] = 1
    caught, hidden, unreached = _power(Rig(slopes=slopes), x, slopes)
    assert (caught > 0, hidden) == (True, 0)
    every = len(list(faults_in(0, [slopes], np.arange(6) < 3, 0, DEFAULT_SEED)))
    assert caught + unreached == every


@pytest.mark.parametrize(
    ("slopes", "y", "hidden"), [([[2.0, 4.0, 8.0]], -64.0, 1), ([[-2.0, -4.0, -8.0]], 63.5, 1)]
)
def test_faults_beyond_the_range_are_hidden_at_both_ends(
    slopes: Any, y: float, hidden: int
) -> None:
    rig = Rig({"p": _codes(0.5, 128)}, np.float32(slopes))
    rig.observe(np.full((1, 3), -100, np.float32), np.full((1, 3), y, np.float32))
    assert (rig.layers.power().hidden, rig.layers.power().planted) == (hidden, 4)


# Calls, axes and other layers


def test_calls_whose_tensors_are_missing_do_not_stop_the_others() -> None:
    rig = Rig(calls=2)
    first, second = rig.layers._matches["act"]
    missing = SimpleNamespace(**{**vars(first), "x": "zz"})
    rig.layers._matches = {"act": (cast(Any, missing), second)}
    assert rig.layers.tensors(["a", "p"]) == ("a", "p")
    assert rig.observe(X, Y).n_calls == 1
    rig.layers._matches = {}
    assert rig.layers.tensors(["a", "p"]) == ()


def test_tensors_inside_that_are_missing_do_not_stop_the_others() -> None:
    rig = Rig({"i": _codes(0.5, 9), "j": _codes(0.5, 9)})
    assert rig.observe(X, Y, i=np.zeros((2, 3), np.uint8)).n_cut == 3


def test_values_that_are_cut_off_in_several_places_count_once_each() -> None:
    rig = Rig({"i": _codes(0.5, 9), "a": _codes(0.5, 2), "r": _codes(0.5, 2)})
    x = np.float32([[-0.25, -4.0, -0.25, -0.25, 0.0, 0.5]])
    y = np.float32([[0, 0, 200, 0, 200, 200]])
    inside = np.uint8([[0, 9, 9, 9, 9, 9]])
    slopes = np.full((1, 6), 0.5, np.float32)
    rig = Rig(rig.codes, slopes)
    for run in (1, 2):
        seen = rig.observe(x, y, run=run, i=inside)
        assert (seen.n_cut, seen.n_negative) == (3 * run, 4 * run)


def test_axes_may_lie_in_another_order() -> None:
    last, first = SLOPES.reshape(1, 1, 3), SLOPES.reshape(1, 3, 1)
    x = np.linspace(-4, 2, 24, dtype=np.float32).reshape(2, 3, 4)
    y = np.where(x > 0, x, first * x)
    rig = Rig(slopes=last, found=first, activation=np.asarray(y.transpose(0, 2, 1)))
    seen = rig.observe(x, y)
    assert (seen.off, seen.lost, seen.end_to_end.deviation.max_abs) == (0.0, None, 0.0)
    assert rig.parity().verdict == "pass"


@pytest.mark.parametrize("turned", [False, True])
def test_of_several_orders_the_nearest_counts(turned: bool) -> None:
    slopes = np.float32([[[0.1, 0.2], [0.3, 0.4]]])
    laid = slopes.transpose(0, 2, 1) if turned else slopes
    x = np.full((1, 2, 2), -4, np.float32)
    rig = Rig(slopes=slopes, found=laid.copy())
    assert rig.observe(x, laid * x).off == 0.0
    alike = np.full((1, 2, 2), 0.25, np.float32)
    assert Rig(slopes=alike).observe(x, alike * x).off == 0.0


def test_slopes_whose_order_is_not_known_prove_nothing() -> None:
    slopes = np.float32([[[0.1, 0.2], [0.3, 0.4]]])
    found = Rig(slopes=slopes, found=slopes.transpose(0, 2, 1).copy()).parity()
    assert (found.verdict, found.slopes_equal) == ("inconclusive", False)
    assert code_of(found.difference) == "slopes_differ"
    rig = Rig(slopes=slopes, found=slopes.transpose(0, 2, 1).copy())
    rig.layers._reference.layers.append(  # type: ignore[attr-defined]
        _layer(slopes.transpose(0, 2, 1).copy(), "other")
    )
    assert "other" not in str(rig.layers._parity(*rig.layers._pairs.pairs[0], {}).difference)


def test_axes_may_lie_in_an_order_that_only_the_activation_tells() -> None:
    slopes = SLOPES.reshape(1, 3, 1, 1)
    expected = np.linspace(-4, 2, 120, dtype=np.float32).reshape(2, 3, 4, 5)
    expected = np.where(expected > 0, expected, slopes * expected)
    x = np.linspace(-4, 2, 120, dtype=np.float32).reshape(2, 3, 4, 5).transpose(0, 2, 1, 3)
    found = slopes.transpose(0, 2, 1, 3).copy()
    y = np.where(x > 0, x, found * x)
    rig = Rig(slopes=slopes, found=found, activation=np.asarray(expected))
    seen = rig.observe(x, y)
    assert (seen.off, seen.lost, seen.end_to_end.deviation.max_abs) == (0.0, None, 0.0)


def test_an_activation_of_another_shape_is_not_compared() -> None:
    rig = Rig(activation=np.zeros((5, 5), np.float32))
    assert np.isnan(rig.observe(X, Y).end_to_end.deviation.max_abs)


def test_no_values_are_off_by_nothing() -> None:
    none = np.zeros((1, 0), np.float32)
    seen = Rig(slopes=none).observe(none, none)
    assert (seen.off, seen.n_calls) == (0.0, 1)


def test_whose_slopes_a_layer_has_is_said() -> None:
    rig = Rig(found=SLOPES + 1)
    rig.layers._reference.layers.append(_layer(SLOPES + 1, "other"))  # type: ignore[attr-defined]
    found = rig.layers._parity(*rig.layers._pairs.pairs[0], {})
    assert (found.verdict, str(found.difference)) == ("fail", "act: has other's slopes")
    assert not found.slopes_equal
    rig.layers._reference.layers[1] = _layer(SLOPES, "other")  # type: ignore[attr-defined]
    found = rig.layers._parity(*rig.layers._pairs.pairs[0], {})
    assert "None" not in str(found.difference)
    assert "has " not in str(found.difference)


@pytest.mark.parametrize(("off", "planted", "hidden"), [(0.25, 4, 1), (-0.25, 2, 3)])
def test_faults_add_to_what_a_layer_is_off_already(off: float, planted: int, hidden: int) -> None:
    rig = Rig(BEHIND)
    x = np.float32([[-1, 8, -1]])
    rig.observe(x, np.where(x > 0, x, SLOPES * x) + np.float32(off))
    assert (rig.layers.power().planted, rig.layers.power().hidden) == (planted, hidden)


# Slopes that are inverted

STEEP = np.array([[2.0, 0.5, 4.0]], np.float32)
INVERSE = np.array([[0.5, 0.5, 0.25]], np.float32)
NEGATED = np.array([[-1.0, 1.0, -1.0]], np.float32)


def _prelu(x: Array, slopes: Array) -> Array:
    return np.asarray(np.where(x > 0, x, slopes * x))


def _inverse(x: Array, is_seen: bool = True, runs: int = 1) -> Rig:
    """A candidate with inverse slopes that was given this where the reference was given X."""
    rig = Rig(slopes=STEEP, found=INVERSE, activation=_prelu(X, STEEP) if is_seen else None)
    for run in range(runs):
        assert rig.observe(x, _prelu(x, INVERSE), run=run).off == 0.0
    return rig


def test_inverse_slopes_are_right_in_negated_channels() -> None:
    rig = _inverse(X * NEGATED, runs=2)
    found = rig.parity()
    assert (found.verdict, found.slopes_equal, found.difference) == ("pass", True, None)
    assert (found.n_by_value, found.max_abs_diff) == (3, 0.0)
    (note,) = rig.layers.notes("net.onnx")
    assert code_of(note) == "channels_negated"
    assert str(note) == (
        "net.onnx: 2 slopes of 1 layers are the inverse of the reference's, in channels that are "
        "negated, which computes the same"
    )


@pytest.mark.parametrize(
    ("x", "is_seen", "verdict", "words"),
    [
        (X, True, "fail",
         "2 slopes are 1 / a where the reference has a, and their channels are not negated"),
        (X * NEGATED[:, ::-1] * [1, -1, -1], True, "fail",
         "1 slopes are 1 / a where the reference has a, and their channels are not negated"),
        (X * NEGATED, False, "inconclusive",
         "2 slopes are 1 / a where the reference has a; that is right if their channels are "
         "negated, which was not seen"),
    ],
    ids=["not negated", "one of them", "not seen"],
)  # fmt: skip
def test_inverse_slopes_elsewhere_are_not_right(
    x: Array, is_seen: bool, verdict: str, words: str
) -> None:
    rig = _inverse(x.astype(np.float32), is_seen)
    found = rig.parity()
    assert (found.verdict, code_of(found.difference)) == (verdict, "slopes_inverted")
    assert str(found.difference) == f"act: {words}"
    assert list(rig.layers.notes("net.onnx")) == []


def test_slopes_that_are_not_inverted_are_not_noted() -> None:
    rig = Rig(activation=np.asarray(Y))
    rig.observe(X, Y)
    assert list(rig.layers.notes("net.onnx")) == []
