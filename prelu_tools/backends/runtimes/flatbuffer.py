"""FlatBuffers in a file: tables, vectors and numbers, read within limits.

https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.wire import FileBytes, MalformedError, Readable

Model = TypeVar("Model")

_OFFSET: Final = 4  # bytes
_ELEMENTS_A_BYTE: Final = 4
_LEAST: Final = 1 << 16


class DamagedError(PReLUToolsError, ValueError):
    """The bytes are not the tables that were expected."""


class Buffer:
    """The bytes of a file, and how much of them may still be looked at.

    Vectors may overlap, so a small file could describe a lot of data; everything that is read is
    counted.
    """

    def __init__(self, data: Readable, file: IO[bytes] | None = None) -> None:
        """Begin with all of the file.

        Args:
            data: its bytes.
            file: what stays open as long as tables are read.
        """
        self._data = data
        self._file = file
        self.size = data.size
        self._left = _LEAST + _ELEMENTS_A_BYTE * data.size

    def read(self, start: int, n_bytes: int) -> bytes:
        """The bytes of a range.

        Raises:
            DamagedError: it is not in the file, or more is read than there can be.
        """
        self._left -= n_bytes
        if self._left < 0:
            raise DamagedError("its parts overlap")
        if start < 0 or n_bytes < 0 or start + n_bytes > self.size:
            raise DamagedError(f"it refers to byte {start + n_bytes:,} of {self.size:,}")
        return self._data.read(start, start + n_bytes)

    def number(self, place: int, kind: str) -> Any:
        """One number; its type as in `struct`."""
        return struct.unpack("<" + kind, self.read(place, struct.calcsize(kind)))[0]

    def root(self) -> Table:
        """The table that the file begins with."""
        return Table(self, self._follow(0))

    def _follow(self, place: int) -> int:
        return place + int(self.number(place, "I"))


class Table:
    """A table: fields by their numbers in the schema."""

    def __init__(self, buffer: Buffer, place: int) -> None:
        """Find its fields."""
        self._buffer = buffer
        self.place = place
        fields = place - buffer.number(place, "i")
        size = buffer.number(fields, "H")
        if size < _OFFSET or size % 2:
            raise DamagedError(f"a table has {size} bytes of fields")
        raw = buffer.read(fields + _OFFSET, size - _OFFSET)
        self._fields = struct.unpack(f"<{len(raw) // 2}H", raw)

    def where(self, field: int) -> int | None:
        """The position of a field; None if it has its default."""
        relative = self._fields[field] if field < len(self._fields) else 0
        return self.place + relative if relative else None

    def number(self, field: int, kind: str, default: int | float = 0) -> Any:
        """A number, its type as in `struct`."""
        place = self.where(field)
        return default if place is None else self._buffer.number(place, kind)

    def table(self, field: int) -> Table | None:
        """A table that a field refers to."""
        place = self.where(field)
        return None if place is None else Table(self._buffer, self._target(place))

    def vector(self, field: int, width: int) -> tuple[int, int]:
        """The position of a vector's first element and their number; 0, 0 if there is none.

        Args:
            field: its field.
            width: bytes of an element.
        """
        place = self.where(field)
        if place is None:
            return 0, 0
        start = self._target(place)
        count = int(self._buffer.number(start, "I"))
        if start + _OFFSET + count * width > self._buffer.size:
            raise DamagedError(f"a vector of {count:,} elements does not fit into the file")
        return start + _OFFSET, count

    def numbers(self, field: int, kind: str) -> Array:
        """The numbers of a vector, their type as numpy calls it."""
        dtype = np.dtype(kind).newbyteorder("<")
        start, count = self.vector(field, dtype.itemsize)
        return np.frombuffer(self._buffer.read(start, count * dtype.itemsize), dtype)

    def tables(self, field: int) -> list[Table]:
        """The tables that a vector refers to."""
        start, count = self.vector(field, _OFFSET)
        return [
            Table(self._buffer, self._target(start + _OFFSET * number)) for number in range(count)
        ]

    def text(self, field: int) -> str:
        """A text; "" if there is none."""
        start, count = self.vector(field, 1)
        return self._buffer.read(start, count).decode("utf-8", "replace")

    def texts(self, field: int) -> list[str]:
        """The texts of a vector."""
        start, count = self.vector(field, _OFFSET)
        found = []
        for number in range(count):
            place = self._target(start + _OFFSET * number)
            length = int(self._buffer.number(place, "I"))
            raw = self._buffer.read(place + _OFFSET, length)
            found.append(raw.decode("utf-8", "replace"))
        return found

    def _target(self, place: int) -> int:
        return place + int(self._buffer.number(place, "I"))


def read_file(path: Path, kind: str, read: Callable[[Path, Buffer], Model]) -> Model:
    """What a file says; it stays open as long as its tables are read.

    Args:
        path: the file.
        kind: what it should be, such as `MNN model`.
        read: reads its tables.

    Raises:
        PReLUToolsError: it cannot be read, or is no file of this kind.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return read(path, Buffer(FileBytes(file.fileno()), file))
    except (DamagedError, MalformedError, OSError, MemoryError, OverflowError) as error:
        raise PReLUToolsError(f"{path} is not a readable {kind}: {error}") from error
