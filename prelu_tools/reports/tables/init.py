"""What `init` found and wrote, for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from prelu_tools.core.results.export import InitResult
from prelu_tools.reports import Style
from prelu_tools.reports.tables.parts import counted, grid, wrapped

_MOST_LINES = 20


def init_table(result: InitResult, style: Style) -> RenderableType:
    """A row a check, what was left out and why, and what to type next."""
    table = grid("reference", "candidates", "models", left=2, folding=(0, 1))
    for check in result.checks:
        table.add_row(check.reference, "\n".join(check.candidates), f"{check.n_models:,}")
    parts: list[RenderableType] = [table, Text("")]
    lines = [f"left out  {one.path}: {one.reason}" for one in result.left_out]
    lines += [
        f"left out  {path}: of another type by its name; a comment names it"
        for check in result.checks
        for path in check.variants
    ]
    rest = len(lines) - _MOST_LINES
    more = [f"left out  {rest:,} more: --format json names them"] if rest > 0 else []
    parts += [wrapped(line, style.width) for line in (*lines[:_MOST_LINES], *more)]
    parts += [Text("")] if lines else []
    files = " and ".join(name for name in (result.path, result.schema_path) if name)
    number = counted(len(result.checks), "check")
    parts.append(wrapped(f"wrote {files}: {number}; prelu-tools verify runs them", style.width))
    return Group(*parts)
