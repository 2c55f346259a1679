"""What many models at once return: one entry a model, and one verdict over all.

An entry keeps its model's document as JSON text and not as a result: that is what a file of results
holds, so a run that goes on from one shows the same as a run that did it all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prelu_tools.core.results.comparable import WRITTEN, comparable

Command = Literal["inspect", "verify", "export"]
Status = Literal["pass", "ok", "fail", "inconclusive", "error"]
"""`ok`: it was inspected or exported, and no gate said no. `error`: there is no result, and why."""

_KINDS: Mapping[Command, tuple[Status, ...]] = {
    "inspect": ("ok", "fail", "error"),
    "verify": ("pass", "fail", "inconclusive", "error"),
    "export": ("ok", "fail", "error"),
}


@comparable
@dataclass(frozen=True, eq=False)
class WorkerInfo:
    """A process that ran models."""

    name: str
    """No other worker of the run has it: the host, and the process there."""
    host: str
    """The machine."""
    python: str
    """Version of the interpreter."""
    platform: str
    """Operating system and processor."""
    versions: Mapping[str, str]
    """Of the packages that results depend on, as far as they are installed."""
    providers: tuple[str, ...]
    """The execution providers of its build of onnxruntime."""


@dataclass(frozen=True)
class BatchEntry:
    """What became of one model."""

    name: str
    """No other entry has it."""
    path: str
    """The model as the user spells it; of a verification its reference."""
    status: Status
    """What is to be thought of it."""
    text: str = field(metadata=WRITTEN)
    """The document of the model alone, as JSON; of one without a result, its path and the error."""
    reasons: tuple[str, ...] = ()
    """Why it is neither a pass nor ok, in words."""
    worker: str | None = None
    """Which worker had it last; None where none did."""
    seconds: float = 0.0
    """How long it took there."""
    shown: str | None = field(default=None, metadata=WRITTEN)
    """The report of this model alone, where every one is to be shown."""

    @property
    def document(self) -> dict[str, Any]:
        """The text, read."""
        found: dict[str, Any] = json.loads(self.text)
        return found


def error_text(path: str, error: str) -> str:
    """The document of a model that has no result."""
    return json.dumps({"model": {"path": path}, "error": error}, ensure_ascii=False)


@dataclass(frozen=True)
class BatchResult:
    """What became of every model, in the order in which they were given."""

    command: Command
    """What was done with each."""
    entries: tuple[BatchEntry, ...]
    """One a model."""
    workers: tuple[WorkerInfo, ...] = ()
    """The processes that ran them, those of a run before this one included."""
    notes: tuple[str, ...] = ()
    """What the user should know of the run."""

    @property
    def summary(self) -> dict[Status, int]:
        """How many models have each status; zeros included."""
        found = [entry.status for entry in self.entries]
        return {kind: found.count(kind) for kind in _KINDS[self.command]}

    @property
    def exit_code(self) -> int:
        """1 if any model failed, else 3 if any is without a verdict, or there is none, else 0."""
        found = {entry.status for entry in self.entries}
        if "fail" in found:
            return 1
        return 0 if found and found <= {"pass", "ok"} else 3
