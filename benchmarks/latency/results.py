"""What was measured, as it is kept: every round's time, so that tables can be made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

SCHEMA = 1


@dataclass(frozen=True)
class Measured:
    """One net in one setting."""

    net: str
    """Its name in the catalogue."""
    batch: int
    """How many inputs a run takes."""
    threads: int
    """onnxruntime's intra-op threads."""
    repeats: int
    """Runs a round and variant; a round's time is their median."""
    microseconds: Mapping[str, tuple[float, ...]]
    """For every variant the time of a run in each round; rounds stand at the same place in all."""
    differences: Mapping[str, float]
    """For every variant but the bound, the largest difference of an output from the raw file's, and
    -1 where it is equal bit for bit."""
    missing: Mapping[str, str]
    """Why a variant has no file, for those that have none."""


@dataclass(frozen=True)
class Results:
    """All that one process measured."""

    versions: Mapping[str, str]
    """Of the packages that took part."""
    processor: str
    """Its name, as the system gives it."""
    cores: int
    """Cores of the machine."""
    ours: str
    """How this project's files were made."""
    quick: bool
    """Whether this was a try, whose figures mean nothing."""
    cells: tuple[Measured, ...]
    """In the order of measuring."""

    @property
    def onnxruntime(self) -> str:
        """The version that ran."""
        return self.versions["onnxruntime"]

    @property
    def _made_by(self) -> tuple[object, ...]:
        return (dict(self.versions), self.processor, self.cores, self.ours, self.quick)

    def beside(self, earlier: Results) -> Results:
        """These results with the cells of an earlier run, of the same versions and machine.

        Raises:
            ValueError: it is of others.
        """
        if self._made_by != earlier._made_by:
            raise ValueError(
                "what was measured before is of other versions, of another machine or made with "
                "other options: measure all of it again"
            )
        found = earlier
        for cell in self.cells:
            found = found.having(cell)
        return found

    def having(self, cell: Measured) -> Results:
        """These results with a cell, in the place of an older one of the same net and setting."""
        places = [(old.net, old.batch, old.threads) for old in self.cells]
        key = (cell.net, cell.batch, cell.threads)
        cells = list(self.cells)
        if key in places:
            cells[places.index(key)] = cell
        else:
            cells.append(cell)
        return replace(self, cells=tuple(cells))

    def write(self, path: Path) -> None:
        """Write the results as JSON, a cell a line."""
        head = asdict(self)
        rows = [json.dumps(cell, separators=(",", ":")) for cell in head.pop("cells")]
        text = json.dumps({"schema": SCHEMA, **head}, indent=1).rstrip("}\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + ',\n "cells": [\n' + ",\n".join(rows) + "\n ]\n}\n")


def read(path: Path) -> Results:
    """Read what `Results.write` wrote.

    Raises:
        ValueError: the file is of another schema.
    """
    document: dict[str, Any] = json.loads(path.read_text())
    if document.pop("schema") != SCHEMA:
        raise ValueError(f"{path} is not of schema {SCHEMA}: measure again (make bench)")
    rows = [
        Measured(**{**row, "microseconds": {k: tuple(v) for k, v in row["microseconds"].items()}})
        for row in document.pop("cells")
    ]
    return Results(**document, cells=tuple(rows))
