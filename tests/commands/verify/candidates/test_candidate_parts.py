"""The parts of judging a candidate, each asked by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy_models import NumpyModel, the_one, verified

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.candidates import candidate as module
from prelu_tools.commands.verify.candidates.candidate import CandidateJudge
from prelu_tools.commands.verify.candidates.verdict import Seen
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.reference.perturbed import PerturbedRuns
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.repeated import RepeatedRun
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.candidate import ProviderReport
from prelu_tools.core.results.verification.parity import OutputParity
from prelu_tools.core.rounding.noise import SINGLE
from prelu_tools.core.rounding.tolerance import Extent, resolution_of
from prelu_tools.graph.facts.dependence import Dependence

REQUEST = VerifyRequest("r", ("c",))
Y = np.zeros((2, 3), np.float32)


class _Source(NumpyModel):
    """Says what its outputs depend on."""

    depends: Mapping[str, Dependence] = {}

    def dependence(self, output: str) -> Dependence | None:
        return self.depends.get(output)


def _source(**depends: Dependence) -> _Source:
    made = _Source()
    made.depends = depends
    return made


def _judge(
    candidate: Any = None,
    reference: Any = None,
    request: VerifyRequest = REQUEST,
    provider: str | None = None,
    **known: Any,
) -> CandidateJudge:
    facts: dict[str, Any] = {
        "source": reference or _source(), "feeds": [], "outputs": [{"y": Y}], "unmoved": {},
        "untaken": {}, "layers": _source().layers(), "is_random": False,
    }  # fmt: skip
    told = cast(Reference, SimpleNamespace(**{**facts, **known}))
    source = cast(Source, candidate or _source())
    links = (InputLink("x", "x", (0, 1)),)
    return CandidateJudge(told, Linked("c", source, links, Layouts()), provider, request)


def _seen(**changes: Any) -> Seen:
    facts: dict[str, Any] = {"results": [{"out": Y}], "reached": CoverageBook([]),
                             "again": RepeatedRun()}  # fmt: skip
    return Seen(**{**facts, **changes})


# What was not tried


def test_branches_that_this_candidate_never_took_are_doubts() -> None:
    untaken = {"c": [Reason("no input took it", "branch_not_taken")], "d": [Reason("another")]}
    seen = _seen(doubts=["it is random"])
    assert _judge(untaken=untaken).doubt_untried(seen, ()) == ()
    assert seen.doubts == ["it is random", "no input took it"]
    other = _seen()
    _judge(untaken={"d": [Reason("another")]}).doubt_untried(other, ())
    assert other.doubts == []


@pytest.mark.parametrize(
    ("reference", "candidate", "doubts", "notes"),
    [
        ({"y": Dependence.VALUES}, {}, ["output_constant"], []),
        ({}, {"out": Dependence.VALUES}, ["output_constant"], []),
        ({"out": Dependence.VALUES}, {"y": Dependence.VALUES}, [], ["output_is_constant"]),
    ],
)
def test_outputs_that_no_input_moved_are_doubted_or_noted(
    reference: dict[str, Dependence], candidate: dict[str, Dependence],
    doubts: list[str], notes: list[str],
) -> None:  # fmt: skip
    judge = _judge(_source(**candidate), _source(**reference), unmoved={"y": True})
    judge.notes.append("it is old")
    seen = _seen(doubts=["it is random"])
    one = OutputParity("out", (), 0.0, 0.0, 0, 0, "pass")
    (found,) = judge.doubt_untried(seen, [one])
    assert [found.doubt] == (seen.doubts[1:] or [None])
    assert (found.verdict, found.proves) == ("pass", "inconclusive" if doubts else "pass")
    assert [code_of(doubt) for doubt in seen.doubts] == [None, *doubts]
    assert [code_of(note) for note in judge.notes] == [None, *notes]


def test_an_output_that_no_input_moved_is_part_of_the_verdict() -> None:
    def still() -> _Source:
        made = _source(y=Dependence.VALUES)
        made.change = lambda _layer, y: np.ones_like(y)
        return made

    result = verified(still(), still(), layers=False)
    assert [code_of(reason) for reason in result.reasons] == ["output_constant"]
    assert result.verdict == "inconclusive"
    report = the_one(result)
    (output,) = report.outputs
    assert (output.verdict, [output.doubt]) == ("pass", [*report.reasons])


# Outputs


PICTURE = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
TURNED = PICTURE.transpose(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("layouts", "leaving", "stated", "turned"),
    [
        (Layouts(), None, {}, False),
        (Layouts(), None, {"y": (0, 2, 3, 1)}, True),
        (Layouts("nchw", "nhwc"), None, {}, True),
        (Layouts(), Layouts("nchw", "nhwc"), {}, True),
        (Layouts("nchw", "nhwc"), Layouts(), {}, False),
    ],
)
def test_outputs_are_moved_as_the_candidate_was_linked(
    layouts: Layouts, leaving: Layouts | None, stated: dict[str, Any], turned: bool
) -> None:
    facts = {"outputs": [{"y": PICTURE}], "extents": {"y": Extent()}}
    judge = _judge(perturbed_to=lambda _unit: None, **facts)
    judge.linked = replace(judge.linked, layouts=layouts, leaving=leaving, stated=stated)
    moved = judge.output_judge().to_reference(PICTURE, TURNED, "y")
    assert np.array_equal(moved, PICTURE if turned else TURNED)


@pytest.mark.parametrize(
    ("verdicts", "agreed", "fails"),
    [
        (["pass", "pass"], True, False),
        (["pass", "inconclusive"], False, False),
        (["pass", "fail"], False, True),
        ([], False, True),
    ],
)
def test_layers_are_told_whether_the_outputs_agree(
    verdicts: list[Any], agreed: bool, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    parities = tuple(OutputParity("y", (), 0.0, 0.0, 0, 0, verdict) for verdict in verdicts)
    monkeypatch.setattr(module.OutputJudge, "compare", lambda *_: parities)
    monkeypatch.setattr(CandidateJudge, "_layers", lambda *given: told.extend(given[-2:]) or ())
    verified(NumpyModel(), NumpyModel())
    assert told == [agreed, fails]


# Randomness


PARTS = [Reason("Dropout 'd' is in training mode", "dropout_in_training_mode"),
         Reason("node r draws random numbers", "random_node")]  # fmt: skip


@pytest.mark.parametrize(("is_random", "faults", "doubts"), [(False, [0], [1]), (True, [], [0, 1])])
def test_what_draws_at_random_is_a_doubt_and_an_acting_dropout_a_fault(
    is_random: bool, faults: list[int], doubts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "random_parts", lambda source: asked.append(source) or PARTS)
    seen = _seen(
        again=RepeatedRun(doubts=[Reason("is shaky", "random_outputs")]),
        doubts=["so far"], faults=["a fault"],
    )  # fmt: skip
    judge = _judge(is_random=is_random)
    judge.note_randomness(seen)
    assert asked == [judge.source]
    assert seen.faults == ["a fault", *(PARTS[i] for i in faults)]
    assert seen.doubts == ["so far", *(PARTS[i] for i in doubts), "it is shaky"]
    assert code_of(seen.doubts[-1]) == "random_outputs"


@pytest.mark.parametrize(
    ("reference", "doubts", "expected"),
    [(False, [], False), (True, [], True), (False, [PARTS[1]], True), (False, ["so-so"], False)],
)
def test_either_model_may_be_random(reference: bool, doubts: list[str], expected: bool) -> None:
    assert _judge(is_random=reference).is_random(_seen(doubts=doubts)) is expected


# Types, and limits


@pytest.mark.parametrize(
    ("narrow", "unit"), [(None, 2.0**-24), ("float16", 2.0**-11), ("bfloat16", 2.0**-8)]
)
def test_the_perturbed_runs_round_as_the_candidate_does(narrow: str | None, unit: float) -> None:
    class Narrow(_Source):
        computes_in = narrow

    asked: list[float] = []
    judge = _judge(Narrow(), perturbed_to=asked.append)
    assert judge.perturbed_runs is None
    assert asked == [SINGLE if narrow is None else resolution_of(narrow)]
    assert asked[0] / SINGLE == unit / 2.0**-24


HALF = _source().slopes["a"].astype(np.float16)
COMPUTES = (
    "c computes in {0}: each value may differ by as much as rounding to {0} changes it in the "
    "reference"
)
ROUNDED = "c is float16: its slopes are compared with the reference's slopes rounded to float16"


@pytest.mark.parametrize(
    ("narrow", "theirs", "mine", "can_perturb", "notes"),
    [
        ("bfloat16", None, None, True, [COMPUTES.format("bfloat16")]),
        ("float16", None, None, True, [COMPUTES.format("float16")]),
        ("float16", None, None, False, []),
        ("float16", None, HALF, True, []),
        (None, None, None, True, []),
        ("float16", HALF, None, True, [ROUNDED]),
    ],
)  # fmt: skip
def test_a_candidate_that_computes_in_less_is_told_of(
    narrow: str | None, theirs: Any, mine: Any, can_perturb: bool, notes: list[str]
) -> None:
    class Narrow(NumpyModel):
        computes_in = narrow

    candidate = Narrow() if theirs is None else Narrow({"a": theirs})
    reference = NumpyModel(can_perturb=can_perturb) if mine is None else NumpyModel({"a": mine})
    result = verified(reference, candidate)
    assert [note for note in result.notes if note.startswith("c ")] == notes


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32"])
def test_a_reference_of_few_bits_says_itself_what_rounding_does(kind: str) -> None:
    class Narrow(_Source):
        computes_in = "bfloat16"

    layers = [SimpleNamespace(dtype=kind)]
    judge = _judge(Narrow(), layers=layers, perturbed_to=lambda _unit: PerturbedRuns(2))
    judge._note_types(_seen())
    assert judge.notes == ([COMPUTES.format("bfloat16")] if kind == "float32" else [])


def test_kernels_that_round_otherwise_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    again = RepeatedRun(notes=[Reason("has two kernels", "rounding_differs_between_runs")])
    monkeypatch.setattr(module, "run_again", lambda *_: again)
    (note,) = verified(NumpyModel(), NumpyModel()).notes
    assert (note, code_of(note)) == ("c has two kernels", "rounding_differs_between_runs")


# What is measured, and what is not


@pytest.mark.parametrize(
    ("changes", "noted"),
    [({}, True), ({"power": False}, False), ({"layers": False}, False)],
)
def test_a_runtime_of_its_own_is_told_where_power_is_measured(
    changes: dict[str, bool], noted: bool
) -> None:
    class Elsewhere(NumpyModel):
        runtime = ProviderReport("ncnn", ("ncnn",), ())

    result = verified(NumpyModel(), Elsewhere(), **changes)
    words = "c: planted faults are measured on onnxruntime only, not on ncnn"
    assert result.notes == ((words,) if noted else ())
    assert [code_of(note) for note in result.notes] == ["power_not_measured"] * noted
    report = the_one(result).provider
    assert report == replace(Elsewhere.runtime, is_runtime=True)
    assert verified(NumpyModel({}), Elsewhere({}), allow_no_prelu=True).notes == ()


def test_a_graph_that_no_provider_runs_is_told_of_too() -> None:
    class Graph(_Source):
        graph = cast(Any, SimpleNamespace())
        runtime = ProviderReport("ncnn", ("ncnn",), ())

    judge = _judge(Graph())
    assert judge._power(cast(Any, None), _seen()) is None
    assert [code_of(note) for note in judge.notes] == ["power_not_measured"]


def test_special_values_are_compared_as_the_user_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def note(*arguments: Any) -> tuple[()]:
        asked.append(arguments[4:])
        return ()

    monkeypatch.setattr(module, "compare_special_values", note)
    for strict in (False, True):
        verified(NumpyModel(), NumpyModel(), layouts={"r": "nchw"}, strict_special=strict)
    assert asked == [(Layouts("nchw", None), False), (Layouts("nchw", None), True)]


@pytest.mark.parametrize("known", [{"doubts": ["it is random"]}, {"faults": ["it drops values"]}])
def test_no_fault_is_planted_in_what_is_in_doubt(
    known: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it said where that would be possible."""

    class Elsewhere(NumpyModel):
        runtime = ProviderReport("ncnn", ("ncnn",), ())

    monkeypatch.setattr(
        CandidateJudge,
        "note_randomness",
        lambda _self, seen: (seen.doubts.extend(known.get("doubts", [])),
                             seen.faults.extend(known.get("faults", []))),
    )  # fmt: skip
    assert verified(NumpyModel(), Elsewhere()).notes == ()


