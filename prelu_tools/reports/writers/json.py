"""The JSON contract, schema_version 1 (2 for many models); NaN and infinities as strings."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from prelu_tools.core.results.reasons import code_of
from prelu_tools.reports import Result, Style
from prelu_tools.reports.printable import printable_json

if TYPE_CHECKING:
    from prelu_tools.core.prelu.slopes import PReLULayer
    from prelu_tools.core.results.batch import BatchResult
    from prelu_tools.core.results.comparison import CompareResult
    from prelu_tools.core.results.export import DoctorResult, ExportResult, InitResult
    from prelu_tools.core.results.inspection import InspectResult, LayerReport, LayerUsage
    from prelu_tools.core.results.optimization import OptimizeResult
    from prelu_tools.core.results.quantization import QuantizeResult
    from prelu_tools.core.results.record import RecordResult
    from prelu_tools.core.results.series import LayerPoint, LayerSeries, SeriesResult
    from prelu_tools.core.results.verification.result import VerifyResult

SCHEMA_VERSION = 1


def render(result: Result, style: Style) -> str:
    """The result as an indented JSON document."""
    return printable_json(_indented(document(result, style), "\n")) + "\n"


def one_line(result: Result, style: Style) -> str:
    """The same document on one line, for files of many."""
    return printable_json(json.dumps(document(result, style), ensure_ascii=False))


def document(result: Result, style: Style) -> dict[str, Any]:
    """The result as the contract has it."""
    body = _BODIES[type(result).__name__](result, style)
    return {"schema_version": SCHEMA_VERSION, **_plain(body)}


def _inspect(result: InspectResult, style: Style) -> dict[str, Any]:
    own = ("path", "format", "opset", "producer", "n_parameters")
    return {
        "kind": "inspect",
        "model": {name: getattr(result, name) for name in own},
        **_fields(result, *own),
        "layers": [_layer_report(report, style) for report in result.layers],
        "statistics": result.statistics,
    }


def _compare(result: CompareResult, style: Style) -> dict[str, Any]:
    return {
        "kind": "inspect-compare",
        "left": document(result.left, style),
        "right": document(result.right, style),
        "changes": result.changes,
    }


def _series(result: SeriesResult, style: Style) -> dict[str, Any]:
    layers = [_layer_series(layer, style) for layer in result.layers]
    return {"kind": "inspect-series", **_fields(result), "layers": layers}


def _layer_series(layer: LayerSeries, style: Style) -> dict[str, Any]:
    def at(point: LayerPoint | None) -> dict[str, Any] | None:
        if point is None:
            return None
        body = _fields(point, "slopes")
        return {**body, "slopes": point.slopes.tolist()} if style.slopes else body

    points = [at(point) for point in layer.points]
    return {**_fields(layer), "n_sign_changes": layer.n_sign_changes, "points": points}


def _layer(layer: PReLULayer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "nodes": layer.nodes,
        "parameter": layer.parameter,
        "form": layer.form,
        "sharing": layer.sharing,
        "channel_axis": layer.channel_axis,
        "slope_shape": layer.stored_shape,
        "dtype": layer.dtype,
    }


def _layer_report(report: LayerReport, style: Style) -> dict[str, Any]:
    body = {
        **_layer(report.layer),
        "statistics": report.statistics,
        "health": report.health,
        "overhead_percent": report.layer.overhead_percent,
        "findings": report.findings,
        "usage": _usage(report.usage) if report.usage else None,
    }
    if style.slopes:
        body["slopes"] = report.layer.slopes.reshape(-1).tolist()
    return body


def _usage(usage: LayerUsage) -> dict[str, Any]:
    return {
        "negative_share": usage.negative_share.tolist(),
        "unused": usage.unused,
        "output_share": usage.output_share,
    }


def _verify(result: VerifyResult, _style: Style) -> dict[str, Any]:
    candidates = [_coded(report) for report in result.candidates]
    more = {"power": result.power, "candidates": candidates, "warnings": result.warnings}
    return {"kind": "verify", **_coded(result), **more}


def _export(result: ExportResult, style: Style) -> dict[str, Any]:
    own = ("path", "n_bytes", "opset", "n_nodes", "data_path", "n_data_bytes")
    return {
        "kind": "export",
        "model": {
            "path": result.path,
            "bytes": result.n_bytes,
            "opset": result.opset,
            "n_nodes": result.n_nodes,
            "data_path": result.data_path,
            "data_bytes": result.n_data_bytes,
        },
        **_coded(result, *own),
        "warnings": result.warnings,
        "layers": [_layer(layer) for layer in result.layers],
        "verification": _checked(result.verification, style),
        "optimized": _optimize(result.optimized, style) if result.optimized else None,
    }


def _optimize(result: OptimizeResult, style: Style) -> dict[str, Any]:
    return {
        "kind": "optimize",
        "model": {"path": result.path, "bytes": result.n_bytes},
        **_fields(result, "path", "n_bytes"),
        "warnings": result.warnings,
        "exact": result.exact.text,
        "verification": _checked(result.verification, style),
    }


def _quantize(result: QuantizeResult, style: Style) -> dict[str, Any]:
    return {
        "kind": "quantize",
        "model": {"path": result.path, "bytes": result.n_bytes},
        **_coded(result, "path", "n_bytes"),
        "warnings": result.warnings,
        "rows": {"calibration": result.rows[0], "held_out": result.rows[1]},
        "verification": _checked(result.verification, style),
    }


def _checked(result: VerifyResult | None, style: Style) -> dict[str, Any] | None:
    return None if result is None else _verify(result, style)


def _doctor(result: DoctorResult, _style: Style) -> dict[str, Any]:
    return {"kind": "doctor", **_fields(result), "works": result.works}


def _init(result: InitResult, _style: Style) -> dict[str, Any]:
    checks = [_coded(check) for check in result.checks]
    return {"kind": "init", **_fields(result), "checks": checks, "warnings": result.warnings}


def _record(result: RecordResult, _style: Style) -> dict[str, Any]:
    return {"kind": "record", **_coded(result), "warnings": result.warnings}


def _batch(result: BatchResult, _style: Style) -> dict[str, Any]:
    from prelu_tools.reports.writers.batch_json import SCHEMA_VERSION, batch_body

    return {"schema_version": SCHEMA_VERSION, **batch_body(result)}


def _fields(value: Any, *but: str) -> dict[str, Any]:
    """The fields, except some; the duration is always left out, because it differs every time."""
    names = (name for name in value.__dataclass_fields__ if name not in (*but, "seconds"))
    return {name: getattr(value, name) for name in names}


def _coded(value: Any, *but: str) -> dict[str, Any]:
    """The same, with the codes of sentences after these."""
    found: dict[str, Any] = {}
    for name, item in _fields(value, *but).items():
        found[name] = item
        if name in ("reasons", "notes"):
            found[f"{name[:-1]}_codes"] = [code_of(sentence) for sentence in item]
    return found


def _plain(value: Any) -> Any:
    """Objects as what they hold, tuples as lists, and what JSON has no number for as a string."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        value = dict(value) if isinstance(value, Mapping) else _fields(value)
    return {str(key): _plain(item) for key, item in value.items()}


def _indented(value: Any, margin: str) -> str:
    """What `json.dumps(value, indent=2)` writes; the innermost parts by its encoder in C.

    Args:
        value: of plain lists and objects.
        margin: a line break and the spaces in front of the value's closing bracket.
    """
    inner = f"{margin}  "
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not any(
        i and isinstance(i, dict | list) for i in items
    ):
        text = _encoder(inner).encode(value)
        flat = not value or not isinstance(value, dict | list)
        return text if flat else f"{text[0]}{inner}{text[1:-1]}{margin}{text[-1]}"
    if isinstance(value, list):
        return f"[{inner}{f',{inner}'.join(_indented(item, inner) for item in value)}{margin}]"
    members = (f"{_encoder(inner).encode(k)}: {_indented(v, inner)}" for k, v in value.items())
    return f"{{{inner}{f',{inner}'.join(members)}{margin}}}"


@functools.cache
def _encoder(margin: str) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=False, separators=(f",{margin}", ": "))


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
