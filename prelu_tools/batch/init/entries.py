"""The checks of a list as text, and those missing from an existing list."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from prelu_tools.batch.init.needed import files_of
from prelu_tools.batch.init.options import toml
from prelu_tools.batch.init.strict import STRICT, STRICT_COMMENT
from prelu_tools.batch.lists.jobs import check_jobs
from prelu_tools.batch.lists.tables import OWN_FILE, TABLES, find_file, read_tables, read_text
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.results.export import InitCheck

_OF_INIT = ("name", "reference", "candidates")


def listed_models() -> set[str]:
    """The models that the list of the current folder names, as absolute paths.

    Raises:
        PReLUToolsError: it cannot be read.
    """
    return {os.path.abspath(name) for job in check_jobs().jobs for name in job.sources}  # noqa: PTH100


def gone() -> list[str]:
    """The files that the list of the current folder names and that are not there.

    Raises:
        PReLUToolsError: it cannot be read.
    """
    names = (name for job in check_jobs().jobs for name in job.sources)
    files = dict.fromkeys(file for name in names for file in files_of(name))
    return [file for file in files if not os.path.lexists(file)]


def not_listed(check: InitCheck, known: Collection[str]) -> list[str]:
    """The candidates of a check that are not among the models of a list."""
    return [path for path in check.candidates if os.path.abspath(path) not in known]  # noqa: PTH100


def extended(checks: Sequence[InitCheck]) -> tuple[Path, tuple[InitCheck, ...], str]:
    """The list of the current folder with what it lacks, which is at its end.

    Returns:
        Its file, the checks that were added, and the new text; what was there is unchanged. A
        candidate of a reference that the list has already gets the other keys of that check.

    Raises:
        UsageError: the list cannot be read, or checks cannot be added to it.
    """
    path, _ = find_file()
    try:
        known, rows, old = listed_models(), read_tables(path), read_text(path)
    except PReLUToolsError as error:
        raise UsageError(
            f"{path} cannot be extended ({error}): correct it, or delete it to start again"
        ) from error
    names = {str(row.values.get("name")) for row in rows}
    added: list[InitCheck] = []
    for check in checks:
        missing = tuple(not_listed(check, known))
        if not missing or f"# candidates = {toml(check.candidates)}\n" in old:
            continue
        if len(missing) < len(check.candidates):
            check = replace(check, candidates=missing, name=Path(missing[0]).stem)
        for row in rows:
            if row.values.get("reference") == check.reference:
                kept = {key: item for key, item in row.values.items() if key not in _OF_INIT}
                check = replace(check, inputs=(), options=kept, withheld={})
                break
        check = replace(check, name=_unlike(check.name, names))
        names.add(check.name)
        added.append(check)
    lines = [line for check in added for line in ("", *table(check, TABLES[path]))]
    text = "\n".join([old.rstrip("\n"), *lines]) + "\n" if lines else old
    try:
        tomllib.loads(text)
    except ValueError as error:
        raise UsageError(
            f"{path} cannot be extended: its checks are an array; write each as {TABLES[path]}"
        ) from error
    return Path(path), tuple(added), text


def _unlike(name: str, others: Collection[str]) -> str:
    number, found = 1, name
    while found in others:
        number += 1
        found = f"{name}-{number}"
    return found


def table(check: InitCheck, head: str = TABLES[OWN_FILE]) -> Iterator[str]:
    """A check, line by line; a comment where something has to be filled in.

    Args:
        check: the check.
        head: how its table begins.
    """
    if check.needed:
        yield f"# Fill in {' and '.join(check.needed)}, and remove the first # of each line:"
    yield from (f"# {line}" if check.needed else line for line in _check(check, head))


def _check(check: InitCheck, head: str) -> Iterator[str]:
    if check.n_models > 1:
        yield f"# One check for each match: {check.n_models:,} when this was written."
    yield head
    yield f"name = {toml(check.name)}"
    yield f"reference = {toml(check.reference)}"
    yield f"candidates = {toml(check.candidates)}"
    if check.inputs:
        yield f"input = {toml(check.inputs)}"
    for key, value in check.options.items():
        if key == STRICT:
            yield STRICT_COMMENT
        yield f"{key} = {toml(value)}"
    for key, value in check.withheld.items():
        yield f"# The model says that it was exported with {key}, which can run code. If you trust"
        yield "# its source, remove the first # of the next line:"
        yield f"# {key} = {toml(value)}"
    if check.variants:
        names = ", ".join(map(toml, check.variants))
        yield f"# These have another data type and need their own tolerance: {names}"