# Runs


class _Layers:
    """Takes what a layer judge is told."""

    def __init__(self) -> None:
        self.run = 7
        self.told: list[tuple[int, str, int, int]] = []

    def observe(self, layer: str, call: int, x: Array, y: Array) -> None:
        self.told.append((self.run, layer, call, len(x)))


def _run(
    source: Any = None,
    request: VerifyRequest = REQUEST,
    provider: str | None = None,
    **asked: Any,
) -> Any:
    rows = -np.ones((2, 3), np.float32)
    source = source or _source()
    feeds = [{"x": rows}, {"x": rows[:1]}]
    judge = _judge(source, request=request, provider=provider, feeds=feeds)
    layers = _Layers()
    return judge.run(cast(LayerJudge, layers), **asked), layers.told, source


def test_layers_are_observed_in_each_run_once() -> None:
    seen, told, source = _run()
    assert told == [(0, "a", 0, 2), (1, "a", 0, 1)]
    assert [len(found["y"]) for found in seen.results] == [2, 1]
    assert (seen.reached.exercised, seen.reached.total, seen.again.doubts) == (3, 3, [])
    assert [len(feed["x"]) for feed in source.fed] == [2, 1, 1, 2, 1]  # again, and unobserved


@pytest.mark.parametrize(
    ("request_changes", "asked", "total"),
    [({"layers": False}, {}, 3), ({}, {"observed": False}, 0)],
)
def test_nobody_observes_where_that_is_not_asked_for(
    request_changes: dict[str, bool], asked: dict[str, bool], total: int
) -> None:
    seen, told, source = _run(request=replace(REQUEST, **request_changes), **asked)
    assert (told, seen.reached.exercised, seen.reached.total) == ([], 0, total)
    assert [len(feed["x"]) for feed in source.fed] == [2, 1, 1, 2]


