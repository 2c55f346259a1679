"""GitHub's Markdown: tables for a pull request, an issue or a job summary; details are folded."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping

from prelu_tools.reports import Result, Style
from prelu_tools.reports.document import (
    Block,
    Cell,
    Column,
    Course,
    Facts,
    Lines,
    Name,
    Section,
    Slopes,
    Table,
    Text,
    Word,
    Written,
    plain,
)
from prelu_tools.reports.views import view_of
from prelu_tools.reports.writers.markup import bullets, code, escaped, table


def render(result: Result, style: Style) -> str:
    """The result as Markdown."""
    blocks = _section(view_of(result, style), "##")
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def _section(section: Section, mark: str) -> Iterator[str]:
    """A heading with the verdict, why, and what else there is."""
    yield from _head(section, mark)
    for block in section.blocks:
        yield from _block(block, mark)


def _head(section: Section, mark: str) -> Iterator[str]:
    verdict = f"{section.verdict.upper()}: " if section.verdict else ""
    yield f"{mark} {verdict}{_text(section.title)}"
    yield escaped(section.headline)
    yield bullets(map(_text, (*section.reasons, *section.warnings)))


def _block(block: Block, mark: str) -> Iterator[str]:
    if not isinstance(block, Section):
        yield from _WRITERS[type(block)](block)
        return
    deeper = f"{mark}#"
    blocks = () if block.on_pages else block.blocks
    body = [text for inner in blocks for text in _block(inner, deeper) if text]
    title, wrong = (
        plain(block.title),
        bool(block.reasons) and block.verdict not in ("", "pass", "ok"),
    )
    if wrong or (body and not block.folded):
        yield from _head(block, deeper)
        title = "details"
    elif block.verdict:
        title = f"{block.verdict}: {title}"
    if body and block.folded:
        title = html.escape(title.replace("@", "@\u200b"), quote=False)
        body = [f"<details><summary>{title}</summary>", *body, "</details>"]
    yield from body


def _text(text: Text) -> str:
    """A sentence in which names are code and words stand out."""
    if isinstance(text, str):
        return _part(text)
    return "".join(map(_part, text))


def _part(part: str) -> str:
    if isinstance(part, Name):
        return code(part)
    if isinstance(part, Word):
        return f"**{escaped(part)}**"
    start, end = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
    return f"{start}{escaped(part)}{end}" if part.strip() else part


def _table(block: Table) -> Iterator[str]:
    headers = [escaped(column.title) for column in block.columns]
    rows = [
        [_cell(column, cell) for column, cell in zip(block.columns, row, strict=True)]
        for row in block.rows
    ]
    yield table(headers, rows, [column.kind == "figure" for column in block.columns])
    yield escaped(block.legend)


def _cell(column: Column, cell: Cell) -> str:
    parts = (cell,) if isinstance(cell, str) else cell
    if column.kind == "name":
        return ", ".join(code(part) if isinstance(part, Name) else escaped(part) for part in parts)
    return ", ".join(escaped(part) for part in parts)


def _lines(block: Lines) -> Iterator[str]:
    if block.items:
        yield escaped(block.title)
        yield bullets(map(_text, block.items))


def _facts(block: Facts) -> Iterator[str]:
    yield bullets(f"{escaped(label)}: {_text(thing)}" for label, thing in block.pairs)


def _slopes(block: Slopes) -> Iterator[str]:
    for each in block.tables:
        yield from _table(each)


def _course(block: Course) -> Iterator[str]:
    yield from _table(block.table)


def _written(block: Written) -> Iterable[str]:
    return (block.text.strip(),)


_WRITERS: Mapping[type, Callable[..., Iterable[str]]] = {
    Table: _table,
    Lines: _lines,
    Facts: _facts,
    Slopes: _slopes,
    Course: _course,
    Written: _written,
}
