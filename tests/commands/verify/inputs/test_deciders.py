"""Whose decisions the inputs of a check should change, and which inputs all models take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.deciders import turn_plan
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.core.options import Dim


def _linked(label: str, name: str, *shape: Dim, order: tuple[int, ...] = (0, 1)) -> Linked:
    spec = TensorSpec(name, "float32", shape, ())
    source: Any = SimpleNamespace(inputs=lambda: [spec], decisions=lambda runs: (label, *runs))
    return Linked(label, source, (InputLink("x", name, order),), Layouts())


def test_each_model_decides_on_its_own_inputs() -> None:
    source: Any = SimpleNamespace(decisions=lambda runs: ("own", *runs))
    opened = [_linked("c", "image", 2, "n", order=(1, 0)), _linked("d", "x", "n", 2)]
    domain = cast(Any, "domain")
    for is_searched in (True, False):
        plan = turn_plan(source, opened, domain, is_searched)
        assert (plan.domain, plan.is_searched) == ("domain", is_searched)
    assert [decider.name for decider in plan.deciders] == ["", "c", "d"]
    runs = [{"x": np.array([[1.0, 2.0]])}, {"x": np.array([[3.0, 4.0]])}]
    own, turned, same = (cast(Any, decider.decisions(runs)) for decider in plan.deciders)
    assert own == ("own", *runs)
    assert turned[0] == "c"
    assert [run["image"].tolist() for run in turned[1:]] == [[[1.0], [2.0]], [[3.0], [4.0]]]
    assert same[0] == "d"
    assert [run["x"].tolist() for run in same[1:]] == [[[1.0, 2.0]], [[3.0, 4.0]]]


@pytest.mark.parametrize(
    ("shapes", "fits"),
    [
        ([("n", 2)], True),
        ([(4, 2)], True),
        ([(3, 2)], False),
        ([(4, 3)], False),
        ([("n", 2), (1, "m")], False),
        ([(1, "m"), ("n", 2)], False),
        ([], True),
    ],
)
def test_inputs_have_the_sizes_that_every_candidate_fixes(shapes: list[Any], fits: bool) -> None:
    opened = [_linked("c", "X", *shape) for shape in shapes]
    plan = turn_plan(cast(Any, SimpleNamespace(decisions=None)), opened, cast(Any, None), True)
    assert plan.fits({"x": np.zeros((4, 2))}) is fits


def test_sizes_are_compared_as_the_candidate_has_them() -> None:
    opened = [_linked("c", "X", 2, 4, order=(1, 0))]
    plan = turn_plan(cast(Any, SimpleNamespace(decisions=None)), opened, cast(Any, None), True)
    assert plan.fits({"x": np.zeros((4, 2))})
    assert not plan.fits({"x": np.zeros((2, 4))})
