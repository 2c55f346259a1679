"""Who judges a candidate, in which axis order, and what a reference in codes cannot show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify import command, judging
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.commands.verify.judging import is_quantized, judge
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.reasons import code_of

REQUEST = VerifyRequest("r.onnx", ("c",))


def _source(meaning: object = None, has_graph: bool = True) -> Source:
    def found() -> object:
        if isinstance(meaning, Exception):
            raise meaning
        return meaning

    graph = SimpleNamespace(meaning=found) if has_graph else None
    return cast(Source, SimpleNamespace(graph=graph))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Who was asked, and with what; the verdict is the name of the candidate."""
    found: list[Any] = []

    def judge_of(name: str) -> Any:
        def make(*arguments: Any) -> Any:
            found.append((name, *arguments))
            report = SimpleNamespace(verdict=arguments[1].label)
            return SimpleNamespace(judged=lambda: SimpleNamespace(report=report))

        return make

    monkeypatch.setattr(judging, "CandidateJudge", judge_of("plain"))
    monkeypatch.setattr(judging, "QuantizedCandidateJudge", judge_of("quantized"))
    return found


def _judge(
    reference: Source, candidate: Source, provider: str | None = "cpu", verdict: str = "pass"
) -> Any:
    linked = cast(Linked, SimpleNamespace(source=candidate, label=verdict))
    told = cast(Any, SimpleNamespace(source=reference))
    judged = judge(told, linked, provider, REQUEST)
    return told, linked, judged


UNKNOWN = PReLUToolsError("a code that nobody knows")


@pytest.mark.parametrize(
    ("source", "expected"),
    [(_source("codes"), True), (_source(UNKNOWN), True), (_source(), False),
     (_source("codes", has_graph=False), False)],
)  # fmt: skip
def test_what_is_quantized(source: Source, expected: bool) -> None:
    assert is_quantized(source) is expected


@pytest.mark.parametrize(
    ("candidate", "provider", "who"),
    [
        (_source(), "cpu", "plain"),
        (_source("codes"), "cpu", "quantized"),
        (_source("codes"), None, "plain"),
        (_source("codes", has_graph=False), "cpu", "plain"),
    ],
)
def test_codes_have_a_judge_of_their_own_where_onnxruntime_runs_them(
    candidate: Source, provider: str | None, who: str, asked: list[Any]
) -> None:
    reference, linked, judged = _judge(_source(), candidate, provider, "fail")
    assert asked == [(who, reference, linked, provider, REQUEST)]
    assert judged.report.verdict == "fail"


@pytest.mark.parametrize("meaning", ["codes", UNKNOWN])
def test_a_reference_in_codes_passes_what_is_equal_and_fails_nothing(
    meaning: object, asked: list[Any]
) -> None:
    for verdict in ("pass", "inconclusive"):
        reference, linked, judged = _judge(_source(meaning), _source("codes"), "cpu", verdict)
        assert asked.pop() == ("plain", reference, linked, "cpu", REQUEST)
        assert judged.report.verdict == verdict
    with pytest.raises(PReLUToolsError) as raised:
        _judge(_source(meaning), _source(), "cpu", "fail")
    assert str(raised.value) == (
        "r.onnx is quantized itself, so rounding and real differences cannot be told apart: "
        "expected the floating-point model as the reference"
    )


# Where shapes leave the axis order of a candidate open

SAME, FIRST, LAST = (0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)
NAMES = {SAME: "same", FIRST: "first", LAST: "last"}


def _linked(*others: tuple[int, ...]) -> Linked:
    links = (InputLink("x", "image", SAME, None, others), InputLink("v", "v", (0, 1)))
    return Linked("c", cast(Any, None), links, Layouts())


@pytest.mark.parametrize(
    ("verdicts", "tried", "chosen"),
    [
        ({"same": "pass"}, ["same"], "same"),
        ({"same": "inconclusive"}, ["same"], "same"),
        ({"same": "fail", "first": "pass"}, ["same", "first"], "first"),
        ({"same": "fail", "first": "fail", "last": "pass"}, ["same", "first", "last"], "last"),
        ({"same": "fail", "first": "fail", "last": "fail"}, ["same", "first", "last"], "same"),
        ({"same": "fail", "first": "inconclusive", "last": "fail"}, [*NAMES.values()], "same"),
        ({"same": "fail", "last": "pass"}, ["same", "first", "last"], "last"),
        ({"first": "fail"}, ["same", "first"], "first"),
        ({"last": "inconclusive"}, ["same", "first", "last"], "last"),
        ({}, ["same", "first", "last", "same"], None),
    ],
)  # fmt: skip
def test_orders_are_tried_until_one_passes(
    verdicts: dict[str, str], tried: list[str], chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has no verdict cannot be run."""
    asked: list[str] = []

    def judge(reference: Any, linked: Linked, provider: Any, request: Any) -> Any:
        assert (reference, provider, request) == ("the reference", "cpu", REQUEST)
        name = NAMES[linked.links[0].permutation]
        asked.append(name)
        if name not in verdicts:
            raise PReLUToolsError(f"{name} does not run")
        report = SimpleNamespace(
            verdict=verdicts[name], reasons=("an output differs",), interface=()
        )
        return SimpleNamespace(report=report, notes=(name,))

    monkeypatch.setattr(command, "judge", judge)
    given: Any = "the reference", _linked(FIRST, LAST), "cpu", REQUEST
    if chosen is None:
        with pytest.raises(PReLUToolsError, match="same does not run"):
            command._in_any_order(*given)
    else:
        first, *more = command._in_any_order(*given).notes
        assert first == chosen
        assert [code_of(note) for note in more] == ["axis_order_tried"] * (chosen != "same")
        assert all(("it matches" in note) is (verdicts[chosen] == "pass") for note in more)
    assert asked == tried


def test_without_another_order_what_does_not_run_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def judge(*arguments: object) -> Any:
        asked.append(arguments)
        raise PReLUToolsError("it does not run")

    monkeypatch.setattr(command, "judge", judge)
    with pytest.raises(PReLUToolsError, match="it does not run"):
        command._in_any_order(cast(Any, None), _linked(), None, REQUEST)
    assert len(asked) == 1


@pytest.mark.parametrize(("agrees", "does"), [(True, "matches"), (False, "runs")])
def test_the_order_that_counts_is_named(agrees: bool, does: str) -> None:
    links = (InputLink("x", "image", LAST), InputLink("v", "v", (0, 1)),
             InputLink("z", "other", FIRST))  # fmt: skip
    note = command._moved_note(Linked("c", cast(Any, None), links, Layouts()), agrees)
    assert note == (
        f"c: its shapes do not determine its axis order; it {does} with the reference's axes "
        "permuted for its inputs: image as [0, 2, 3, 1], other as [0, 3, 1, 2]"
    )
    assert code_of(note) == "axis_order_tried"
