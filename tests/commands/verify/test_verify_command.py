"""In which order `verify` asks its parts, what each is given, and what becomes of their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prelu_tools.commands.verify import command as module
from prelu_tools.commands.verify.candidates.candidate import Judged
from prelu_tools.commands.verify.candidates.unrun import unjudged
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError, RefusedInputError, UsageError
from prelu_tools.core.prelu.layout import BoundaryAxes
from prelu_tools.core.results.reasons import code_of
from prelu_tools.core.results.verification.candidate import CandidateReport, ProviderReport
from prelu_tools.core.results.verification.parity import InterfaceDifference
from prelu_tools.core.results.verification.result import VerifyResult

REQUEST = VerifyRequest("r", ("c", "d"), providers=("cpu", "cuda"), runtimes=("ncnn",))
RESULT = VerifyResult("pass", "r", "float32", {}, 0, 1, None, (), ())
TOLD: Callable[[str], None] = [].append


class Parts:
    """Stand in for parts of the module, and note what they were given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.asked: list[tuple[Any, ...]] = []

    def answer(self, answers: Mapping[str, Any]) -> None:
        """Each gives one answer, raises it, or opens what it is where it is a context."""
        for name, value in answers.items():
            self._patch.setattr(module, name, self._part(name, value))

    def _part(self, name: str, value: Any) -> Any:
        def part(*given: Any, **more: Any) -> Any:
            self.asked.append((name, *given, *([more] if more else [])))
            if isinstance(value, Exception):
                raise value
            return value

        return part

    def tick(self) -> None:
        """A clock that shows 5, 6, 8, 12: each look takes twice as long as the one before."""
        ticks = iter([5.0, 6.0, 8.0, 12.0])
        clock = SimpleNamespace(perf_counter=lambda: next(ticks))
        self._patch.setattr(module, "time", clock)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    return Parts(monkeypatch)


@pytest.mark.parametrize(
    ("live", "named", "others"), [((), ("r",), ["c", "d"]), (("r", "d"), (), ["c"])]
)
def test_everything_is_checked_before_a_model_is_loaded(
    live: tuple[str, ...], named: tuple[str, ...], others: list[str], parts: Parts
) -> None:
    checks = ["parse_provider", "check_runtime", "refuse_unknown_layouts", "refuse_lone_layouts",
              "check_request"]  # fmt: skip
    parts.answer(dict.fromkeys(checks) | {"nothing_to_run": "what is known"})
    request = replace(REQUEST, layouts={"r": "nchw"})
    assert module.before_loading(request, live) == cast(Any, "what is known")
    assert parts.asked == [
        ("parse_provider", "cpu"), ("parse_provider", "cuda"), ("check_runtime", "ncnn"),
        ("refuse_unknown_layouts", {"r": "nchw"}, ("r", "c", "d")),
        ("refuse_lone_layouts", [request]),
        ("check_request", request, *named, {"others": others}), ("nothing_to_run", request, live),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "live", "refused"),
    [
        ("net.py:Net", (), True),
        ("net.py:Net@other.pt", (), False),
        ("net.onnx", (), False),
        ("net.py:Net", ("w.safetensors",), False),
        ("net.py:Net", ("net.py:Net",), False),
    ],
)
def test_weights_that_stand_beside_their_code_are_refused(
    reference: str, live: tuple[str, ...], refused: bool, parts: Parts
) -> None:
    names = ["parse_provider", "check_runtime", "check_request", "nothing_to_run"]
    parts.answer(dict.fromkeys(names))
    request = replace(REQUEST, reference=reference, candidates=("c.onnx", "w.safetensors"))
    if not refused:
        assert module.before_loading(request, live) is None
        return
    with pytest.raises(UsageError) as raised:
        module.before_loading(request, live)
    assert str(raised.value) == (
        "w.safetensors is a file of weights, not a candidate: did you mean "
        "'net.py:Net@w.safetensors'?"
    )


