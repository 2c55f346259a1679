"""A batch of verifications compared with its baseline."""

from __future__ import annotations

from dataclasses import replace

from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.verification.baseline import Baseline, compared_with
from prelu_tools.reports import Style
from prelu_tools.reports.writers.json import one_line


def compared(result: BatchResult, baseline: Baseline, factor: float) -> BatchResult:
    """Each verification compared with what the baseline has of the same name.

    A check that the baseline has and the list does not is an error: a model that vanished from a
    pattern is not a pass.
    """
    names = {entry.name for entry in result.entries}
    why = (
        f"baseline {baseline.path} has this check, but {result.path or 'the list'} does not: if "
        "that is intended, use --update-baseline"
    )
    lost = [
        BatchEntry(name, name, "error", None, (why,), file=result.path)
        for name in baseline.entries
        if name not in names
    ]
    found = [_compared(entry, baseline, factor) for entry in result.entries]
    return replace(result, entries=(*found, *lost))


def _compared(entry: BatchEntry, baseline: Baseline, factor: float) -> BatchEntry:
    found = entry.verification
    if found is None:
        return entry
    held = compared_with(found, baseline, entry.name, factor)
    text = one_line(held, Style())
    return replace(entry, status=held.verdict, reasons=held.reasons, text=text)
