"""The JSON contract, schema_version 1, of many models 2; NaN and infinities as strings."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prelu_tools.core.results.reasons import code_of
from prelu_tools.reports import Result, Style
from prelu_tools.reports.printable import printable_json

if TYPE_CHECKING:
    from prelu_tools.core.prelu.slopes import PReLULayer
    from prelu_tools.core.results.batch import BatchResult
    from prelu_tools.core.results.comparison import CompareResult
    from prelu_tools.core.results.export import DoctorResult, ExportResult, InitResult
    from prelu_tools.core.results.inspection import Finding, InspectResult, LayerReport, LayerUsage
    from prelu_tools.core.results.optimization import OptimizeResult
    from prelu_tools.core.results.quantization import QuantizeResult
    from prelu_tools.core.results.record import RecordResult
    from prelu_tools.core.results.series import LayerPoint, LayerSeries, SeriesResult
    from prelu_tools.core.results.verification import CandidateReport, VerifyResult

SCHEMA_VERSION = 1


def render(result: Result, style: Style) -> str:
    """The result as an indented JSON document."""
    text = json.dumps(_plain(document(result, style)), indent=2, ensure_ascii=False)
    return printable_json(text) + "\n"


def one_line(result: Result, style: Style) -> str:
    """The same document on one line, for files of many."""
    return printable_json(json.dumps(_plain(document(result, style)), ensure_ascii=False))


def document(result: Result, style: Style) -> dict[str, Any]:
    """The result as the contract has it."""
    body = _BODIES[type(result).__name__](result, style)
    return {"schema_version": SCHEMA_VERSION, **body}


def _inspect(result: InspectResult, style: Style) -> dict[str, Any]:
    model = {
        "path": result.path,
        "format": result.format,
        "opset": result.opset,
        "producer": result.producer,
        "n_parameters": result.n_parameters,
    }
    return {
        "kind": "inspect",
        "model": model,
        "layers": [_layer_report(report, style) for report in result.layers],
        "findings": [_finding(finding) for finding in result.findings],
        "statistics": dataclasses.asdict(total) if (total := result.statistics) else None,
        "others": [dataclasses.asdict(other) for other in result.others],
        "refused": [dataclasses.asdict(part) for part in result.refused],
        "notes": list(result.notes),
        "failures": list(result.failures),
    }


def _compare(result: CompareResult, style: Style) -> dict[str, Any]:
    return {
        "kind": "inspect-compare",
        "left": document(result.left, style),
        "right": document(result.right, style),
        "changes": [dataclasses.asdict(change) for change in result.changes],
    }


def _series(result: SeriesResult, style: Style) -> dict[str, Any]:
    return {
        "kind": "inspect-series",
        "path": result.path,
        "points": [dataclasses.asdict(point) for point in result.points],
        "layers": [_layer_series(layer, style) for layer in result.layers],
        "findings": [_finding(finding) for finding in result.findings],
        "notes": list(result.notes),
        "failures": list(result.failures),
    }


def _layer_series(layer: LayerSeries, style: Style) -> dict[str, Any]:
    def at(point: LayerPoint | None) -> dict[str, Any] | None:
        if point is None:
            return None
        body = {
            "statistics": dataclasses.asdict(point.statistics),
            "health": list(point.health),
            "movement": dataclasses.asdict(point.movement),
        }
        return {**body, "slopes": point.slopes.tolist()} if style.slopes else body

    return {
        "name": layer.name,
        "parameter": layer.parameter,
        "form": layer.form,
        "trends": list(layer.trends),
        "n_sign_changes": layer.n_sign_changes,
        "is_sampled": layer.is_sampled,
        "points": [at(point) for point in layer.points],
    }


def _layer(layer: PReLULayer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "nodes": list(layer.nodes),
        "parameter": layer.parameter,
        "form": layer.form,
        "sharing": layer.sharing,
        "channel_axis": layer.channel_axis,
        "slope_shape": list(layer.stored_shape),
        "dtype": layer.dtype,
    }


def _layer_report(report: LayerReport, style: Style) -> dict[str, Any]:
    body = {
        **_layer(report.layer),
        "statistics": dataclasses.asdict(report.statistics),
        "health": list(report.health),
        "overhead_percent": report.layer.overhead_percent,
        "findings": [_finding(finding) for finding in report.findings],
        "usage": _usage(report.usage) if report.usage else None,
    }
    if style.slopes:
        body["slopes"] = report.layer.slopes.reshape(-1).tolist()
    return body


def _usage(usage: LayerUsage) -> dict[str, Any]:
    return {
        "negative_share": usage.negative_share.tolist(),
        "unused": list(usage.unused),
        "output_share": usage.output_share,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return dataclasses.asdict(finding)


def _verify(result: VerifyResult, _style: Style) -> dict[str, Any]:
    coverage = result.coverage
    return {
        "kind": "verify",
        "verdict": result.verdict,
        "reference": result.reference,
        "reference_precision": result.reference_precision,
        "versions": dict(result.versions),
        "seed": result.seed,
        "samples": result.samples,
        "coverage": dataclasses.asdict(coverage) if coverage else None,
        "power": dataclasses.asdict(power) if (power := result.power) else None,
        "candidates": [_candidate(report) for report in result.candidates],
        "reasons": list(result.reasons),
        "reason_codes": [code_of(reason) for reason in result.reasons],
        "agreements": [dataclasses.asdict(agreement) for agreement in result.agreements],
        "n_searched": result.n_searched,
        "quick": result.quick,
        "notes": list(result.notes),
        "note_codes": [code_of(note) for note in result.notes],
        "baseline": dataclasses.asdict(held) if (held := result.baseline) else None,
        "sizes": dataclasses.asdict(result.sizes),
        "inputs": [dataclasses.asdict(one) for one in result.inputs],
    }


def _candidate(report: CandidateReport) -> dict[str, Any]:
    return {
        "model": report.model,
        "verdict": report.verdict,
        "provider": dataclasses.asdict(report.provider) if report.provider else None,
        "tolerance": dataclasses.asdict(report.tolerance),
        "outputs": [dataclasses.asdict(output) for output in report.outputs],
        "layers": [dataclasses.asdict(layer) for layer in report.layers],
        "first_divergence": report.first_divergence,
        "reasons": list(report.reasons),
        "reason_codes": [code_of(reason) for reason in report.reasons],
        "special": [dataclasses.asdict(value) for value in report.special],
        "power": dataclasses.asdict(report.power) if report.power else None,
        "interface": [dataclasses.asdict(one) for one in report.interface],
    }


def _export(result: ExportResult, style: Style) -> dict[str, Any]:
    checked = result.verification
    return {
        "kind": "export",
        "source": result.source,
        "model": {
            "path": result.path,
            "bytes": result.n_bytes,
            "opset": result.opset,
            "n_nodes": result.n_nodes,
            "data_path": result.data_path,
            "data_bytes": result.n_data_bytes,
        },
        "route": result.route,
        "refused": [dataclasses.asdict(route) for route in result.refused],
        "layers": [_layer(layer) for layer in result.layers],
        "verification": _verify(checked, style) if checked is not None else None,
        "optimized": _optimize(result.optimized, style) if result.optimized else None,
        "notes": list(result.notes),
        "note_codes": [code_of(note) for note in result.notes],
    }


def _optimize(result: OptimizeResult, style: Style) -> dict[str, Any]:
    exact = result.exact
    return {
        "kind": "optimize",
        "source": result.source,
        "model": {"path": result.path, "bytes": result.n_bytes},
        "target": result.target,
        "exact": exact.kind if exact.kind != "approximate" else f"approximate={exact.ulps}",
        "layers": [dataclasses.asdict(layer) for layer in result.layers],
        "held": dataclasses.asdict(result.held),
        "latency": dataclasses.asdict(result.latency) if result.latency else None,
        "verification": _verify(result.verification, style),
        "notes": list(result.notes),
    }


def _quantize(result: QuantizeResult, style: Style) -> dict[str, Any]:
    checked = result.verification
    return {
        "kind": "quantize",
        "source": result.source,
        "verdict": result.verdict,
        "model": {"path": result.path, "bytes": result.n_bytes},
        "layers": [dataclasses.asdict(layer) for layer in result.layers],
        "outputs": [dataclasses.asdict(output) for output in result.outputs],
        "times": dataclasses.asdict(result.times) if result.times else None,
        "metric": dataclasses.asdict(result.metric) if result.metric else None,
        "rows": {"calibration": result.rows[0], "held_out": result.rows[1]},
        "options": dict(result.options),
        "verification": _verify(checked, style) if checked is not None else None,
        "reasons": list(result.reasons),
        "reason_codes": [code_of(reason) for reason in result.reasons],
        "notes": list(result.notes),
        "note_codes": [code_of(note) for note in result.notes],
    }


def _doctor(result: DoctorResult, _style: Style) -> dict[str, Any]:
    return {"kind": "doctor", **dataclasses.asdict(result), "works": result.works}


def _init(result: InitResult, _style: Style) -> dict[str, Any]:
    return {"kind": "init", **dataclasses.asdict(result)}


def _record(result: RecordResult, _style: Style) -> dict[str, Any]:
    return {"kind": "record", **dataclasses.asdict(result)}


def _batch(result: BatchResult, _style: Style) -> dict[str, Any]:
    from prelu_tools.reports.writers.batch_json import SCHEMA_VERSION, batch_body

    return {"schema_version": SCHEMA_VERSION, **batch_body(result)}


def _plain(value: Any) -> Any:
    """Tuples as lists, and what JSON has no number for as a string."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


# By name: `inspect` would wait for the classes of the others to be made.
_BODIES: Mapping[str, Callable[[Any, Style], dict[str, Any]]] = {
    "InspectResult": _inspect,
    "CompareResult": _compare,
    "SeriesResult": _series,
    "VerifyResult": _verify,
    "ExportResult": _export,
    "OptimizeResult": _optimize,
    "QuantizeResult": _quantize,
    "DoctorResult": _doctor,
    "InitResult": _init,
    "RecordResult": _record,
    "BatchResult": _batch,
}
