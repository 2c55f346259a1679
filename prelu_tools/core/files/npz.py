"""Read arrays of numbers from an `.npz` file without running code, and write such files."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
from numpy.lib import format as npy

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, one_line
from prelu_tools.core.files.archives import faults_of
from prelu_tools.core.files.limits import allowed_memory
from prelu_tools.core.files.pickles import in_words, wanted_by, wanted_by_file
from prelu_tools.core.suggestions import no_such_file

_NUMBERS = "fiub"
_PICKLE = b"\x80"
_MEMBER = ".npy"
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date in a zip file
_UNIX = 3
Read = TypeVar("Read")


class NpzFile:
    """An `.npz` file whose arrays are read on demand.

    Args:
        path: the file.

    Raises:
        PReLUToolsError: it is not such a file, is damaged, or unpacks to more than ten times its
            size (and 500 MB).
    """

    def __init__(self, path: Path) -> None:
        """Open it; no array is read yet."""
        if path.exists() and not path.is_file():
            raise PReLUToolsError(
                f"{path} cannot be read as an .npz file: it is not a regular file"
            )
        self.path = path
        self._archive = _explained(path, lambda: _opened(path))
        self._members = {
            info.filename.removesuffix(_MEMBER): info
            for info in self._archive.infolist()
            if info.filename.endswith(_MEMBER)
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its arrays, in the order of the file."""
        return tuple(self._members)

    def faults(self) -> Iterator[str]:
        """Signs of a hostile file of this kind; see `faults_of`."""
        return faults_of(self._archive, self.path)

    def n_bytes(self, name: str) -> int:
        """The size of an array with its header, as the file states it."""
        return self._members[name].file_size

    def array(self, name: str) -> Array:
        """One of its arrays.

        Raises:
            PReLUToolsError: the file is damaged, would run code, or this holds more than numbers.
        """
        info = self._members.get(name)
        if info is None:
            raise PReLUToolsError(f"{self.path} is damaged: it has no array {name!r}")
        return _explained(self.path, lambda: _array(self._archive, info, self.path))

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file by their names.

    Raises:
        PReLUToolsError: see `NpzFile`.
    """
    file = NpzFile(path)
    try:
        return {name: file.array(name) for name in file.names}
    finally:
        file.close()


def write_arrays(file: IO[bytes], arrays: Iterable[tuple[str, Callable[[], Array]]]) -> None:
    """Write an `.npz` file, compressed: the same bytes for the same arrays.

    Args:
        file: open for writing.
        arrays: the name of each array, and a function that returns it; one is held at a time.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, load in arrays:
            info = zipfile.ZipInfo(name + _MEMBER, _DATE)
            info.compress_type, info.create_system = zipfile.ZIP_DEFLATED, _UNIX
            with archive.open(info, "w", force_zip64=True) as member:
                npy.write_array(member, np.asarray(load(), order="C"), allow_pickle=False)


def _opened(path: Path) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(path)
    try:
        _refuse_bomb(archive, path)
    except BaseException:
        archive.close()
        raise
    return archive


def _explained(path: Path, read: Callable[[], Read]) -> Read:
    """The content; errors become one sentence."""
    try:
        return read()
    except PReLUToolsError:
        raise
    except FileNotFoundError as error:
        raise PReLUToolsError(no_such_file(path)) from error
    except OSError as error:
        detail = error.strerror or one_line(error)
        raise PReLUToolsError(f"{path} cannot be read as an .npz file ({detail})") from error
    except zipfile.BadZipFile as error:
        raise PReLUToolsError(_no_archive(path, error)) from error
    except Exception as error:  # zipfile and numpy raise a dozen kinds for damaged files
        detail = one_line(error)
        raise PReLUToolsError(
            f"{path} cannot be read as an .npz file: it is damaged "
            f"({type(error).__name__}: {detail})"
        ) from error


def _refuse_bomb(archive: zipfile.ZipFile, path: Path) -> None:
    unpacked = sum(info.file_size for info in archive.infolist())
    allowed = allowed_memory(path.stat().st_size) // 2  # each array is held twice for a moment
    if unpacked > allowed:
        raise PReLUToolsError(
            f"{path} is rejected: it unpacks to {unpacked:,} bytes, more than the {allowed:,} "
            "allowed for a file of its size; save it with numpy.savez, which does not compress"
        )


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Array:
    name = info.filename.removesuffix(_MEMBER)
    with archive.open(info) as member:
        shape, dtype = _header(member)
        if dtype.hasobject:
            wanted = wanted_by(member.read(allowed_memory(0)))
            raise PReLUToolsError(
                f"{path} is rejected: {name!r} is an array of Python objects, and loading it "
                f"would run {in_words(wanted)}; save arrays of numbers"
            )
        if dtype.kind not in _NUMBERS:
            raise PReLUToolsError(f"{path}: {name!r} is of type {dtype}; expected numbers")
        if math.prod(shape) * dtype.itemsize > info.file_size:
            raise PReLUToolsError(
                f"{path} is damaged: {name!r} should have shape {list(shape)[:8]}, but has "
                f"{info.file_size:,} bytes"
            )
    with archive.open(info) as member:
        return np.asarray(npy.read_array(member, allow_pickle=False))


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = npy.read_magic(member)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the .npy format is not supported")
    shape, _, dtype = read(member)
    if any(not isinstance(size, int) or size < 0 for size in shape):
        raise ValueError(f"an array has the shape {shape}")
    return tuple(shape), dtype


def _no_archive(path: Path, error: Exception) -> str:
    start = b""
    with suppress(OSError), path.open("rb") as file:
        start = file.read(1)
    wanted = wanted_by_file(path) if start == _PICKLE else ()
    if wanted:
        return (
            f"{path} is a pickle, not an .npz file: loading it would run {in_words(wanted)}; "
            "refused, save the arrays with numpy.savez"
        )
    return f"{path} cannot be read as an .npz file: it is not a zip file, or is damaged ({error})"
