"""Many models as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.reports.markup import bullets, code, escaped, table
from prelu_tools.reports.zoo.rows import HEADERS, N_NAMES, finding_lines, headline, overall, rows_of


def batch_blocks(result: BatchResult) -> Iterator[str]:
    """The verdict, a row a model, findings, what went wrong, and who did it."""
    rows = list(rows_of(result))
    names = N_NAMES[result.command]
    yield f"## {overall(result).upper()}: {headline(result)}"
    shown = [entry.shown for entry in result.entries]
    if any(shown):
        yield from (text.strip() for text in shown if text)
    else:
        body = [
            (*(code(c) if c else "" for c in row.cells[:names]), *map(escaped, row.cells[names:]))
            for row in rows
        ]
        yield table(tuple(map(escaped, HEADERS[result.command])), body, left=names)
    yield bullets(map(escaped, finding_lines(rows)))
    for row in rows:
        if row.reasons:
            yield f"### {row.status}: {code(row.name)}"
            yield bullets(map(escaped, row.reasons))
    yield bullets(map(escaped, result.notes))
    if len(result.workers) > 1:
        headers = ("worker", "python", "providers", "versions")
        yield table(
            headers,
            [
                (
                    code(worker.name),
                    escaped(worker.python),
                    escaped(", ".join(worker.providers)),
                    escaped(", ".join(f"{name} {v}" for name, v in worker.versions.items())),
                )
                for worker in result.workers
            ],
            left=4,
        )