def test_a_reference_is_opened_and_may_ask_the_candidates(parts: Parts) -> None:
    parts.answer({"before_loading": None, "asking": "options", "open_source": "source",
                  "verify_source": "result", "layouts_of": "layouts"})  # fmt: skip
    told: list[str] = []
    assert module.verify(REQUEST, told.append) == cast(Any, "result")
    ready = parts.asked[2][3]
    assert parts.asked == [
        ("before_loading", REQUEST), ("layouts_of", REQUEST, ""),
        ("asking", REQUEST.options, ("c", "d"), {}, "layouts"), ("open_source", "r", "options"),
        ("verify_source", "source", REQUEST, {}, told.append),
    ]  # fmt: skip
    assert parts.asked[4][3] is ready
    assert told == ["loading r"]


def test_what_is_known_before_needs_no_reference(parts: Parts) -> None:
    parts.answer({"before_loading": "result", "open_source": AssertionError("opened")})
    assert module.verify(REQUEST) == cast(Any, "result")


# With an open reference


def _source(recording: Any = None, graph: Any = "graph", inputs: Any = ("x",)) -> Any:
    return SimpleNamespace(recording=recording, graph=graph, inputs=lambda: inputs)


def _linked(label: str, **source: Any) -> Linked:
    return Linked(label, _source(**source), (), Layouts())


def _opened(
    parts: Parts, *linked: Any, verdicts: tuple[Any, ...] = ("pass",), recording: Any = None
) -> tuple[Any, Any, list[Judged]]:
    """A source, a reference, and candidates that are judged so."""
    reference = SimpleNamespace(feeds=["feeds"], notes=["a note"])

    @contextmanager
    def run(*given: Any) -> Iterator[Any]:
        parts.asked.append(("run", *given))
        yield reference, SimpleNamespace(sizes="sizes", inputs=("inputs",))

    judged = [
        Judged(unjudged(linked[0].label if linked else "c", None, "why", verdict))
        for verdict in verdicts
    ]
    names = ["check_ranges", "refuse_fixed_options", "parse_provider", "check_runtime",
             "refuse_records", "refuse_ignored_options", "save_feeds", "write_bundle"]  # fmt: skip
    parts.answer(dict.fromkeys(names) | {
        "_open_candidates": list(linked), "within_calibration": replace(REQUEST, samples=7),
        "_judge": judged, "swapped_sides": ["swapped"], "unchecked_sizes": ["unchecked"],
        "agreements_of": "agreements", "conclude": RESULT, "stated_by": "said",
        "other_versions": ["another version"],
    })  # fmt: skip
    parts._patch.setattr(module, "replaying" if recording else "running", run)
    return _source(recording), reference, judged


def test_the_steps_of_a_comparison(parts: Parts) -> None:
    linked, report = _linked("c"), unjudged("d", None, "it cannot be read")
    source, reference, judged = _opened(parts, linked, report)
    parts.tick()
    told: list[str] = []
    found = module.verify_source(source, REQUEST, cast(Any, {"c": "open"}), told.append)
    drawn = replace(REQUEST, samples=7)
    every = [*judged, Judged(report)]
    assert parts.asked == [
        ("check_ranges", source, REQUEST), ("parse_provider", "cpu"), ("parse_provider", "cuda"),
        ("check_runtime", "ncnn"), ("_open_candidates", source, REQUEST, {"c": "open"}),
        ("refuse_records", [linked]), ("within_calibration", [linked], REQUEST),
        ("run", source, [linked], drawn), ("_judge", reference, linked, drawn, told.append),
        ("swapped_sides", source, [linked]), ("unchecked_sizes", source, [linked], ()),
        ("agreements_of", reference, every, drawn),
        ("conclude", reference, every, "agreements", drawn),
    ]  # fmt: skip
    assert reference.notes == ["a note", "swapped", "unchecked"]
    assert found == replace(RESULT, sizes=cast(Any, "sizes"), inputs=cast(Any, ("inputs",)))
    assert found.seconds == 1.0
    assert told == ["running r"]


def test_options_that_no_model_heeds_are_refused_where_all_are_open(parts: Parts) -> None:
    linked, other = _linked("c"), _linked("d")
    source, _, _ = _opened(parts, linked, other)
    module.verify_source(source, REQUEST)
    assert ("_open_candidates", source, REQUEST, {}) in parts.asked
    ignored = [source, linked.source, other.source]
    assert ("refuse_ignored_options", ignored, REQUEST) in parts.asked
    assert [call[2] for call in parts.asked if call[0] == "_judge"] == [linked, other]


