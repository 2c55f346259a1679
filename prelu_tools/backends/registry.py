"""Which backend reads what: module names as strings, imported when they are needed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from prelu_tools.backends.interface import Backend, Source
from prelu_tools.backends.llvm import load_triton_first
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.source_spec import (
    SourceSpec,
    build_object,
    model_framework,
    parse_source_spec,
)
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError, UsageError
from prelu_tools.core.files.pickles import in_words, wanted_by_file
from prelu_tools.core.options import SourceOptions


@dataclass(frozen=True)
class Row:
    """One backend, or one reader of files."""

    name: str
    """Its name in results and in messages."""
    module: str
    """The module that has `from_file`; a backend's has `from_object` too."""
    suffixes: tuple[str, ...]
    """Files that it reads; of a folder, a file in it, with a slash before."""
    extra: str | None
    """The pip extra that brings its packages; None for the core."""
    packages: tuple[str, ...]
    """Modules that it imports, the telling one first."""
    heeds: tuple[str, ...] = ()
    """The fields of `SourceOptions` that change what it does."""


ROWS: tuple[Row, ...] = (
    Row(
        "onnx",
        "prelu_tools.backends.onnxruntime",
        (".onnx",),
        None,
        ("onnx", "onnxruntime"),
        ("inputs",),
    ),
    Row("torch", "prelu_tools.backends.torch", (), "torch", ("torch", "onnxscript", "safetensors")),
    Row(
        "keras",
        "prelu_tools.backends.keras",
        (".keras", ".h5"),
        "keras",
        ("tensorflow", "keras", "tf2onnx"),
        ("inputs", "custom_objects", "allow_unsafe_load"),
    ),
    Row(
        "tflite",
        "prelu_tools.backends.litert",
        (".tflite",),
        "litert",
        ("ai_edge_litert",),
        ("inputs",),
    ),
)
"""The frameworks and runtimes, which run models."""
_SAVED_MODEL = Row(
    "keras SavedModel",
    "prelu_tools.backends.keras.files.saved",
    ("/saved_model.pb",),
    "keras",
    ("tensorflow", "keras", "tf2onnx"),
    ("inputs", "allow_unsafe_load"),
)

_FILES = "prelu_tools.backends.files"
_PICKLES = (".pkl", ".pickle", ".joblib", ".dill")
READERS: tuple[Row, ...] = (
    Row("keras archive", f"{_FILES}.keras_archive", (".keras",), "keras", ("h5py",)),
    Row("keras HDF5", f"{_FILES}.keras_h5", (".h5", ".weights.h5"), "keras", ("h5py",)),
    Row(
        "state dict",
        f"{_FILES}.checkpoint",
        (".pt", ".pth", ".ckpt", ".pt.tar", ".pth.tar", ".tar"),
        "torch",
        ("torch",),
        ("allow_unsafe_load",),
    ),
    Row("safetensors", f"{_FILES}.safetensors", (".safetensors",), "torch", ("safetensors",)),
    Row(
        "torch program",
        "prelu_tools.backends.torch.files.program",
        (".pt2",),
        "torch",
        ("torch",),
        ("allow_unsafe_load",),
    ),
    Row("SavedModel", f"{_FILES}.saved_model", ("/saved_model.pb",), None, ()),
)
"""What is read by itself: for `inspect` before the frameworks, for the rest after them."""


_TO_RUN = (*ROWS, _SAVED_MODEL, *READERS)
_TO_INSPECT = (*READERS, *ROWS, _SAVED_MODEL)


class _Reader(Protocol):
    def from_file(self, path: Path, spelled: str, options: SourceOptions) -> Source: ...


def open_for_inspection(text: str, options: SourceOptions) -> Source:
    """Open a source to see its layers: a file by itself where that can be, without its framework.

    Raises:
        UsageError: it is spelled like nothing that is known.
        MissingExtraError: what reads it is not installed.
        PReLUToolsError: it cannot be read.
    """
    source_spec = parse_source_spec(text)
    if source_spec.file is None or options.custom_objects:
        return open_source(text, options)  # classes of the user's own have to be asked
    return _open_file(source_spec, options, _TO_INSPECT)


_IDLE: Mapping[str, tuple[str, str]] = {
    "inputs": ("--input", "models that do not know all sizes of their inputs"),
    "custom_objects": ("--custom-objects", "Keras files"),
    "allow_unsafe_load": ("--allow-unsafe-load", "files that may run code"),
}
"""Fields of `SourceOptions` that not every source heeds: the option, and what it is for."""


def refuse_ignored_options(
    sources: Sequence[Source], options: SourceOptions, inspects: bool = False
) -> None:
    """Reject what would be ignored.

    Args:
        sources: all that were opened with these options.
        options: how the user wants them to be read.
        inspects: whether they are looked at only, and not run.

    Raises:
        UsageError: none of the sources heeds an option, or none has an input that is named.
    """
    if options.is_shared:
        return
    heeded = {name for source in sources for name in _heeded(source, options, inspects)}
    names = ", ".join(dict.fromkeys(source.spelled for source in sources))
    for field, (flag, purpose) in _IDLE.items():
        if getattr(options, field) and field not in heeded:
            verb = "is none" if len(sources) == 1 else "are none"
            raise UsageError(f"{flag} is for {purpose}, and {names} {verb}: leave it out")
    left = {option.name for option in options.inputs}
    known: list[str] = []
    for source in sources if left and not inspects else ():
        known += [spec.name for spec in source.inputs()]
        left -= set(known)
        if not left:
            return
    if left and not inspects:
        raise UsageError(
            f"--input {min(left)}: {names} has no such input; it has {', '.join(known)}"
        )


