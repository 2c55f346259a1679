"""What runtimes make of a PRelu slope by its shape: the table that `make runtimes` measures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from prelu_tools.core.prelu.slopes import Shape

TABLE: Final = Path(__file__).with_name("slope_shapes.json")
"""The table; its page is docs/runtimes.md."""


@cache
def _read() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def measured_runtimes() -> Mapping[str, str]:
    """The runtimes of the table, with the versions that were measured."""
    found: Mapping[str, str] = _read()["versions"]
    return found


def answer_of(runtime: str, shape: Shape, slope: Sequence[int]) -> str | None:
    """What a runtime makes of a slope: `right`, `wrong` or `refused`; None where it is unknown.

    Args:
        runtime: one of the table's.
        shape: of the input, None for a free size.
        slope: of the slope as the node has it.
    """
    pattern = ",".join("1" if size == 1 else "n" for size in slope) or "1"
    as_axis_1 = len(slope) == 1 < slope[0] and len(shape) > 2 and shape[1] == slope[0]
    for row in _read()["rows"]:
        if (row["rank"], row["pattern"], row["as_axis_1"]) == (len(shape), pattern, as_axis_1):
            found: str | None = row["answers"].get(runtime)
            return found
    return None


def right_shape(runtime: str, shape: Shape, slope: Sequence[int]) -> str | None:
    """The slope's shape with axes of size 1 before or without them, if a runtime reads it right.

    Args:
        runtime: one of the table's.
        shape: of the input.
        slope: of the slope as the node has it.
    """
    bare = tuple(slope)
    while len(bare) > 1 and bare[0] == 1:
        bare = bare[1:]
    for size in range(len(bare), len(shape) + 1):
        laid = (*[1] * (size - len(bare)), *bare)
        if answer_of(runtime, shape, laid) == "right":
            return f"[{','.join(map(str, laid))}]"
    return None
