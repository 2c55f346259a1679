"""Does a candidate compute what its reference computes, with the same slopes?"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from prelu_tools.backends.onnxruntime.running.session import parse_provider
from prelu_tools.backends.opening import open_source, run_by
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.registry import check_runtime, holds_weights_only
from prelu_tools.backends.source_spec import python_parts
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.verify.bundle import write_bundle
from prelu_tools.commands.verify.candidates.candidate import Judged
from prelu_tools.commands.verify.candidates.unrun import not_run, nothing_to_run, unjudged
from prelu_tools.commands.verify.conclusion import agreements_of, conclude
from prelu_tools.commands.verify.inputs.feeds import save_feeds
from prelu_tools.commands.verify.inputs.linking import (
    LayoutError,
    Layouts,
    link_inputs,
    other_links,
    stated_axes,
)
from prelu_tools.commands.verify.inputs.other import asking
from prelu_tools.commands.verify.judging import is_quantized, judge
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.quantized.ranges import within_calibration
from prelu_tools.commands.verify.reference.live import check_ranges, running
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.replay import (
    refuse_fixed_options,
    refuse_records,
    replaying,
)
from prelu_tools.commands.verify.reference.stale import other_versions, stated_by
from prelu_tools.commands.verify.reference.swapped import swapped_sides
from prelu_tools.commands.verify.request import (
    VerifyRequest,
    layout_names,
    refuse_lone_layouts,
    refuse_unknown_layouts,
)
from prelu_tools.commands.verify.unchecked import fixed_sizes, unchecked_sizes
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.prelu.layout import moved_between
from prelu_tools.core.process.progress import ProgressCallback, silent
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.result import VerifyResult


def verify(request: VerifyRequest, progress: ProgressCallback = silent) -> VerifyResult:
    """Open everything, run the reference once and every candidate on every provider.

    Args:
        request: what to check, and how.
        progress: called with the name of each step.

    Raises:
        PReLUToolsError: the reference cannot be read or run. What is wrong with a candidate is
            part of the result instead.
    """
    if (refused := before_loading(request)) is not None:
        return refused
    progress(f"loading {request.reference}")
    ready: dict[str, Source] = {}
    options = asking(request.options, request.candidates, ready, layouts_of(request, ""))
    source = open_source(request.reference, options)
    return verify_source(source, request, ready, progress)


def before_loading(request: VerifyRequest, live: Collection[str] = ()) -> VerifyResult | None:
    """Checks before a model is loaded: the whole result, if no candidate can be run.

    Args:
        request: what to check.
        live: those of its models that are objects in memory.

    Raises:
        PReLUToolsError: the reference is not there, or a file that an option names.
    """
    _check_engines(request)
    refuse_unknown_layouts(request.layouts, (request.reference, *request.candidates))
    refuse_lone_layouts([request])
    if request.reference not in live:
        _refuse_separate_weights(request, live)
    named = [] if request.reference in live else [request.reference]
    check_request(request, *named, others=[c for c in request.candidates if c not in live])
    return nothing_to_run(request, live)


def _check_engines(request: VerifyRequest) -> None:
    """Reject what candidates cannot be run by."""
    for provider in request.providers:
        parse_provider(provider)
    for runtime in request.runtimes:
        check_runtime(runtime)


def _refuse_separate_weights(request: VerifyRequest, live: Collection[str]) -> None:
    """Reject the weights of a Python source that stand next to it, not after an `@`."""
    python = python_parts(request.reference)
    if python is None or python[1]:
        return
    for text in request.candidates:
        if text not in live and holds_weights_only(text):
            raise UsageError(
                f"{text} is a file of weights, not a candidate: did you mean "
                f"'{request.reference}@{text}'?"
            )


def verify_source(
    source: Source,
    request: VerifyRequest,
    candidates: Mapping[str, Source] | None = None,
    progress: ProgressCallback = silent,
) -> VerifyResult:
    """The same, for a reference that is open.

    Args:
        source: the reference.
        request: what to check.
        candidates: those of the request's that are open already, by their spelling.
        progress: called with the name of each step.
    """
    start = time.perf_counter()
    if source.recording is None:
        check_ranges(source, request)
    else:
        refuse_fixed_options(source.recording, request)
        request = replace(request, seed=source.recording.seed)
    if request.quick:
        request = request.quickened(is_drawn=source.recording is None)
    _check_engines(request)
    linked = _open_candidates(source, request, candidates or {})
    opened = [item for item in linked if isinstance(item, Linked)]
    if request.runtimes and opened and all(item.source.graph is None for item in opened):
        names = ", ".join(item.label for item in opened)
        raise UsageError(f"--runtime is for ONNX candidates only: leave it out for {names}")
    refuse_records(opened)
    if len(opened) == len(linked):
        refuse_ignored_options([source, *(item.source for item in opened)], request)
    request = within_calibration(opened, request)
    progress(f"running {request.reference}")
    make = running if source.recording is None else replaying
    with make(source, opened, request) as (reference, settled):
        if request.save_inputs is not None:
            save_feeds(request.save_inputs, reference.feeds)
        judged: list[Judged] = []
        for item in linked:
            if isinstance(item, CandidateReport):
                judged.append(Judged(item))
            else:
                judged += _judge(reference, item, request, progress)
        reference.notes += swapped_sides(source, opened)
        failed = [i for i, item in enumerate(judged) if item.report.verdict == "fail"]
        if failed and source.recording is None:  # that may be why; a pass needs no reason
            wrong = {judged[i].report.model for i in failed}
            of_failed = stated_by([item for item in opened if item.label in wrong])
            reference.notes += other_versions(request.reference, of_failed)
        reference.notes += unchecked_sizes(source, opened, request.options.inputs)
        if not request.strict_interface:
            reference.notes += fixed_sizes(source, opened)
        agreements = agreements_of(reference, judged, request)
        result = conclude(reference, judged, agreements, request)
        result = replace(result, sizes=settled.sizes, inputs=settled.inputs, quick=request.quick)
        if request.bundle is not None and failed:
            bundled = judged[failed[0]]
            where = next(o for o in opened if o.label == bundled.report.model)
            write_bundle(request.bundle, reference, where, bundled)
        return replace(result, seconds=time.perf_counter() - start)


def _open_candidates(
    source: Source, request: VerifyRequest, ready: Mapping[str, Source]
) -> list[Linked | CandidateReport]:
    """Each candidate with its inputs paired, or a report of why that is impossible."""
    linked: list[Linked | CandidateReport] = []
    for text in request.candidates:
        try:
            layouts = layouts_of(request, text)
            known = {request.reference: source}
            options = asking(request.options, list(known), known, layouts.turned)
            candidate = ready.get(text) or open_source(text, options)
            linked.append(_link(source, candidate, text, request))
        except LayoutError:
            raise
        except PReLUToolsError as error:
            linked.append(unjudged(text, None, str(error)))
    return linked


def layouts_of(request: VerifyRequest, candidate: str) -> Layouts:
    """What the user said of the axis orders of the reference and of a candidate; "" for any."""
    names = layout_names(request.layouts, request.reference, candidate)
    return Layouts(*(None if name is None else request.layouts[name] for name in names))


def _link(source: Source, candidate: Source, text: str, request: VerifyRequest) -> Linked:
    layouts = layouts_of(request, text)
    entered, leaving = (
        Layouts(asked["reference"], asked["candidate"]) if asked else layouts
        for asked in (request.input_layouts, request.output_layouts)
    )
    mine, theirs = stated_axes(source), stated_axes(candidate)
    moved = moved_between(mine.inputs, theirs.inputs)
    links = link_inputs(source.inputs(), candidate.inputs(), entered, moved)
    outputs = moved_between(mine.outputs, theirs.outputs)
    return Linked(text, candidate, links, layouts, leaving, outputs)


_Way = tuple[str | None, str | None, Callable[[], Source]]
"""What runs a candidate, in words; the provider of onnxruntime; and the source that is run."""


def _judge(
    reference: Reference, linked: Linked, request: VerifyRequest, progress: ProgressCallback
) -> list[Judged]:
    """One report for each provider, or for each way in which another runtime runs a candidate."""
    found = []
    for where, provider, source in _ways(linked.source, request):
        progress(f"checking {linked.label}{f' on {where}' if where else ''}")
        start = time.perf_counter()
        try:
            way = replace(linked, source=source())
            judged = _in_any_order(reference, way, provider, request)
        except PReLUToolsError as error:
            judged = Judged(not_run(reference.layers, linked, where, error))
        report = replace(judged.report, seconds=time.perf_counter() - start)
        if provider is None and report.provider is not None:
            report = replace(report, provider=replace(report.provider, is_runtime=True))
        found.append(replace(judged, report=report))
    return found


def _ways(source: Source, request: VerifyRequest) -> list[_Way]:
    """A candidate on each provider of onnxruntime and on each runtime, or as its own runs it."""
    graph = source.graph
    if graph is None:
        return [
            (way.runtime.requested if way.runtime else None, None, partial(_itself, way))
            for way in source.ways()
        ]
    return [
        *((provider, provider, partial(_itself, source)) for provider in request.providers),
        *((runtime, None, partial(_run_by, runtime, graph)) for runtime in request.runtimes),
    ]


def _run_by(runtime: str, graph: OnnxGraph) -> Source:
    """The results of a file on another runtime.

    Raises:
        PReLUToolsError: the file is quantized: limits for that are known for onnxruntime only.
    """
    if is_quantized(graph):
        raise PReLUToolsError(
            f"quantized candidates are compared on onnxruntime only, not on {runtime}"
        )
    return run_by(runtime, graph)


def _itself(source: Source) -> Source:
    return source


def _in_any_order(
    reference: Reference, linked: Linked, provider: str | None, request: VerifyRequest
) -> Judged:
    """Judge a candidate; where shapes leave its axis order open, in the one in which it passes.

    Raises:
        PReLUToolsError: it cannot be run in any of them.
    """
    orders = [replace(linked, links=links) for links in other_links(linked.links)]
    try:
        judged = judge(reference, linked, provider, request)
        if judged.report.verdict != "fail" or _agrees(judged.report):
            return judged
    except PReLUToolsError:
        if not orders:
            raise
        judged = None
    for other in orders:
        with suppress(PReLUToolsError):
            found = judge(reference, other, provider, request)
            agrees = _agrees(found.report)
            if agrees or judged is None:
                found.notes += (_moved_note(other, agrees),)
                return found
    return judge(reference, linked, provider, request) if judged is None else judged


def _agrees(report: CandidateReport) -> bool:
    """Whether it passes, or fails by `--strict-interface` only."""
    strict = {one.words for one in report.interface if not one.fails}
    return report.verdict == "pass" or (bool(report.reasons) and strict.issuperset(report.reasons))


def _moved_note(linked: Linked, agrees: bool) -> str:
    moved = [
        f"{link.candidate} as {list(link.permutation)}"
        for link in linked.links
        if tuple(sorted(link.permutation)) != link.permutation
    ]
    does = "matches" if agrees else "runs"
    return Reason(
        f"{linked.label}: its shapes do not determine its axis order; it {does} with the "
        f"reference's axes permuted for its inputs: {', '.join(moved)}",
        "axis_order_tried",
    )
