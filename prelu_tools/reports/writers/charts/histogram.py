"""Histograms in the terminal: one line a layer, all on one scale, with 0 and 1 marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from prelu_tools.core.arrays import Array
from prelu_tools.core.results.inspection import LayerReport
from prelu_tools.reports.distribution import Scale, common_scale, flat
from prelu_tools.reports.shortening import distinct
from prelu_tools.reports.words import counted

_BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDEST_NAME, _MOST_CELLS = 24, 60
_KEY = "height: number of slopes, relative to the highest of the row"
_BELOW, _BETWEEN, _ABOVE = "yellow", "cyan", "magenta"


def histograms(reports: Sequence[LayerReport], width: int) -> Iterable[Text]:
    """The lines: one a layer, one for all if there are several, and the scale."""
    whole = f"all {counted(len(reports), 'layer')}"
    names = [report.layer.name.replace("\n", " ") for report in reports]
    longest = max(map(cell_len, [*names, whole] if len(names) > 1 else names))
    widest = max(_WIDEST_NAME, width - _MOST_CELLS - 1)
    indent = min(longest, widest) + 1
    n_cells = min(_MOST_CELLS, max(20, width - indent))
    short = distinct(names, widest)
    scale = common_scale(reports)
    colours = _colours(scale, n_cells)
    total = np.zeros(n_cells, np.int64)
    for name, report in zip(names, reports, strict=True):
        counts = scale.counts(flat(report), n_cells)
        total += counts
        yield _line(short[name], counts, indent, colours)
    if len(reports) > 1:
        yield _line(whole, total, indent, colours)
    yield Text(" " * indent + ruler(scale, n_cells), style="dim")
    yield Text(labels(scale, n_cells, indent), style="dim")
    yield Text(_KEY, style="dim")


def _line(name: str, counts: Array, indent: int, colours: Sequence[str]) -> Text:
    line = Text(set_cell_size(name, indent), end="\n")
    if not counts.any():
        return line.append("(none is finite)", style="bold red")
    start = len(line)
    line.append(blocks(counts))
    for colour in sorted(set(colours)):
        first = start + colours.index(colour)
        line.stylize(colour, first, first + colours.count(colour))
    return line


def blocks(counts: Array) -> str:
    """One character a cell, as high as its count against the largest; anything at all shows."""
    highest = max(int(counts.max()), 1)
    levels = [-(-int(count) * (len(_BLOCKS) - 1) // highest) for count in counts]
    return "".join(_BLOCKS[level] for level in levels)


def _colours(scale: Scale, n_cells: int) -> list[str]:
    """A colour a cell: below 0, between, above 1."""
    zero = scale.cell(0.0, n_cells)
    one = scale.cell(1.0, n_cells) if 1.0 in scale.marks else n_cells
    return [
        _BELOW if cell < zero else _ABOVE if cell > one else _BETWEEN for cell in range(n_cells)
    ]


def ruler(scale: Scale, n_cells: int) -> str:
    """A line with a mark at either end, at 0, and at 1 if it is on the scale."""
    marks = ["─"] * n_cells
    marks[0], marks[-1] = "└", "┘"
    for value in scale.marks:
        cell = scale.cell(value, n_cells)
        marks[cell] = {0: "├", n_cells - 1: "┤"}.get(cell, "┼")
    return "".join(marks)


def labels(scale: Scale, n_cells: int, indent: int) -> str:
    """The numbers below the ruler; 0 and 1 first, the ends if there is room left."""
    low = f"{'<' if scale.cut_low else ''}{scale.low:.3g}"
    high = f"{'>' if scale.cut_high else ''}{scale.high:.3g}"
    wanted = [(f"{value:g}", scale.cell(value, n_cells)) for value in scale.marks]
    if scale.low < 0 or scale.cut_low:
        wanted.append((low, 0))
    if scale.high not in scale.marks or scale.cut_high:
        wanted.append((high, n_cells - 1))
    line = [" "] * (indent + n_cells + len(high))
    for text, cell in wanted:
        start = max(0, indent + cell - (len(text) - 1 if cell == n_cells - 1 else len(text) // 2))
        if all(char == " " for char in line[max(0, start - 1) : start + len(text) + 1]):
            line[start : start + len(text)] = text
    return "".join(line).rstrip()
