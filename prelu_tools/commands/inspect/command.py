"""Show the slopes of a model, what they mean, and any problems."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from prelu_tools.backends.opening import open_for_inspection
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.commands.preflight import check_request
from prelu_tools.core.prelu.findings import slope_findings
from prelu_tools.core.prelu.statistics import (
    Thresholds,
    slope_health,
    slope_statistics,
)
from prelu_tools.core.results.inspection import (
    Finding,
    InspectResult,
    LayerReport,
)
from prelu_tools.graph.facts.survey import survey

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import OnnxGraph, Source
    from prelu_tools.commands.inspect.request import InspectRequest
    from prelu_tools.core.prelu.slopes import PReLULayer


def inspect_source(text: str, request: InspectRequest) -> InspectResult:
    """Open a source and describe its PReLU layers.

    Raises:
        UsageError: the request needs a graph, and the source is none.
        PReLUToolsError: the source cannot be read, or the data cannot be run.
    """
    check_request(request, text, inspects=True)
    start = time.perf_counter()
    result = inspect_opened(open_for_inspection(text, request.options), request)
    return replace(result, seconds=time.perf_counter() - start)


def inspect_opened(source: Source, request: InspectRequest) -> InspectResult:
    """The same, for a source that is open."""
    refuse_ignored_options([source], request, inspects=True)
    if source.graph is not None:
        return _inspect_graph(source.graph, request)
    reports = tuple(_report(layer, Thresholds(request.near)) for layer in source.layers())
    return _result(source, reports, ())


def _inspect_graph(source: OnnxGraph, request: InspectRequest) -> InspectResult:
    seen = survey(source.model, request.explain, request.target)
    reports = tuple(
        _report(located.layer, Thresholds(request.near), findings)
        for located, findings in zip(seen.layers, seen.layer_findings, strict=True)
    )
    if request.data is not None:
        from prelu_tools.commands.inspect.usage import layer_usage

        usages = layer_usage(source, seen.layers, request.data)
        reports = tuple(
            replace(report, usage=usage) for report, usage in zip(reports, usages, strict=True)
        )
    result = _result(source, reports, seen.findings, request.explain)
    return replace(result, others=seen.others, refused=seen.refused)


def _result(
    source: Source,
    reports: tuple[LayerReport, ...],
    findings: tuple[Finding, ...],
    explained: bool = True,
) -> InspectResult:
    return InspectResult(
        path=source.label,
        format=source.framework,
        opset=source.opset,
        producer=source.producer,
        n_parameters=source.n_parameters,
        layers=reports,
        findings=findings if reports else (_no_prelu(source.label, explained), *findings),
        notes=source.notes,
    )


def _report(
    layer: PReLULayer, thresholds: Thresholds, findings: tuple[Finding, ...] = ()
) -> LayerReport:
    return LayerReport(
        layer=layer,
        statistics=slope_statistics(layer.slopes, thresholds),
        health=slope_health(layer.slopes, thresholds, layer.start),
        findings=(*findings, *slope_findings(layer, thresholds)),
    )


def _no_prelu(path: str, explained: bool) -> Finding:
    hint = "" if explained else " (-v lists nodes that resemble one)"
    return Finding(
        "no_prelu",
        "warning",
        f"no PReLU was found in {path}: if it should have some, they were lost, or are written "
        f"in an unknown form{hint}",
    )
