"""What layers prove where every output agrees: who is looked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from judge_rig import SLOPES, X, Y, bare, flat
from tensor_search import CAN, Search, Tensors, call

from prelu_tools.commands.verify.layers.proof import blamed, misnamed, settled, unsearched
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.parity import LayerParity
from prelu_tools.graph.facts.tensors import Maker

PAIR = flat(nodes=("one", "two"))
ELSEWHERE = {"z": 3 * Y}
QUARTERS = np.full(3, 0.25, np.float32)


class Case:
    """Layers of both sides, and the tensors of the candidate."""

    def __init__(
        self,
        mine: Sequence[PReLULayer],
        found: Sequence[PReLULayer] = (),
        tensors: Mapping[str, Array] = ELSEWHERE,
        x: Array = X,
        unread: bool = False,
        **makers: Maker,
    ) -> None:
        calls = [call(layer="shown elsewhere")]
        for layer in mine:
            calls += [call(layer=layer.name, number=n) for n in range(len(layer.nodes))]
        rig = Search(Tensors(tensors, **makers), calls, *mine, x=x, found=found)
        self.search, self.judge = rig, rig.rig.judge
        self.asked: list[tuple[str, object]] = []
        rig.reference.feeds = [{"first": X}]

        def is_unread(layer: str, feeds: object) -> bool:
            self.asked.append((layer, feeds))
            return unread

        rig.reference.source = cast(Any, SimpleNamespace(is_unread=is_unread))

    def settled(self) -> tuple[LayerParity, ...]:
        """The outcome for every layer."""
        return settled(self.judge.parities({}), self.judge, self.search.search)

    @property
    def one(self) -> LayerParity:
        """The outcome, where there is one layer."""
        (found,) = self.settled()
        return found

    @property
    def said(self) -> tuple[str, str | None, str | None]:
        """The verdict, the difference and its code."""
        return self.one.verdict, self.one.difference, code_of(self.one.difference)


def test_a_layer_that_is_right_is_left_alone_and_nothing_is_searched() -> None:
    case = Case([flat()], [flat("b")])
    case.judge.observe("b", 0, X, Y)
    case.search.reference.known_calls = None  # to run it again would fail
    assert case.settled() == case.judge.parities({})


def test_a_layer_of_other_slopes_stays_a_failure() -> None:
    case = Case([flat()], [flat("b", 2 * SLOPES)])
    assert case.settled() == case.judge.parities({})
    assert case.one.verdict == "fail"
    assert misnamed(case.settled()) == ["a"]
    assert misnamed([replace(case.one, verdict="inconclusive")]) == []
    assert misnamed([replace(case.one, difference=Reason("a: it differs", "layer_differs"))]) == []
    assert misnamed([replace(case.one, difference=None)]) == []


def test_one_prelu_more_changes_nothing() -> None:
    before, after = Case([flat()], [flat(), flat("b")]), Case([flat()], [flat(), flat("b")])
    assert after.settled()[1] == replace(
        before.judge.parities({})[1],
        verdict="pass",
        difference=None,
        note="a PReLU that the reference does not have; the compared outputs agree",
    )
    assert after.search.tensors.asked == []


def test_a_slope_of_more_axes_than_its_input_is_in_doubt() -> None:
    wide = bare("b", SLOPES.reshape(1, 3, 1, 1), stored_shape=(3, 1, 1))
    case = Case([bare("a", SLOPES.reshape(1, 3, 1, 1))], [wide])
    case.judge.observe("b", 0, X, np.zeros((1, 3, 2, 3), np.float32))
    failed = case.judge.parities({})
    assert [(x.verdict, code_of(x.difference)) for x in failed] == [("fail", "layer_shape_differs")]
    assert case.settled() == (replace(failed[0], verdict="inconclusive"),)


# A layer that no pattern found


def test_a_layer_that_is_found_by_its_values_passes() -> None:
    x = np.array([[-1, -2, -4], [-1, 2, -8]], np.float32)
    case = Case([flat()], [], {"c": X, "y": Y}, x=x)
    assert case.one == LayerParity(
        "a", False, None, None, None, 1.0, "pass",
        n_slopes=3, n_by_value=0, n_by_behaviour=3, least_positions=1, parameter="a.weight",
        node="of_y", note="found by its values: tensor 'y' of node 'of_y' (Add)", found="values",
    )  # fmt: skip


def test_a_layer_that_a_node_states_is_proven_by_value() -> None:
    x = np.array([[-1, 2, -4], [-1, 2, -8]], np.float32)
    maker = Maker("n", "LeakyRelu", 0.25)
    case = Case([flat("a", QUARTERS)], [], {"y": Y}, x=x, y=maker)
    found = case.one
    assert (found.verdict, found.slopes_equal, found.difference) == ("pass", True, None)
    assert (found.n_by_value, found.n_by_behaviour, found.coverage) == (3, 2, 2 / 3)
    assert found.least_positions == 0
    assert str(found.note).endswith("'n', the same function as LeakyRelu(0.25)")


def test_a_node_that_states_another_slope_is_a_failure() -> None:
    case = Case([flat()], [], {"y": Y}, y=Maker("n", "LeakyRelu", 0.75))
    assert case.said == (
        "fail",
        "a: found by its values: tensor 'y' of node 'n' (LeakyRelu): its slope is 0.75, "
        "expected 3 slopes (smallest -0.5, largest 0.25)",
        "slopes_differ",
    )
    assert (case.one.found, case.one.node, case.one.slopes_equal) == ("values", "n", False)


def test_values_that_show_another_slope_prove_nothing() -> None:
    case = Case([flat()], [], {"c": X, "y": np.where(X > 0, X, X * SLOPES * np.float32(1.25))})
    case.search.room = 1.0
    verdict, difference, code = case.said
    assert (verdict, code) == ("inconclusive", "layer_not_proven")
    assert difference == (
        "a: found by its values: tensor 'y' of node 'of_y' (Add): its values show a slope of "
        "-0.625, expected -0.5"
    )


def test_slopes_without_a_negative_input_prove_nothing() -> None:
    case = Case([flat()], [], {"c": X, "y": Y}, x=np.array([[1, 2, -4]], np.float32))
    assert case.said == (
        "inconclusive",
        "a: found by its values: tensor 'y' of node 'of_y' (Add), but no negative "
        "value reached 2 of its 3 slopes",
        "layer_not_proven",
    )
    assert (case.one.coverage, case.one.n_by_behaviour, case.one.found) == (1 / 3, 0, "values")


def test_values_that_are_too_small_prove_nothing() -> None:
    case = Case([flat()], [], {"y": Y})
    case.search.room = 0.1
    assert case.said == (
        "inconclusive",
        "a: found by its values: tensor 'y' of node 'of_y' (Add), but its values are too small to "
        "show its slopes",
        "layer_not_proven",
    )


def test_a_layer_that_is_nowhere_is_in_doubt() -> None:
    case = Case([flat(), flat("b")], [flat("b")])
    case.judge.observe("b", 0, X, Y)
    first, second = case.settled()
    assert (first.verdict, first.difference, code_of(first.difference)) == (
        "inconclusive",
        f"a: not found in the candidate, although the compared outputs agree ({CAN.format(1)})",
        "layer_not_found",
    )
    assert (first.found, first.n_slopes, first.parameter) == ("nowhere", 3, "a.weight")
    assert (second.name, second.verdict) == ("b", "pass")
    assert case.asked == [("a", {"first": X})]


def test_a_layer_that_no_output_depends_on_may_be_missing() -> None:
    case = Case([flat("b"), flat()], [flat("b")], unread=True)
    found = case.settled()[1]
    assert (found.verdict, found.difference, found.note) == (
        "pass", None,
        "no output of the reference depends on it, and the candidate does not have it",
    )  # fmt: skip
    unreached = Case([flat()], [], x=np.array([[-1, 2, -4]], np.float32), unread=True)
    assert (unreached.one.verdict, unreached.asked) == ("inconclusive", [])


def test_a_layer_without_slopes_has_no_coverage() -> None:
    none = bare("a", np.zeros((1, 0), np.float32), (None, 0))
    found = Case([none], [], x=np.zeros((2, 0), np.float32)).one
    assert (found.verdict, found.coverage, found.least_positions, found.n_slopes) == (
        "inconclusive", None, None, 0,
    )  # fmt: skip


# A layer that is called more or less often


def _called(case: Case, *factors: int) -> Case:
    """The reference gave Y and 2 Y; the candidate's layer gives these times Y."""
    case.search.rig.expect("a", Y, 0)
    case.search.rig.expect("a", 2 * Y, 1)
    for number, factor in enumerate(factors):
        case.judge.observe("a", number, factor * X, factor * Y)
    return case


