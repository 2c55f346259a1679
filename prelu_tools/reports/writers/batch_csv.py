"""Many models as rows: one a layer; a model without any, or without a result, has one too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prelu_tools.core.results.batch import BatchResult

MORE_COLUMNS = ("status", "error")
"""Behind those of one model."""


def batch_rows(result: BatchResult) -> Iterator[dict[str, Any]]:
    """The cells by column, as `reports/csv.py` has them for one model."""
    for entry in result.entries:
        document = entry.document or {}
        layers: Sequence[Mapping[str, Any]] = document.get("layers", ())
        common = {"model": entry.path, "status": entry.status, "error": entry.error}
        if not layers:
            findings = [finding["code"] for finding in document.get("findings", ())]
            yield {**common, "findings": findings}
        for layer in layers:
            yield {**common, **_layer(layer)}


def _layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    usage = layer["usage"]
    shares = usage["negative_share"] if usage else ()
    as_they_are = ("parameter", "form", "sharing", "channel_axis", "dtype", "overhead_percent")
    return {
        "layer": layer["name"],
        "nodes": layer["nodes"],
        **{key: layer[key] for key in as_they_are},
        "slope_shape": "x".join(map(str, layer["slope_shape"])),
        **layer["statistics"],
        "health": layer["health"],
        "findings": [finding["code"] for finding in layer["findings"]],
        "negative_share": sum(map(float, shares)) / len(shares) if shares else None,
        "n_unused": len(usage["unused"]) if usage else None,
        "output_share": usage["output_share"] if usage else None,
        **({"slopes": layer["slopes"]} if "slopes" in layer else {}),
    }
