"""Do a job, in whichever process."""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from prelu_tools.backends.remote import downloads
from prelu_tools.batch.identity import Files, files_behind, identities
from prelu_tools.batch.job import Done, InspectWork, Job
from prelu_tools.batch.reading import is_python, own_modules, reading
from prelu_tools.commands.export.command import export
from prelu_tools.commands.inspect.command import inspect_source
from prelu_tools.commands.speaking import in_check_file
from prelu_tools.commands.verify.command import verify
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import explained
from prelu_tools.core.requests.speaking import Speak, spoken
from prelu_tools.core.results.batch import BatchEntry, Status
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.result import ExportVerificationError, VerifyResult
from prelu_tools.core.rounding.parity import worst
from prelu_tools.reports import Result, Style, render
from prelu_tools.reports.printable import printable
from prelu_tools.reports.writers.json import one_line


def perform(job: Job) -> Done:
    """Do it in this process; errors are part of the result."""
    if not job.can_run:
        return Done(job.failed(job.problem or ""), {})
    start = time.perf_counter()
    files: Files = {}
    with downloads():
        try:
            files = files_behind(job.sources, _beside(job))
            result: Result
            with reading() if is_python(job.sources) else nullcontext() as read:
                result, status, reasons = _result(job)
            if read is not None:
                files |= identities(Path(path) for path in {*read, *own_modules()})
            entry = _entry(job, result, status, reasons)
            files |= identities([job.output] if job.output else [])
        except (Exception, SystemExit) as error:  # a source that exits does not affect the others
            entry = job.failed(_spoken(job)(explained(error)), _status_of(error))
            if job.options.show_chatter:
                _show_traceback(error)
    return Done(replace(entry, seconds=time.perf_counter() - start), files)


def _show_traceback(error: BaseException) -> None:
    """Write to standard error where it happened; no line of it can pass for another."""
    for line in "".join(traceback.format_exception(error)).rstrip().split("\n"):
        print(f"| {printable(line)}", file=sys.stderr)


def _status_of(error: BaseException) -> Status:
    return "fail" if isinstance(error, ExportVerificationError) else "error"


def _beside(job: Job) -> list[Path]:
    """The files that a job reads besides its models."""
    work = job.work.request if isinstance(job.work, InspectWork) else job.work
    given = [getattr(work, "data", None), getattr(work, "inputs_file", None)]
    named = [Path(text.partition(".py:")[0]) for text in job.options.custom_objects]
    code = [path if path.suffix else path.with_suffix(".py") for path in named]
    return [path for path in (*given, *code) if path is not None]


def _result(job: Job) -> tuple[Any, Status, tuple[str, ...]]:
    work = job.work
    options = replace(job.options, is_shared=not job.has_own_options)
    if isinstance(work, InspectWork):
        seen = inspect_source(work.source, replace(work.request, options=options))
        reasons = work.gates.reasons(seen)
        return seen, ("fail" if reasons else "ok"), reasons
    if isinstance(work, VerifyRequest):
        judged = spoken(verify(replace(work, options=options)), _spoken(job))
        found = _with_problem(judged, job.problem)
        return found, found.verdict, found.reasons
    return export(replace(work, options=options), lambda stage: None), "ok", ()


def _spoken(job: Job) -> Speak:
    """Makes messages name options as the job's file does."""
    is_check = job.file is not None and job.file.endswith(".toml")
    return in_check_file if is_check else str


def _with_problem(result: VerifyResult, problem: str | None) -> VerifyResult:
    """The candidates that were found are judged; a missing one keeps the job from passing."""
    if problem is None:
        return result
    reasons = (*result.reasons, Reason(problem, "nothing_matches"))
    return replace(result, verdict=worst([result.verdict, "inconclusive"]), reasons=reasons)


def _entry(job: Job, result: Result, status: Status, reasons: tuple[str, ...]) -> BatchEntry:
    style = Style(slopes=job.slopes)
    shown = render(result, job.each, style) if job.each else None
    return job.entry(status, reasons, one_line(result, style), shown)