@pytest.mark.parametrize("strict", [False, True])
def test_fixed_sizes_are_noted_unless_they_are_failures(strict: bool, parts: Parts) -> None:
    linked = _linked("c")
    source, reference, _ = _opened(parts, linked)
    parts.answer({"within_calibration": replace(REQUEST, strict_interface=strict),
                  "fixed_sizes": ["fixed"]})  # fmt: skip
    module.verify_source(source, REQUEST)
    assert reference.notes == ["a note", "swapped", "unchecked", *([] if strict else ["fixed"])]
    assert (("fixed_sizes", source, [linked]) in parts.asked) is not strict


def test_a_record_is_replayed_with_its_seed(parts: Parts) -> None:
    recording = SimpleNamespace(seed=42)
    source, _, _ = _opened(parts, _linked("c"), recording=recording)
    module.verify_source(source, REQUEST)
    names = [call[0] for call in parts.asked]
    assert names[0] == "refuse_fixed_options"
    assert "check_ranges" not in names
    assert parts.asked[0] == ("refuse_fixed_options", recording, REQUEST)
    assert parts.asked[4] == ("_open_candidates", source, replace(REQUEST, seed=42), {})


@pytest.mark.parametrize("recording", [None, SimpleNamespace(seed=0)])
def test_a_quick_check_draws_less(recording: Any, parts: Parts) -> None:
    source, _, _ = _opened(parts, _linked("c"), recording=recording)
    request = replace(REQUEST, quick=True)
    found = module.verify_source(source, request)
    quick = request.quickened(is_drawn=recording is None)
    assert parts.asked[4] == ("_open_candidates", source, quick, {})
    assert quick != request
    assert found.quick is False  # of the request that calibration gave


def test_whether_it_was_quick_is_said(parts: Parts) -> None:
    source, _, _ = _opened(parts, _linked("c"))
    request = replace(REQUEST, quick=True)
    parts.answer({"within_calibration": request})
    assert module.verify_source(source, request).quick is True


def test_inputs_are_saved_where_that_is_asked_for(parts: Parts) -> None:
    source, _, _ = _opened(parts, _linked("c"))
    parts.answer({"within_calibration": replace(REQUEST, save_inputs=Path("i.npz"))})
    module.verify_source(source, REQUEST)
    assert ("save_feeds", Path("i.npz"), ["feeds"]) in parts.asked


@pytest.mark.parametrize(
    ("graphs", "runtimes", "refused"),
    [
        ([None, None], ("ncnn",), True),
        ([None, "graph"], ("ncnn",), False),
        ([None, None], (), False),
        ([], ("ncnn",), False),
    ],
)
def test_runtimes_are_for_onnx_candidates(
    graphs: list[Any], runtimes: tuple[str, ...], refused: bool, parts: Parts
) -> None:
    linked = [_linked(name, graph=graph) for name, graph in zip("cd", graphs, strict=False)]
    source, _, _ = _opened(parts, *linked)
    request = replace(REQUEST, runtimes=runtimes)
    if not refused:
        assert module.verify_source(source, request).verdict == "pass"
        return
    words = "^--runtime is for ONNX candidates only: leave it out for c, d$"
    with pytest.raises(UsageError, match=words):
        module.verify_source(source, request)


@pytest.mark.parametrize(
    ("verdicts", "bundled"),
    [(("pass", "fail", "fail"), 1), (("fail",), 0), (("pass", "inconclusive"), None)],
)
def test_the_first_failure_is_written_as_a_bundle(
    verdicts: tuple[str, ...], bundled: int | None, parts: Parts
) -> None:
    linked = _linked("c")
    source, reference, judged = _opened(parts, linked, verdicts=verdicts)
    parts.answer({"within_calibration": replace(REQUEST, bundle=Path("b"))})
    module.verify_source(source, REQUEST)
    written = [call for call in parts.asked if call[0] == "write_bundle"]
    expected = [] if bundled is None else [("write_bundle", Path("b"), reference, linked,
                                            judged[bundled])]  # fmt: skip
    assert written == expected
    assert ("another version" in reference.notes) == ("fail" in verdicts)


