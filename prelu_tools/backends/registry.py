"""Which backend reads which source: module names as strings, imported when they are needed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from prelu_tools.backends.llvm import load_triton_first
from prelu_tools.backends.preflight.sources import check_python, demand_file, unknown_kind
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.source_spec import (
    SourceSpec,
    build_object,
    model_framework,
    parse_source_spec,
    type_name,
)
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError, UsageError

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Backend, OnnxGraph, Source
    from prelu_tools.core.options import SourceOptions


class Row(NamedTuple):
    """One backend, or one reader of files."""

    name: str
    """Its name in results and in messages."""
    module: str
    """The module that has `from_file` where it has `suffixes`; PyTorch's and Keras' have
    `from_object`, for live models."""
    suffixes: tuple[str, ...]
    """Files that it reads; of a folder, a file in it, with a slash before."""
    extra: str | None
    """The pip extra that brings its packages; None for the core."""
    packages: tuple[str, ...]
    """Modules that it imports, the telling one first."""
    heeds: tuple[str, ...] = ()
    """The fields of `SourceOptions` that change what it does."""
    package: str = ""
    """What the first of `packages` is called where it is installed from; "" for the same name."""
    converts: bool = False
    """Whether its module has `from_onnx`, which takes an ONNX file to the runtime."""
    is_outside: bool = False
    """Whether pip does not bring it: its module has `installed`, which finds it or says how to get
    it, and `packages` is empty."""


RUNTIMES: tuple[Row, ...] = (
    Row(
        "tflite",
        "prelu_tools.backends.runtimes.litert",
        (".tflite",),
        "litert",
        ("ai_edge_litert",),
        ("inputs",),
        "ai-edge-litert",
    ),
    Row(
        "ncnn",
        "prelu_tools.backends.runtimes.ncnn",
        (".param",),
        "ncnn",
        ("ncnn", "pnnx"),
        ("inputs",),
        converts=True,
    ),
    Row(
        "openvino",
        "prelu_tools.backends.runtimes.openvino",
        (".xml",),
        "openvino",
        ("openvino",),
        ("inputs",),
        converts=True,
    ),
    Row(
        "mnn",
        "prelu_tools.backends.runtimes.mnn",
        (".mnn",),
        "mnn",
        ("MNN",),
        ("inputs",),
        converts=True,
    ),
    Row(
        "onnxruntime-web",
        "prelu_tools.backends.runtimes.onnxruntime_web",
        (),
        None,
        (),
        converts=True,
        is_outside=True,
    ),
)
"""Runtimes other than onnxruntime."""
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
    *RUNTIMES,
    Row("record", "prelu_tools.backends.recorded", (".npz",), None, ("numpy",)),
)
"""The frameworks and runtimes, which run models, and what stands for a model that was run."""
SAVED_MODEL = Row(
    "keras SavedModel",
    "prelu_tools.backends.keras.files.saved",
    ("/saved_model.pb",),
    "keras",
    ("tensorflow", "keras", "tf2onnx"),
    ("inputs", "allow_unsafe_load"),
)

_FILES = "prelu_tools.backends.files"
READERS: tuple[Row, ...] = (
    Row("keras archive", f"{_FILES}.keras.archive", (".keras",), "keras", ("h5py",)),
    Row("keras HDF5", f"{_FILES}.keras.h5", (".h5", ".weights.h5"), "keras", ("h5py",)),
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


_WEIGHTS = ("state dict", "safetensors")
TO_RUN = (*ROWS, SAVED_MODEL, *READERS)
"""What reads a file to run it: the first row of those that fit best."""
TO_INSPECT = (*READERS, *ROWS, SAVED_MODEL)
"""What reads a file to look at it, in the same way."""


class _Converter(Protocol):
    def from_onnx(self, graph: OnnxGraph) -> Source: ...


class Outside(Protocol):
    """The module of a runtime that pip does not bring."""

    def installed(self, purpose: str) -> Versions:
        """Find it.

        Raises:
            MissingToolError: it is not installed.
            PReLUToolsError: it does not work.
        """
        ...


class Versions(Protocol):
    """What was found."""

    @property
    def words(self) -> str:
        """Its version, and those of what it needs."""
        ...


class _Reader(Protocol):
    def from_file(self, path: Path, label: str, options: SourceOptions) -> Source: ...


def check_runtime(name: str) -> Row:
    """The row of a runtime that ONNX files can be run by; nothing is imported.

    Raises:
        UsageError: there is none of that name.
        MissingExtraError: a package of it is not installed.
        PReLUToolsError: it is of another package manager, and not installed or broken.
    """
    rows = {row.name: row for row in RUNTIMES if row.converts}
    if name not in rows:
        raise UsageError(
            f"--runtime {name} is not known: expected {', '.join(rows)}; for another runtime, "
            "give its file as the candidate, as in net.tflite"
        )
    row = rows[name]
    missing = next((package for package in row.packages if not is_installed(package)), None)
    if missing is not None:
        raise MissingExtraError(missing, row.extra or "", f"for --runtime {name}")
    if row.is_outside:
        find_outside(row, f"for --runtime {name}")
    return row


def find_outside(row: Row, purpose: str) -> str:
    """The versions of a runtime that pip does not bring.

    Raises:
        PReLUToolsError: see `Outside.installed`.
    """
    return cast(Outside, importlib.import_module(row.module)).installed(purpose).words


def is_installed(package: str) -> bool:
    """Whether a package is there, and not merely a folder of its name; it is not imported."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


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
    return _open_file(source_spec, source_spec.file, options, TO_INSPECT)


