"""Many models as JSON: an entry per job, with its document, and facts about the run."""

from __future__ import annotations

import dataclasses
from typing import Any

from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.reasons import code_of

SCHEMA_VERSION = 2
"""The version of this kind of document, which is the same for all lists and commands."""


def batch_body(result: BatchResult) -> dict[str, Any]:
    """The document without its version."""
    return {
        "kind": f"{result.command}-many",
        "status": result.status,
        "list": result.path,
        "summary": result.summary,
        "models": [{**entry_body(entry), "document": entry.document} for entry in result.entries],
        "workers": [dataclasses.asdict(worker) for worker in result.workers],
        "notes": list(result.notes),
    }


def entry_body(entry: BatchEntry) -> dict[str, Any]:
    """What is known of a job, without its document."""
    return {
        "name": entry.name,
        "path": entry.path,
        "candidates": list(entry.candidates),
        "file": entry.file,
        "line": entry.line,
        "status": entry.status,
        "reasons": list(entry.reasons),
        "reason_codes": [code_of(reason) for reason in entry.reasons],
        "warnings": list(entry.warnings),
        "error": entry.error,
        "worker": entry.worker,
        "seconds": round(entry.seconds, 3),
    }
