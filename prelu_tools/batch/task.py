"""What is to be done with one model, as plain data; and doing it, wherever that is."""

from __future__ import annotations

import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prelu_tools.backends.remote import downloads
from prelu_tools.batch.identity import Files, files_behind, identities
from prelu_tools.batch.reading import is_python, own_modules, reading
from prelu_tools.commands.export.command import export
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.command import inspect_source
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.verify.command import verify
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import explained
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.batch import BatchEntry, Command, Status, WorkerInfo, error_text
from prelu_tools.core.results.inspect_gates import InspectGates
from prelu_tools.core.results.verification import ExportVerificationError
from prelu_tools.reports import Result, Style, render
from prelu_tools.reports.writers.json import one_line


@dataclass(frozen=True)
class InspectTask:
    """A model to inspect."""

    source: str
    """As the user spells it."""
    request: InspectRequest
    """What to look at."""
    gates: InspectGates
    """What it has to be like."""


@dataclass(frozen=True)
class Task:
    """One model, and what to do with it: it can be pickled, and its `repr` says all of it."""

    name: str
    """No other task of the run has it."""
    work: InspectTask | VerifyRequest | ExportRequest
    """What to do."""
    folder: str
    """Where relative paths begin."""
    slopes: bool = False
    """Whether the document has each slope's value."""
    each: str | None = None
    """The format in which this model is to be shown by itself; None not to."""

    @property
    def command(self) -> Command:
        """The command whose work it is."""
        if isinstance(self.work, InspectTask):
            return "inspect"
        return "verify" if isinstance(self.work, VerifyRequest) else "export"

    @property
    def path(self) -> str:
        """The model as the user spells it; of a verification its reference."""
        return self.work.reference if isinstance(self.work, VerifyRequest) else self.work.source

    @property
    def sources(self) -> tuple[str, ...]:
        """Every model that is read."""
        more = self.work.candidates if isinstance(self.work, VerifyRequest) else ()
        return (self.path, *more)

    @property
    def options(self) -> SourceOptions:
        """How the models are read."""
        work = self.work.request if isinstance(self.work, InspectTask) else self.work
        return work.options

    @property
    def output(self) -> Path | None:
        """The file that is written; None for none."""
        return self.work.output if isinstance(self.work, ExportRequest) else None

    def forced(self) -> Task:
        """The same, where what an interrupted run wrote may be replaced."""
        if not isinstance(self.work, ExportRequest):
            return self
        return replace(self, work=replace(self.work, force=True))


@dataclass(frozen=True)
class Done:
    """What became of a task."""

    entry: BatchEntry
    """For the report."""
    files: Files
    """What it was read from, and what it wrote: a result is good as long as these are the same."""
    worker: WorkerInfo | None = None
    """Who did it; None where nobody did."""


def perform(task: Task) -> Done:
    """Do it, in this process; whatever goes wrong is part of what is returned."""
    start = time.perf_counter()
    files: Files = {}
    with downloads():
        try:
            files = files_behind(task.sources, _beside(task))
            result: Result
            with reading() if is_python(task.sources) else nullcontext() as read:
                result, status, reasons = _result(task)
            if read is not None:
                files |= identities(Path(path) for path in {*read, *own_modules()})
            entry = _entry(task, result, status, reasons)
            files |= identities([task.output] if task.output else [])
        except (Exception, SystemExit) as error:  # a source that exits is no verdict on the others
            entry = failed(task, explained(error), _status_of(error))
            if task.options.show_chatter:
                traceback.print_exception(error)
    return Done(replace(entry, seconds=time.perf_counter() - start), files)


def failed(task: Task, error: str, status: Status = "error") -> BatchEntry:
    """The entry of a task that has no result."""
    return BatchEntry(task.name, task.path, status, error_text(task.path, error), (error,))


def _status_of(error: BaseException) -> Status:
    return "fail" if isinstance(error, ExportVerificationError) else "error"


def _beside(task: Task) -> list[Path]:
    """The files that a task reads beside its models."""
    work = task.work.request if isinstance(task.work, InspectTask) else task.work
    given = [getattr(work, "data", None), getattr(work, "inputs_file", None)]
    named = [Path(text.partition(".py:")[0]) for text in task.options.custom_objects]
    code = [path if path.suffix else path.with_suffix(".py") for path in named]
    return [path for path in (*given, *code) if path is not None]


def _result(task: Task) -> tuple[Any, Status, tuple[str, ...]]:
    work = task.work
    options = replace(task.options, is_shared=True)
    if isinstance(work, InspectTask):
        seen = inspect_source(work.source, replace(work.request, options=options))
        reasons = work.gates.reasons(seen)
        return seen, ("fail" if reasons else "ok"), reasons
    if isinstance(work, VerifyRequest):
        held = verify(replace(work, options=options))
        return held, held.verdict, held.reasons
    return export(replace(work, options=options), lambda stage: None), "ok", ()


def _entry(task: Task, result: Result, status: Status, reasons: tuple[str, ...]) -> BatchEntry:
    style = Style(slopes=task.slopes)
    shown = render(result, task.each, style) if task.each else None
    text = one_line(result, style)
    return BatchEntry(task.name, task.path, status, text, reasons, shown=shown)