def test_calls_that_were_merged_are_found_by_their_values() -> None:
    case = _called(Case([PAIR], [flat()], {"y": Y}), 1)
    failed = case.judge.parities({})
    assert (failed[0].verdict, code_of(failed[0].difference)) == ("fail", "layer_calls_differ")
    note = "used 1 time, expected 2: equal calls were merged (tensor 'y')"
    assert case.settled() == (replace(failed[0], verdict="pass", difference=None, note=note),)
    case.search.reference.known_calls = [call(), call(2 * Y, 2 * X, 1)]
    case.search.tensors = Tensors({"y": Y, "z": 2 * Y})
    assert str(case.one.note).endswith("(tensor 'y', 'z')")


def test_calls_that_are_not_found_are_in_doubt() -> None:
    case = _called(Case([PAIR], [flat()]), 1)
    assert case.said == (
        "inconclusive",
        "a: used 1 time, expected 2, and its other calls were not found by their values "
        f"({CAN.format(1)})",
        "layer_calls_differ",
    )


def test_calls_that_were_all_made_are_enough() -> None:
    three = replace(PAIR, nodes=("one", "two", "three"))
    case = _called(Case([PAIR], [three]), 1, 2, 2)
    failed = case.judge.parities({})
    note = "used 3 times, expected 2"
    assert case.settled() == (replace(failed[0], verdict="pass", difference=None, note=note),)
    assert case.search.tensors.asked == []


