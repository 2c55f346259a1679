"""The tasks that a command line means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from prelu_tools.batch.outputs import outputs_of
from prelu_tools.batch.pairs import pair
from prelu_tools.batch.sources import expand
from prelu_tools.batch.task import InspectTask, Task
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.inspect_gates import InspectGates


def inspect_tasks(
    sources: Sequence[str],
    request: InspectRequest,
    gates: InspectGates,
    slopes: bool = False,
    each: str | None = None,
) -> list[Task]:
    """A task for each model.

    Args:
        sources: as the user gives them: models, folders, patterns, lists.
        request: what to look at in each.
        gates: what each has to be like.
        slopes: whether its document has each slope's value.
        each: the format in which each is shown by itself; None not to.

    Raises:
        UsageError: what is given makes no sense.
        PReLUToolsError: there is nothing that it could mean.
    """
    found = expand(sources, "inspect")
    names = _apart(one.name or one.text for one in found)
    folder = os.getcwd()  # noqa: PTH109
    return [
        Task(name, InspectTask(one.text, request, gates), folder, slopes, each)
        for name, one in zip(names, found, strict=True)
    ]


def verify_tasks(request: VerifyRequest) -> list[Task]:
    """A task for each pair; `request` has the reference and the candidates as the user gives them.

    Raises:
        UsageError: it cannot be told what belongs together, or an option is for one check alone.
        PReLUToolsError: there is no pair.
    """
    if request.save_inputs is not None:
        raise UsageError("--save-inputs is for one REFERENCE and its CANDIDATEs, not for many")
    pairs = pair((request.reference, *request.candidates))
    names = _apart(one.name for one in pairs)
    folder = os.getcwd()  # noqa: PTH109
    tasks = []
    for name, one in zip(names, pairs, strict=True):
        bundle = None if request.bundle is None else request.bundle / _plain(name)
        work = replace(request, reference=one.reference, candidates=one.candidates, bundle=bundle)
        tasks.append(Task(name, work, folder))
    return tasks


def export_tasks(sources: Sequence[str], output: str | None, request: ExportRequest) -> list[Task]:
    """A task for each model, and the file that it is written to.

    Raises:
        UsageError: two would be written to one file, or one has none.
        PReLUToolsError: there is no model.
    """
    found = expand(sources, "export")
    names = _apart(one.name or one.text for one in found)
    paths = outputs_of(found, output)
    folder = os.getcwd()  # noqa: PTH109
    return [
        Task(name, replace(request, source=one.text, output=path), folder)
        for name, one, path in zip(names, found, paths, strict=True)
    ]


def _apart(names: Iterable[str]) -> list[str]:
    """Names of which no two are the same: the second of a kind gets a number."""
    taken: set[str] = set()
    given = []
    for wanted in names:
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted} ({number})"
        taken.add(name)
        given.append(name)
    return given


def _plain(name: str) -> Path:
    """A name as that of one folder."""
    return Path("".join(c if c.isalnum() or c in "._- " else "_" for c in name).strip(". ") or "_")
