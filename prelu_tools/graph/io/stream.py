"""A model as the bytes of its file, with large tensors streamed from their place.

The reader's inverse: the skeleton is walked field by field, and only the lengths of the messages
around a large tensor are rewritten. No tensor is ever in a protobuf message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Final

import onnx

from prelu_tools.graph.io.model import (
    OnnxModel,
    external_tensors,
    is_external,
    n_bytes_of,
    set_place,
)
from prelu_tools.graph.io.wire import CHILDREN, MemoryBytes, fields, heading

_RAW_DATA: Final = 9
_PAGE: Final = 4096  # what onnxruntime can map has to begin at one
_LINE: Final = 64
_MIB: Final = 1 << 20


@dataclass(frozen=True)
class _Payload:
    """The place of a tensor's values among the bytes."""

    tensor: onnx.TensorProto
    n_bytes: int


_Segments = list[bytes | _Payload]


def _length(segments: _Segments) -> int:
    return sum(part.n_bytes if isinstance(part, _Payload) else len(part) for part in segments)


class Streamed:
    """A model as one message with every tensor in it."""

    def __init__(self, model: OnnxModel) -> None:
        """Lay the bytes out; no large tensor is read yet."""
        self._model = model
        skeleton = MemoryBytes(model.proto.SerializeToString(deterministic=True))
        self._segments = _message("Model", skeleton, 0, skeleton.size)
        self.n_bytes = _length(self._segments)
        self.n_large = len(list(external_tensors(model.proto)))

    def write(self, file: BinaryIO) -> None:
        """Write everything."""
        for part in self._segments:
            file.write(self._model.payload(part.tensor) if isinstance(part, _Payload) else part)


def _message(kind: str, source: MemoryBytes, start: int, end: int) -> _Segments:
    segments: _Segments = []
    copied = start  # everything before is in the segments
    for field in fields(source, start, end):
        child = CHILDREN.get((kind, field.number))
        if child is None:
            continue
        build = _tensor if child == "Tensor" else _message
        body = build(child, source, field.payload, field.end)
        if any(isinstance(part, _Payload) for part in body):
            segments.append(source.read(copied, field.start))
            segments.append(heading(field.number, _length(body)))
            segments += body
            copied = field.end
    segments.append(source.read(copied, end))
    return segments


def _tensor(_kind: str, source: MemoryBytes, start: int, end: int) -> _Segments:
    tensor = onnx.TensorProto.FromString(source.read(start, end))
    if not is_external(tensor):
        return []
    n_bytes = n_bytes_of(tensor)
    inline = onnx.TensorProto()
    inline.CopyFrom(tensor)
    set_place(inline, {})
    head = inline.SerializeToString(deterministic=True)
    return [head, heading(_RAW_DATA, n_bytes), _Payload(tensor, n_bytes)]


Places = list[tuple[int, int]]
"""For each large tensor, in the order of `all_tensors`: where its values begin, and their bytes."""


def lay_out(model: OnnxModel) -> Places:
    """Where large tensors go in their own file; those of 1 MiB and more begin at a page."""
    places = []
    end = 0
    for tensor in external_tensors(model.proto):
        n_bytes = n_bytes_of(tensor)
        unit = _PAGE if n_bytes >= _MIB else _LINE
        start = -(-end // unit) * unit
        places.append((start, n_bytes))
        end = start + n_bytes
    return places


def split(model: OnnxModel, places: Places, location: str) -> onnx.ModelProto:
    """A copy of the skeleton whose large tensors are external data at `location`."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor, (start, n_bytes) in zip(list(external_tensors(proto)), places, strict=True):
        place = {"location": location, "offset": str(start), "length": str(n_bytes)}
        set_place(tensor, place)
    return proto


def write_data(model: OnnxModel, places: Places, file: BinaryIO) -> int:
    """Write the large tensors of a model at these places; returns how many bytes there are."""
    end = 0
    for tensor, (start, n_bytes) in zip(external_tensors(model.proto), places, strict=True):
        file.write(bytes(start - end))
        file.write(model.payload(tensor))
        end = start + n_bytes
    return end
