"""TensorFlow's checkpoints, read without TensorFlow: only the requested tensors are read.

An index (a sorted table of blocks, as in LevelDB) says where in the data files each tensor is.
https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/util/tensor_bundle Nothing here
allocates beyond the size of the files, and each block and entry is visited once.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ml_dtypes
import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.files.budget import Budget, BudgetError
from prelu_tools.graph.io.wire import MalformedError, MemoryBytes, Readable, decoded_varint, fields

FLOATS: Final[Mapping[int, np.dtype[np.generic]]] = {
    1: np.dtype("<f4"), 2: np.dtype("<f8"), 14: np.dtype(ml_dtypes.bfloat16), 19: np.dtype("<f2"),
}  # fmt: skip
"""The floating types, by their numbers in `types.proto`."""
_SIZES: Final = {3: 4, 4: 1, 5: 2, 6: 1, 8: 8, 9: 8, 10: 1, 17: 2, 18: 16, 22: 4, 23: 8}
_STRING: Final = 7
_MAGIC: Final = 0xDB4775248B80FB57
_FOOTER, _TRAILER = 48, 5
_SUM: Final = struct.Struct("<I")


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies."""

    dtype: int
    """Its type, as `types.proto` numbers them."""
    shape: tuple[int, ...]
    shard: int
    """Which of the data files has it."""
    offset: int
    """Where it begins there."""
    size: int
    """How many bytes it takes there."""
    checksum: int
    is_sliced: bool
    """Whether it is there in parts, each under its own key."""

    @property
    def is_float(self) -> bool:
        """Whether it can be a slope or a weight."""
        return self.dtype in FLOATS


