"""What a quantized candidate is judged by, and what becomes of each answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from numpy_models import REQUEST

from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.quantized import candidate as module
from prelu_tools.commands.verify.quantized.candidate import QuantizedCandidateJudge
from prelu_tools.commands.verify.quantized.judge import QuantizedJudgement, QuantizedPlan
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.rounding.noise import SINGLE
from prelu_tools.core.rounding.tolerance import CALIBRATED, QUANTIZED

JUDGEMENT = QuantizedJudgement(
    cast(Any, ("output",)), cast(Any, ("layer",)), ("a note",), ("a doubt",), cast(Any, "power")
)


class _Judge(QuantizedCandidateJudge):
    """Says what it asks of the others, which have tests of their own."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: list[Any] = []
        again = SimpleNamespace(notes=[Reason("is slow", "a_code")])
        self.seen: Any = SimpleNamespace(
            results=[{"y": 1}, {"y": 2}], again=again, placement={"n": "cpu"}, doubts=[]
        )

    def run(self, layers: Any, observed: bool = True) -> Any:
        self.asked.append(("run", layers, observed))
        return self.seen

    def note_randomness(self, seen: Any) -> None:
        seen.doubts.append("random")
        self.notes.append("seen")

    def doubt_untried(self, seen: Any, outputs: Any) -> Any:
        seen.doubts.append("untried")
        return ("doubted", outputs)

    def output_judge(self) -> Any:
        return "outputs"

    def interface(self, *given: Any) -> Any:
        return ("interface", *given)

    def is_random(self, seen: Any) -> bool:
        return seen is self.seen

    def finished(self, found: Any) -> Any:
        return found


def _judged(monkeypatch: pytest.MonkeyPatch, **asked: Any) -> tuple[_Judge, Any, QuantizedPlan]:
    plans: list[Any] = []
    monkeypatch.setattr(module, "LayerJudge", lambda *given: given)
    monkeypatch.setattr(module, "judge_quantized", lambda *given: plans.append(given) or JUDGEMENT)
    graph = SimpleNamespace(meaning=lambda: "meaning")
    source: Any = SimpleNamespace(graph=graph, notes=("it is old",))
    reference: Any = SimpleNamespace(feeds=[{}, {}])
    linked = Linked("c.onnx", source, (), Layouts("nchw"))
    judge = _Judge(reference, linked, "cuda", replace(REQUEST, **asked))
    found = judge.judged()
    ((plan, placement),) = plans
    assert placement == {"n": "cpu"}
    return judge, found, plan


def test_every_answer_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, found, plan = _judged(monkeypatch)
    layers = (judge.reference, (), judge.linked.layouts, CALIBRATED)
    assert judge.asked == [("run", layers, False)]
    assert plan == QuantizedPlan(
        judge.reference, cast(Any, judge.graph), "c.onnx", cast(Any, "meaning"), "cuda",
        judge.feeds, cast(Any, "outputs"), judge.seen.results, False, True, False,
    )  # fmt: skip
    assert plan.feeds is judge.feeds
    assert judge.notes == ["seen", "c.onnx: it is old", "c.onnx is slow", "a note"]
    assert code_of(judge.notes[2]) == "a_code"
    assert judge.seen.doubts == ["random", "a doubt", "untried"]
    assert found.seen is judge.seen
    assert found.outputs == ("doubted", JUDGEMENT.outputs)
    assert found.layers == JUDGEMENT.layers
    assert found.interface == ("interface", "outputs", JUDGEMENT.outputs, judge.seen)
    assert (found.power, found.tolerance, found.is_random) == ("power", QUANTIZED, True)


@pytest.mark.parametrize(
    ("asked", "given", "layers", "is_limited"),
    [
        ({"inputs_file": Path("i.npz")}, True, True, False),
        ({"inputs_file": Path("i.npz"), "samples": 3}, False, True, False),
        ({"samples": 3, "layers": False}, False, False, False),
        ({"tolerance": replace(CALIBRATED, multiple=None)}, False, True, True),
    ],
)
def test_what_the_user_asks_for_is_part_of_the_plan(
    asked: dict[str, Any], given: bool, layers: bool, is_limited: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _, _, plan = _judged(monkeypatch, **asked)
    assert (plan.given, plan.layers, plan.is_limited) == (given, layers, is_limited)


def test_power_is_left_out_if_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found, _ = _judged(monkeypatch, power=False)
    assert found.power is None


@pytest.mark.parametrize("graph", [None, SimpleNamespace(meaning=lambda: None)])
def test_only_quantized_candidates_are_judged_so(graph: Any) -> None:
    linked = Linked("c.onnx", cast(Any, SimpleNamespace(graph=graph)), (), Layouts())
    judge = QuantizedCandidateJudge(cast(Any, SimpleNamespace(feeds=[])), linked, "cpu", REQUEST)
    with pytest.raises(AssertionError, match=r"^a candidate that is not quantized$"):
        judge.judged()


def test_the_meaning_is_in_float32() -> None:
    reference: Any = SimpleNamespace(feeds=[], perturbed_to=lambda unit: unit)
    linked = Linked("c.onnx", cast(Any, SimpleNamespace(graph=None)), (), Layouts())
    judge = QuantizedCandidateJudge(reference, linked, "cpu", REQUEST)
    assert judge.perturbed_runs == cast(Any, SINGLE)
