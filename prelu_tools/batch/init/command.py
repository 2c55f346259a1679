"""Write a list of checks for the models that a folder holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.backends.preflight.names import listed
from prelu_tools.batch.init.search import Found, search
from prelu_tools.batch.lists.jobs import check_jobs
from prelu_tools.batch.lists.keys import FIELDS
from prelu_tools.batch.lists.schema import SCHEMA_FILE, shipped_schema
from prelu_tools.batch.lists.tables import OWN_FILE, PROJECT_FILE, project_has_section
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.results.export import InitCheck, InitResult
from prelu_tools.graph.io.writer import replacing

_SHOWN = ("name", "reference", "candidates", "input")


@dataclass(frozen=True)
class InitRequest:
    """What to write."""

    force: bool = False
    """Whether a file that is there may be replaced."""
    schema: bool = True
    """Whether to write the schema beside it, for editors."""


def init(request: InitRequest) -> InitResult:
    """Look for models in the current folder, and write `prelu-tools.toml` there.

    Raises:
        UsageError: a file is there already.
        PReLUToolsError: nothing was found to check, or a file cannot be written.
    """
    path, schema = Path(OWN_FILE), Path(SCHEMA_FILE)
    found = search(Path())
    if not request.force:
        _refuse_existing(path, schema if request.schema else None, found)
    if not found.checks:
        raise _nothing_found(found, path)
    if request.schema:
        _write(schema, shipped_schema())
    _write(path, "\n".join(_lines(found.checks, request.schema)) + "\n")
    written = SCHEMA_FILE if request.schema else None
    return InitResult(OWN_FILE, written, found.checks, found.left_out)


def _nothing_found(found: Found, path: Path) -> PReLUToolsError:
    if not found.left_out:
        return PReLUToolsError("no ONNX model was found in this folder: export one first")
    models = "; ".join(f"{one.path}: {one.reason}" for one in found.left_out[:5])
    return PReLUToolsError(
        f"none of the ONNX models in this folder could be matched with a source ({models}): use "
        "the same name for both (net.keras or a class Net in a Python file, for net.onnx), or "
        f'write {path} by hand: [[checks]], reference = "SOURCE", candidates = ["MODEL.onnx"]'
    )


def _refuse_existing(path: Path, schema: Path | None, found: Found) -> None:
    if path.exists():
        raise UsageError(f"{path} already exists{_not_listed(found)} use --force to replace it")
    if project_has_section():
        raise UsageError(
            f"{PROJECT_FILE} already lists checks{_not_listed(found)} use --force to write "
            f"{path}, which replaces them"
        )
    if schema is None or not schema.exists():
        return
    if not schema.is_file() or schema.read_bytes() != shipped_schema().encode():
        raise UsageError(
            f"{schema} already exists with different content: use --force to replace it, or "
            "--no-schema"
        )


def _not_listed(found: Found) -> str:
    """What of that which was found an existing list leaves out, up to the colon."""
    try:
        known = {os.path.abspath(name) for job in check_jobs().jobs for name in job.sources}  # noqa: PTH100
    except PReLUToolsError:  # `verify` says what is wrong with it
        return ":"
    missing = [name for name in found.candidates if os.path.abspath(name) not in known]  # noqa: PTH100
    if missing:
        return f", and does not list {listed(missing, ' and ')}: add what is missing, or"
    return ", and lists every model that was found:" if found.candidates else ":"


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _lines(checks: Iterable[InitCheck], schema: bool) -> Iterator[str]:
    """The file, line by line."""
    checks = tuple(checks)
    if schema:
        yield f"#:schema ./{SCHEMA_FILE}"
    yield "# What `prelu-tools verify` checks when it is called without arguments, in this folder."
    yield "# Written by `prelu-tools init` from what the models say they were exported from, or"
    yield "# from their names; correct it if needed."
    if any(Path(check.reference).suffix not in (".onnx", ".npz") for check in checks):
        yield "# To check without the framework: prelu-tools record SOURCE -o net.npz, where it is"
        yield '# installed, and reference = "net.npz" here.'
    for check in checks:
        yield ""
        if check.needed:
            yield f"# Fill in {' and '.join(check.needed)}, and remove the first # of each line:"
        yield from (f"# {line}" if check.needed else line for line in _check(check))
    yield ""
    yield "# More keys of a check, each with an example value:"
    rest = [(key, field) for key, field in FIELDS.items() if key not in _SHOWN]
    width = max(len(f"{key} = {field.example}") for key, field in rest)
    for key, field in rest:
        yield f"# {f'{key} = {field.example}':{width}}  # {field.line}"


def _check(check: InitCheck) -> Iterator[str]:
    if check.n_models > 1:
        yield f"# One check for each match: {check.n_models} when this was written."
    yield "[[checks]]"
    yield f"name = {_quoted(check.name)}"
    yield f"reference = {_quoted(check.reference)}"
    yield f"candidates = [{', '.join(map(_quoted, check.candidates))}]"
    if check.inputs:
        yield f"input = [{', '.join(map(_quoted, check.inputs))}]"
    if check.variants:
        names = ", ".join(map(_quoted, check.variants))
        yield f"# Of another type, so they need their own tolerance: {names}"


def _quoted(text: str) -> str:
    """A text as TOML writes it: JSON's escapes are among its own."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