class TensorBundle:
    """The checkpoint at `PREFIX.index` and `PREFIX.data-...`."""

    def __init__(self, prefix: Path) -> None:
        """Read the index.

        Raises:
            MalformedError: it is damaged, of a kind that TensorFlow does not write, or takes more
                memory or work than files of this size may.
            OSError: it cannot be read.
        """
        self._prefix = prefix
        parts = list(prefix.parent.glob(f"{prefix.name}.data-*"))
        index = prefix.with_suffix(".index").read_bytes()
        self._budget = Budget(len(index) + sum(path.stat().st_size for path in parts))
        pairs = dict(self._pairs(index))
        header = dict(values_of(pairs.pop(b"", b"")))
        self._n_shards = whole(header.get(1, 0))
        if whole(header.get(2, 0)) != 0:
            raise MalformedError("its numbers are big endian")
        if self._n_shards != len(parts):
            raise MalformedError(f"{self._n_shards} data files were expected, {len(parts)} found")
        self.entries: Mapping[str, Entry] = {
            key.decode(errors="replace"): _entry(value) for key, value in pairs.items()
        }

    def check(self) -> None:
        """Look at every entry, as if all tensors were read.

        Raises:
            MalformedError: one is not in its file, or is not as large as its shape says, or all
                together are larger than the files.
        """
        lengths = {n: self._shard(n).stat().st_size for n in range(self._n_shards)}
        for key, entry in self.entries.items():
            if entry.offset + entry.size > lengths.get(entry.shard, -1):
                raise MalformedError(f"{key!r} is not in its file")
            whole_size = _stated_size(entry)
            if not entry.is_sliced and whole_size not in (None, entry.size):
                raise MalformedError(f"{key!r} is not as large as its shape says")
            self._take(max(entry.size, whole_size or 0))

    def read(self, key: str) -> Array:
        """A floating tensor.

        Raises:
            MalformedError: it is damaged, or is there in parts.
        """
        entry = self.entries[key]
        dtype = FLOATS[entry.dtype]
        if entry.is_sliced:
            raise MalformedError(f"{key!r} is partitioned")
        if _stated_size(entry) != entry.size:
            raise MalformedError(f"{key!r} is not as large as its shape says")
        data = self._content(entry)
        if _masked_sum(data) != entry.checksum:
            raise MalformedError(f"the checksum of {key!r} does not match")
        return np.frombuffer(data, dtype).reshape(entry.shape)

    def text(self, key: str) -> bytes:
        """A tensor that is one string: its length, a checksum of that, and its bytes.

        Raises:
            MalformedError: it is damaged.
        """
        entry = self.entries[key]
        data = self._content(entry)
        length, position = decoded_varint(data, 0)
        text = data[position + _SUM.size :]
        if entry.dtype != _STRING or entry.shape or len(text) != length:
            raise MalformedError(f"{key!r} is not text")
        return text

    def _take(self, n_bytes: int, steps: int = 0) -> None:
        try:
            self._budget.take(n_bytes)
            self._budget.step(steps)
        except BudgetError as error:
            raise MalformedError("its entries are larger than its files") from error

    def _shard(self, number: int) -> Path:
        return self._prefix.with_name(
            f"{self._prefix.name}.data-{number:05d}-of-{self._n_shards:05d}"
        )

    def _content(self, entry: Entry) -> bytes:
        self._take(entry.size)
        with self._shard(entry.shard).open("rb") as file:
            file.seek(entry.offset)
            data = file.read(entry.size)
        if len(data) != entry.size:
            raise MalformedError("it ends in the middle of a tensor")
        return data

    def _pairs(self, index: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The keys of the table with their values; each key is larger than the one before."""
        if len(index) < _FOOTER or int.from_bytes(index[-8:], "little") != _MAGIC:
            raise MalformedError("it has no index")
        position = len(index) - _FOOTER
        for _ in range(2):  # the position of a block of statistics comes first
            _, position = decoded_varint(index, position)
        last: bytes | None = None
        for _, handle in self._block(index, *_handle(index, position)):
            for key, value in self._block(index, *_handle(handle, 0)):
                if last is not None and key <= last:
                    raise MalformedError("its keys are not in order")
                last = key
                yield key, value

    def _block(self, index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
        """The pairs of one block; each key is what it shares with the one before, and more."""
        end = offset + size
        if size < _SUM.size or end + _TRAILER > len(index):
            raise MalformedError("a block of its index does not fit")
        if index[end] != 0:
            raise MalformedError("its index is compressed")
        self._take(0, size)
        (stated,) = _SUM.unpack_from(index, end + 1)
        if _masked_sum(index[offset : end + 1]) != stated:
            raise MalformedError("the checksum of its index does not match")
        (restarts,) = _SUM.unpack_from(index, end - _SUM.size)
        end -= _SUM.size * (1 + restarts)
        key = b""
        while offset < end:
            shared, offset = decoded_varint(index, offset)
            more, offset = decoded_varint(index, offset)
            length, offset = decoded_varint(index, offset)
            if shared > len(key) or offset + more + length > end:
                raise MalformedError("an entry of its index does not fit")
            self._take(shared + more)
            key = key[:shared] + index[offset : offset + more]
            offset += more + length
            yield key, index[offset - length : offset]


def values_of(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message: their numbers, and their bytes as they are.

    Raises:
        MalformedError: it is none.
    """
    for field in fields(MemoryBytes(message), 0, len(message)):
        yield field.number, message[field.payload : field.end]


def parts_of(source: Readable, start: int, end: int, number: int) -> Iterator[tuple[int, int]]:
    """Where the fields of one number begin and end in a message that is not read whole.

    Raises:
        MalformedError: it is no message.
    """
    for field in fields(source, start, end):
        if field.number == number:
            yield field.payload, field.end


def whole(value: bytes | int) -> int:
    """A number that is not negative, of a field that has one.

    Raises:
        MalformedError: it is negative, or none.
    """
    number = value if isinstance(value, int) else decoded_varint(value, 0)[0]
    if number >= 1 << 63:
        raise MalformedError("a number is negative")
    return number


def _entry(message: bytes) -> Entry:
    found = dict(values_of(message))
    sizes = [dict(values_of(dim)) for number, dim in values_of(found.get(2, b"")) if number == 2]
    return Entry(
        dtype=whole(found.get(1, 0)),
        shape=tuple(whole(size.get(1, 0)) for size in sizes),
        shard=whole(found.get(3, 0)),
        offset=whole(found.get(4, 0)),
        size=whole(found.get(5, 0)),
        checksum=int.from_bytes(found.get(6, b""), "little"),
        is_sliced=7 in found,
    )


def _stated_size(entry: Entry) -> int | None:
    """The bytes of its values; None if the type does not say."""
    width = FLOATS[entry.dtype].itemsize if entry.is_float else _SIZES.get(entry.dtype)
    return None if width is None else width * math.prod(entry.shape)


def _handle(data: bytes, position: int) -> tuple[int, int]:
    offset, position = decoded_varint(data, position)
    return offset, decoded_varint(data, position)[0]


def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return tuple(found)


_TABLE: Final = _table()


def _masked_sum(data: bytes) -> int:
    """CRC-32C (RFC 3720), turned as LevelDB stores it."""
    value, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