def _stand_in(slopes: Array, *more: PReLULayer) -> Case:
    case = _called(Case([PAIR], [flat(), flat("again", slopes), *more], {"y": Y}), 1)
    positive = np.abs(X)
    case.search.rig.stash.put(("float32", 0, "a", 1), 2 * positive)
    for name in ("again", *(layer.name for layer in more)):
        case.judge.observe(name, 0, 2 * positive, 2 * positive)
    return case


def test_a_layer_in_the_place_of_a_call_has_its_slopes() -> None:
    found = _stand_in(SLOPES).settled()[0]
    assert (found.verdict, found.difference, found.note) == (
        "pass", None, "used 1 time, expected 2: 'again' has its slopes too"
    )  # fmt: skip
    found = _stand_in(SLOPES, flat("once more")).settled()[0]
    assert str(found.note).endswith(": 'again', 'once more' has its slopes too")


def test_a_layer_of_other_slopes_in_the_place_of_a_call_is_a_failure() -> None:
    for case in (_stand_in(2 * SLOPES), _stand_in(2 * SLOPES, flat("once more"))):
        found = case.settled()[0]
        assert (found.verdict, found.slopes_equal) == ("fail", False)
        assert code_of(found.difference) == "slopes_differ"
        assert str(found.difference).startswith(
            "a: used 1 time, expected 2, and again, which stands in its place, has different "
            "slopes: 3 of 3 slopes differ"
        )


def test_a_layer_in_the_place_of_a_call_may_lie_in_two_ways() -> None:
    """Its slopes have three axes, and this call four: their order is not that of the call."""
    square = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    mine = bare("a", square, (None, 3, 3), nodes=("one", "two"))
    again = bare("again", square.transpose(0, 2, 1).copy(), (None, 3, 3))
    case = Case([mine], [replace(mine, nodes=("one",)), again], x=-square)
    first, second = (np.ones((1, 3, 3), np.float32), np.ones((2, 3, 3, 3), np.float32))
    for number, x in enumerate((first, second)):
        case.search.rig.expect("a", x, number)
    case.judge.observe("a", 0, first, first)
    case.judge.observe("again", 0, second, second)
    found = case.settled()[0]
    assert (found.verdict, code_of(found.difference)) == ("inconclusive", "slopes_differ")
    assert str(found.difference).endswith("the axis order cannot be told from the shapes")


# The same slopes along other axes


TURNED = -np.arange(1, 25, dtype=np.float32).reshape(4, 3, 2)
CELLS = np.array([[[0.25, -0.5], [0.125, 0.75], [2, -1]]], np.float32)


def _turned(tensors: Mapping[str, Array]) -> Case:
    mine = bare("a", CELLS, (None, 3, 2))
    other = bare("b", CELLS.transpose(1, 0, 2).copy(), (3, None, 2))
    case = Case([mine], [other], tensors, x=TURNED)
    case.search.reference.known_calls = [call(TURNED * CELLS, TURNED)]
    return case


