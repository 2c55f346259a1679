"""Write a file completely or not at all."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.files.scratch import scratch_file
from prelu_tools.core.options import ExternalData
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.stream import Streamed, lay_out, split, write_data

_PROTOBUF_LIMIT = 2**31 - 1
_DIGITS = 16  # of the hash of the data, in their name


def refuse_existing(
    path: Path, force: bool, suffix: str = ".onnx", what: str = "an ONNX model"
) -> None:
    """Reject a target that is there already, or that cannot be written.

    Args:
        path: of the file.
        force: whether an existing file may be replaced.
        suffix: the required suffix of its name.
        what: what is written there, in words.

    Raises:
        UsageError: a file exists and `force` is False, or its folder does not exist.
        PReLUToolsError: nothing can be written in its folder.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: expected the name of a file")
    if path.suffix != suffix:
        raise UsageError(f"{path} is not a name for {what}: expected one that ends in {suffix}")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file: expected the name of one, or a new one")
    if path.exists() and not force:
        raise UsageError(f"{path} already exists: use --force to replace it")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PReLUToolsError(f"{path} cannot be written: no permission to write in its folder")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file next to `path`, which takes its place when the block ends without an error.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    try:
        with scratch_file(path) as temporary:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror or error}") from error


@dataclass(frozen=True)
class WrittenModel:
    """The result of `write_model`."""

    n_bytes: int
    """Size of the file of the graph, in bytes."""
    data: Path | None = None
    """The file next to it that holds the large tensors; None if the graph holds them."""
    n_data_bytes: int = 0
    """Size of that file."""


def write_model(model: OnnxModel, path: Path, external_data: ExternalData = "auto") -> WrittenModel:
    """Write a model to a file, the same bytes for the same model; its weights are streamed.

    With external data, large tensors (above 1 KB) go to a file next to it, called after the model
    and after its own content: so no model is ever next to data that are not its own. `auto` does so
    where one file would have 2 GB and more.

    Raises:
        PReLUToolsError: `external_data` is "never" and one file cannot hold it, or a tensor's
            values cannot be read.
        OSError: it cannot be written.
    """
    streamed = Streamed(model)
    fits = streamed.n_bytes <= _PROTOBUF_LIMIT
    if external_data == "never" and not fits:
        raise PReLUToolsError(
            f"the model has {streamed.n_bytes:,} bytes, and one ONNX file holds less than 2 GB: "
            "use --external-data auto to put its weights in a second file"
        )
    if external_data != "always" and fits:
        with path.open("wb") as file:
            streamed.write(file)
        return WrittenModel(streamed.n_bytes)
    if not streamed.n_large:
        return write_model(model, path)
    unnamed = path.with_name(f"{path.name}.data")
    places = lay_out(model)
    with unnamed.open("wb") as file:
        n_data_bytes = write_data(model, places, file)
    data = unnamed.replace(path.with_name(f"{path.name}.{_digest(unnamed)}.data"))
    content = split(model, places, data.name).SerializeToString(deterministic=True)
    path.write_bytes(content)
    return WrittenModel(len(content), data, n_data_bytes)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]


def is_data_of(name: str, path: Path) -> bool:
    """Whether a file next to a model is called as one that holds its large tensors."""
    return (
        re.fullmatch(rf"{re.escape(path.name)}(\.[0-9a-f]{{{_DIGITS}}})?\.data", name) is not None
    )
