"""What the table of slope shapes says, and what follows from it."""

from __future__ import annotations

import itertools

import pytest

from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.targets import slope_shapes
from prelu_tools.graph.targets.slope_shapes import (
    RULES,
    Plan,
    answer_of,
    laid_shapes,
    measured_runtimes,
    plan_for,
    usual_shape,
)

SIZES = {2: (1, 6), 3: (1, 4, 6), 4: (1, 4, 5, 6), 5: (1, 4, 2, 3, 5)}
EVERY = [
    (shape, tuple(size if axis in chosen else 1 for axis, size in enumerate(shape)))
    for rank, shape in SIZES.items()
    for count in range(1, rank)
    for chosen in itertools.combinations(range(1, rank), count)
]


@pytest.mark.parametrize(
    ("shape", "slope", "usual"),
    [
        ((None, 3), (1, 3), (3,)),
        ((None, 7, 3), (1, 1, 3), (1, 1, 3)),
        ((None, 3, 7), (1, 3, 1), (3, 1)),
        ((None, 3, 4, 5), (1, 3, 1, 1), (3, 1, 1)),
        ((None, 4, 5, 3), (1, 1, 1, 3), (1, 1, 3)),
        ((None, 4, 5, 3), (1, 4, 5, 3), (4, 5, 3)),
        ((None, 4, 5, 3), (1, 1, 5, 1), (5, 1)),
        ((1, 2, 3, 4, 5, 6), (1, 1, 1, 1, 1, 6), (1, 6)),  # six axes: nothing was measured
    ],
)
def test_the_shape_that_is_right_in_most(
    shape: Shape, slope: tuple[int, ...], usual: tuple[int, ...]
) -> None:
    assert usual_shape(shape, slope) == usual


def test_no_other_shape_is_right_in_more_runtimes() -> None:
    def count(shape: Shape, laid: tuple[int, ...]) -> int:
        return [answer_of(name, shape, laid) for name in measured_runtimes()].count("right")

    for shape, slope in EVERY:
        best = max(count(shape, laid) for laid in laid_shapes(shape, slope))  # one axis included
        assert count(shape, usual_shape(shape, slope)) == best


def test_a_free_size_may_be_the_one_that_is_misread() -> None:
    assert answer_of("openvino", (1, 3, 5, 3), (3,)) == "wrong"
    assert answer_of("openvino", (1, 4, 5, 3), (3,)) == "right"
    assert answer_of("openvino", (1, None, 5, 3), (3,)) == "wrong"


def test_what_was_not_measured_is_not_known() -> None:
    assert answer_of("ncnn", (1, 2, 3, 4, 5, 6), (6,)) is None
    assert plan_for("ncnn", (1, 2, 3, 4, 5, 6), (6,)) is None


@pytest.mark.parametrize(
    ("runtime", "shape", "slope", "plan"),
    [
        ("openvino", (1, 3, 5, 3), (3,), Plan("prelu", (1, 3), 4)),
        ("mnn", (1, 7, 3), (1, 3), Plan("prelu", (1, 1, 3), 3)),
        ("ncnn", (1, 7, 3), (1, 3), Plan("transpose", (3, 1), 3)),
        ("ncnn", (1, 4, 5, 3), (4, 5, 3), Plan("relu", (4, 5, 3), 4)),
        ("ncnn", (1, 3, 5, 5), (1, 3, 1, 1), Plan("prelu", (3, 1, 1), 4)),
        ("coreml", (1, 3, 5, 5), (1, 3, 1, 1), Plan("prelu", (3, 1, 1), 4)),
        ("coreml", (1, 4, 5, 3), (1, 1, 3), None),
    ],
)
def test_how_a_runtime_reads_it_right(
    runtime: str, shape: Shape, slope: tuple[int, ...], plan: Plan | None
) -> None:
    assert plan_for(runtime, shape, slope) == plan


def test_a_plan_is_always_what_was_measured_as_right() -> None:
    for (shape, slope), runtime in itertools.product(EVERY, measured_runtimes()):
        plan = plan_for(runtime, shape, slope)
        if plan is None:
            continue
        if plan.way == "transpose":
            assert answer_of(runtime, shape, slope, "transpose") == "right"
        else:
            assert answer_of(runtime, shape, plan.slope, plan.way) == "right"


@pytest.mark.parametrize("runtime", ["openvino", "ncnn", "mnn", "onnxruntime-web"])
def test_each_runtime_reads_every_sharing_of_up_to_four_axes_right(runtime: str) -> None:
    assert all(
        plan_for(runtime, shape, slope) is not None for shape, slope in EVERY if len(shape) < 5
    )


def test_where_nothing_is_right_there_is_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {key: dict.fromkeys(row, "wrong") for key, row in slope_shapes._answers().items()}
    monkeypatch.setattr(slope_shapes, "_answers", lambda: wrong)
    assert plan_for("ncnn", (1, 4, 5, 3), (4, 5, 3)) is None


@pytest.mark.parametrize(
    ("shape", "slope", "answer"),
    [
        ((1, 4, 5, 6), (4, 1, 1), "right"),
        ((1, 4, 5, 6), (1, 4, 1, 1), "refused"),
        ((1, 4, 5, 6), (1,), "right"),
        ((1, 4, 6), (1,), "right"),
        ((1, 6), (1,), "refused"),
        ((1, 4, 6), (4, 1), "refused"),
    ],
)
def test_the_rule_of_core_ml(shape: Shape, slope: tuple[int, ...], answer: str) -> None:
    assert answer_of("coreml", shape, slope) == answer
    assert "coreml" in RULES
