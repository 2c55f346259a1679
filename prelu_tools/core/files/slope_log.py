"""A log of slopes: one line of JSON per record (`core/results/slope_record.py`).

NaN and infinities are strings, as in all JSON of this package. A training that resumes from an
earlier step appends to the log: a record replaces all earlier ones of its step and of later steps.
The last line may be incomplete if the process was killed.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.movement import Movement
from prelu_tools.core.prelu.statistics import SlopeStatistics
from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.slope_record import LayerRecord, SlopeRecord

KIND = "slope-record"
_VERSION = 1
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def as_line(record: SlopeRecord) -> str:
    """A record as a line, with its newline. Slopes keep 9 digits: all that float32 has."""
    document = {
        "schema_version": _VERSION,
        "kind": KIND,
        "step": record.step,
        "time": round(record.time, 3),
        "layers": [_layer(layer) for layer in record.layers],
        "findings": [dataclasses.asdict(finding) for finding in record.findings],
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def read_log(path: Path) -> tuple[list[SlopeRecord], bool]:
    """The records of a file in the order of their steps, and whether its last line is torn.

    Raises:
        PReLUToolsError: it cannot be read, or a line is not a record.
    """
    found: list[SlopeRecord] = []
    torn = False
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                record = _record(line)
                if record is None and not line.endswith("\n"):
                    torn = True
                    break
                if record is None:
                    raise PReLUToolsError(
                        f"line {number} of {path} is not a record of slopes: expected a file that "
                        "a logger of prelu_tools.training wrote"
                    )
                while found and found[-1].step >= record.step:
                    found.pop()
                found.append(record)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PReLUToolsError(f"{path} is not a text file in UTF-8: {error.reason}") from error
    if not found:
        raise PReLUToolsError(f"{path} contains no records of slopes")
    return found, torn


def _layer(layer: LayerRecord) -> dict[str, Any]:
    statistics, movement = dataclasses.asdict(layer.statistics), dataclasses.asdict(layer.movement)
    return {
        "name": layer.name,
        "parameter": layer.parameter,
        "form": layer.form,
        "statistics": {name: _number(value) for name, value in statistics.items()},
        "health": layer.health,
        "trends": layer.trends,
        "movement": {name: _number(value) for name, value in movement.items()},
        "gradient": _number(layer.gradient),
        "weight_decay": layer.weight_decay,
        "is_trained": layer.is_trained,
        "is_sampled": layer.is_sampled,
        "slopes": _numbers(layer.slopes),
    }


def _numbers(slopes: Array) -> list[float | str]:
    values = np.asarray(slopes, np.float64)
    digits = 17 if slopes.dtype == np.float64 else 9
    short = [float(f"{value:.{digits}g}") for value in values.tolist()]
    return [_number(value) for value in short]


def _number(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _record(line: str) -> SlopeRecord | None:
    """The record of a line; None if it is none."""
    try:
        document = json.loads(line)
        if document["kind"] != KIND or document["schema_version"] != _VERSION:
            return None
        return SlopeRecord(
            step=int(document["step"]),
            time=float(document["time"]),
            layers=tuple(_layer_of(layer) for layer in document["layers"]),
            findings=tuple(Finding(**finding) for finding in document["findings"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _layer_of(document: Mapping[str, Any]) -> LayerRecord:
    def floats(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _read(value) for name, value in values.items()}

    slopes = np.array([_read(value) for value in document["slopes"]], np.float64)
    return LayerRecord(
        name=str(document["name"]),
        parameter=document["parameter"],
        form=str(document["form"]),
        slopes=frozen(slopes),
        is_sampled=bool(document["is_sampled"]),
        statistics=SlopeStatistics(**floats(document["statistics"])),
        health=tuple(map(str, document["health"])),
        trends=tuple(map(str, document["trends"])),
        movement=Movement(**floats(document["movement"])),
        gradient=_read(document["gradient"]),
        weight_decay=float(document["weight_decay"]),
        is_trained=bool(document["is_trained"]),
    )


def _read(value: Any) -> Any:
    if isinstance(value, str):
        return _WORDS[value]
    if value is not None and not isinstance(value, int | float):
        raise TypeError(value)
    return value