def test_other_versions_are_those_of_the_files_that_failed(parts: Parts) -> None:
    linked = _linked("c")  # all reports are its own
    source, _, _ = _opened(parts, linked, _linked("d"), verdicts=("fail",))
    module.verify_source(source, REQUEST)
    assert [call for call in parts.asked if call[0] in ("stated_by", "other_versions")] == [
        ("stated_by", [linked]), ("other_versions", "r", "said"),
    ]  # fmt: skip


# Candidates


def test_candidates_are_opened_and_may_ask_the_reference(parts: Parts) -> None:
    source, open_already = _source(), _source()
    parts.answer({"layouts_of": SimpleNamespace(turned="turned"), "asking": "options",
                  "open_source": "opened", "_link": "linked"})  # fmt: skip
    found = module._open_candidates(source, REQUEST, cast(Any, {"d": open_already}))
    assert found == ["linked", "linked"]
    asked = ("asking", REQUEST.options, ["r"], {"r": source}, "turned")
    assert parts.asked == [
        ("layouts_of", REQUEST, "c"), asked, ("open_source", "c", "options"),
        ("_link", source, "opened", "c", REQUEST),
        ("layouts_of", REQUEST, "d"), asked, ("_link", source, open_already, "d", REQUEST),
    ]  # fmt: skip


def test_candidates_that_cannot_be_opened_are_reported(parts: Parts) -> None:
    parts.answer({"asking": "options", "open_source": PReLUToolsError("it is no model")})
    first, second = module._open_candidates(_source(), REQUEST, {})
    assert isinstance(first, CandidateReport)
    assert (first, second) == tuple(unjudged(name, None, "it is no model") for name in "cd")


@pytest.mark.parametrize(
    ("layouts", "expected"),
    [
        ({}, (None, None)),
        ({"reference": "nchw", "candidate": "nhwc"}, ("nchw", "nhwc")),
        ({"r": "nhwc", "c": "nchw", "reference": "nchw", "candidate": "nhwc"}, ("nhwc", "nchw")),
        ({"d": "nhwc"}, (None, None)),
    ],
)
def test_a_name_says_more_of_a_layout_than_a_side(layouts: Any, expected: Any) -> None:
    found = module.layouts_of(replace(REQUEST, layouts=layouts), "c")
    assert (found.reference, found.candidate) == expected
    assert module.layouts_of(replace(REQUEST, layouts={"c": "nchw"}), "").candidate is None


@pytest.mark.parametrize("entered", [None, {"reference": "nhwc", "candidate": "nchw"}])
def test_inputs_are_linked_by_their_own_layouts(entered: Any, parts: Parts) -> None:
    parts.answer({"link_inputs": ("links",)})
    source, candidate = (_source(graph=None, inputs=(name,)) for name in "xy")
    layouts = {"reference": "nchw", "c": "nhwc"}
    request = replace(REQUEST, layouts=cast(Any, layouts), input_layouts=entered)
    found = module._link(source, candidate, "c", request)
    own = Layouts("nchw", "nhwc")
    assert found == Linked("c", candidate, cast(Any, ("links",)), own, own)
    by = Layouts("nhwc", "nchw") if entered else own
    assert parts.asked == [("link_inputs", ("x",), ("y",), by, {})]


def test_axes_that_files_state_are_taken_into_account(parts: Parts) -> None:
    parts.answer({"link_inputs": ("links",)})
    source, candidate = _source(), _source()
    stated = BoundaryAxes({"x": (0, 2, 1)}, {"y": (0, 3, 1, 2)})
    parts._patch.setattr(
        module, "stated_axes", lambda it: stated if it is candidate else BoundaryAxes()
    )
    found = module._link(source, candidate, "c", REQUEST)
    assert parts.asked == [("link_inputs", ("x",), ("x",), Layouts(), {"x": (0, 2, 1)})]
    assert found.stated == {"y": (0, 3, 1, 2)}


# Ways to run one


def _judged(provider: ProviderReport | None = None) -> Judged:
    return Judged(replace(unjudged("c", None, "why", "pass"), provider=provider), notes=("a note",))


