"""The result of a batch: one entry for each model, and one verdict for all.

An entry keeps its model's document as JSON text and not as a result: a results file holds the same,
so a resumed run shows what an uninterrupted run would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from prelu_tools.core.results.comparable import WRITTEN, comparable
from prelu_tools.core.results.inspection import Finding, InspectSummary
from prelu_tools.core.results.reading import from_document
from prelu_tools.core.results.reasons import warnings_in
from prelu_tools.core.results.verification.result import VerifyResult

T = TypeVar("T")
Command = Literal["inspect", "verify", "export"]
Status = Literal["pass", "ok", "fail", "inconclusive", "error"]
"""`ok`: it was inspected or exported, and passed every gate. `error`: there is no result."""

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
    """Versions of the installed packages that results depend on."""
    providers: tuple[str, ...]
    """The execution providers of its build of onnxruntime."""


@dataclass(frozen=True)
class BatchEntry:
    """The result of one job: of one model, or of one reference with its candidates."""

    name: str
    """No other entry has it."""
    path: str
    """The model as the user wrote it; for a verification, its reference."""
    status: Status
    """The verdict, or `error` if there is no result."""
    text: str | None = field(default=None, metadata=WRITTEN)
    """The document of the model alone, as JSON; None if there is no result."""
    reasons: tuple[str, ...] = ()
    """Why it is neither a pass nor ok, in words; of an entry without a result, the error."""
    candidates: tuple[str, ...] = ()
    """Its candidates, as the user wrote them; for `verify` only."""
    file: str | None = None
    """The list that has it; None if it was given on the command line."""
    line: int | None = None
    """The line of that list, from 1; None if that is not known."""
    worker: str | None = None
    """Which worker had it last; None if none did."""
    seconds: float = 0.0
    """How long it took there."""
    shown: str | None = field(default=None, metadata=WRITTEN)
    """The report of this model alone, where every one is to be shown."""

    @property
    def document(self) -> dict[str, Any] | None:
        """The text, read."""
        found: dict[str, Any] | None = None if self.text is None else json.loads(self.text)
        return found

    @property
    def error(self) -> str | None:
        """Why there is no document; None if there is one."""
        return "; ".join(self.reasons) if self.text is None else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes which say that its pass proves less than it seems to."""
        return warnings_in(self.document)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What `inspect` found, of the model and of its layers."""
        found = self.inspection
        return () if found is None else found.all_findings

    @property
    def inspection(self) -> InspectSummary | None:
        """What `inspect` saw, read back from its document; None if there is none."""
        return self._read("inspect", InspectSummary)

    @property
    def verification(self) -> VerifyResult | None:
        """What `verify` found, read back from its document; None if there is none."""
        return self._read("verify", VerifyResult)

    def _read(self, kind: str, result: type[T]) -> T | None:
        document = self.document
        is_one = document is not None and document.get("kind") == kind
        return from_document(result, document) if is_one else None


@dataclass(frozen=True)
class BatchResult:
    """The results of all jobs, in the order in which they were given."""

    command: Command
    """The command."""
    entries: tuple[BatchEntry, ...]
    """One a job."""
    path: str | None = None
    """The file that lists the jobs; None if none, or more than one, does."""
    workers: tuple[WorkerInfo, ...] = ()
    """The processes that ran them, those of a resumed run included."""
    notes: tuple[str, ...] = ()
    """Notes on the run for the user."""

    @property
    def summary(self) -> dict[Status, int]:
        """How many jobs have each status; zeros included."""
        found = [entry.status for entry in self.entries]
        return {kind: found.count(kind) for kind in _KINDS[self.command]}

    @property
    def status(self) -> Status:
        """The status of all of them together: `inconclusive` if there is none to check."""
        if self.exit_code == 0:
            return "pass" if self.command == "verify" else "ok"
        return "fail" if self.exit_code == 1 else "inconclusive"

    @property
    def exit_code(self) -> int:
        """1 if any model failed; 3 if any has no verdict, or there is no model; otherwise 0."""
        found = {entry.status for entry in self.entries}
        if "fail" in found:
            return 1
        return 0 if found and found <= {"pass", "ok"} else 3
