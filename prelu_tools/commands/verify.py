"""Does a candidate compute what its reference computes, with the same slopes?"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prelu_tools.backends.interface import Reach, Runner, Source
from prelu_tools.backends.onnxruntime import OnnxSource, OrtRunner
from prelu_tools.backends.registry import open_source
from prelu_tools.commands.feeds import (
    Feeds,
    InputLink,
    Layouts,
    draw_feeds,
    link_inputs,
    move,
    replay_feeds,
)
from prelu_tools.commands.judge import compare_all_layers, compare_all_outputs, layer_coverage
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.inputs import DEFAULT_SAMPLES, DEFAULT_SEED
from prelu_tools.core.layout import Layout
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.parity import worst
from prelu_tools.core.results import (
    CandidateReport,
    Coverage,
    ProviderReport,
    Tolerance,
    Verdict,
    VerifyResult,
)
from prelu_tools.core.slopes import PReLULayer

_PACKAGES = ("prelu-tools", "numpy", "onnx", "onnxruntime", "torch", "keras", "tensorflow")


@dataclass(frozen=True)
class VerifyRequest:
    """What to check, and how."""

    reference: str
    """The source that is taken to be right."""
    candidates: tuple[str, ...]
    """The sources to hold against it; at least one."""
    providers: tuple[str, ...] = ("cpu",)
    """Execution providers for ONNX candidates; each is checked."""
    samples: int = DEFAULT_SAMPLES
    """Rows of input to draw."""
    seed: int = DEFAULT_SEED
    """Of the inputs."""
    inputs_file: Path | None = None
    """An `.npz` file to replay in place of drawing."""
    tolerance: Tolerance | None = None
    """None for the default of each output's type."""
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    """By `reference`, `candidate`, or a model's spelling."""
    min_coverage: float | None = None
    """The share of slopes that the inputs have to reach; None for no gate."""
    allow_no_prelu: bool = False
    """Whether models without any PReLU may pass."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the sources."""


@dataclass(frozen=True)
class _Reference:
    """The reference and everything that was seen of it."""

    source: Source
    layers: tuple[PReLULayer, ...]
    feeds: list[Feeds]
    outputs: list[dict[str, Array]]
    reach: Reach


@dataclass(frozen=True)
class _Linked:
    """A candidate that could be opened."""

    spelled: str
    source: Source
    links: tuple[InputLink, ...]
    layouts: Layouts


def verify(request: VerifyRequest) -> VerifyResult:
    """Open everything, run the reference once and every candidate on every provider.

    Raises:
        PReLUToolsError: the reference cannot be read or run. What is wrong with a candidate is
            part of the result instead.
    """
    source = open_source(request.reference, request.options)
    return verify_source(source, request)


def verify_source(source: Source, request: VerifyRequest) -> VerifyResult:
    """The same, for a reference that is open."""
    source.inputs()
    linked: list[_Linked | CandidateReport] = []
    for text in request.candidates:
        try:
            linked.append(_link(source, text, request))
        except PReLUToolsError as error:
            linked.append(_unjudged(text, None, str(error)))
    opened = [item for item in linked if isinstance(item, _Linked)]
    reference = _run_reference(source, opened, request)
    reports: list[CandidateReport] = []
    for item in linked:
        reports += [item] if isinstance(item, CandidateReport) else _judge(reference, item, request)
    return _conclude(reference, reports, request)


def _link(source: Source, text: str, request: VerifyRequest) -> _Linked:
    candidate = open_source(text, request.options)
    layouts = Layouts(
        request.layouts.get(request.reference, request.layouts.get("reference")),
        request.layouts.get(text, request.layouts.get("candidate")),
    )
    links = link_inputs(source.inputs(), candidate.inputs(), layouts)
    return _Linked(text, candidate, links, layouts)


def _run_reference(source: Source, opened: Sequence[_Linked], request: VerifyRequest) -> _Reference:
    specs = source.inputs()
    if request.inputs_file is not None:
        feeds = replay_feeds(request.inputs_file, specs)
    else:
        others = [(item.source.inputs(), item.links) for item in opened]
        feeds = draw_feeds(specs, others, request.samples, request.seed)
    reach = Reach()
    with source.runner(reach) as runner:
        outputs = [runner.run(feed) for feed in feeds]
    return _Reference(source, source.layers(), feeds, outputs, reach)


