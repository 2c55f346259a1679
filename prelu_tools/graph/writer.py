"""Write a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from prelu_tools.core.errors import PReLUToolsError, UsageError

_PROTOBUF_LIMIT = 2**31 - 1


def refuse_existing(path: Path, force: bool) -> None:
    """Say no to a target that is there already, or that cannot be written.

    Raises:
        UsageError: the file exists and `force` is False, or its folder does not exist.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: expected the name of a file")
    if path.suffix != ".onnx":
        raise UsageError(f"{path} is no name for an ONNX model: expected one that ends in .onnx")
    if path.exists() and not force:
        raise UsageError(f"{path} exists already: give --force to replace it")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place when the block ends without an error.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_model(proto: onnx.ModelProto, path: Path) -> int:
    """Write a model to a file, the same bytes for the same model; returns how many.

    Raises:
        PReLUToolsError: it is larger than one protobuf file can be.
    """
    if proto.ByteSize() > _PROTOBUF_LIMIT:
        raise PReLUToolsError(
            f"the model has {proto.ByteSize():,} bytes, and one ONNX file holds less than 2 GB"
        )
    data = proto.SerializeToString(deterministic=True)
    path.write_bytes(data)
    return len(data)
