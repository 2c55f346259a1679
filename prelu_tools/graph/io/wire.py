"""ONNX files as protobuf messages: their fields, and which of them lead to tensors.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

_WINDOW: Final = 1 << 16

CHILDREN: Final[dict[tuple[str, int], str]] = {
    ("Model", 7): "Graph",
    ("Model", 25): "Function",
    ("Function", 7): "Node",
    ("Function", 11): "Attribute",
    ("Graph", 1): "Node",
    ("Graph", 5): "Tensor",
    ("Node", 5): "Attribute",
    ("Attribute", 5): "Tensor",
    ("Attribute", 6): "Graph",
    ("Attribute", 10): "Tensor",
    ("Attribute", 11): "Graph",
}
"""Which fields of which message lead to tensors, and to what (onnx.proto)."""


class MalformedError(Exception):
    """The bytes are no protobuf message of the kind that was expected."""


class Readable(Protocol):
    """Bytes with positions."""

    @property
    def size(self) -> int:
        """How many there are."""

    def read(self, start: int, end: int) -> bytes:
        """Those of a range; a `MalformedError` if it does not exist."""


class FileBytes:
    """Positioned reads through one window."""

    def __init__(self, descriptor: int) -> None:
        """Read an open file."""
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._start = 0
        self._window = b""

    def read(self, start: int, end: int) -> bytes:
        """See `Readable.read`."""
        if end > self.size:
            raise MalformedError("it ends in the middle of a field")
        if end - start > _WINDOW:
            return os.pread(self._descriptor, end - start, start)
        if not (self._start <= start and end <= self._start + len(self._window)):
            self._start, self._window = start, os.pread(self._descriptor, _WINDOW, start)
        return self._window[start - self._start : end - self._start]


class MemoryBytes:
    """A message that is in memory."""

    def __init__(self, data: bytes) -> None:
        """Read these bytes."""
        self._data = data
        self.size = len(data)

    def read(self, start: int, end: int) -> bytes:
        """See `Readable.read`."""
        if end > self.size:
            raise MalformedError("it ends in the middle of a field")
        return self._data[start:end]


class Field(NamedTuple):
    """One field of a message: its number, and the positions of the field and its payload."""

    number: int
    start: int
    payload: int
    end: int


def fields(source: Readable, start: int, end: int) -> Iterator[Field]:
    """The fields of a message that is in a range.

    Raises:
        MalformedError: they do not fit in it.
    """
    position = start
    while position < end:
        key, payload = _read_varint(source, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            stop = _read_varint(source, payload)[1]
        elif wire == 2:
            length, payload = _read_varint(source, payload)
            stop = payload + length
        elif wire in (1, 5):
            stop = payload + (8 if wire == 1 else 4)
        else:
            raise MalformedError(f"field {number} has wire type {wire}")
        if stop > end or number == 0:
            raise MalformedError(f"field {number} reaches beyond its end: is the file truncated?")
        yield Field(number, position, payload, stop)
        position = stop


def _read_varint(source: Readable, position: int) -> tuple[int, int]:
    """A base-128 number, and the position after it."""
    value, length = decoded_varint(source.read(position, min(position + 10, source.size)))
    return value, position + length


def decoded_varint(data: bytes, position: int = 0) -> tuple[int, int]:
    """A base-128 number at a position, and the position after it.

    Raises:
        MalformedError: it has no end within ten bytes.
    """
    value = 0
    for index, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise MalformedError("a number has no end")


def varint(value: int) -> bytes:
    """A number in base 128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def heading(number: int, length: int) -> bytes:
    """The part before the payload of a field with a length."""
    return varint(number << 3 | 2) + varint(length)
