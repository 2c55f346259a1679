"""Which backend reads which source: module names as strings, imported when they are needed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from prelu_tools.backends.source_spec import (
    parse_source_spec,
)
from prelu_tools.core.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    pass


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
    def versions(self) -> str:
        """Its version, and those of what it needs."""
        ...


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
    return cast(Outside, importlib.import_module(row.module)).installed(purpose).versions


def is_installed(package: str) -> bool:
    """Whether a package is there, and not merely a folder of its name; it is not imported."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


def holds_weights_only(text: str) -> bool:
    """Whether a source is a file of weights, which is no model without its code, by its name."""
    row = row_of(text)
    return row is not None and row.name in _WEIGHTS


def runs_in_onnxruntime(text: str) -> bool:
    """Whether a source is an ONNX file, which execution providers run."""
    row = row_of(text)
    return row is not None and row.name == "onnx"


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
