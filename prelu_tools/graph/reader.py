"""Open an ONNX file without reading its weights.

The file is walked field by field (https://protobuf.dev/programming-guides/encoding/); whatever is
small is copied to a skeleton of the model, and the payload of a large tensor becomes *external
data* that points to its place in the file itself. So memory does not grow with the model, a slope
is one positioned read, and the skeleton is a valid model that onnxruntime can run. Reads are
positioned, not mapped: mapped pages stay resident.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError

INLINE_LIMIT: Final = 1024  # bytes; shape inference wants the small tensors in place
_WINDOW: Final = 1 << 16

# Which fields of which message lead to tensors (onnx.proto).
_CHILDREN: Final[dict[tuple[str, int], str]] = {
    ("Model", 7): "Graph",
    ("Model", 25): "Function",
    ("Function", 7): "Node",
    ("Graph", 1): "Node",
    ("Graph", 5): "Tensor",
    ("Node", 5): "Attribute",
    ("Attribute", 5): "Tensor",
    ("Attribute", 6): "Graph",
    ("Attribute", 10): "Tensor",
    ("Attribute", 11): "Graph",
}
_RAW_DATA: Final = 9
_LITTLE_ENDIAN: Final = {4: onnx.TensorProto.FLOAT, 10: onnx.TensorProto.DOUBLE}  # packed = raw

# Types of less than a byte, with their bits; older versions of onnx lack some of them.
_PACKED: Final = {
    onnx.TensorProto.DataType.Value(name): bits
    for name, bits in {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.items()
    if name in onnx.TensorProto.DataType.keys()  # noqa: SIM118
}


@dataclass(frozen=True)
class OnnxModel:
    """A model whose large tensors stay in their file."""

    proto: onnx.ModelProto
    """The skeleton: complete but for the payload of large tensors, which are external data."""
    file: Path | None
    """Where it was read from, with external data beside it; None for one that was never a file."""

    @property
    def opset(self) -> int:
        """Version of the default operator set; 0 where the model names none."""
        versions = [o.version for o in self.proto.opset_import if o.domain in ("", "ai.onnx")]
        return max(versions, default=0)

    def values(self, tensor: onnx.TensorProto) -> Array:
        """The values of a tensor of this model, read now.

        Raises:
            PReLUToolsError: its data is not where the model says, or not what its shape says.
        """
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            return _decode(tensor)
        place = {entry.key: entry.value for entry in tensor.external_data}
        path = self._external_path(tensor.name, place.get("location", ""))
        n_bytes = _n_bytes(tensor)
        try:
            offset, length = int(place.get("offset", 0)), int(place.get("length", n_bytes))
            with path.open("rb") as file:
                fits = offset + n_bytes <= os.fstat(file.fileno()).st_size
                data = os.pread(file.fileno(), n_bytes, offset) if fits else b""
        except OSError as error:
            raise PReLUToolsError(
                f"tensor {tensor.name!r} is kept in {path}, which cannot be read "
                f"({error.strerror}): put that file beside the model"
            ) from error
        except (ValueError, OverflowError) as error:
            raise PReLUToolsError(
                f"tensor {tensor.name!r} is kept at no possible place: {place}"
            ) from error
        if len(data) != n_bytes or length != n_bytes:
            found = min(len(data), length)
            raise PReLUToolsError(
                f"tensor {tensor.name!r} should have {n_bytes} bytes in {path}, found {found}: "
                "the file is damaged or cut short"
            )
        raw = onnx.TensorProto(
            name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, raw_data=data
        )
        return _decode(raw)

    def _external_path(self, name: str, location: str) -> Path:
        if self.file is None or not location:
            raise PReLUToolsError(f"tensor {name!r} is external data, and its file is not named")
        if location == self.file.name:
            return (
                self.file
            )  # elided by `read_model`, or a link to elsewhere: it was opened already
        root = self.file.parent.resolve()
        try:
            path = (root / location).resolve()
        except (ValueError, OSError) as error:
            raise PReLUToolsError(f"tensor {name!r} is kept at {location!r}: no path") from error
        if not path.is_relative_to(root):
            raise PReLUToolsError(
                f"tensor {name!r} is kept at {location!r}, outside the model's own folder: refused"
            )
        return path


def _n_bytes(tensor: onnx.TensorProto) -> int:
    """How many bytes the values of a tensor take."""
    try:
        itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError) as error:
        raise PReLUToolsError(
            f"tensor {tensor.name!r} is of type {tensor.data_type}, which is unknown here"
        ) from error
    count = int(math.prod(tensor.dims))
    if count < 0 or any(size < 0 for size in tensor.dims):
        raise PReLUToolsError(f"tensor {tensor.name!r} has the shape {list(tensor.dims)}")
    if tensor.data_type in _PACKED:
        return -(-count * _PACKED[tensor.data_type] // 8)
    return count * int(itemsize)


def _decode(tensor: onnx.TensorProto) -> Array:
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError) as error:
        raise PReLUToolsError(
            f"tensor {tensor.name!r} does not hold what its shape says ({error})"
        ) from error


def read_model(path: Path) -> OnnxModel:
    """Read the skeleton of an ONNX file.

    Raises:
        PReLUToolsError: the file is missing, unreadable, or not an ONNX model.
    """
    try:
        with path.open("rb") as file:
            source = _File(file.fileno(), os.fstat(file.fileno()).st_size, path.name)
            skeleton = _Walker(source).message("Model", 0, source.size)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise PReLUToolsError(f"{path} is not an ONNX model (it is nested too deep)") from error
    except _MalformedError as error:
        raise PReLUToolsError(f"{path} is not an ONNX model ({error})") from error
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(skeleton)
    except DecodeError as error:
        raise PReLUToolsError(f"{path} is not an ONNX model ({error})") from error
    if not proto.HasField("graph"):
        raise PReLUToolsError(f"{path} is not an ONNX model (it has no graph)")
    return OnnxModel(proto, path)


class _MalformedError(Exception):
    """The bytes are no protobuf message of the kind that was expected."""


class _File:
    """Positioned reads through one window."""

    def __init__(self, descriptor: int, size: int, name: str) -> None:
        self._descriptor = descriptor
        self.size = size
        self.name = name
        self._start = 0
        self._window = b""

    def read(self, start: int, end: int) -> bytes:
        """The bytes of a range."""
        if end > self.size:
            raise _MalformedError("it ends in the middle of a field")
        if end - start > _WINDOW:
            return os.pread(self._descriptor, end - start, start)
        if not (self._start <= start and end <= self._start + len(self._window)):
            self._start, self._window = start, os.pread(self._descriptor, _WINDOW, start)
        return self._window[start - self._start : end - self._start]

    def varint(self, position: int) -> tuple[int, int]:
        """A base-128 number, and the position behind it."""
        value = 0
        head = self.read(position, min(position + 10, self.size))
        for index, byte in enumerate(head):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, position + index + 1
        raise _MalformedError("a number has no end")


@dataclass(frozen=True)
class _Field:
    """One field of a message: its number, and where it and its payload lie."""

    number: int
    start: int
    payload: int
    end: int


class _Walker:
    """Builds the skeleton."""

    def __init__(self, file: _File) -> None:
        self._file = file

    def fields(self, start: int, end: int) -> Iterator[_Field]:
        """The fields of a message that lies in a range."""
        position = start
        while position < end:
            key, payload = self._file.varint(position)
            number, wire = key >> 3, key & 7
            if wire == 0:
                stop = self._file.varint(payload)[1]
            elif wire == 2:
                length, payload = self._file.varint(payload)
                stop = payload + length
            elif wire in (1, 5):
                stop = payload + (8 if wire == 1 else 4)
            else:
                raise _MalformedError(f"field {number} has wire type {wire}")
            if stop > end or number == 0:
                raise _MalformedError(f"field {number} does not fit")
            yield _Field(number, position, payload, stop)
            position = stop

    def message(self, kind: str, start: int, end: int) -> bytes:
        """The skeleton of a message that is not a tensor."""
        parts = []
        for field in self.fields(start, end):
            child = _CHILDREN.get((kind, field.number))
            if child is None or field.end - field.payload <= INLINE_LIMIT:
                parts.append(self._file.read(field.start, field.end))
                continue
            build = self.tensor if child == "Tensor" else self.message
            body = build(child, field.payload, field.end)
            parts.append(_varint(field.number << 3 | 2) + _varint(len(body)) + body)
        return b"".join(parts)

    def tensor(self, _kind: str, start: int, end: int) -> bytes:
        """A tensor whose large payload has become external data in this very file."""
        parts = []
        for field in self.fields(start, end):
            elidable = field.number == _RAW_DATA or field.number in _LITTLE_ENDIAN
            if elidable and field.end - field.payload > INLINE_LIMIT:
                place = {"location": self._file.name, "offset": str(field.payload)}
                place["length"] = str(field.end - field.payload)
                external = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
                for key, value in place.items():
                    external.external_data.add(key=key, value=value)
                parts.append(external.SerializeToString())
            else:
                parts.append(self._file.read(field.start, field.end))
        return b"".join(parts)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
