"""Numbers and counts in words, the same in every report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.results.reasons import counted as counted
from prelu_tools.core.results.reasons import listed as listed

_PAST = {"pass": "passed", "fail": "failed"}


def origin(result: InspectResult) -> str:
    """The kind of a model, its opset and who wrote it, as far as these are known."""
    opset = f"opset {result.opset}" if result.opset else ""
    by = f"written by {result.producer}" if opset and result.producer else result.producer
    kind = "" if by and by.startswith(f"{result.format} ") else result.format  # `torch 2.13.0`
    return ", ".join(part for part in (kind, opset, by) if part)


def n_slopes(result: InspectResult) -> str:
    """How many layers and slopes a model has."""
    number_of_slopes = sum(report.statistics.count for report in result.layers)
    layers = counted(len(result.layers), "PReLU layer")
    return f"{layers}, {counted(number_of_slopes, 'slope')}"


def number(value: float | None) -> str:
    """A slope or a difference in at most 8 characters; a dash for none."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.1e}"


def moved(value: float | None) -> str:
    """A change in at most 8 characters; 0 for none at all, a dash if it is unknown."""
    return "0" if value == 0 else number(value)


def share(count: int, total: int) -> str:
    """How many of all, in percent: never 0% if there is one, nor 100% where one is missing."""
    if count == 0:
        return "0"
    percent = 100 * count / total
    if percent <= 0.5:
        return "<1%"
    return ">99%" if count < total and percent >= 99.5 else f"{percent:.0f}%"


def shape(sizes: tuple[int, ...]) -> str:
    """`32x1x1`; `()` for a scalar."""
    return "x".join(str(size) for size in sizes) or "()"


def percentage(part: float) -> str:
    """A share from 0 to 1, to a tenth of a percent."""
    return f"{100 * part:.1f}%"


def duration(seconds: float) -> str:
    """`0.37 ms`, or `41.4 µs` below a tenth of a millisecond."""
    return f"{1e3 * seconds:.2f} ms" if abs(seconds) >= 1e-4 else f"{1e6 * seconds:.1f} µs"


def covered(coverage: float | None) -> str:
    """A coverage in percent, rounded down: 100% only where every slope was reached."""
    if coverage is None:
        return "-"
    percent = int(100 * coverage + 1e-9)
    return "<1%" if coverage and not percent else f"{percent}%"


def tally(summary: Mapping[Any, int]) -> str:
    """How many there are of each status, of those that there are: `2 passed, 1 error`."""
    found = ((number, str(kind)) for kind, number in summary.items() if number)
    return ", ".join(
        counted(number, kind) if kind == "error" else f"{number:,} {_PAST.get(kind, kind)}"
        for number, kind in found
    )


def placed(layer: PReLULayer, index: int) -> str:
    """Where a slope is in its layer: `channel 3`, `position 0, 1, 2`; "" for the only one.

    Args:
        layer: the layer.
        index: into its slopes, flat.
    """
    sizes = [layer.slopes.shape[axis] for axis in layer.varying_axes]
    if not sizes:
        return ""
    if len(sizes) == 1:
        return f"{'channel' if layer.sharing == 'channel-wise' else 'slope'} {index}"
    place = []
    for size in reversed(sizes):
        index, rest = divmod(index, size)
        place.append(rest)
    return f"position {', '.join(map(str, reversed(place)))}"