def _heeded(source: Source, options: SourceOptions, inspects: bool) -> tuple[str, ...]:
    """The fields of the options that count for a source."""
    try:
        source_spec = parse_source_spec(source.spelled)
    except UsageError:
        return ("inputs",)  # a live model
    if source_spec.file is None:
        weights = source_spec.weights and _row_for(source_spec.weights, READERS)
        return ("inputs", *(weights.heeds if weights else ()))
    reads_alone = inspects and not options.custom_objects
    row = _row_for(source_spec.file, _TO_INSPECT if reads_alone else _TO_RUN)
    if row is None:
        return ("inputs",)
    return () if inspects and row.name == "onnx" else row.heeds


def open_source(text: str, options: SourceOptions) -> Source:
    """Open a source, whatever it is.

    Raises:
        UsageError: it is spelled like nothing that is known.
        MissingExtraError: its framework is not installed.
        PReLUToolsError: it cannot be read.
    """
    source_spec = parse_source_spec(text)
    if source_spec.file is not None:
        return _open_file(source_spec, options, _TO_RUN)
    with quiet(options.show_chatter):
        model = build_object(source_spec)
    return open_object(model, text, options, source_spec.weights)


def open_object(
    model: object, spelled: str, options: SourceOptions, weights: Path | None = None
) -> Source:
    """Take a live model as a source.

    Args:
        model: a `torch.nn.Module` or a `keras.Model`.
        spelled: what to call it.
        options: how to read it.
        weights: a file of weights to load into it; None for none.

    Raises:
        MissingExtraError: its framework is not installed.
        PReLUToolsError: it is nothing of the kind, or the weights do not fit.
    """
    name = model_framework(model)
    if name is None:
        raise PReLUToolsError(
            f"{spelled} is a {type(model).__module__}.{type(model).__qualname__}: expected a "
            "torch.nn.Module or a keras.Model, or a callable that returns one"
        )
    backend = _load(next(row for row in ROWS if row.name == name), spelled)
    return backend.from_object(model, spelled, weights, options)


def _open_file(source_spec: SourceSpec, options: SourceOptions, rows: Sequence[Row]) -> Source:
    path = source_spec.file
    if path is None:
        raise AssertionError("not a file")
    try:
        path.stat()
    except FileNotFoundError as error:
        raise PReLUToolsError(f"{path} cannot be read: no such file") from error
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL in it
        why = error.strerror if isinstance(error, OSError) else error
        raise PReLUToolsError(f"{path} cannot be read: {why}") from error
    if not (path.is_file() or path.is_dir()):
        raise PReLUToolsError(f"{path} is neither a regular file nor a folder: expected a model")
    row = _row_for(path, rows)
    if row is None:
        raise PReLUToolsError(_unknown_kind(path, rows))
    if source_spec.weights is not None:
        raise PReLUToolsError(
            f"{source_spec.text}: weights can be given for a Python source only "
            "(nets.py:Net@weights.pt)"
        )
    return cast(_Reader, _load(row, str(path))).from_file(path, source_spec.text, options)


def _row_for(path: Path, rows: Sequence[Row]) -> Row | None:
    """The row with the longest suffix that fits; the first of several."""
    fitting = [(len(suffix), row) for row in rows for suffix in row.suffixes if _fits(path, suffix)]
    return max(fitting, key=lambda found: found[0])[1] if fitting else None


def _fits(path: Path, suffix: str) -> bool:
    if suffix.startswith("/"):
        return os.path.isfile(path / suffix[1:])  # noqa: PTH113  (one that cannot be read is none)
    return not path.is_dir() and path.name.lower().endswith(suffix)


def _unknown_kind(path: Path, rows: Sequence[Row]) -> str:
    if path.is_dir():
        return _why_no_model(path)
    if path.suffix.lower() in _PICKLES:
        wanted = in_words(wanted_by_file(path))
        return (
            f"{path} is a pickle, and loading it would run {wanted}: refused, save the "
            "state_dict() as .safetensors or .pt"
        )
    suffixes = (suffix for row in rows for suffix in row.suffixes if suffix.startswith("."))
    known = ", ".join(sorted(set(suffixes)))
    return (
        f"{path} is not a known kind of model: expected {known}, a SavedModel's folder or a "
        "Python source (nets.py:Net)"
    )


def _why_no_model(folder: Path) -> str:
    try:
        names = [one.name for one in folder.iterdir()]
    except OSError as error:
        return f"{folder} cannot be read: {error.strerror}"
    if folder.is_symlink() and names:
        return (
            f"{folder} is a link to the folder {folder.resolve()}, which is not searched for "
            "models: name that folder itself"
        )
    return f"{folder} is a folder, but not a SavedModel: it has no saved_model.pb"


def _load(row: Row, text: str) -> Backend:
    if row.extra is not None:
        load_triton_first()
    try:
        return cast(Backend, importlib.import_module(row.module))
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if row.extra is None or package not in row.packages:
            raise
        raise MissingExtraError(package, row.extra, f"to read {text}") from error