def test_a_graph_without_a_provider_is_run_as_its_source_does() -> None:
    class Graph(_Source):
        graph = cast(Any, SimpleNamespace())
        runtime = ProviderReport("ncnn", ("ncnn",), ())

    seen, told, _ = _run(Graph())
    assert (seen.provider, len(seen.results), len(told)) == (Graph.runtime, 2, 2)


@pytest.mark.parametrize("can_be_watched", [True, False])
def test_a_graph_is_run_on_its_provider_and_watched_where_that_can_be(can_be_watched: bool) -> None:
    class Session:
        report = ProviderReport("cpu", ("CPU",), ())

        def __init__(self, provider: str) -> None:
            assert provider == "cpu"

        def run(self, feeds: Any, observe: Any = None) -> Any:
            if observe:
                observe("a", 0, feeds["x"], feeds["x"])
            return {"y": feeds["x"]}

        def placement(self) -> dict[str, str]:
            return {"a": "CPU"}

    class Graph(_Source):
        graph = cast(Any, SimpleNamespace(
            can_be_watched=can_be_watched, session=Session, tapped=Session
        ))  # fmt: skip

    seen, told, _ = _run(Graph(), provider="cpu")
    assert (seen.provider, seen.placement) == (Session.report, {"a": "CPU"})
    assert told == ([(0, "a", 0, 2), (1, "a", 0, 1)] if can_be_watched else [])
    assert seen.reached.exercised == (3 if can_be_watched else 0)
    assert not _run(Graph(), provider="cpu", observed=False)[1]


