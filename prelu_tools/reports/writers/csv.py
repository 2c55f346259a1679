"""One row per layer, for a spreadsheet or a data frame; for two models, one row per change.

For a series, a row for each layer at each point. For many models, the rows of each, and one for a
model without layers or that cannot be read.

Lists are joined by spaces, shapes by `x`; unknown values are empty; numbers have all their
digits; NaN, Infinity and -Infinity are written so that pandas and R read them. A name that a
spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.comparison import CompareResult, LayerChange
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.results.series import SeriesResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.printable import cleaned
from prelu_tools.reports.writers.json import document

_FORMULA = ("=", "+", "-", "@")
Cell = str | int | float | Sequence[str] | Sequence[float] | None

COLUMNS: tuple[str, ...] = (
    *("model", "layer", "nodes", "parameter", "form", "sharing", "channel_axis", "slope_shape"),
    *("dtype", "count", "mean", "std", "min", "max", "median", "n_negative", "n_near_zero"),
    *("n_above_one", "n_nonfinite", "health", "overhead_percent", "findings"),
    *("negative_share", "n_unused", "output_share"),
)
"""Columns for a model; names and order are stable. With `--slopes`, `slopes` follows."""
CHANGE_COLUMNS: tuple[str, ...] = (
    *("left_model", "right_model", "layer", "other_name", "n_slopes", "difference"),
    *("max_abs_change", "mean_change", "n_sign_changes", "n_changed"),
    *("largest_index", "largest_before", "largest_after"),
)
"""Columns for a comparison of two models."""
SERIES_COLUMNS: tuple[str, ...] = (
    *("point", "step", "model", "layer", "parameter", "form"),
    *("count", "mean", "std", "min", "max", "median", "n_negative", "n_near_zero"),
    *("n_above_one", "n_nonfinite", "health", "max_change", "from_start", "n_sign_changes"),
    *("n_unmoved", "n_outside", "mean_size", "trends"),
)
"""Columns for a series, with a row for each layer at each point; `trends` cover all points."""
_OF_MANY = ("status", "error")


def render(result: Result, style: Style) -> str:
    """The layers as rows below a row of column names.

    Raises:
        UsageError: the result has no layers to show.
    """
    result = cleaned(result)
    columns = (*COLUMNS, "slopes") if style.slopes else COLUMNS
    if isinstance(result, InspectResult):
        return _written(columns, _rows(result.path, document(result, style)))
    if isinstance(result, CompareResult):
        return _written(CHANGE_COLUMNS, (_change(result, change) for change in result.changes))
    if isinstance(result, BatchResult) and result.command == "inspect":
        return _written((*columns, *_OF_MANY), _many(result))
    if isinstance(result, SeriesResult):
        columns = (*SERIES_COLUMNS, "slopes") if style.slopes else SERIES_COLUMNS
        return _written(columns, _series(result, style))
    raise UsageError("csv has one row for each layer, so it supports only inspect")


def _series(result: SeriesResult, style: Style) -> Iterator[dict[str, Cell]]:
    for layer in result.layers:
        for point, seen in zip(result.points, layer.points, strict=True):
            if seen is None:
                continue
            row: dict[str, Cell] = {
                "point": point.name,
                "step": point.step,
                "model": point.path,
                "layer": layer.name,
                "parameter": layer.parameter,
                "form": layer.form,
                **dataclasses.asdict(seen.statistics),
                "health": seen.health,
                **dataclasses.asdict(seen.movement),
                "trends": layer.trends,
            }
            if style.slopes:
                row["slopes"] = seen.slopes.tolist()
            yield row


def _written(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({column: _text(row.get(column)) for column in columns})
    return out.getvalue()


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and not math.isfinite(cell):
        return "NaN" if math.isnan(cell) else ("Infinity" if cell > 0 else "-Infinity")
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) and cell != "-Infinity" else cell
    if isinstance(cell, int | float):
        return str(cell)
    return " ".join(_text(item) for item in cell)


def _many(result: BatchResult) -> Iterator[dict[str, Cell]]:
    """The rows of each model; one without any layer, or without a result, has one too."""
    for entry in result.entries:
        found: Mapping[str, Any] = cleaned(entry.document or {})
        rows = list(_rows(entry.path, found))
        codes = [finding["code"] for finding in found.get("findings", ())]
        for row in rows or [{"model": entry.path, "findings": codes}]:
            yield {**row, "status": entry.status, "error": entry.error}


def _rows(path: str, found: Mapping[str, Any]) -> Iterator[dict[str, Cell]]:
    """A row for each layer of a model's document."""
    as_they_are = ("nodes", "parameter", "form", "sharing", "channel_axis", "dtype", "health")
    for layer in found.get("layers", ()):
        usage = layer["usage"]
        shares = usage["negative_share"] if usage else ()
        yield {
            "model": path,
            "layer": layer["name"],
            **{key: layer[key] for key in (*as_they_are, "overhead_percent")},
            "slope_shape": "x".join(map(str, layer["slope_shape"])),
            **layer["statistics"],
            "findings": [finding["code"] for finding in layer["findings"]],
            "negative_share": sum(map(float, shares)) / len(shares) if shares else None,
            "n_unused": len(usage["unused"]) if usage else None,
            "output_share": usage["output_share"] if usage else None,
            "slopes": layer.get("slopes"),
        }


def _change(result: CompareResult, change: LayerChange) -> dict[str, Cell]:
    body = dataclasses.asdict(change)
    largest = body.pop("largest") or (None, None, None)
    places = ("largest_index", "largest_before", "largest_after")
    return {
        "left_model": result.left.path,
        "right_model": result.right.path,
        "layer": body.pop("name"),
        **body,
        **dict(zip(places, largest, strict=True)),
    }
