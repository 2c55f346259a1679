"""Many models as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from prelu_tools.core.results.batch import BatchResult
from prelu_tools.reports.markup import bullets, code, escaped, table
from prelu_tools.reports.zoo.rows import finding_lines, headers, headline, n_names, rows_of


def batch_blocks(result: BatchResult) -> Iterator[str]:
    """The verdict, a row a model, findings, what went wrong, and who did it."""
    rows = list(rows_of(result))
    names = n_names(result)
    yield f"## {result.status.upper()}: {escaped(headline(result))}"
    shown = [entry.shown for entry in result.entries]
    if any(shown):
        yield from (text.strip() for text in shown if text)
    else:
        body = [(*map(_names, row.cells[:names]), *map(escaped, row.cells[names:])) for row in rows]
        yield table(tuple(map(escaped, headers(result))), body, left=names)
    yield bullets(map(escaped, finding_lines(rows)))
    for row in rows:
        if row.reasons:
            yield f"### {row.status}: {code(row.name)}"
            yield bullets(map(escaped, row.reasons))
    yield bullets(map(escaped, result.notes))
    if len(result.workers) > 1:
        yield table(
            ("worker", "python", "providers", "versions"),
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


def _names(cell: str) -> str:
    return ", ".join(map(code, cell.split("\n"))) if cell else ""
