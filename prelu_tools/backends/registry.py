"""Which backend reads what: module names as strings, imported when they are needed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from prelu_tools.backends.interface import Backend, Source, SourceOptions
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.spelling import Spelling, build_object, model_framework, parse_spelling
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError


@dataclass(frozen=True)
class Row:
    """One backend."""

    name: str
    """Its name in results and in messages."""
    module: str
    """The module that has `from_file` and `from_object`."""
    suffixes: tuple[str, ...]
    """Files that it reads."""
    extra: str | None
    """The pip extra that brings its packages; None for the core."""
    packages: tuple[str, ...]
    """Modules that it imports, the telling one first."""


ROWS: tuple[Row, ...] = (
    Row("onnx", "prelu_tools.backends.onnxruntime", (".onnx",), None, ("onnx", "onnxruntime")),
    Row("torch", "prelu_tools.backends.torch", (), "torch", ("torch", "onnxscript", "safetensors")),
    Row("keras", "prelu_tools.backends.keras", (".keras",), "keras", ("tensorflow", "tf2onnx")),
)


def open_source(text: str, options: SourceOptions) -> Source:
    """Open a source, whatever it is.

    Raises:
        UsageError: it is spelled like nothing that is known.
        MissingExtraError: its framework is not installed.
        PReLUToolsError: it cannot be read.
    """
    spelling = parse_spelling(text)
    if spelling.file is not None:
        return _open_file(spelling, options)
    with quiet(options.show_chatter):
        model = build_object(spelling)
    name = model_framework(model)
    if name is None:
        raise PReLUToolsError(
            f"{text} is a {type(model).__module__}.{type(model).__qualname__}: expected a "
            "torch.nn.Module or a keras.Model, or a callable that returns one"
        )
    backend = _load(next(row for row in ROWS if row.name == name), text)
    return backend.from_object(model, text, spelling.weights, options)


def _open_file(spelling: Spelling, options: SourceOptions) -> Source:
    path = spelling.file
    if path is None:
        raise AssertionError("not a file")
    row = next((row for row in ROWS if path.suffix.lower() in row.suffixes), None)
    if not path.exists():
        raise PReLUToolsError(f"{path} cannot be read: no such file")
    if row is None:
        known = ", ".join(suffix for row in ROWS for suffix in row.suffixes)
        raise PReLUToolsError(
            f"{path} is of no kind that is known here: expected {known} or a Python source "
            "(nets.py:Net)"
        )
    if spelling.weights is not None:
        raise PReLUToolsError(
            f"{spelling.text}: weights can be given for a Python source only "
            "(nets.py:Net@weights.pt)"
        )
    return _load(row, str(path)).from_file(path, spelling.text, options)


def _load(row: Row, text: str) -> Backend:
    try:
        return cast(Backend, importlib.import_module(row.module))
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if row.extra is None or package not in row.packages:
            raise
        raise MissingExtraError(package, row.extra, f"to read {text}") from error
