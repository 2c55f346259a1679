"""The jobs that a command line or a list file describes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prelu_tools.batch.job import InspectWork, Job
from prelu_tools.batch.lists.models import Found, expand
from prelu_tools.batch.lists.outputs import outputs_of
from prelu_tools.batch.lists.pairs import Pair, each_candidate, filled, pairs_of, placeholders
from prelu_tools.batch.lists.rows import as_written, is_list, read_rows
from prelu_tools.batch.lists.tables import ListError, Row, find_file
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.speaking import in_check_file
from prelu_tools.commands.verify.request import (
    ROLES,
    VerifyRequest,
    refuse_lone_layouts,
    refuse_unknown_layouts,
)
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.core.requests.effect import refuse_ignored
from prelu_tools.core.results.batch import Command
from prelu_tools.core.results.inspect_gates import InspectGates


@dataclass(frozen=True)
class JobList:
    """What one runner runs, wherever it was listed."""

    command: Command
    """What to do with each."""
    jobs: tuple[Job, ...]
    """In the order in which they are listed; no two have the same name."""
    path: str | None = None
    """The file that lists them; None if none, or more than one, does."""
    notes: tuple[str, ...] = ()
    """Notes on how they were found."""


def inspect_jobs(
    sources: Sequence[str],
    request: InspectRequest,
    gates: InspectGates,
    slopes: bool = False,
    each: str | None = None,
) -> JobList:
    """A job for each model.

    Args:
        sources: as the user gives them: models, folders, patterns, lists.
        request: what to look at in each.
        gates: the gates for each.
        slopes: whether its document has each slope's value.
        each: the format in which each is shown by itself; None not to.

    Raises:
        UsageError: the arguments make no sense.
        PReLUToolsError: there is nothing that it could mean.
    """
    found = expand(sources, "inspect")
    jobs = [
        _of_model(one, InspectWork(one.text, request, gates), slopes=slopes, each=each)
        for one in found
    ]
    return _list("inspect", sources, zip(jobs, map(_row_of, found), strict=True))


def export_jobs(sources: Sequence[str], output: str | None, request: ExportRequest) -> JobList:
    """A job for each model, and the file that it is written to.

    Raises:
        UsageError: two would be written to one file, or one has none.
        PReLUToolsError: there is no model.
    """
    found = expand(sources, "export")
    jobs = [
        _of_model(one, replace(request, source=one.text, output=path))
        for one, path in zip(found, outputs_of(found, output), strict=True)
    ]
    return _list("export", sources, zip(jobs, map(_row_of, found), strict=True))


def verify_jobs(request: VerifyRequest) -> JobList:
    """A job for each pair; `request` has the reference and the candidates as the user gives them.

    Raises:
        UsageError: it is not clear what belongs together, or an option is for a single check only.
        PReLUToolsError: there is no pair.
    """
    if request.save_inputs is not None:
        raise UsageError("--save-inputs is for one REFERENCE and its CANDIDATEs, not for many")
    reference, candidates = request.reference, request.candidates
    if is_list(reference):
        if candidates:
            raise UsageError(f"{reference} already lists the pairs: leave out the CANDIDATE")
        rows = read_rows(reference, "verify")
        found = _list("verify", [reference], _of_rows(rows, request))
        names = {name for job in found.jobs for name in job.sources}
        refuse_unknown_layouts(request.layouts, names)
        refuse_lone_layouts(_checks_of(found.jobs))
        return found
    if not candidates:
        raise UsageError(
            f"no candidate to compare {reference} with: add a CANDIDATE, or give a list of pairs "
            "(.csv with the columns reference and candidate)"
        )
    pairs = [
        each
        for pair in pairs_of(reference, candidates)
        for each in each_candidate(pair, candidates)
    ]
    refuse_unknown_layouts(request.layouts, _names_of(pairs, reference, candidates))
    jobs = [_of_pair(pair, request, pair.name) for pair in pairs]
    refuse_lone_layouts(_checks_of(jobs))
    return _list("verify", [], ((job, None) for job in jobs))


def check_jobs(show_chatter: bool = False, strict_warnings: bool = False) -> JobList:
    """The checks of `prelu-tools.toml` in the current folder, otherwise of `pyproject.toml` there.

    Args:
        show_chatter: whether to let the frameworks write to standard error.
        strict_warnings: whether warnings fail in checks that do not say whether they do.

    Raises:
        UsageError: there is no such file, it has no checks, or something in it makes no sense.
        PReLUToolsError: a file cannot be read.
    """
    path, notes = find_file()
    options = SourceOptions(show_chatter=show_chatter)
    base = VerifyRequest("", (), strict_warnings=strict_warnings, options=options)
    found = _list("verify", [path], _of_rows(read_rows(path, "verify"), base))
    return replace(found, notes=notes)


def _list(
    command: Command, sources: Sequence[str], found: Iterable[tuple[Job, Row | None]]
) -> JobList:
    jobs, given = zip(*found, strict=True)
    is_file = len(sources) == 1 and is_list(sources[0])
    return JobList(command, tuple(_apart(jobs, given)), sources[0] if is_file else None)


def _of_model(one: Found, work: Any, **more: Any) -> Job:
    row, text = one.row, one.text
    named = None if row is None else row.fields.get("name")
    name = text if named is None else named if one.is_alone else f"{named}: {text}"
    job = Job(name, work, _folder(), problem=one.problem, can_run=one.problem is None, **more)
    return job if row is None else replace(job, file=row.path, line=row.line)


def _row_of(one: Found) -> Row | None:
    """The row that names this model and no other."""
    is_named = one.row is not None and one.is_alone and "name" in one.row.fields
    return one.row if is_named else None


def _of_rows(rows: Iterable[Row], base: VerifyRequest) -> Iterator[tuple[Job, Row | None]]:
    """The jobs of each row; with the row where it gives the job its name."""
    for row in rows:
        values = dict(row.fields)
        sources = values.pop("reference"), values.pop("candidates")
        name = values.pop("name", None)
        request = replace(base, **values, options=replace(base.options, **row.of_source))
        try:
            refuse_ignored(request, VerifyRequest, values)
            pairs = _pairs_of_row(*sources)
            refuse_unknown_layouts(values.get("layouts", ()), _names_of(pairs, *sources))
            jobs = [_of_pair(pair, request, _name(name, pair)) for pair in pairs]
            refuse_lone_layouts(_checks_of(jobs) if "layouts" in values else ())
        except ListError:
            raise
        except UsageError as error:
            raise row.error(in_check_file(str(error))) from error
        is_alone, is_own = len(pairs) == 1, base.options == _plain_options(base)
        is_named = name is not None and is_alone
        for job in jobs:
            job = replace(job, file=row.path, line=row.line, has_own_options=is_alone and is_own)
            yield job, row if is_named else None


def _plain_options(base: VerifyRequest) -> SourceOptions:
    """The options of sources if the command line gives none for all rows."""
    return SourceOptions(show_chatter=base.options.show_chatter)


def _checks_of(jobs: Iterable[Job]) -> Iterator[VerifyRequest]:
    return (job.work for job in jobs if isinstance(job.work, VerifyRequest))


def _pairs_of_row(reference: str, candidates: tuple[str, ...]) -> list[Pair]:
    """The pairs that a row means; one that cannot run where it means none, named as written."""
    try:
        return pairs_of(reference, candidates)
    except UsageError:
        raise
    except PReLUToolsError as error:
        why = as_written(str(error))
        return [Pair(reference, reference, candidates, problem=why, can_run=False)]


def _names_of(pairs: Iterable[Pair], *written: str | tuple[str, ...]) -> set[str]:
    """The names that the sources of pairs may have."""
    texts = {text for one in written for text in ((one,) if isinstance(one, str) else one)}
    return texts.union(*({*pair.written, *pair.written.values()} for pair in pairs))


def _of_pair(pair: Pair, request: VerifyRequest, name: str) -> Job:
    bundle, inputs = request.bundle, request.inputs_file
    if inputs is not None and pair.places is not None:
        inputs = Path(filled(str(inputs), pair.places))
    work = replace(
        request,
        reference=pair.reference,
        candidates=pair.candidates,
        bundle=None if bundle is None else bundle / _plain(name),
        inputs_file=inputs,
        layouts=_layouts(request.layouts, pair),
    )
    return Job(name, work, _folder(), problem=pair.problem, can_run=pair.can_run)


def _name(given: str | None, pair: Pair) -> str:
    """The name of a pair: from the row, or its own; unique among the matches."""
    if given is None or pair.places is None:
        return given or pair.name
    return filled(given, pair.places) if placeholders(given) else f"{given}: {pair.name}"


def _layouts(given: Mapping[str, Layout], pair: Pair) -> dict[str, Layout]:
    """The axis orders for a pair, by the names of its sources or of a pattern's match."""
    found = {one: given[text] for one, text in pair.written.items() if text in given}
    return found | {one: given[one] for one in (*ROLES, *pair.written) if one in given}


def _apart(jobs: Sequence[Job], given: Sequence[Row | None]) -> Iterator[Job]:
    """Keep names from rows; other names that occur twice get a number."""
    named = [job.name for job, row in zip(jobs, given, strict=True) if row is not None]
    seen: set[str] = set()
    for job, row in zip(jobs, given, strict=True):
        if row is not None and job.name in seen:
            n_same, of = named.count(job.name), row.title.partition(" ")[0]
            raise ListError(
                f"{row.path}: {n_same:,} {of}s have the name {job.name!r}", row.path, row.line
            )
        seen |= {job.name} if row is not None else set()
    taken = set(named)
    for job, row in zip(jobs, given, strict=True):
        name, number = job.name, 1
        while row is None and name in taken:
            number += 1
            name = f"{job.name} ({number})"
        taken.add(name)
        yield replace(job, name=name)


def _folder() -> str:
    return os.getcwd()  # noqa: PTH109


def _plain(name: str) -> Path:
    """A name as that of one folder."""
    return Path("".join(c if c.isalnum() or c in "._- " else "_" for c in name).strip(". ") or "_")
