"""Results as they come, kept with a key of what they depend on, so that a run can go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.honest.candidates import versions

ROOT = Path(__file__).resolve().parents[2]


def key_of_sources() -> str:
    """Of the code that is measured and that measures, and of every version that takes part."""
    digest = hashlib.sha256(json.dumps(versions(), sort_keys=True).encode())
    for folder in ("prelu_tools", "benchmarks/honest"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Store:
    """One line of JSON for each result."""

    def __init__(self, path: Path, *, keep_all: bool = False) -> None:
        """Read what is there; results of other code count only with `keep_all`."""
        self.path, self.key = path, key_of_sources()
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines if line.strip()]
        self.rows = [row for row in found if keep_all or row["key"] == self.key]
        if len(self.rows) < len(found):
            path.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def done(self) -> set[tuple[str, int]]:
        """The nets and seeds that have results."""
        return {(row["net"], row["seed"]) for row in self.rows}

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Keep the results of one job."""
        with self.path.open("a") as file:
            for row in rows:
                self.rows.append(row | {"key": self.key})
                file.write(json.dumps(self.rows[-1]) + "\n")