def test_a_candidate_that_refuses_inputs_which_it_declares_fails() -> None:
    class Picky(NumpyModel):
        def runner(self, observe: Any = None) -> Any:
            inner = super().runner(observe)

            @contextmanager
            def picky() -> Iterator[Any]:
                def run(feeds: Any) -> Any:
                    if len(feeds["x"]) == 1:
                        raise PReLUToolsError("too few")
                    return runner.run(feeds)

                with inner as runner:
                    yield SimpleNamespace(run=run)

            return picky()

    (reason,) = the_one(verified(NumpyModel(), Picky())).reasons
    assert code_of(reason) == "candidate_refuses_input"
    assert reason == (
        "it fails on 1 of 2 runs, all of which the reference accepts; the first is x of shape "
        "1x3: too few"
    )


def test_a_layer_of_a_type_of_fewer_bits_has_more_room() -> None:
    """What rounding to it does is no end-to-end error."""

    class Off(NumpyModel):
        def runner(self, observe: Any = None) -> Any:
            def moved(layer: str, call: int, x: Array, _y: Array) -> None:
                x = x * np.float32(1 + 2**-11)
                observe(layer, call, x, self.activation(layer)(x))

            return super().runner(moved if observe else None)

    class Half(Off):
        computes_in = "float16"

    (off,), (half,) = (the_one(verified(NumpyModel(), made())).layers for made in (Off, Half))
    assert (off.verdict, half.verdict, half.note) == ("pass", "pass", None)
    assert off.note is not None
