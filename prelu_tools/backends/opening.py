"""Open a source by what reads it; its module is imported when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from prelu_tools.backends import registry
from prelu_tools.backends.llvm import load_triton_first
from prelu_tools.backends.preflight.sources import check_python, demand_file, unknown_kind
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.registry import Row, check_runtime, row_for
from prelu_tools.backends.source_spec import (
    SourceSpec,
    build_object,
    model_framework,
    named_object,
    parse_source_spec,
    type_name,
)
from prelu_tools.core.errors import MisfitError, MissingExtraError, PReLUToolsError, UsageError

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Backend, OnnxGraph, Source
    from prelu_tools.core.options import SourceOptions


class _Converter(Protocol):
    def from_onnx(self, graph: OnnxGraph) -> Source: ...


class _Reader(Protocol):
    def from_file(self, path: Path, label: str, options: SourceOptions) -> Source: ...


def run_by(name: str, graph: OnnxGraph) -> Source:
    """An ONNX file as a runtime runs it, converted by the runtime's own converter.

    Raises:
        PReLUToolsError: see `check_runtime`; or it cannot be converted.
    """
    module = importlib.import_module(check_runtime(name).module)
    return cast(_Converter, module).from_onnx(graph)


def open_for_inspection(text: str, options: SourceOptions) -> Source:
    """Open a source to see its layers: a file by itself where that can be, without its framework.

    Raises:
        UsageError: it is spelled like nothing that is known.
        MissingExtraError: what reads it is not installed.
        PReLUToolsError: it cannot be read.
    """
    source_spec = parse_source_spec(text)
    if source_spec.file is None or options.custom_objects:
        return open_source(text, options)  # user-defined classes are checked by their own methods
    return _open_file(source_spec, source_spec.file, options, registry.TO_INSPECT)


def open_source(text: str, options: SourceOptions) -> Source:
    """Open a source of any kind.

    Raises:
        UsageError: it is spelled like nothing that is known.
        MissingExtraError: its framework is not installed.
        PReLUToolsError: it cannot be read.
    """
    source_spec = parse_source_spec(text)
    if source_spec.file is not None:
        return _open_file(source_spec, source_spec.file, options, registry.TO_RUN)
    check_python(source_spec)
    with quiet(options.show_chatter):
        model = build_object(source_spec)
    try:
        return open_object(model, text, options, source_spec.weights)
    except MisfitError as error:
        from prelu_tools.backends.preflight.left_out import why_left_out

        target, call = named_object(source_spec)
        stated = error.trained_with
        hint = ""
        if callable(target) and (error.is_near or stated):
            hint = why_left_out(target, call, str(source_spec.weights), stated)
        raise PReLUToolsError("; ".join(filter(None, (str(error), hint)))) from error


def open_object(
    model: object, label: str, options: SourceOptions, weights: Path | None = None
) -> Source:
    """Take a live model as a source.

    Args:
        model: a `torch.nn.Module` or a `keras.Model`.
        label: what to call it.
        options: how to read it.
        weights: a file of weights to load into it; None for none.

    Raises:
        MissingExtraError: its framework is not installed.
        UsageError: it is nothing of the kind.
        PReLUToolsError: the weights do not fit.
    """
    name = model_framework(model)
    if name is None:
        raise UsageError(
            f"{label} is of type {type_name(model)}: expected a torch.nn.Module or a "
            "keras.Model, or a callable that returns one"
        )
    backend = cast("Backend", _load(next(row for row in registry.ROWS if row.name == name), label))
    return backend.from_object(model, label, weights, options)


def check_source(text: str, inspects: bool = False) -> None:
    """Say what is wrong with a source before anything is imported to read it.

    Args:
        text: as the user typed it.
        inspects: whether it is looked at only, and not run.

    Raises:
        UsageError: it is spelled like nothing that is known, or names what a Python file does not
            have.
        PReLUToolsError: a file of it is missing, or is no kind of model.
    """
    source_spec = parse_source_spec(text)
    if source_spec.file is None:
        check_python(source_spec)
    else:
        _check_file(
            source_spec, source_spec.file, registry.TO_INSPECT if inspects else registry.TO_RUN
        )


def _check_file(source_spec: SourceSpec, path: Path, rows: Sequence[Row]) -> Row:
    """What reads a file of a model."""
    demand_file(path)
    if not (path.is_file() or path.is_dir()):
        raise PReLUToolsError(f"{path} is neither a regular file nor a folder: expected a model")
    row = row_for(path, rows)
    if row is None:
        suffixes = {x for row in rows for x in row.suffixes if x.startswith(".")}
        raise PReLUToolsError(unknown_kind(path, sorted(suffixes)))
    if source_spec.weights is not None:
        raise UsageError(
            f"{source_spec.text}: weights can be given for a Python source only "
            "(nets.py:Net@weights.pt)"
        )
    return row


def _open_file(
    source_spec: SourceSpec, path: Path, options: SourceOptions, rows: Sequence[Row]
) -> Source:
    reader = cast(_Reader, _load(_check_file(source_spec, path, rows), str(path)))
    return reader.from_file(path, source_spec.text, options)


def _load(row: Row, text: str) -> ModuleType:
    if row.extra is not None:
        load_triton_first()
    try:
        return importlib.import_module(row.module)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if row.extra is None or package not in row.packages:
            raise
        raise MissingExtraError(package, row.extra, f"to read {text}") from error
