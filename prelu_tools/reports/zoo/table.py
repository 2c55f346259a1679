"""Many models, for people: a line each, what they have in common, and what went wrong."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.reports import Style
from prelu_tools.reports.tables.parts import COLOURS, grid, word, wrapped
from prelu_tools.reports.zoo.rows import finding_lines, headers, headline, n_names, rows_of


def batch_table(result: BatchResult, style: Style) -> RenderableType:
    """A row a model; or each model's own report, where these are asked for."""
    shown = [entry.shown for entry in result.entries]
    rows = list(rows_of(result))
    names = n_names(result)
    parts: list[RenderableType] = []
    if any(shown):
        parts += [Text(f"{text.rstrip()}\n") for text in shown if text]
    else:
        heads = (header.replace("max abs", "max\nabs") for header in headers(result))
        table = grid(*heads, left=names, folding=tuple(range(names)))
        for row in rows:
            table.add_row(*row.cells[:-1], word(row.cells[-1]))
        parts += [table, Text("")]
    verdict = result.status
    parts.append(Text(verdict.upper(), style=COLOURS[verdict]).append(f"  {headline(result)}", ""))
    parts += [wrapped(line, style.width, "  ") for line in finding_lines(rows)]
    for row in rows:
        if row.reasons:
            parts.append(Text("  ").append(row.status, COLOURS[row.status]).append(f"  {row.name}"))
            parts += [wrapped(reason, style.width, "    ") for reason in row.reasons]
    parts += [wrapped(note, style.width) for note in result.notes]
    return Group(*parts)
