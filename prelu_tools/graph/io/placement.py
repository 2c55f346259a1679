"""Put a model in place, completely or not at all, with or without a file of weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.files.scratch import clear, locked, scratch_folder, thoroughly
from prelu_tools.graph.io.model import locations_of
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.io.writer import is_data_of

_UNDER_WAY = "under-way"  # in the scratch folder: names of data that may be in use no longer


@contextmanager
def placing(path: Path, force: bool) -> Iterator[Path]:
    """A path to write a model to (`write_model`), which is put in place when the block ends.

    It is called what it will be called, in its own folder next to `path`, so that it can be run
    with its data before it is put in place. Until then an old model and its data stay as they are.
    The data are called after their content (`write_model`): they are put in place first, next to
    those of the old model, then the model takes the old one's place, at one stroke, and the old
    model's data go last, unless another model of the folder uses them. So wherever the process
    ends, a whole model is at `path`; what it left behind goes with the next run to that path.

    Raises:
        UsageError: there is a file already, and `force` is False.
        PReLUToolsError: it cannot be written.
    """
    try:
        with scratch_folder(path, lambda left: _forget(left, path)) as folder:
            temporary = folder / path.name
            yield temporary
            _place(temporary, path, force)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror or error}") from error


def discard_unfinished(path: Path) -> None:
    """Remove leftovers of a killed process next to a path."""
    with suppress(OSError):
        clear(path, lambda left: _forget(left, path))


def _place(temporary: Path, path: Path, force: bool) -> None:
    data = sorted(file for file in temporary.parent.iterdir() if is_data_of(file.name, path))
    for file in (*data, temporary):
        _sync(file)
    with locked(path.parent):
        if path.exists() and not force:  # it was made only after the first look
            raise UsageError(f"{path} already exists: use --force to replace it")
        new = {file.name for file in data if not path.with_name(file.name).exists()}
        touched = new | _data_of(path)
        (temporary.parent / _UNDER_WAY).write_bytes(b"\n".join(map(os.fsencode, touched)))
        try:
            for file in data:
                file.replace(path.with_name(file.name))
            _sync(path.parent)
            temporary.replace(path)
            _sync(path.parent)
        finally:  # either the old model's or, if it is still there, the new one's
            thoroughly(lambda: _drop(touched, path))


def _forget(left: Path, path: Path) -> None:
    """Remove the data of the model that a killed run was replacing, or did not put in place."""
    with suppress(FileNotFoundError):
        names = (left / _UNDER_WAY).read_bytes().split(b"\n")
        _drop(set(map(os.fsdecode, names)), path)


def _drop(names: set[str], path: Path) -> None:
    """Remove data next to a model that neither it nor another one of its folder uses."""
    found = {name for name in names if is_data_of(name, path) and path.with_name(name).is_file()}
    if found:
        for model in path.parent.glob("*.onnx"):
            found -= _data_of(model)
    for name in found:
        with suppress(OSError):
            path.with_name(name).unlink()


def _data_of(path: Path) -> set[str]:
    """The names of the files with a model's tensors; none for other files."""
    with suppress(PReLUToolsError):
        return locations_of(read_model(path).proto)
    return set()


def _sync(path: Path) -> None:
    """Have a file, or the entries of a folder, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
