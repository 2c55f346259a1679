"""How the layers of a candidate are paired anew and settled, and what is asked for that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from prelu_tools.commands.verify.candidates import candidate as module
from prelu_tools.commands.verify.candidates.candidate import CandidateJudge
from prelu_tools.core.errors import PReLUToolsError


class _Layers:
    """Judges layers as it is told; `parities` are the names of those with unequal slopes."""

    def __init__(self, wrong: tuple[str, ...], pairs: Any = None, strays: Any = ()) -> None:
        self.wrong, self.pairs, self.strays = wrong, pairs, strays
        self.observe, self.agrees = object(), object()
        self.asked: list[Any] = []

    def parities(self, *given: Any) -> Any:
        """What it was given, or the names."""
        self.asked.append(given)
        return self.wrong if given == ({},) else given

    def paired_by_slopes(self, wrong: Any) -> Any:
        """The pairs."""
        assert wrong == self.wrong
        return self.pairs


def _candidate(**fields: Any) -> Any:
    reached = fields.pop("reached", [1, 2])
    coverage = SimpleNamespace(counts=lambda _name: np.array(reached))
    known = {"reference": SimpleNamespace(coverage=coverage, layers="layers"), "graph": "graph",
             "source": "source", "provider": None, "feeds": ["feed"], "notes": [],
             "linked": SimpleNamespace(label="c", layouts="layouts"),
             "request": SimpleNamespace(layers=True, tolerance="tolerance", seed=3, power=True),
             }  # fmt: skip
    return SimpleNamespace(**known | fields)


@pytest.mark.parametrize(
    ("wrong", "reached", "pairs", "graph", "after", "strays", "changes"),
    [
        (("a", "b"), [1, 1], "pairs", "graph", (), (), True),
        (("a", "b"), [0, 1], "pairs", "graph", (), (), False),
        ((), [1, 1], "pairs", "graph", (), (), False),
        (("a", "b"), [1, 1], None, "graph", (), (), False),
        (("a", "b"), [1, 1], "pairs", None, (), (), False),
        (("a", "b"), [1, 1], "pairs", "graph", ("a",), (), False),
        (("a", "b"), [1, 1], "pairs", "graph", (), ("s",), False),
    ],
    ids=["right", "not reached", "none is wrong", "no such pairs", "no graph", "still wrong",
         "calls left over"],
)  # fmt: skip
def test_layers_are_paired_by_slopes_where_each_then_fits(
    wrong: Any, reached: Any, pairs: Any, graph: Any, after: Any, strays: Any, changes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "misnamed", lambda parities: parities)
    layers, other = _Layers(wrong, pairs), _Layers(after, strays=strays)
    asked: list[Any] = []
    judge = _candidate(
        graph=graph, reached=reached,
        _layer_judge=lambda *given: asked.append(given) or other,
        _observe=lambda *given: asked.append(given),
    )  # fmt: skip
    found = CandidateJudge._renamed(judge, cast(Any, layers))
    assert found is cast(Any, other if changes else layers)
    assert asked in ([], [("graph", "pairs"), ("graph", other, other.observe)])
    if changes or after or strays:
        assert asked
    assert layers.asked == [({},)]


@pytest.mark.parametrize(
    ("layers", "fails", "by", "renamed"),
    [
        (True, False, "settled", True),
        (True, True, "blamed", False),
        (False, False, "unsearched", False),
        (False, True, "blamed", False),
    ],
)
@pytest.mark.parametrize(("provider", "runs_on"), [(None, "cpu"), ("cuda", "cuda")])
def test_what_differs_is_looked_for_as_the_outputs_demand(
    layers: bool, fails: bool, by: str, renamed: bool, provider: str | None, runs_on: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("blamed", "settled", "unsearched", "LayerSearch"):
        monkeypatch.setattr(module, name, lambda *given, name=name: (name, *given))
    first, second = _Layers(("a",)), _Layers(())
    judge = _candidate(provider=provider, _renamed=lambda _given: second)
    judge.request.layers = layers
    seen: Any = SimpleNamespace(placement="placement")
    found = CandidateJudge._layers(judge, cast(Any, first), seen, not fails, fails)
    used = second if renamed else first
    search = ("LayerSearch", judge.reference, "source", runs_on, ["feed"], used.agrees)
    assert found == cast(Any, (by, ("placement", not fails), used, search))


def test_a_judge_of_layers_is_told_of_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LayerJudge", lambda *given: given)
    judge, pairs = _candidate(), cast(Any, "pairs")
    for kind, narrow in ((None, "float32"), ("float16", "float16")):
        source: Any = SimpleNamespace(layers=lambda: "own", computes_in=kind)
        expected = judge.reference, "own", "layouts", "tolerance", "pairs", narrow
        assert CandidateJudge._layer_judge(judge, source, pairs) == cast(Any, expected)


def test_a_session_is_run_for_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(module, "run_feeds", lambda *given: asked.append(given) or "results")
    monkeypatch.setattr(module, "run_again", lambda *given: given)
    session = SimpleNamespace(report="report", placement=lambda: "placement")
    source = SimpleNamespace(layers=lambda: ())
    judge = _candidate(graph=SimpleNamespace(session=lambda _provider: session), source=source)
    layers: Any = object()
    seen = CandidateJudge.run(judge, layers)
    assert asked == [(session, ["feed"], layers, source)]
    assert (seen.results, seen.placement) == (cast(Any, "results"), "placement")


def test_power_that_cannot_be_measured_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_plan: Any) -> Any:
        raise PReLUToolsError("none of its layers can be observed")

    monkeypatch.setattr(module, "measure_power", refuse)
    judge, seen = _candidate(), cast(Any, SimpleNamespace(reached="r", doubts=[], faults=[]))
    assert CandidateJudge._power(judge, cast(Any, "outputs"), seen) is None
    assert judge.notes == [
        "c: power (how many planted slope faults the checks catch) was not measured: none of its "
        "layers can be observed"
    ]
