"""Write a list of checks for the models in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.backends.preflight.names import joined
from prelu_tools.batch.init.entries import extended, gone, listed_models, not_listed, table
from prelu_tools.batch.init.needed import files_needed, ignored_by_git, recorded_files
from prelu_tools.batch.init.search import Found, search
from prelu_tools.batch.lists.keys import FIELDS
from prelu_tools.batch.lists.schema import SCHEMA_FILE, shipped_schema
from prelu_tools.batch.lists.tables import OWN_FILE, PROJECT_FILE, project_has_section
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.results.export import InitCheck, InitResult, LeftOut
from prelu_tools.graph.io.writer import replacing

_SHOWN = ("name", "reference", "candidates", "input")


@dataclass(frozen=True)
class InitRequest:
    """What to write."""

    force: bool = False
    """Whether a list that is there may be extended, and its schema replaced."""
    schema: bool = True
    """Whether to write the schema next to it, for editors."""


def init(request: InitRequest) -> InitResult:
    """Look for models in the current folder, and write `prelu-tools.toml` there.

    A list that is there keeps all that is in it: with `force`, checks of models that it does not
    name are added at its end.

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
    lost: list[LeftOut] = []
    if path.exists() or project_has_section():
        path, checks, text = extended(found.pairs)
        lost = [LeftOut(one, f"{path} lists it, but it cannot be found") for one in gone()]
    else:
        checks = found.checks
        text = "\n".join(_lines(checks, request.schema)) + "\n"
    if request.schema:
        _write(schema, shipped_schema())
    _write(path, text)
    written = SCHEMA_FILE if request.schema else None
    left_out = (*lost, *found.left_out)
    ignored = ignored_by_git(files_needed(found.pairs))
    models = ignored_by_git(recorded_files(found.pairs))
    return InitResult(str(path), written, checks, left_out, ignored, models)


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
        raise UsageError(f"{path} already exists{_not_listed(found)}")
    if project_has_section():
        raise UsageError(f"{PROJECT_FILE} already lists checks{_not_listed(found)}")
    if schema is None or not schema.exists():
        return
    if not schema.is_file() or schema.read_bytes() != shipped_schema().encode():
        raise UsageError(
            f"{schema} already exists with different content: use --force to replace it, or "
            "--no-schema"
        )


def _not_listed(found: Found) -> str:
    """The rest of the sentence: which of the models found an existing list leaves out."""
    try:
        known = listed_models()
        missing = [path for check in found.pairs for path in not_listed(check, known)]
        lost = gone()
    except PReLUToolsError as error:
        return f", and cannot be read as a list ({error}): correct or delete it"
    also = f"; it lists {joined(lost, ' and ')}, which cannot be found" if lost else ""
    if missing:
        return (
            f", and does not list {joined(missing, ' and ')}: use --force to add what is missing "
            f"(the rest stays as it is){also}"
        )
    all_listed = ", and lists every model that was found" if found.checks else ""
    return f"{all_listed}: delete it to start again{also}"


_OF_SOURCE = ("input", "custom_objects", "allow_unsafe_load")


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _lines(checks: Iterable[InitCheck], schema: bool) -> Iterator[str]:
    """The file, line by line."""
    checks = tuple(checks)
    if schema:
        yield f"#:schema ./{SCHEMA_FILE}"
    yield "# What `prelu-tools verify` checks when it is called without arguments, in this folder."
    yield "# Written by `prelu-tools init` from the sources that the models record, or from their"
    yield "# names; correct it if needed."
    if any(Path(check.reference).suffix not in (".onnx", ".npz") for check in checks):
        yield "# To check without the framework: prelu-tools record SOURCE -o net.npz, where it is"
        yield '# installed, and reference = "net.npz" with strict_warnings = true here, so that a'
        yield "# record that is older than its model fails."
        keys = ["input"] if any(check.inputs for check in checks) else []
        keys += dict.fromkeys(key for check in checks for key in (*check.options, *check.withheld))
        flags = [f"--{key.replace('_', '-')}" for key in keys if key in _OF_SOURCE]
        if flags:
            yield f"# Move the {joined(flags, ' and ')} of the check to that command."
    for check in checks:
        yield ""
        yield from table(check)
    yield ""
    yield "# More keys of a check, each with an example value:"
    rest = [(key, field) for key, field in FIELDS.items() if key not in _SHOWN]
    width = max(len(f"{key} = {field.example}") for key, field in rest)
    for key, field in rest:
        yield f"# {f'{key} = {field.example}':{width}}  # {field.line}"
