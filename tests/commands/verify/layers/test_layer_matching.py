"""Layers of a candidate against the reference's: what is said of each, and who is forgiven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from judge_rig import EXACT, LAST, SLOPES, Rig, X, Y, bare, flat

from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopediff import LayerPairs
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.results.verification.parity import LayerParity
from prelu_tools.core.rounding.tolerance import Extent


def test_everything_is_said_of_a_layer_that_is_right() -> None:
    rig = Rig([flat()], [flat("b")])
    rig.expect("a", Y)
    rig.judge.observe("b", 0, X, Y)
    found = rig.one(b_node="CPUExecutionProvider")
    assert found == LayerParity(
        name="a",
        slopes_equal=True,
        difference=None,
        max_abs_diff=0.0,
        max_ulp_diff=0,
        coverage=1.0,
        verdict="pass",
        deviation=found.deviation,
        limit=0.0,
        n_slopes=3,
        n_by_value=3,
        n_by_behaviour=3,
        least_positions=1,
        provider="CPUExecutionProvider",
        parameter="a.weight",
        node="b_node",
    )
    assert found.deviation is not None


def test_a_layer_that_was_not_seen_is_proven_by_value_only() -> None:
    x = np.array([[-1, 2, -4]], np.float32)
    found = Rig([flat()], [flat("b")], x=x).one()
    assert found == LayerParity(
        "a", True, None, None, None, 2 / 3, "pass",
        n_slopes=3, n_by_value=3, n_by_behaviour=0, least_positions=0,
        parameter="a.weight", node="b_node",
    )  # fmt: skip


def test_only_slopes_that_are_reached_are_proven_by_behaviour() -> None:
    x = np.array([[-1, 2, -4]], np.float32)
    rig = Rig([flat()], [flat()], x=x)
    rig.judge.observe("a", 0, x, np.where(x > 0, x, x * SLOPES))
    found = rig.one()
    assert (found.n_by_value, found.n_by_behaviour, found.max_ulp_diff) == (3, 2, 0)


def test_a_layer_of_other_slopes_fails_in_words() -> None:
    rig = Rig([flat()], [flat("b", SLOPES[::-1])])
    rig.judge.observe("b", 0, X, np.where(X > 0, X, X * SLOPES[::-1]))
    found = rig.one()
    assert (found.verdict, found.slopes_equal) == ("fail", False)
    assert (found.n_by_value, found.n_by_behaviour) == (1, 0)
    assert found.difference == ("a: channels 0 and 2 swapped; isolated error 4.2e+06 ulp")


def test_whose_slopes_a_layer_has() -> None:
    two = flat("b", SLOPES * 2)
    rig = Rig([flat("a"), two], [flat("a", SLOPES * 2), two])
    left, right = rig.judge.parities({})
    assert (left.difference, right.difference) == ("a: has b's slopes", None)
    assert [left.verdict, right.verdict] == ["fail", "pass"]


def test_a_layer_that_is_wrong_by_itself() -> None:
    rig = Rig([flat()], [flat()])
    rig.judge.observe("a", 0, X, Y)
    rig.judge.observe("a", 0, X, X)
    rig.judge.observe("a", 0, X, Y)
    found = rig.one()
    assert (found.verdict, found.slopes_equal, found.n_by_behaviour) == ("fail", True, 0)
    assert found.max_ulp_diff == 3 * 2**22
    assert found.difference == "a: isolated error 1.3e+07 ulp"


def test_a_layer_that_is_right_and_hands_on_something_else() -> None:
    rig = Rig([flat()], [flat()])
    rig.expect("a", Y)
    rig.judge.observe("a", 0, X * 2, Y * 2)
    found = rig.one()
    assert (found.verdict, found.max_abs_diff, found.max_ulp_diff) == ("fail", 2.0, 0)
    assert found.difference == "a: its output differs from the reference's by up to 2"
    assert found.n_by_behaviour == 3


@pytest.mark.parametrize(
    ("values", "why"), [(np.full((2, 3), np.nan), "is NaN on both sides"),
                        (np.zeros((0, 3)), "holds no values")],
)  # fmt: skip
def test_what_proves_nothing_is_in_doubt(values: Array, why: str) -> None:
    values = values.astype(np.float32)
    rig = Rig([flat()], [flat()])
    rig.expect("a", values)
    rig.judge.observe("a", 0, values, values)
    found = rig.one()
    assert (found.verdict, found.difference) == ("inconclusive", f"a: its output {why}")


def test_a_doubt_does_not_excuse_a_layer_that_is_wrong_by_itself() -> None:
    nan = np.full((2, 3), np.nan, np.float32)
    rig = Rig([flat()], [flat()])
    rig.expect("a", nan)
    rig.judge.observe("a", 0, X, nan)
    assert rig.one().verdict == "fail"


def test_an_output_of_another_shape_is_lost() -> None:
    rig = Rig([flat()], [flat()])
    rig.expect("a", Y[:1])
    rig.judge.observe("a", 0, X, Y)
    found = rig.one()
    assert (found.verdict, found.max_abs_diff, found.deviation) == ("fail", None, None)
    assert found.difference == "a: its output has shape [2, 3], expected [1, 3]"
    assert (found.n_by_value, found.n_by_behaviour, found.limit) == (3, 0, None)


def test_an_ambiguous_layout_is_in_doubt() -> None:
    cube = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
    mine = bare("a", cube, (None, 3, 3, 3))
    other = replace(mine, slopes=cube.transpose(LAST))
    (found,) = Rig([mine], [other], x=-cube).judge.parities({})
    assert (found.verdict, found.slopes_equal) == ("inconclusive", False)
    assert found.difference == "a: the axis order cannot be told from the shapes"
    rig = Rig([mine], [other], x=-cube)
    said = LayerJudge(rig.reference, [other], Layouts("nchw", "nhwc"), EXACT)
    assert said.parities({})[0].verdict == "pass"


def test_a_layer_is_followed_through_another_order_of_axes() -> None:
    slopes = SLOPES.reshape(1, 3, 1, 1)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    y = np.where(x > 0, x, x * slopes)
    mine = bare("a", slopes, (None, 3, 4, 5))
    other = bare("b", slopes.transpose(LAST), (None, 4, 5, 3))
    rig = Rig([mine], [other], x=x)
    rig.expect("a", y)
    rig.judge.observe("b", 0, x.transpose(LAST), y.transpose(LAST))
    found = rig.one()
    assert (found.verdict, found.max_abs_diff, found.max_ulp_diff) == ("pass", 0.0, 0)
    rig.judge.observe("b", 0, x.transpose(LAST), y.transpose(LAST) + 1)
    assert rig.one().max_abs_diff == pytest.approx(1.0)


def test_of_several_orders_the_best_counts() -> None:
    cube = np.random.default_rng(0).uniform(-0.2, 0.2, (1, 3, 3, 3)).astype(np.float32)
    mine = bare("a", np.full((1, 1, 1, 1), 0.5, np.float32), (None, 3, 3, 3))
    y = np.where(cube > 0, cube, cube / 2)
    rig = Rig([mine], [mine], x=cube)
    rig.expect("a", y)
    rig.judge.observe("a", 0, cube.transpose(LAST), y.transpose(LAST))
    assert rig.one().max_abs_diff == 0.0
    broken = y.copy()
    broken[0, 0, 0, :2] = np.nan, np.inf
    rig.judge.observe("a", 0, cube.transpose(LAST), broken.transpose(LAST))
    found = rig.one()
    assert (found.verdict, found.max_abs_diff) == ("fail", 0.0)


def test_what_cannot_be_told_apart_raises_nothing() -> None:
    largest = float(np.finfo(np.float64).max)
    expected = np.full((1, 3, 3, 3), np.inf)
    expected[0, 0, 0] = largest
    mine = bare("a", np.full((1, 1, 1, 1), 0.5), (None, 3, 3, 3))
    rig = Rig([mine], [mine], x=expected)
    rig.expect("a", expected)
    y = expected.copy()
    y[0, 0, 0] = -largest
    with np.errstate(all="raise"):
        rig.judge.observe("a", 0, expected, y)
    assert rig.one().max_abs_diff == np.inf


def test_the_place_of_slopes_is_that_of_the_reference_s_input() -> None:
    slopes = SLOPES.reshape(1, 3, 1, 1)
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 3)).astype(np.float32)
    mine = bare("a", slopes, (None, 3, 5, 3))
    other = bare("b", SLOPES.reshape(1, 3))
    rig = Rig([mine], [other], x=x)
    rig.expect("a", np.where(x > 0, x, x * slopes))
    moved = x.transpose(LAST)  # (2, 5, 3, 3): the channels may be either of the last two by size
    rig.judge.observe("b", 0, moved, np.where(moved > 0, moved, moved * SLOPES.reshape(3, 1)))
    found = rig.one()
    assert found.max_ulp_diff is not None
    assert found.max_ulp_diff > 4


def test_a_layer_that_is_right_is_nobody_s() -> None:
    twins = [flat("a"), flat("b")]
    assert [x.difference for x in Rig(twins, twins).judge.parities({})] == [None, None]


def test_each_run_and_each_call_is_compared_with_its_own() -> None:
    layer = flat(nodes=("one", "two"))
    rig = Rig([layer], [layer])
    rig.expect("a", Y, call=0)
    rig.expect("a", 2 * Y, call=1)
    rig.expect("a", 3 * Y, call=1, run=1)
    rig.judge.observe("a", 0, X, Y)
    rig.judge.observe("a", 1, 2 * X, 2 * Y)
    rig.judge.run = 1
    rig.judge.observe("a", 1, 3 * X, 3 * Y)
    assert rig.one().verdict == "pass"
    rig.judge.observe("a", 0, X, X * 9)  # the reference was not seen there, and the slopes tell
    assert rig.one().verdict == "fail"


def test_a_call_of_a_layer_that_is_not_known_is_passed_over() -> None:
    rig = Rig([flat()], [flat()])
    rig.judge.observe("other", 0, X, X)
    assert rig.one().max_ulp_diff is None


def test_a_layer_that_was_taken_apart_is_told_of_by_the_name_of_the_whole() -> None:
    whole = flat("s", nodes=("a", "b"), same_instance=False, positions=(0, 1))
    rig = Rig([flat("a"), flat("b")], [whole])
    rig.expect("a", Y)
    rig.expect("b", 2 * Y)
    rig.judge.observe("s", 0, X, Y)
    rig.judge.observe("s", 1, 2 * X, 2 * Y)
    both = rig.judge.parities({})
    assert [(x.verdict, x.max_abs_diff) for x in both] == [("pass", 0.0), ("pass", 0.0)]
    rig.judge.observe("s", 1, X, X)
    found = {layer.name: layer.verdict for layer in rig.judge.parities({})}
    assert found == {"a": "pass", "b": "fail"}


def test_a_layer_that_is_used_otherwise_fails() -> None:
    found = Rig([flat(nodes=("one", "two"))], [flat()]).one()
    assert (found.verdict, found.slopes_equal) == ("fail", True)
    assert found.difference == "a: used 1 time, expected 2"
    rig = Rig([flat(nodes=("one", "two"))], [flat("a", SLOPES[::-1])])
    assert rig.one().difference == "a: channels 0 and 2 swapped"


def test_a_layer_without_slopes_proves_nothing() -> None:
    empty = bare("a", np.zeros((1, 0), np.float32), (None, 0))
    found = Rig([empty], [empty], x=np.zeros((1, 0), np.float32)).one()
    assert found == LayerParity(
        "a", True, "a: it has no slopes, so nothing is proven", None, None, None, "inconclusive",
        parameter="a.weight", node="a_node",
    )  # fmt: skip


def test_a_layer_that_was_paired_against_its_name_is_noted() -> None:
    mine, other = flat("a"), flat("b")
    rig = Rig([mine], [other])
    assert rig.one().note is None  # paired by order: nothing was told
    pairs = LayerPairs(((mine, other),), (), ())
    told = LayerJudge(rig.reference, [other], Layouts(), EXACT, pairs)
    words = "called 'b' in the candidate, where other layers have these names"
    assert [layer.note for layer in told.parities({})] == [words]
    same = LayerPairs(((mine, mine),), (), ())
    told = LayerJudge(rig.reference, [mine], Layouts(), EXACT, same)
    assert [layer.note for layer in told.parities({})] == [None]


def test_layers_that_only_one_side_has() -> None:
    three = [flat("a"), flat("b"), flat("c")]
    assert Rig(three, [three[0], three[2]]).judge.parities({})[1] == LayerParity(
        "b", False, "b: missing in the candidate", None, None, None, "fail", found="nowhere"
    )
    found = Rig([three[0], three[2]], three).judge.parities({})
    assert [layer.name for layer in found] == ["a", "c", "b"]
    words = "b: a PReLU that the reference does not have"
    assert found[2] == LayerParity("b", False, words, None, None, None, "fail", found="additional")


def _chain(*factors: float, names: str = "abc") -> Rig:
    """Layers that each got their input times a factor, and gave what is right for that."""
    layers = [flat(name) for name in names]
    rig = Rig(layers, layers)
    for name, factor in zip(names, factors, strict=True):
        rig.expect(name, Y)
        rig.judge.observe(name, 0, X * np.float32(factor), Y * np.float32(factor))
    return rig


def test_what_comes_after_the_first_that_diverges_only_hands_it_on() -> None:
    first, second, third = _chain(1, 2, 2).judge.parities({})
    assert [x.verdict for x in (first, second, third)] == ["pass", "fail", "pass"]
    assert (second.difference, third.difference) == (
        "b: its output differs from the reference's by up to 2",
        None,
    )
    assert third.max_abs_diff == 2.0


def test_what_comes_after_and_is_wrong_itself_is_not_forgiven() -> None:
    rig = _chain(2, 2, 1)
    rig.judge.observe("b", 0, X, X)
    assert [x.verdict for x in rig.judge.parities({})] == ["fail", "fail", "pass"]
    rig = Rig([flat("a"), flat("b")], [flat("a"), flat("b", SLOPES * 2)])
    for name in "ab":
        rig.expect(name, Y)
        rig.judge.observe(name, 0, X * 2, Y * 2)
    assert [x.verdict for x in rig.judge.parities({})] == ["fail", "fail"]
    rig = Rig([flat("a"), flat("b", nodes=("x", "y"))], [flat("a"), flat("b")])
    for name in "ab":
        rig.expect(name, Y)
        rig.judge.observe(name, 0, X * 2, Y * 2)
    assert [x.verdict for x in rig.judge.parities({})] == ["fail", "fail"]


def test_a_layer_that_is_missing_is_where_it_diverges() -> None:
    layers = [flat("a"), flat("b"), flat("c")]
    rig = Rig(layers, layers[1:])
    for name in "bc":
        rig.expect(name, Y)
        rig.judge.observe(name, 0, X * 2, Y * 2)
    assert [x.verdict for x in rig.judge.parities({})] == ["fail", "pass", "pass"]


def test_a_layer_is_held_to_its_own_extent() -> None:
    calibrated = Tolerance(0.0, 0.0, False, "calibrated", multiple=8.0, ulps=4.0)
    layers = [flat("a"), flat("b")]
    extents = {"a": Extent(1.0, 0.0), "b": Extent(1.0, 1.0)}
    rig = Rig(layers, layers, calibrated, **extents)
    for name in "ab":
        rig.expect(name, Y)
        rig.judge.observe(name, 0, X * 2, Y * 2)
    first, second = rig.judge.parities({})
    assert (first.verdict, second.verdict) == ("fail", "pass")
    assert (first.limit, second.limit) == (4 * 2.0**-23, 8 + 4 * 2.0**-23)


def test_a_narrower_candidate_is_compared_with_slopes_of_its_type() -> None:
    tenth = np.full((1, 3), 0.1, np.float32)
    mine, other = bare("a", tenth), bare("a", tenth.astype(np.float16))
    rig = Rig([mine], [other])
    x = X.astype(np.float16)
    rig.judge.observe("a", 0, x, np.where(x > 0, x, x * np.float16(0.1)))
    found = rig.one()
    assert (found.verdict, found.slopes_equal, found.max_ulp_diff) == ("pass", True, 0)


def test_a_layer_is_followed_through_an_order_that_no_framework_has() -> None:
    slopes = np.array([0.5, 0.25], np.float32).reshape(1, 2, 1, 1)
    x = -np.arange(1, 25, dtype=np.float32).reshape(1, 2, 3, 4)
    y, order = x * slopes, (0, 1, 3, 2)
    rig = Rig([bare("a", slopes, (None, 2, 3, 4))], [bare("a", slopes, (None, 2, 4, 3))], x=x)
    rig.expect("a", y)
    rig.judge.observe("a", 0, x.transpose(order), y.transpose(order))
    assert (rig.one().verdict, rig.one().max_abs_diff) == ("pass", 0.0)


@pytest.mark.parametrize(("change", "verdict"), [(0, "pass"), (1, "fail")])
def test_a_layer_is_turned_where_values_show_it(change: int, verdict: str) -> None:
    """A converter left out a Transpose between axes of one size: shapes do not show that."""
    slopes = np.array([[0.5, 0.25], [0.125, 2.0]], np.float32)
    x = -np.arange(1, 13, dtype=np.float32).reshape(1, 3, 2, 2)
    y, order = x * slopes, (0, 1, 3, 2)
    mine = bare("a", slopes.reshape(1, 1, 2, 2), (None, 3, 2, 2))
    other = bare("a", slopes.T.reshape(1, 1, 2, 2), (None, 3, 2, 2))
    rig = Rig([mine], [other], x=x)
    rig.expect("a", y)
    rig.judge.observe("a", 0, x.transpose(order), y.transpose(order) + change)
    found = rig.one()
    assert (found.verdict, found.slopes_equal) == (verdict, not change)
    if not change:
        assert (found.difference, found.max_abs_diff, found.max_ulp_diff) == (None, 0.0, 0)
