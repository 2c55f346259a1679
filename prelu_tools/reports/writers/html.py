"""One self-contained page: no server, no network, no other file.

The document is plain HTML and reads without any script. Scripts are included only for tables that
can be sorted and for charts of slopes. The page's policy allows only these scripts (by their
hashes) and no requests; the data of charts is JSON in which no character can end a script. So a
hostile name in a model stays text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prelu_tools.reports import Result, Style
from prelu_tools.reports.assets import asset
from prelu_tools.reports.document import (
    Block,
    Cell,
    Column,
    Course,
    Facts,
    Lines,
    Name,
    Section,
    Share,
    Slopes,
    Table,
    Text,
    Word,
    Written,
    holds,
    plain,
)
from prelu_tools.reports.shortening import TOGETHER, breakable
from prelu_tools.reports.views import view_of
from prelu_tools.reports.writers.charts.course import charts, legend
from prelu_tools.reports.writers.charts.data import chart_data

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_PASSED = ("", "pass", "ok")
_MOST_REASONS = 8


def render(result: Result, style: Style) -> str:
    """The page."""
    document = view_of(result, style)
    scripts = list(_scripts(document))
    hashes = " ".join(_hash(script) for script in scripts)
    title = plain(document.title)
    return filled(
        asset("page.html"),
        {
            "title": escaped(f"{document.verdict}: {title}" if document.verdict else title),
            "policy": f"; script-src {hashes}" if scripts else "",
            "style": "\n".join(_styles(document)),
            "body": fragment(document),
            "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
            "licence": f"<!--\n{asset('uPlot.LICENSE')}-->" if holds(document, Slopes) else "",
        },
    )


def fragment(document: Section) -> str:
    """The document as elements, without a page around them."""
    return "\n".join(part for part in _document(document) if part)


def _styles(document: Section) -> Iterator[str]:
    if holds(document, Slopes):
        yield asset("uPlot.min.css")
    yield asset("page.css")


def _scripts(document: Section) -> Iterator[str]:
    """The code that a document needs."""
    if holds(document, Slopes):
        yield asset("uPlot.iife.min.js")
        yield asset("charts.js") + asset("page.js")
    if _is_sortable(document):
        yield asset("table.js")


def _is_sortable(section: Section) -> bool:
    return any(isinstance(block, Table) and block.sortable for block in section.blocks)


def _document(document: Section) -> Iterator[str]:
    yield f"<h1>{_verdict(document)}{_text(document.title)}</h1>"
    yield _paragraph(document.headline, "soft")
    yield _reasons(document)
    yield from _blocks(document.blocks)
    yield _list(_reason(one, document.verdict) for one in document.remarks)


def _section(section: Section) -> Iterator[str]:
    """A part with a heading; folded where it is details, open where something is wrong in it."""
    body = "".join((_reasons(section), *_blocks(section.blocks)))
    if not body and not section.headline:
        return
    said = f' <span class="soft">{escaped(section.headline)}</span>' if section.headline else ""
    title = f"{_verdict(section)}{_text(section.title)}"
    anchor = f' id="{escaped(section.anchor)}"' if section.anchor else ""
    if section.folded:
        opened = " open" if section.reasons and section.verdict not in _PASSED else ""
        summary = f"<summary>{title}{said}</summary>"
        yield f'<details class="panel"{anchor}{opened}>{summary}{body}</details>'
    else:
        yield f'<section class="panel"{anchor}><h2>{title}{said}</h2>{body}</section>'


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        yield from _WRITERS[type(block)](block)


def escaped(text: str) -> str:
    """Text that means itself, in an attribute too."""
    return html.escape(text, quote=True)


def _text(text: Text) -> str:
    """A sentence in which names are code and words have their colour."""
    return _part(text) if isinstance(text, str) else "".join(map(_part, text))


def _part(part: str) -> str:
    if isinstance(part, Name):
        kind = ' class="short"' if len(part) <= TOGETHER else ""
        name = f"<code{kind}>{breakable(part)}</code>"
        return f'<a href="{escaped(part.link)}">{name}</a>' if part.link else name
    if isinstance(part, Word):
        return f'<span class="verdict {escaped(part.status)}">{escaped(part)}</span>'
    if isinstance(part, Share):
        return f"{escaped(part)}{_bar(part.part)}"
    return escaped(part)


def _bar(part: float | None) -> str:
    """A share as a bar; what is more than 1 is full, and marked."""
    if part is None or math.isnan(part):
        return ""
    over = " over" if part > 1 else ""
    return f'<span class="bar{over}"><i style="width:{100 * min(part, 1):.0f}%"></i></span>'


def _verdict(section: Section) -> str:
    word = section.verdict if isinstance(section.verdict, Word) else Word(section.verdict)
    return f"{_part(word)} " if word else ""


def _paragraph(text: str, kind: str) -> str:
    return f'<p class="{kind}">{escaped(text)}</p>' if text else ""


def _reasons(section: Section) -> str:
    """Each with the colour of what it is about; the first few, and the rest folded."""
    reasons = [_reason(one, section.verdict) for one in section.reasons]
    warnings = _list(_reason(one, section.verdict) for one in section.warnings)
    shown, rest = _list(reasons[:_MOST_REASONS]), reasons[_MOST_REASONS:]
    if not rest:
        return f"{shown}{warnings}"
    summary = f"<summary>and {len(rest):,} more</summary>"
    return f'{shown}<details class="more">{summary}{_list(rest)}</details>{warnings}'


def _list(reasons: Iterable[str]) -> str:
    items = "".join(reasons)
    return f'<ul class="reasons">{items}</ul>' if items else ""


def _reason(reason: Text, verdict: str) -> str:
    words = [part for part in reason if isinstance(part, Word)]
    status = words[0].status if words and not isinstance(reason, str) else verdict
    return f'<li class="{escaped(status)}">{_text(reason)}</li>'


def _table(table: Table) -> Iterator[str]:
    head = "".join(_header(column, table.sortable) for column in table.columns)
    rows = []
    for row in table.rows:
        cells = zip(table.columns, row, strict=True)
        rows.append(f"<tr>{''.join(_cell(column, cell) for column, cell in cells)}</tr>")
    kind = ' class="sortable"' if table.sortable else ""
    yield (
        f"<table{kind}><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{_paragraph(table.legend, 'legend')}"
    )


def _header(column: Column, sortable: bool) -> str:
    title = escaped(column.title.replace("\n", " "))
    text = f'<button type="button">{title}</button>' if sortable else title
    return f'<th scope="col" class="{column.kind}">{text}</th>'


def _cell(column: Column, cell: Cell) -> str:
    """A cell; on a narrow screen, where a row is a card, it says what it is."""
    parts = (cell,) if isinstance(cell, str) else cell
    label = escaped(column.title.replace("\n", " "))
    return f'<td class="{column.kind}" data-label="{label}">{"<br>".join(map(_part, parts))}</td>'


def _lines(lines: Lines) -> Iterator[str]:
    if lines.items:
        items = "".join(f"<li>{_text(item)}</li>" for item in lines.items)
        yield f'{_paragraph(lines.title, "lines-title")}<ul class="lines">{items}</ul>'


def _facts(facts: Facts) -> Iterator[str]:
    if facts.pairs:
        rows = "".join(f"<dt>{escaped(k)}</dt><dd>{_text(v)}</dd>" for k, v in facts.pairs)
        yield f'<dl class="facts">{rows}</dl>'


def _slopes(slopes: Slopes) -> Iterator[str]:
    """The place of the charts, what they draw, and the same as tables where no script runs."""
    tables = "".join(part for table in slopes.tables for part in _table(table))
    yield f"<noscript>{tables}</noscript>"
    yield '<div id="slopes"></div>'
    data = embedded(chart_data(slopes.layers))
    yield f'<script id="data" type="application/json">{data}</script>'


def _course(course: Course) -> Iterator[str]:
    yield from _table(course.numbers)
    yield f'<div class="course">{"".join(charts(course))}</div>'
    yield _paragraph(legend(course.layers), "legend")


def _written(written: Written) -> Iterator[str]:
    yield f"<pre>{escaped(written.text)}</pre>"


_WRITERS: Mapping[type, Callable[..., Iterator[str]]] = {
    Table: _table,
    Lines: _lines,
    Facts: _facts,
    Slopes: _slopes,
    Section: _section,
    Course: _course,
    Written: _written,
}


def _finite(value: Any) -> Any:
    """The data with null in place of what is not a number in JSON: a page shows it as none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def embedded(data: object) -> str:
    """JSON for a script element: without `<`, so that nothing can end it."""
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with each place filled, in one go: what is filled in is not looked at again."""
    return _PLACE.sub(lambda found: parts[found[1]], template)