def _judge(reference: _Reference, linked: _Linked, request: VerifyRequest) -> list[CandidateReport]:
    """One report for each provider; a candidate that onnxruntime does not run has one."""
    if not isinstance(linked.source, OnnxSource):
        try:
            with linked.source.runner(Reach()) as runner:
                return [_compare(reference, linked, runner, None, request)]
        except PReLUToolsError as error:
            return [_unjudged(linked.spelled, None, str(error))]
    reports = []
    for provider in request.providers:
        try:
            ort = OrtRunner(linked.source.path, provider, linked.spelled)
            reports.append(_compare(reference, linked, ort, ort.report, request))
        except PReLUToolsError as error:
            reports.append(_unjudged(linked.spelled, provider, str(error)))
    return reports


def _compare(
    reference: _Reference,
    linked: _Linked,
    runner: Runner,
    provider: ProviderReport | None,
    request: VerifyRequest,
) -> CandidateReport:
    results = [runner.run(move(feed, linked.links)) for feed in reference.feeds]
    moved = any(tuple(sorted(link.permutation)) != link.permutation for link in linked.links)
    outputs, tolerance = compare_all_outputs(
        reference.outputs, results, linked.layouts, moved, request.tolerance
    )
    layers = compare_all_layers(
        reference.layers, linked.source.layers(), linked.layouts, reference.reach
    )
    reasons = [layer.difference for layer in layers if layer.difference]
    reasons += [
        f"output {output.name}: {output.n_mismatched + output.n_nonfinite_mismatch} values differ, "
        f"by {output.max_abs_diff:.3g} at most"
        if output.verdict == "fail"
        else f"output {output.name} is NaN on both sides, so nothing is proven"
        for output in outputs
        if output.verdict != "pass"
    ]
    verdicts: list[Verdict] = [*(o.verdict for o in outputs), *(x.verdict for x in layers)]
    if provider is not None and provider.nodes_elsewhere:
        verdicts.append("inconclusive")
        reasons.append(
            f"{provider.requested} was asked for, and {len(provider.nodes_elsewhere)} nodes ran on "
            f"{', '.join(name for name in provider.actual)}"
        )
    if not layers and not request.allow_no_prelu:
        verdicts.append("inconclusive")
        reasons.append("there is no PReLU on either side; --allow-no-prelu compares outputs only")
    diverging = next((layer.name for layer in layers if layer.verdict == "fail"), None)
    return CandidateReport(
        model=linked.spelled,
        verdict=worst(verdicts),
        provider=provider,
        tolerance=tolerance,
        outputs=outputs,
        layers=layers,
        first_divergence=diverging,
        reasons=tuple(reasons),
    )


def _unjudged(text: str, provider: str | None, reason: str) -> CandidateReport:
    return CandidateReport(
        model=text,
        verdict="inconclusive",
        provider=ProviderReport(provider, (), ()) if provider else None,
        tolerance=Tolerance(0.0, 0.0, scaled=True, origin="nothing was compared"),
        outputs=(),
        layers=(),
        first_divergence=None,
        reasons=(reason,),
    )


def _conclude(
    reference: _Reference, reports: Sequence[CandidateReport], request: VerifyRequest
) -> VerifyResult:
    coverage = _coverage(reference)
    verdicts = [report.verdict for report in reports]
    reasons = [f"{report.model}: {reason}" for report in reports for reason in report.reasons]
    if request.min_coverage is not None:
        if coverage is None:
            verdicts.append("inconclusive")
            reasons.append(
                "coverage is not known for this reference, and --min-coverage asks for it"
            )
        elif coverage.exercised < request.min_coverage * coverage.total:
            verdicts.append("fail")
            reasons.append(
                f"the inputs reached {coverage.exercised} of {coverage.total} slopes; "
                f"--min-coverage {request.min_coverage} asks for more"
            )
    return VerifyResult(
        verdict=worst(verdicts),
        reference=request.reference,
        reference_precision="float32",
        versions=_versions(),
        seed=request.seed,
        samples=_count_samples(reference.feeds),
        coverage=coverage,
        candidates=tuple(reports),
        reasons=tuple(reasons),
    )


def _count_samples(feeds: Sequence[Feeds]) -> int:
    """Different rows: the first one is run again by itself."""
    sizes = [len(next(iter(feed.values()))) for feed in feeds if feed]
    return sizes[0] if sizes[1:] == [1] else sum(sizes)


def _coverage(reference: _Reference) -> Coverage | None:
    if reference.source.framework == "onnx":
        return None
    parts = [layer_coverage(layer, reference.reach) for layer in reference.layers]
    return Coverage(
        exercised=sum(int(part.sum()) for part in parts),
        total=sum(part.size for part in parts),
        unreached=tuple(
            f"{layer.name}[{index}]"
            for layer, part in zip(reference.layers, parts, strict=True)
            for index in (~part).nonzero()[0]
        ),
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
