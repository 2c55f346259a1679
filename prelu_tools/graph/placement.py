"""Put a model in its place: whole or not at all, with the file of its weights or without."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.graph.model import all_tensors, is_external, place_of
from prelu_tools.graph.reader import read_model
from prelu_tools.graph.writer import data_path


@contextmanager
def placing(path: Path, force: bool) -> Iterator[Path]:
    """A path to write a model to (`write_model`), which is put in place when the block ends.

    It is called what it will be called, in a folder of its own beside `path`, so that it can be run
    with its data before it is put in place. Until then an old model and its data stay as they are;
    then the data goes first and the model last, and after an error both are the old ones. Only an
    end of the process between these two renames leaves an old model with new data. The data of an
    old model that the new one does not need goes too.

    Raises:
        UsageError: there is a file already, and `force` is False.
        PReLUToolsError: it cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error
    try:
        temporary = folder / path.name
        yield temporary
        if not force:
            _refuse_taken(path, data_path(temporary).exists())
        _place(temporary, path)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unfinished(path: Path) -> set[Path]:
    """The folders of `placing` that are there for this path: of a process at work, or killed."""
    name = re.compile(re.escape(f".{path.name}.") + r"\w{8}")
    try:
        return {entry for entry in path.parent.iterdir() if name.fullmatch(entry.name)}
    except OSError:
        return set()


def discard_unfinished(path: Path, known: Collection[Path] = ()) -> None:
    """Remove what a process that was killed left beside a path, but for what is `known`."""
    for folder in unfinished(path) - set(known):
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_taken(path: Path, with_data: bool) -> None:
    """Say no to files that were made, or needed, only after the first look."""
    for taken in (path, *([data_path(path)] if with_data else [])):
        if taken.exists():
            raise UsageError(f"{taken} exists already: give --force to replace it")


def _place(temporary: Path, path: Path) -> None:
    new, old = data_path(temporary), data_path(path)
    had_data = path.exists() and _refers_to(path, old.name)
    for file in filter(Path.exists, (new, temporary)):
        _sync(file)
    if new.exists():
        with _kept(old, temporary.parent / "before"):
            new.replace(old)
            temporary.replace(path)
    else:
        temporary.replace(path)
        if had_data:
            old.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def _kept(file: Path, copy: Path) -> Iterator[None]:
    """A file that is what it was, or is not there if it was not, if the block ends in an error."""
    existed = file.exists()
    if existed:
        try:
            os.link(file, copy)
        except OSError:  # a file system without hard links
            shutil.copy2(file, copy)
    try:
        yield
    except BaseException:
        if existed:
            copy.replace(file)
        else:
            file.unlink(missing_ok=True)
        raise


def _refers_to(path: Path, location: str) -> bool:
    """Whether a file is a model that keeps tensors in another one of this name."""
    with suppress(PReLUToolsError):
        return any(
            is_external(tensor) and place_of(tensor).get("location") == location
            for tensor in all_tensors(read_model(path).proto)
        )
    return False


def _sync(path: Path) -> None:
    """Have a file, or the entries of a folder, written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
