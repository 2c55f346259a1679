"""Check a Python source before any of it is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prelu_tools.backends.source_spec import SourceSpec, parse_call
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.pointers import refuse_pointer
from prelu_tools.core.process.lazily import lazy_import_module
from prelu_tools.core.suggestions import no_such_file

if TYPE_CHECKING:
    from prelu_tools.backends.preflight import names
    from prelu_tools.core import python_code
    from prelu_tools.core.files import pickles
else:
    names = lazy_import_module("prelu_tools.backends.preflight.names")
    python_code = lazy_import_module("prelu_tools.core.python_code")
    pickles = lazy_import_module("prelu_tools.core.files.pickles")

_PICKLES = (".pkl", ".pickle", ".joblib", ".dill")


def check_python(source_spec: SourceSpec) -> None:
    """Reject a Python source whose files or names are not there.

    Raises:
        UsageError: a name is missing, the call lacks arguments, or they are not literals.
        PReLUToolsError: a file is missing.
    """
    if source_spec.module is None or source_spec.call is None:
        raise AssertionError("not a Python source")
    if source_spec.module.endswith(".py"):
        demand_file(Path(source_spec.module))
    if source_spec.weights is not None:
        demand_file(source_spec.weights)
    parse_call(source_spec.call)
    path = python_code.code_file(source_spec.module)
    code = None if path is None else python_code.read_code(path)
    if code is not None:
        names.check_name(source_spec.module, source_spec.call, code, source_spec.weights)


def demand_file(path: Path) -> None:
    """Reject what is not there, or cannot be looked at.

    Raises:
        PReLUToolsError: it is so, or it is a Git LFS pointer to the file, or has one in it.
    """
    try:
        path.stat()
        for file in (path, path / "saved_model.pb", *path.glob("variables/variables.*")):
            refuse_pointer(file)
    except FileNotFoundError as error:
        raise PReLUToolsError(no_such_file(path)) from error
    except (OSError, ValueError) as error:  # a name that is too long or contains NUL
        why = error.strerror if isinstance(error, OSError) else error
        raise PReLUToolsError(f"{path} cannot be read: {why}") from error


def no_model(label: str) -> str:
    """What is wrong with a file of weights that is to be run."""
    return (
        f"{label} contains weights but no model: name the code as well, as in nets.py:Net@{label}"
    )


def unknown_kind(path: Path, suffixes: Sequence[str]) -> str:
    """What is wrong with a path that no reader takes; the suffixes are of those that one does."""
    if path.is_dir():
        return _why_no_model(path)
    if path.suffix.lower() in _PICKLES:
        return (
            f"{path} is a pickle and is rejected, because {pickles.why_unsafe(path)}: save "
            "the state_dict() as .safetensors or .pt"
        )
    return (
        f"{path} is not a known kind of model: expected {', '.join(suffixes)}, a "
        "SavedModel's folder or a Python source (nets.py:Net)"
    )


def _why_no_model(folder: Path) -> str:
    try:
        names = [one.name for one in folder.iterdir()]
    except OSError as error:
        return f"{folder} cannot be read: {error.strerror}"
    if folder.is_symlink() and names:
        return (
            f"{folder} is a link to the folder {folder.resolve()}, which is not searched for "
            "models: use that folder itself"
        )
    return f"{folder} is a folder, but not a SavedModel: it has no saved_model.pb"