def open_source(text: str, options: SourceOptions) -> Source:
    """Open a source of any kind.

    Raises:
        UsageError: it is spelled like nothing that is known.
        MissingExtraError: its framework is not installed.
        PReLUToolsError: it cannot be read.
    """
    source_spec = parse_source_spec(text)
    if source_spec.file is not None:
        return _open_file(source_spec, source_spec.file, options, TO_RUN)
    check_python(source_spec)
    with quiet(options.show_chatter):
        model = build_object(source_spec)
    return open_object(model, text, options, source_spec.weights)


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
        PReLUToolsError: it is nothing of the kind, or the weights do not fit.
    """
    name = model_framework(model)
    if name is None:
        raise PReLUToolsError(
            f"{label} is of type {type_name(model)}: expected a torch.nn.Module or a "
            "keras.Model, or a callable that returns one"
        )
    backend = cast("Backend", _load(next(row for row in ROWS if row.name == name), label))
    return backend.from_object(model, label, weights, options)


def check_source(text: str, inspects: bool = False) -> None:
    """Say what is wrong with a source before anything is imported to read it.

    Args:
        text: as the user typed it.
        inspects: whether it is looked at only, and not run.

    Raises:
        UsageError: it is spelled like nothing that is known.
        PReLUToolsError: a file or a name of it is missing, or it is no kind of model.
    """
    source_spec = parse_source_spec(text)
    if source_spec.file is None:
        check_python(source_spec)
    else:
        _check_file(source_spec, source_spec.file, TO_INSPECT if inspects else TO_RUN)


def holds_weights_only(text: str) -> bool:
    """Whether a source is a file of weights, which is no model without its code, by its name."""
    row = row_of(text)
    return row is not None and row.name in _WEIGHTS


def runs_in_onnxruntime(text: str) -> bool:
    """Whether a source is an ONNX file, which execution providers run."""
    row = row_of(text)
    return row is not None and row.name == "onnx"


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
        raise PReLUToolsError(
            f"{source_spec.text}: weights can be given for a Python source only "
            "(nets.py:Net@weights.pt)"
        )
    return row


def _open_file(
    source_spec: SourceSpec, path: Path, options: SourceOptions, rows: Sequence[Row]
) -> Source:
    reader = cast(_Reader, _load(_check_file(source_spec, path, rows), str(path)))
    return reader.from_file(path, source_spec.text, options)


def row_of(text: str) -> Row | None:
    """The row that runs a source, by its name alone; None for a Python source."""
    file = parse_source_spec(text).file
    return None if file is None else row_for(file, TO_RUN)


def row_for(path: Path, rows: Sequence[Row]) -> Row | None:
    """The row with the longest suffix that fits; the first of several."""
    fitting = [(len(suffix), row) for row in rows for suffix in row.suffixes if _fits(path, suffix)]
    return max(fitting, key=lambda found: found[0])[1] if fitting else None


def _fits(path: Path, suffix: str) -> bool:
    if suffix.startswith("/"):
        return os.path.isfile(path / suffix[1:])  # noqa: PTH113  (one that cannot be read is none)
    return not path.is_dir() and path.name.lower().endswith(suffix)


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
