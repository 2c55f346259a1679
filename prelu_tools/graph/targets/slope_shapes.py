"""What runtimes do with PReLU, by the shape of its slopes and its form.

The table is measured by `make runtimes`; docs/runtimes.md shows it. The rest here reads it: the
forecast of `inspect --target`, the shape that `export` writes, and what `export --target` rewrites.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from prelu_tools.core.prelu.slopes import Shape

TABLE: Final = Path(__file__).with_name("slope_shapes.json")
"""The table; its page is docs/runtimes.md."""

Way = Literal["prelu", "transpose", "relu"]
"""`prelu`: one PRelu node; `transpose`: with the last axis moved to axis 1 before it and back after
it; `relu`: relu(x) + (-slope) * relu(-x)."""
WAYS: Final[Mapping[Way, str]] = {
    "prelu": "as a PRelu node",
    "transpose": "with a Transpose before and after it",
    "relu": "as Relu, Neg, Mul and Add",
}
"""How `export --target` writes it, in words."""
_WORST: Final = ("wrong", "refused", None, "right")


@dataclass(frozen=True)
class Plan:
    """How a runtime reads a PReLU right."""

    way: Way
    """How it is written."""
    slope: tuple[int, ...]
    """The shape of the slopes as they are written; for `transpose` over the moved input."""
    rank: int
    """The rank of the input."""


@cache
def _read() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


@cache
def _answers() -> Mapping[tuple[int, str, bool, str], Mapping[str, str]]:
    return {
        (row["rank"], row["pattern"], row["as_axis_1"], row["way"]): row["answers"]
        for row in _read()["rows"]
    }


def measured_runtimes() -> Mapping[str, str]:
    """The runtimes of the table, with the versions that were measured."""
    found: Mapping[str, str] = _read()["versions"]
    return found


def answer_of(runtime: str, shape: Shape, slope: Sequence[int], way: Way = "prelu") -> str | None:
    """A runtime's treatment of a slope: `right`, `wrong` or `refused`; None if unknown.

    Args:
        runtime: one of the table's, or of `RULES`.
        shape: of the input, None for a dynamic size, which may be any, so the worst case counts.
        slope: of the slope as the node has it; for `transpose` with all axes, for `relu` with all
            but the batch.
        way: how it is written.
    """
    if runtime in RULES:
        return RULES[runtime](shape, slope, way)
    pattern = ",".join("1" if size == 1 else "n" for size in slope) or "1"
    is_vector = way == "prelu" and len(slope) == 1 < slope[0] and len(shape) > 2
    found = [
        _answers().get((len(shape), pattern, as_axis_1, way), {}).get(runtime)
        for as_axis_1 in (False, True)
        if (not as_axis_1 and not (is_vector and shape[1] == slope[0]))
        or (as_axis_1 and is_vector and shape[1] in (None, slope[0]))
    ]
    return next(answer for answer in _WORST if answer in found)


def _coreml(shape: Shape, slope: Sequence[int], way: Way) -> str | None:
    """Its provider in onnxruntime takes `[C,1,1]` on four axes, or one slope."""
    if way == "relu":
        return None
    laid = slope[1:] if way == "transpose" and len(slope) == 4 else slope
    by_channel = len(shape) == 4 and len(laid) == 3 and tuple(laid[1:]) == (1, 1)
    one = all(size == 1 for size in slope) and len(shape) in (3, 4)
    return "right" if by_channel or one else "refused"


RULES: Final = {"coreml": _coreml}
"""Runtimes that were not run: what their sources say."""


def laid_shapes(shape: Shape, slope: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The shapes with which a slope broadcasts to an input in the same way, fewest axes first.

    Args:
        shape: of the input.
        slope: of the slope as a node has it, or with more or fewer axes of size 1 in front.
    """
    bare = tuple(slope)
    while len(bare) > 1 and bare[0] == 1:
        bare = bare[1:]
    for size in range(len(bare), len(shape) + 1):
        yield (*[1] * (size - len(bare)), *bare)


def usual_shape(shape: Shape, slope: Sequence[int]) -> tuple[int, ...]:
    """The one of these that is right in most of the measured runtimes; the shortest of several.

    One axis alone, which may be taken for the channels, is written on an input of two only. A slope
    of more axes than the input stays as it is.

    Args:
        shape: of the input.
        slope: of the slope, as for `laid_shapes`.
    """
    every = [one for one in laid_shapes(shape, slope) if len(one) > 1 or len(shape) < 3]

    def right(laid: tuple[int, ...]) -> int:
        answers = [answer_of(runtime, shape, laid) for runtime in measured_runtimes()]
        return answers.count("right")

    return max(every, key=right, default=tuple(slope))  # the first of equals


def plan_for(runtime: str, shape: Shape, slope: Sequence[int]) -> Plan | None:
    """How a runtime reads a PReLU right; None if nothing that was measured is.

    Args:
        runtime: one of the table's, or of `RULES`.
        shape: of the input.
        slope: of the slope, as for `laid_shapes`.
    """
    every, rank = list(laid_shapes(shape, slope)), len(shape)
    laid = next((one for one in every if answer_of(runtime, shape, one) == "right"), None)
    if laid is not None:
        return Plan("prelu", laid, rank)
    full = every[-1]
    is_last = rank > 2 and all(size == 1 for size in full[:-1])
    if is_last and answer_of(runtime, shape, full, "transpose") == "right":
        return Plan("transpose", (full[-1], *[1] * (rank - 2)), rank)
    bare = full[1:]  # pnnx takes a first axis of 1 for one more than the batch's
    return Plan("relu", bare, rank) if answer_of(runtime, shape, bare, "relu") == "right" else None
