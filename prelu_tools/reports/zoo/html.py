"""Many models as one page: a table to sort and to search, with what went wrong in each row.

As the page of one model it needs nothing else, and its policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.reports.assets import asset
from prelu_tools.reports.html_verify import details_of
from prelu_tools.reports.printable import printable
from prelu_tools.reports.zoo.rows import (
    Row,
    finding_lines,
    headers,
    headline,
    n_names,
    rows_of,
    verification_of,
)


def batch_page(result: BatchResult) -> str:
    """The page."""
    rows = list(rows_of(result))
    script = asset("zoo.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    title = f"{result.status.upper()}: {headline(result)}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<style>
{asset("page.css")}
{asset("verify.css")}
{asset("zoo.css")}
</style>
</head>
<body>
<div id="page">
<h1>{html.escape(title)}</h1>
{_list(map(printable, result.notes))}{_list(finding_lines(rows))}
<p><label>Show models with <input id="search" type="search" autocomplete="off"></label>
<span id="count" role="status"></span></p>
<div class="wide">
{_table(result, rows)}
</div>
{"".join(_details(result))}{_workers(result)}</div>
<script>{script}</script>
</body>
</html>
"""


def _list(items: Iterable[str]) -> str:
    body = "".join(f"<li>{html.escape(item)}</li>" for item in items)
    return f"<ul>{body}</ul>\n" if body else ""


def _table(result: BatchResult, rows: Sequence[Row]) -> str:
    names = n_names(result)
    head = "".join(
        f'<th scope="col"><button type="button">{html.escape(text)}</button></th>'
        for text in headers(result)
    )
    body = "\n".join(
        _row(row, names, f"#check-{number}" if result.command == "verify" else None)
        for number, row in enumerate(rows, 1)
    )
    return f'<table id="models"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'


def _row(row: Row, names: int, link: str | None) -> str:
    shown = [html.escape(text).replace("\n", "<br>") for text in row.cells[:names]]
    if link is not None:
        shown[0] = f'<a href="{link}">{shown[0]}</a>'
    cells = [f"<td>{text}</td>" for text in shown]
    cells += [f'<td class="number">{html.escape(text)}</td>' for text in row.cells[names:-1]]
    reasons = "".join(f"<p>{html.escape(reason)}</p>" for reason in row.reasons)
    is_below = link is not None  # of a verification, in full
    why = "" if is_below or not reasons else f"<details><summary>why</summary>{reasons}</details>"
    cells.append(f'<td class="{row.status}">{html.escape(row.status)}{why}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _details(result: BatchResult) -> Iterator[str]:
    """Of a verification, each job in full; open where it did not pass."""
    if result.command != "verify":
        return
    for number, entry in enumerate(result.entries, 1):
        yield details_of(number, entry, verification_of(entry))


def _workers(result: BatchResult) -> str:
    if not result.workers:
        return ""
    lines = (
        f"{worker.name}: Python {worker.python} on {worker.platform}; "
        f"{', '.join(f'{name} {version}' for name, version in worker.versions.items())}; "
        f"{', '.join(worker.providers) or 'no execution provider'}"
        for worker in result.workers
    )
    return f"<h2>Workers</h2>\n{_list(map(printable, lines))}"