@pytest.mark.parametrize(
    ("where", "provider", "reported", "is_runtime"),
    [("cpu", "cpu", "cpu", False), ("ncnn", None, "ncnn", True), (None, None, None, None)],
)
def test_each_way_gives_a_report(
    where: str | None, provider: str | None, reported: str | None, is_runtime: bool | None,
    parts: Parts,
) -> None:  # fmt: skip
    linked, way, told = _linked("c"), _source(), list[str]()
    judged = _judged(reported and ProviderReport(reported, (), ()))  # type: ignore[arg-type]
    parts.answer({"_ways": [(where, provider, lambda: way)] * 2, "_in_any_order": judged})
    parts.tick()
    reference: Any = "reference"
    found = module._judge(reference, linked, REQUEST, told.append)
    assert parts.asked == [
        ("_ways", linked.source, REQUEST),
        *[("_in_any_order", reference, replace(linked, source=way), provider, REQUEST)] * 2,
    ]
    assert [item.report.seconds for item in found] == [1.0, 4.0]
    assert [item.notes for item in found] == [("a note",)] * 2
    for item in found:
        assert (item.report.provider and item.report.provider.is_runtime) is is_runtime
    assert told == [f"checking c on {where}" if where else "checking c"] * 2


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (PReLUToolsError("no"), "inconclusive", None),
        (RefusedInputError("no"), "fail", "candidate_refuses_input"),
    ],
)
def test_a_way_that_does_not_work_is_reported_and_the_others_are_tried(
    error: PReLUToolsError, verdict: str, code: str | None, parts: Parts
) -> None:
    ways = [("cpu", "cpu", _source), ("cuda", "cuda", _source)]
    parts.answer({"_ways": ways, "_in_any_order": error})
    first, second = module._judge(
        cast(Any, SimpleNamespace(layers=())), _linked("c", graph=None), REQUEST, TOLD
    )
    for judged, where in ((first, "cpu"), (second, "cuda")):
        report = judged.report
        assert (report.model, report.verdict, report.reasons) == ("c", verdict, ("no",))
        assert report.provider is not None
        assert (report.provider.requested, code_of(report.reasons[0])) == (where, code)


def test_a_graph_runs_on_providers_and_runtimes(parts: Parts) -> None:
    parts.answer({"is_quantized": False, "run_by": "runs by"})
    source = _source(graph="graph")
    *providers, runtime = module._ways(source, REQUEST)
    assert [way[:2] for way in providers] == [("cpu", "cpu"), ("cuda", "cuda")]
    assert all(way() is source for _, _, way in providers)
    assert (*runtime[:2], runtime[2]()) == ("ncnn", None, "runs by")
    assert parts.asked == [("is_quantized", "graph"), ("run_by", "ncnn", "graph")]


def test_a_quantized_graph_runs_on_onnxruntime_only(parts: Parts) -> None:
    parts.answer({"is_quantized": True})
    words = "^quantized candidates are compared on onnxruntime only, not on ncnn$"
    with pytest.raises(PReLUToolsError, match=words):
        module._run_by("ncnn", cast(Any, "graph"))


def test_what_is_no_graph_runs_in_its_own_ways() -> None:
    ways = [SimpleNamespace(runtime=SimpleNamespace(requested="xnnpack")),
            SimpleNamespace(runtime=None)]  # fmt: skip
    source = SimpleNamespace(graph=None, ways=lambda: ways)
    first, second = module._ways(cast(Any, source), REQUEST)
    assert (first[:2], second[:2]) == (("xnnpack", None), (None, None))
    assert [way() for _, _, way in (first, second)] == ways


@pytest.mark.parametrize(
    ("verdict", "fails", "others", "agrees"),
    [
        ("pass", False, (), True),
        ("fail", False, (), True),
        ("fail", True, (), False),
        ("fail", False, ("a slope differs",), False),
    ],
)
def test_what_fails_by_its_interface_alone_agrees(
    verdict: Any, fails: bool, others: tuple[str, ...], agrees: bool
) -> None:
    one = InterfaceDifference("output", "y", "output_type", "float32", "float64", fails)
    report = replace(unjudged("c", None, "why", verdict), interface=(one,))
    assert module._agrees(replace(report, reasons=(one.words, *others))) is agrees
    assert module._agrees(replace(report, reasons=())) is (verdict == "pass")
