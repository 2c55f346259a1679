"""Many models as JSON: the documents of each, and beside them what is known of the run."""

from __future__ import annotations

import dataclasses
from typing import Any

from prelu_tools.core.results.batch import BatchResult


def batch_body(result: BatchResult) -> dict[str, Any]:
    """`models` has each model's own document; `runs` says in the same order what became of it."""
    return {
        "kind": f"{result.command}-many",
        "models": [entry.document for entry in result.entries],
        "summary": result.summary,
        "runs": [
            {
                "name": entry.name,
                "status": entry.status,
                "reasons": list(entry.reasons),
                "worker": entry.worker,
                "seconds": round(entry.seconds, 3),
            }
            for entry in result.entries
        ],
        "workers": [dataclasses.asdict(worker) for worker in result.workers],
        "notes": list(result.notes),
    }
