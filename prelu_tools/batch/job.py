"""One model or pair, what to do with it, and the outcome, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.batch import BatchEntry, Command, Status, WorkerInfo
from prelu_tools.core.results.inspect_gates import InspectGates


@dataclass(frozen=True)
class InspectWork:
    """A model to inspect."""

    source: str
    """As the user spells it."""
    request: InspectRequest
    """What to look at."""
    gates: InspectGates
    """The gates that it has to pass."""


@dataclass(frozen=True)
class Job:
    """One model or pair, and what to do with it: it can be pickled.

    Its `repr` says all that its result depends on.
    """

    name: str
    """No other job of the run has it."""
    work: InspectWork | VerifyRequest | ExportRequest
    """What to do."""
    folder: str
    """Where relative paths begin."""
    slopes: bool = False
    """Whether the document has each slope's value."""
    each: str | None = None
    """The format in which this model is to be shown by itself; None not to."""
    problem: str | None = None
    """Something that the list names but that is missing, so that it cannot pass; None for none."""
    can_run: bool = True
    """Whether there is something to run in spite of that."""
    has_own_options: bool = False
    """Whether the options of its sources are for this job alone, and not for others too."""
    file: str | None = field(default=None, repr=False)
    """The list that has it; None if it was given on the command line."""
    line: int | None = field(default=None, repr=False)
    """The line of that list, from 1; None if that is not known."""

    @property
    def command(self) -> Command:
        """The command to run."""
        if isinstance(self.work, InspectWork):
            return "inspect"
        return "verify" if isinstance(self.work, VerifyRequest) else "export"

    @property
    def path(self) -> str:
        """The model as the user spells it; of a verification its reference."""
        return self.work.reference if isinstance(self.work, VerifyRequest) else self.work.source

    @property
    def sources(self) -> tuple[str, ...]:
        """Every model that is read."""
        return (self.path, *self.candidates)

    @property
    def options(self) -> SourceOptions:
        """How the models are read."""
        work = self.work.request if isinstance(self.work, InspectWork) else self.work
        return work.options

    @property
    def output(self) -> Path | None:
        """The file that is written; None for none."""
        return self.work.output if isinstance(self.work, ExportRequest) else None

    @property
    def candidates(self) -> tuple[str, ...]:
        """The candidates for the reference; empty for other commands."""
        return self.work.candidates if isinstance(self.work, VerifyRequest) else ()

    def entry(
        self, status: Status, reasons: tuple[str, ...], text: str | None, shown: str | None = None
    ) -> BatchEntry:
        """The entry of its result."""
        return BatchEntry(
            self.name, self.path, status, text, reasons, self.candidates, self.file, self.line,
            shown=shown,
        )  # fmt: skip

    def failed(self, error: str, status: Status = "error") -> BatchEntry:
        """The entry if there is no result."""
        return self.entry(status, (error,), None)

    def forced(self) -> Job:
        """The same job, allowed to replace what an interrupted run wrote."""
        if not isinstance(self.work, ExportRequest):
            return self
        return replace(self, work=replace(self.work, force=True))


@dataclass(frozen=True)
class Done:
    """The outcome of a job."""

    entry: BatchEntry
    """For the report."""
    files: Mapping[str, str | None]
    """The files that it read and wrote: a result is valid as long as these are unchanged."""
    worker: WorkerInfo | None = None
    """The worker that did it; None for none."""
