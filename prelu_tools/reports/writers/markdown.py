"""GitHub's Markdown: tables for a pull request, an issue or a job summary; details are folded."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#~$&])")
_BAR = r"\|"
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def render(result: Result, style: Style) -> str:
    """The result as Markdown."""
    blocks = _section(view_of(result, style), "##")
    return "\n\n".join(block.strip("\n") for block in blocks if block) + "\n"


def _section(section: Section, mark: str) -> Iterator[str]:
    """A heading with the verdict, why, and what else there is."""
    yield from _head(section, mark)
    for block in section.blocks:
        yield from _block(block, mark)
    yield _bullets(map(_text, section.remarks))


def _head(section: Section, mark: str) -> Iterator[str]:
    verdict = f"{section.verdict.upper()}: " if section.verdict else ""
    yield f"{mark} {verdict}{_text(section.title)}"
    yield _escaped(section.headline)
    yield _bullets(map(_text, (*section.reasons, *section.warnings)))


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
        return _code(part)
    if isinstance(part, Word):
        return f"**{_escaped(part)}**"
    start, end = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
    return f"{start}{_escaped(part)}{end}" if part.strip() else part


def _table(block: Table) -> Iterator[str]:
    headers = [_escaped(column.title) for column in block.columns]
    rows = [
        [_cell(column, cell) for column, cell in zip(block.columns, row, strict=True)]
        for row in block.rows
    ]
    yield _grid(headers, rows, [column.kind == "figure" for column in block.columns])
    yield _escaped(block.legend)


def _cell(column: Column, cell: Cell) -> str:
    parts = (cell,) if isinstance(cell, str) else cell
    if column.kind == "name":
        return ", ".join(
            _code(part) if isinstance(part, Name) else _escaped(part) for part in parts
        )
    return ", ".join(_escaped(part) for part in parts)


def _lines(block: Lines) -> Iterator[str]:
    if block.items:
        yield _escaped(block.title)
        yield _bullets(map(_text, block.items))


def _facts(block: Facts) -> Iterator[str]:
    yield _bullets(f"{_escaped(label)}: {_text(thing)}" for label, thing in block.pairs)


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


def _escaped(text: str) -> str:
    """Text that means itself: nothing in it marks anything up, breaks a line or calls anyone."""
    return " ".join(_MENTION.sub("@\u200b", _SPECIAL.sub(r"\\\1", text)).split())


def _code(text: str) -> str:
    """A name as code, whatever is in it."""
    line = " ".join(text.split())
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{space}{line}{space}{fence}"


def _grid(headers: Sequence[str], rows: Iterable[Sequence[str]], is_figure: Sequence[bool]) -> str:
    """A table; columns of figures are right-aligned."""
    marks = ["--:" if figure else ":--" for figure in is_figure]
    lines = [headers, marks, *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', _BAR) for cell in line)} |" for line in lines
    )


def _bullets(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)
