"""Outputs of a candidate: which is which, in which layout, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import pytest

from prelu_tools.commands.verify.candidates.outputs import (
    OutputJudge,
    OutputLink,
    differences,
    pair_outputs,
)
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Permutation
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.results.verification.parity import Deviation, OutputParity
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import FACTOR, Extent

EXACT = Tolerance(0.0, 0.0, scaled=False, origin="given")
CALIBRATED = Tolerance(0.0, 0.0, scaled=False, origin="calibrated", multiple=8.0, ulps=4.0)


def _named(**shapes: tuple[int, ...]) -> dict[str, Array]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


# Pairs


@pytest.mark.parametrize(
    ("left", "right", "pairs"),
    [
        pytest.param(_named(a=(1,), b=(2,)), _named(b=(2,), a=(1,)), "aa bb", id="by name"),
        pytest.param(_named(a=(1,), b=(2,)), _named(x=(1,), a=(2,)), "aa bx", id="the rest"),
        pytest.param(_named(a=(1,), b=(2,)), _named(x=(1,), y=(2,)), "ax by", id="by order"),
        pytest.param(_named(a=(1,), b=(2,)), _named(x=(2,), y=(1,)), "ay bx", id="by shapes"),
        pytest.param(
            _named(a=(1,), b=(2,), c=(3,)), _named(x=(3,), y=(1,), z=(2,)), "ay bz cx", id="three"
        ),
        pytest.param(
            _named(a=(1, 2), b=(3, 4)), _named(x=(4, 3), y=(2, 1)), "ay bx", id="moved axes"
        ),
        pytest.param(
            _named(a=(1,), b=(2,), c=(2,)), _named(x=(2,), y=(2,), z=(1,)), "ax by cz",
            id="shapes that do not tell them apart",
        ),
        pytest.param(
            _named(a=(1,), b=(2,)), _named(x=(2,), y=(3,)), "ax by", id="shapes of something else"
        ),
        pytest.param({}, {}, "", id="none"),
    ],
)  # fmt: skip
def test_which_output_is_which(
    left: Mapping[str, Array], right: Mapping[str, Array], pairs: str
) -> None:
    assert pair_outputs(left, right) == [(one[0], one[1]) for one in pairs.split()]


def test_another_number_of_outputs() -> None:
    assert pair_outputs(_named(a=(1,), b=(1,)), _named(x=(1,))) == []
    assert pair_outputs(_named(x=(1,), a=(1,)), _named(a=(1,), b=(1,), x=(1,))) == [
        ("x", "x"), ("a", "a")
    ]  # fmt: skip


# Values


RANKS = {4}


def _judge(
    *references: Array,
    tolerance: Tolerance = EXACT,
    extent: Extent | None = None,
    layouts: Layouts | None = None,
    moved: Collection[int] = (),
    stated: Mapping[str, Permutation] | None = None,
) -> OutputJudge:
    results = [{"y": values} for values in references]
    extents = {"y": extent or Extent()}
    return OutputJudge(results, extents, layouts or Layouts(), moved, tolerance, None, stated)


def _array(*values: float) -> Array:
    return np.array(values, np.float32)


def test_every_run_counts_and_everything_is_said() -> None:
    judge = _judge(
        _array(1, 2), _array(3, 4, 5),
        tolerance=CALIBRATED, extent=Extent(scale=1.0, own_error=0.25),
    )  # fmt: skip
    (found,) = judge.compare([{"out": _array(1, 2)}, {"out": _array(3, 8, 5)}])
    assert found == OutputParity(
        name="out",
        shape=(2,),
        max_abs_diff=4.0,
        max_rel_diff=1.0,
        n_mismatched=1,
        n_nonfinite_mismatch=0,
        verdict="fail",
        deviation=found.deviation,
        top1_agreement=None,
        limit=2.0 + 4 * 2.0**-23,
        of_rounding=16.0,
        difference="output 'out': 1 of 5 values differs by up to 4",
        n_values=5,
    )
    assert isinstance(found.deviation, Deviation)
    assert found.deviation.max_abs == 4.0
    assert differences([found, found]) == [found.difference, found.difference]


def test_equal_outputs_pass_and_nothing_is_said() -> None:
    (found,) = _judge(_array(1, 2)).compare([{"y": _array(1, 2)}])
    assert (found.verdict, found.difference, found.of_rounding) == ("pass", None, None)
    assert differences([found]) == []


def test_probabilities_have_a_largest_class() -> None:
    rows = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    (found,) = _judge(rows).compare([{"y": np.array([[0.5, 0.75], [0.25, 0.75]], np.float32)}])
    assert found.top1_agreement == 0.5


def test_values_that_are_not_finite_are_counted_with_the_others() -> None:
    (found,) = _judge(_array(1, 2, 3)).compare([{"y": _array(1, math.nan, 5)}])
    assert (found.n_mismatched, found.n_nonfinite_mismatch) == (1, 1)
    assert found.difference == (
        "output 'y': 1 of 3 values differs by up to 2; 1 value is NaN or infinite on one side only"
    )


def test_where_all_that_differs_is_not_finite_no_largest_difference_is_said() -> None:
    (found,) = _judge(_array(1, 2, 3)).compare([{"y": _array(math.nan, math.inf, 3)}])
    assert found.difference == "output 'y': 2 values are NaN or infinite on one side only"


@pytest.mark.parametrize(
    ("values", "why"), [([1.0, math.nan], "is NaN on both sides"), ([], "holds no values")]
)
def test_what_proves_nothing_says_so(values: list[float], why: str) -> None:
    (found,) = _judge(_array(*values)).compare([{"y": _array(*values)}])
    assert found.verdict == "inconclusive"
    assert found.difference == f"output 'y' {why}, so nothing is proven"


def test_another_shape_fails_in_words() -> None:
    (found,) = _judge(_array(1, 2)).compare([{"out": np.zeros((3, 1), np.float32)}])
    assert math.isnan(found.max_abs_diff)
    assert math.isnan(found.max_rel_diff)
    assert (found.name, found.shape, found.verdict) == ("out", (3, 1), "fail")
    assert (found.n_mismatched, found.n_nonfinite_mismatch, found.deviation) == (3, 0, None)
    assert found.difference == "output 'out' has shape [3, 1], expected [2]"


def test_a_narrower_type_has_more_room() -> None:
    judge = _judge(_array(1, 2), tolerance=CALIBRATED, extent=Extent(scale=1.0, own_error=0.0))
    near = np.array([1 + 2**-10, 2], np.float16)
    assert judge.compare([{"y": near}])[0].verdict == "pass"
    assert judge.compare([{"y": near.astype(np.float32)}])[0].verdict == "fail"
    assert not judge.notices({"y": near}, 0)
    assert judge.notices({"y": near.astype(np.float32)}, 0)


def test_the_limit_is_that_of_the_reference_s_output() -> None:
    extents = {"a": Extent(1.0, 0.0), "b": Extent(1.0, 1.0)}
    judge = OutputJudge(
        [{"a": _array(1), "b": _array(1)}], extents, Layouts(), (), CALIBRATED
    )  # fmt: skip
    found = judge.compare([{"a": _array(3), "b": _array(3)}])
    assert [output.verdict for output in found] == ["fail", "pass"]


# Who notices a fault


def test_a_fault_is_noticed_in_its_own_run_and_in_any_output() -> None:
    runs = [{"a": _array(1), "b": _array(2)}, {"a": _array(3), "b": _array(4)}]
    judge = OutputJudge(runs, {"a": Extent(), "b": Extent()}, Layouts(), (), EXACT)
    assert not judge.notices(runs[0], 0)
    assert not judge.notices(runs[1], 1)
    assert judge.notices(runs[0], 1)
    assert judge.notices({"a": _array(1), "b": _array(9)}, 0)
    assert judge.notices({"a": _array(9), "b": _array(2)}, 0)
    assert judge.notices({"a": _array(1, 1), "b": _array(2)}, 0)
    assert judge.notices({"a": _array(math.nan), "b": _array(2)}, 0)


def test_what_proves_nothing_is_not_noticed() -> None:
    nothing = _array(math.nan)
    assert not _judge(nothing).notices({"y": nothing}, 0)


# Layouts

PICTURE = np.arange(60, dtype=np.float32).reshape(1, 3, 4, 5)
LAST = PICTURE.transpose(0, 2, 3, 1)
CUBE = np.arange(27, dtype=np.float32).reshape(1, 3, 3, 3)
BOTH = Layouts("nchw", "nhwc")


def _verdict(judge: OutputJudge, values: Array) -> str:
    noticed = judge.notices({"y": values}, 0)
    (found,) = judge.compare([{"y": values}])
    assert noticed is (found.verdict == "fail")
    return found.verdict


def test_an_output_is_moved_back_where_inputs_were_moved() -> None:
    assert _verdict(_judge(PICTURE, moved=RANKS), LAST) == "pass"
    assert _judge(PICTURE, moved=RANKS).compare([{"y": LAST}])[0].shape == (1, 3, 4, 5)
    assert _verdict(_judge(LAST, moved=RANKS), PICTURE) == "pass"
    assert _verdict(_judge(PICTURE, moved=RANKS), PICTURE) == "pass"
    assert _verdict(_judge(PICTURE, moved=RANKS), LAST + 1) == "fail"
    assert _verdict(_judge(PICTURE, moved=RANKS), PICTURE.swapaxes(2, 3)) == "fail"
    assert _verdict(_judge(PICTURE), LAST) == "fail"


def test_the_shape_is_that_of_the_first_run() -> None:
    (found,) = _judge(PICTURE[:, :, :1], PICTURE, moved=RANKS).compare(
        [{"y": LAST[:, :1]}, {"y": LAST}]
    )
    assert (found.verdict, found.shape) == ("pass", (1, 3, 1, 5))


def test_an_output_of_two_axes_stays_as_it_is() -> None:
    flat = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert _verdict(_judge(flat, moved=RANKS), flat) == "pass"


def test_an_output_is_not_moved_because_an_input_of_another_rank_was() -> None:
    """The head of a detector has boxes and their sides, and no channels."""
    boxes = np.arange(24, dtype=np.float32).reshape(1, 6, 4)
    assert _verdict(_judge(boxes, moved=RANKS), boxes) == "pass"
    assert _verdict(_judge(boxes, moved=RANKS), boxes.transpose(0, 2, 1)) == "fail"
    assert _verdict(_judge(boxes, moved={3}), boxes.transpose(0, 2, 1)) == "pass"
    square = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    assert _verdict(_judge(square, moved=RANKS, layouts=BOTH), square) == "pass"
    assert _verdict(_judge(square, moved=RANKS, layouts=BOTH), square.transpose(0, 2, 1)) == "fail"
    assert _verdict(_judge(boxes, moved=RANKS, layouts=BOTH), boxes.transpose(0, 2, 1)) == "pass"


def test_an_output_is_moved_as_the_user_says_though_no_input_is() -> None:
    """A decoder makes pictures of vectors."""
    turned = PICTURE.transpose(0, 2, 3, 1)
    assert _verdict(_judge(PICTURE, moved=(), layouts=BOTH), turned) == "pass"
    assert _verdict(_judge(PICTURE, moved=(), layouts=BOTH), turned + 1) == "fail"
    assert _verdict(_judge(PICTURE, moved=()), turned) == "fail"


def test_an_output_is_moved_as_the_file_states() -> None:
    stated = {"y": (0, 2, 3, 1)}
    for array in (PICTURE, CUBE):
        turned = array.transpose(0, 2, 3, 1)
        assert _verdict(_judge(array, stated=stated), turned) == "pass"
        (link,) = _judge(array, stated=stated).links({"y": turned}, ())
        assert link == OutputLink("y", "y", (0, 2, 3, 1))
        assert _verdict(_judge(array, stated=stated), array) == "pass"
        for wrong in (turned + 1, turned.swapaxes(1, 2)):
            assert _verdict(_judge(array, stated=stated), wrong) == "fail"
        for other in ({"y": (0, 3, 2, 1)}, {"z": (0, 2, 3, 1)}, {"y": (0, 2, 1)}):
            assert _verdict(_judge(array, stated=other), turned) == "fail"
    exact, turned = Layouts("nchw", "nchw"), CUBE.transpose(0, 2, 3, 1)
    assert (
        _verdict(_judge(CUBE, stated=stated, layouts=exact), CUBE.transpose(0, 2, 3, 1)) == "fail"
    )


def test_a_layout_that_shapes_leave_open_is_the_one_in_which_the_values_are_equal() -> None:
    turned = CUBE.transpose(0, 2, 3, 1)
    assert _verdict(_judge(CUBE, moved=RANKS, layouts=BOTH), turned) == "pass"
    assert _verdict(_judge(CUBE, moved=RANKS, layouts=BOTH), CUBE) == "fail"
    for array in (CUBE, turned):
        assert _verdict(_judge(CUBE, moved=RANKS), array) == "pass"
        assert _verdict(_judge(CUBE, moved=RANKS), array + 1) == "fail"


def test_an_output_has_one_layout_in_all_runs() -> None:
    turned = CUBE.transpose(0, 2, 3, 1)
    for second, verdict in ((turned, "pass"), (CUBE, "fail")):
        (found,) = _judge(CUBE, CUBE, moved=RANKS).compare([{"y": turned}, {"y": second}])
        assert found.verdict == verdict


def test_the_first_run_that_tells_layouts_apart_decides() -> None:
    nothing = np.zeros_like(CUBE)
    turned = CUBE.transpose(0, 2, 3, 1)
    judge = _judge(nothing, CUBE, CUBE, moved=RANKS)
    assert judge.compare([{"y": run} for run in (nothing, turned, turned)])[0].verdict == "pass"
    judge = _judge(CUBE, PICTURE, moved=RANKS)  # of which the first run's layout is not possible
    assert judge.compare([{"y": turned}, {"y": PICTURE}])[0].verdict == "pass"
    pair = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    assert _verdict(_judge(pair, moved={3}), pair.transpose(0, 2, 1)) == "pass"
    judge = _judge(CUBE, pair, moved={3, 4})  # as a squeeze() may change the number of axes
    assert judge.compare([{"y": turned}, {"y": pair.transpose(0, 2, 1)}])[0].verdict == "pass"


def test_each_output_has_its_own_layout() -> None:
    both = {"a": CUBE, "b": CUBE}
    judge = OutputJudge([both], {"a": Extent(), "b": Extent()}, Layouts(), RANKS, EXACT)
    given = {"a": CUBE.transpose(0, 2, 3, 1), "b": CUBE}
    assert not judge.notices(given, 0)
    assert [found.verdict for found in judge.compare([given])] == ["pass", "pass"]


def test_no_order_is_claimed_for_an_output_that_differs() -> None:
    turned, same = (0, 2, 3, 1), (0, 1, 2, 3)
    both = {"a": CUBE, "b": CUBE}
    judge = OutputJudge([both], {"a": Extent(), "b": Extent()}, Layouts(), RANKS, EXACT)
    given = [{"a": CUBE.transpose(turned), "b": CUBE.transpose(turned) + 1}]
    parities = judge.compare(given)
    assert [(found.name, found.verdict) for found in parities] == [("a", "pass"), ("b", "fail")]
    assert judge.links(given[0], parities) == [
        OutputLink("a", "a", turned), OutputLink("b", "b", same)
    ]  # fmt: skip
    doubtful = [replace(parities[0], verdict="inconclusive")]
    assert judge.links(given[0], doubtful)[0] == OutputLink("a", "a", turned)


def test_a_layout_that_is_given_and_does_not_fit_is_told_by_the_shapes() -> None:
    assert _verdict(_judge(PICTURE, moved=RANKS, layouts=BOTH), PICTURE) == "pass"


# Each value with a limit of its own

EVERY = Tolerance(0.0, 0.0, scaled=False, origin="sensitivity", multiple=8.0, ulps=4.0)
GIVEN = np.arange(1, 9, dtype=np.float32).reshape(4, 2)
ROOM = FACTOR * (0.25 + 2.0**-23 / 2 + float(np.finfo(np.float32).tiny))  # of the value 1
SPOTS = np.zeros((4, 2), bool)
SPOTS[:2, 0] = True


def _each(*spreads: Spread, own_error: float | None = None) -> OutputJudge:
    references = [{"y": GIVEN} for _ in spreads]
    extents = {"y": Extent(8.0, own_error)}
    moved = [{"y": spread} for spread in spreads]
    return OutputJudge(references, extents, Layouts(), (), EVERY, moved)


def _moved(change: float, *places: tuple[int, int]) -> Array:
    found = GIVEN.copy()
    for place in places:
        found[place] += change
    return found


SCALE = Spread(np.full((4, 2), 0.25, np.float32))


def test_the_worst_value_is_measured_by_its_own_rounding() -> None:
    (found,) = _each(SCALE).compare([{"y": _moved(1.5 * ROOM, (0, 0))}])
    assert found.worst_of_rounding == pytest.approx(1.5 * FACTOR)
    assert found.limit == pytest.approx(ROOM)
    assert found.difference == (
        f"output 'y': 1 of 8 values differs by up to {1.5 * ROOM:.3g}, and by up to "
        f"{1.5 * FACTOR:.1f}x the model's own rounding error"
    )
    (within,) = _each(SCALE).compare([{"y": _moved(0.5 * ROOM, (0, 0))}])
    assert (within.verdict, within.difference) == ("pass", None)
    assert within.worst_of_rounding == pytest.approx(FACTOR / 2)


def test_each_run_has_limits_of_its_own() -> None:
    none = Spread(np.zeros((4, 2), np.float32))
    wrong = _moved(0.5 * ROOM, (0, 0))
    for runs, verdict in (((GIVEN, wrong), "pass"), ((wrong, GIVEN), "fail")):
        judge = _each(none, SCALE)
        assert judge.compare([{"y": run} for run in runs])[0].verdict == verdict
        assert [judge.notices({"y": run}, n) for n, run in enumerate(runs)] == [
            verdict == "fail", False
        ]  # fmt: skip


def test_what_sits_on_a_boundary_is_a_remark() -> None:
    border = Spread(SCALE.scale, SPOTS, 2, np.full((4, 1), 50.0, np.float32))
    (found,) = _each(border).compare([{"y": _moved(40.0, (0, 0), (1, 0))}])
    assert (found.verdict, found.n_border, found.n_values) == ("pass", 2, 8)
    assert found.remark == (
        "2 of 8 values are on a border that rounding error crosses (of a comparison, round, "
        "index or nearest neighbour) and differ: row 0 of run 0, row 1 of run 0"
    )
    (more,) = _each(border).compare([{"y": _moved(40.0, (0, 0), (1, 0), (2, 0), (3, 0))}])
    assert (more.verdict, more.n_border, more.remark) == ("fail", 0, None)
    assert more.difference == (
        "output 'y': 2 of 8 values differ by up to 40; 2 of them are on a border that rounding "
        "error crosses"
    )


@pytest.mark.parametrize("n_small", [1, 2])
def test_what_a_few_runs_underestimate_is_a_remark(n_small: int) -> None:
    scale = np.ones((2, 10_000), np.float32)
    scale[0, :n_small] = 1e-3
    zeros = np.zeros((2, 10_000), np.float32)
    spreads = [{"y": Spread(scale)}]
    judge = OutputJudge([{"y": zeros}], {"y": Extent(1.0)}, Layouts(), (), EVERY, spreads)
    values = zeros.copy()
    values[0, :n_small] = 0.5
    (found,) = judge.compare([{"y": values}])
    their = "its" if n_small == 1 else "their"
    assert (found.verdict, found.remark) == (
        "pass",
        f"{n_small} of 20,000 values {'is' if n_small == 1 else 'are'} beyond {their} own limit, "
        f"but within the typical rounding error of {their} row",
    )


def test_what_is_within_its_limit_is_not_the_worst_of_what_differs() -> None:
    border = Spread(SCALE.scale, SPOTS[[3, 0, 1, 2]], 2, np.full((4, 1), 50.0, np.float32))
    values = _moved(40.0, (1, 0), (2, 0), (3, 0), (3, 1))
    values[0, 0] += ROOM
    (found,) = _each(border).compare([{"y": values}])
    assert found.worst_of_rounding == FACTOR
    assert found.difference == (
        "output 'y': 2 of 8 values differ by up to 40; 2 of them are on a border that rounding "
        "error crosses"
    )


def test_two_remarks_are_both_made() -> None:
    scale = np.ones((2, 10_000), np.float32)
    scale[0, 0] = 1e-3
    rough = np.zeros(scale.shape, bool)
    rough[1, :3] = True
    zeros = np.zeros_like(scale)
    spreads = [{"y": Spread(scale, rough=rough)}]
    judge = OutputJudge([{"y": zeros}], {"y": Extent(1.0)}, Layouts(), (), EVERY, spreads)
    values = zeros.copy()
    values[0, 0] = 0.5
    remark = judge.compare([{"y": values}])[0].remark
    assert remark == (
        "nothing can be proven for 3 of 20,000 values: the model's own rounding error is about as "
        "large as the values; 1 of 20,000 values is beyond its own limit, but within the typical "
        "rounding error of its row"
    )


def test_what_is_made_of_rounding_is_a_remark() -> None:
    rough = replace(SCALE, rough=SPOTS)
    (found,) = _each(rough).compare([{"y": GIVEN}])
    assert (found.verdict, found.remark) == (
        "pass",
        "nothing can be proven for 2 of 8 values: the model's own rounding error is about as "
        "large as the values",
    )
    (plain,) = _each(SCALE).compare([{"y": GIVEN}])
    assert (plain.remark, plain.n_border, plain.of_rounding) == (None, 0, None)


def test_a_value_at_its_limit_is_not_beyond_it() -> None:
    found = _moved(ROOM, (0, 0))
    assert found[0, 0] - 1.0 == ROOM - FACTOR * float(np.finfo(np.float32).tiny)
    found[1, 0] = math.nan
    (said,) = _each(SCALE).compare([{"y": found}])
    assert said.worst_of_rounding == FACTOR
    assert said.difference is not None
    assert said.difference.endswith("1 value is NaN or infinite on one side only")
