"""Who judges a candidate, and what a reference in integer codes cannot show."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify import judging
from prelu_tools.commands.verify.judging import is_quantized, judge
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError

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
        "expected the model in floating point as the reference"
    )