def test_slopes_along_other_axes_are_right_if_their_values_are_found() -> None:
    case = _turned({})
    failed = case.judge.parities({})[0]
    assert (failed.verdict, code_of(failed.difference)) == ("fail", "slope_axes_differ")
    assert case.said == (
        "inconclusive", f"{failed.difference} ({CAN.format(0)})", "slope_axes_differ"
    )  # fmt: skip
    found = _turned({"c": TURNED, "y": TURNED * CELLS}).one
    assert found == replace(
        failed, verdict="pass", difference=None, slopes_equal=True, n_by_value=6, n_by_behaviour=6,
        note="with a different axis order; found by its values: tensor 'y' of node 'of_y' (Add)",
    )  # fmt: skip


@pytest.mark.parametrize("code", ["layer_not_found", "layer_calls_differ", "slope_axes_differ"])
def test_only_a_failure_is_settled(code: str) -> None:
    case = Case([flat()], [flat()])
    (right,) = case.judge.parities({})
    doubtful = replace(right, verdict="inconclusive", difference=Reason("a: perhaps", code))
    assert settled([doubtful], case.judge, case.search.search) == (doubtful,)


# Where no layer was looked at

ASK = "(without --no-layers, verify searches for it by its values)"


def _unsearched(case: Case) -> list[tuple[str, str | None, str | None, str | None]]:
    found = unsearched(case.judge.parities({}), case.judge, case.search.search)
    return [(x.verdict, x.difference, code_of(x.difference), x.note) for x in found]


def test_without_looking_equal_slopes_pass_and_others_fail() -> None:
    assert _unsearched(Case([flat()], [flat()])) == [("pass", None, None, None)]
    wrong = Case([flat()], [flat("a", 2 * SLOPES)])
    words = "a: 3 of 3 slopes differ, the largest difference at index 1: -1, expected -0.5"
    assert _unsearched(wrong) == [("fail", words, "slopes_differ", None)]
    more = Case([flat()], [flat(), flat("b")])
    note = "a PReLU that the reference does not have; the compared outputs agree"
    assert _unsearched(more)[1] == ("pass", None, None, note)


def test_without_looking_a_layer_that_is_missing_is_in_doubt() -> None:
    words = f"a: not found in the candidate, although no compared output differs {ASK}"
    assert _unsearched(Case([flat()])) == [("inconclusive", words, "layer_not_found", None)]


def test_without_looking_a_layer_may_have_another_name() -> None:
    case = Case([flat(), flat("b", 2 * SLOPES)], [flat("a", 2 * SLOPES), flat("b")])
    assert _unsearched(case) == [
        ("inconclusive", f"{x}: has {y}'s slopes, and another layer of the candidate has its "
         f"slopes {ASK}", "layer_not_proven", None)
        for x, y in ("ab", "ba")
    ]  # fmt: skip


def test_without_looking_calls_and_axes_are_in_doubt() -> None:
    fewer = Case([PAIR], [flat()])
    assert _unsearched(fewer) == [
        ("inconclusive", f"a: used 1 time, expected 2 {ASK}", "layer_calls_differ", None)
    ]
    turned = _turned({})
    failed = turned.judge.parities({})[0]
    assert _unsearched(turned) == [
        ("inconclusive", f"{failed.difference} {ASK}", "slope_axes_differ", None)
    ]


def test_without_looking_a_slope_may_be_stated() -> None:
    case = Case([flat("a", QUARTERS)], tensors={"t": Y}, t=Maker("n", "LeakyRelu", 0.25))
    ((verdict, words, _, note),) = _unsearched(case)
    assert (verdict, words) == ("pass", None)
    assert note == (
        "found by its slope: tensor 't' of node 'n', the same function as LeakyRelu(0.25)"
    )


# Where an output differs


def test_where_an_output_differs_a_node_may_be_to_blame() -> None:
    case = Case([flat("a", QUARTERS)], tensors={"t": Y}, t=Maker("n", "LeakyRelu", 0.5))
    (found,) = blamed(case.judge.parities({}), case.judge, case.search.search)
    assert (found.verdict, found.node, found.found) == ("fail", "n", "values")
    assert found.difference == (
        "a: replaced by a LeakyRelu (tensor 't' of node 'n'): its slope is 0.5, expected 0.25"
    )
    assert code_of(found.difference) == "slopes_differ"
    right = Case([flat("a", QUARTERS)], tensors={"t": Y}, t=Maker("n", "LeakyRelu", 0.25))
    assert blamed(right.judge.parities({}), right.judge, right.search.search)[0].verdict == "pass"


def test_where_an_output_differs_a_layer_that_is_missing_stays_so() -> None:
    case = Case([flat()], [])
    layers = case.judge.parities({})
    assert blamed(layers, case.judge, case.search.search) == layers
