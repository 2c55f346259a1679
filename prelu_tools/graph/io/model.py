"""An ONNX model, and where its large tensors are: in it, in a file, or in memory next to it.

Weights remain the framework's arrays: the graph only refers to them, is edited and checked as a
skeleton of a few kilobytes, and the weights are streamed to the file at the end
(`graph/io/writer.py`). So an export needs no copy of them, and protobuf's limit of 2 GB does not
matter.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.locations import data_file
from prelu_tools.graph.walk import OWN, graphs_in

INLINE_LIMIT: Final = 1024  # bytes; shape inference wants the small tensors in place
MEMORY: Final = "prelu_tools.memory"
"""The location, in the sense of external data, of what `OnnxModel.memory` holds."""

# Types of less than a byte, with their bits; older versions of onnx lack some of them.
_PACKED: Final = {
    onnx.TensorProto.DataType.Value(name): bits
    for name, bits in {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.items()
    if name in onnx.TensorProto.DataType.keys()  # noqa: SIM118
}


@dataclass(frozen=True)
class OnnxModel:
    """A model whose large tensors may be outside its graph."""

    proto: onnx.ModelProto
    """Complete except the payload of large tensors, which are external data."""
    file: Path | None
    """Where it was read from, with external data next to it; None for one that was never a file."""
    memory: dict[str, Array] = field(default_factory=dict)
    """The values of tensors at the location `MEMORY`, by their `key`: arrays that never change."""

    @property
    def opset(self) -> int:
        """Version of the default operator set; 0 if the model names none."""
        versions = [o.version for o in self.proto.opset_import if o.domain in OWN]
        return max(versions, default=0)

    @property
    def folder(self) -> Path | None:
        """Where its external data is; None for a model that was never a file."""
        return None if self.file is None else self.file.parent

    @cached_property
    def n_bytes(self) -> int:
        """Bytes of the model's file and of those with its data; of one in memory, of its parts."""
        if self.file is None:
            return self.proto.ByteSize() + sum(values.nbytes for values in self.memory.values())
        names = locations_of(self.proto) - {"", MEMORY, self.file.name}
        files = [self.file, *(self.file.parent / name for name in names)]
        return sum(file.stat().st_size for file in files if file.is_file())

    def tensor(self, name: str, values: Array) -> onnx.TensorProto:
        """A tensor for this model's graph; large values are not copied, but kept in `memory`."""
        data_type = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
        if values.nbytes <= INLINE_LIMIT or data_type in _PACKED or not values.dtype.isnative:
            return numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
        tensor = onnx.TensorProto(name=name, dims=values.shape, data_type=data_type)
        self.keep(tensor, values)
        return tensor

    def keep(self, tensor: onnx.TensorProto, values: Array) -> None:
        """Let a tensor of the graph be one that `memory` holds, in place."""
        key, number = tensor.name, 0
        while key in self.memory:
            number += 1
            key = f"{tensor.name}#{number}"
        self.memory[key] = values
        set_place(tensor, {"location": MEMORY, "key": key})

    def forget_unused(self) -> None:
        """Release arrays that no tensor refers to any more."""
        used = {place_of(t).get("key") for t in external_tensors(self.proto) if _in_memory(t)}
        for key in [key for key in self.memory if key not in used]:
            del self.memory[key]

    def take_in(self) -> None:
        """Put the arrays of `memory` into the graph, in place: for small tensors and sessions."""
        for tensor in all_tensors(self.proto):
            if _in_memory(tensor):
                tensor.CopyFrom(numpy_helper.from_array(self.values(tensor), tensor.name))
        self.memory.clear()

    def inlined(self) -> onnx.ModelProto:
        """A copy with the values of every tensor in it, for whoever takes a protobuf message.

        Raises:
            PReLUToolsError: see `values`.
        """
        proto = onnx.ModelProto()
        proto.CopyFrom(self.proto)
        for tensor in external_tensors(proto):
            payload = bytes(self.payload(tensor))
            set_place(tensor, {})
            tensor.raw_data = payload
        return proto

    def values(self, tensor: onnx.TensorProto) -> Array:
        """The values of a tensor of this model, read now.

        Raises:
            PReLUToolsError: its data is not where the model says, or not what its shape says.
        """
        if not is_external(tensor):
            return _decode(tensor)
        if _in_memory(tensor):
            found = self._remembered(tensor).view()
            found.flags.writeable = False
            return found
        raw = onnx.TensorProto(
            name=tensor.name, dims=tensor.dims, data_type=tensor.data_type,
            raw_data=bytes(self.payload(tensor)),
        )  # fmt: skip
        return _decode(raw)

    def payload(self, tensor: onnx.TensorProto) -> memoryview:
        """The bytes of a tensor that is external data, as a file holds them.

        Raises:
            PReLUToolsError: its data is not where the model says, or not what its shape says.
        """
        if _in_memory(tensor):
            values = np.ascontiguousarray(self._remembered(tensor))
            return values.reshape(-1).view(np.uint8).data
        place, n_bytes = place_of(tensor), n_bytes_of(tensor)
        path = self._external_path(tensor.name, place.get("location", ""))
        try:
            offset, length = int(place.get("offset", 0)), int(place.get("length", n_bytes))
            with path.open("rb") as file:
                fits = offset + n_bytes <= os.fstat(file.fileno()).st_size
                file.seek(offset)
                data = file.read(n_bytes) if fits else b""
        except OSError as error:
            raise PReLUToolsError(
                f"tensor {tensor.name!r} is stored in {path}, which cannot be read "
                f"({error.strerror}): put that file next to the model"
            ) from error
        except (ValueError, OverflowError) as error:
            raise PReLUToolsError(
                f"tensor {tensor.name!r} has an invalid location: {place}"
            ) from error
        if len(data) != n_bytes or length != n_bytes:
            found = min(len(data), length)
            raise PReLUToolsError(
                f"tensor {tensor.name!r} should have {n_bytes:,} bytes in {path}, found {found:,}: "
                "the file is damaged or cut short"
            )
        return memoryview(data)

    def _remembered(self, tensor: onnx.TensorProto) -> Array:
        values = self.memory.get(place_of(tensor).get("key", ""))
        if values is None or values.shape != tuple(tensor.dims):
            raise PReLUToolsError(
                f"tensor {tensor.name!r} is stored at {MEMORY!r}, a location reserved for models "
                "in memory: rejected"
            )
        return values

    def _external_path(self, name: str, location: str) -> Path:
        if self.file is None or not location:
            raise PReLUToolsError(f"tensor {name!r} is external data, but its file is not named")
        if location == self.file.name:
            return self.file  # elided by `read_model`: it was opened already
        return data_file(self.file, name, location)


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether a tensor's values are elsewhere."""
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def place_of(tensor: onnx.TensorProto) -> dict[str, str]:
    """Where a tensor that is external data is, as the graph says."""
    return {entry.key: entry.value for entry in tensor.external_data}


def set_place(tensor: onnx.TensorProto, place: dict[str, str]) -> None:
    """Say where a tensor's values are; with an empty place, they are to come into it."""
    del tensor.external_data[:]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    if not place:
        tensor.ClearField("data_location")
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)


def _in_memory(tensor: onnx.TensorProto) -> bool:
    return is_external(tensor) and place_of(tensor).get("location") == MEMORY


def names_memory(proto: onnx.ModelProto) -> str | None:
    """The first tensor that claims to be in memory; None if there is none."""
    return next((t.name for t in all_tensors(proto) if _in_memory(t)), None)


def all_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every dense tensor of a model, those of subgraphs, attributes and functions included."""
    yield from _tensors_of_graph(proto.graph)
    for function in proto.functions:
        yield from _tensors_of(function.attribute_proto)
        for node in function.node:
            yield from _tensors_of(node.attribute)


def external_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Those of `all_tensors` whose values are elsewhere."""
    return filter(is_external, all_tensors(proto))


def locations_of(proto: onnx.ModelProto) -> set[str]:
    """The files that hold values of tensors, as the graph names them; "" for one that it omits."""
    return {place_of(tensor).get("location", "") for tensor in external_tensors(proto)}


def _tensors_of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        if node.attribute:
            yield from _tensors_of(node.attribute)


def _tensors_of(attributes: Iterable[onnx.AttributeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in graphs_in(attribute):
            yield from _tensors_of_graph(graph)


def n_bytes_of(tensor: onnx.TensorProto) -> int:
    """How many bytes the values of a tensor take.

    Raises:
        PReLUToolsError: its type is unknown, or its shape impossible.
    """
    try:
        itemsize = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError) as error:
        raise PReLUToolsError(
            f"tensor {tensor.name!r} is of type {tensor.data_type}, which is not supported"
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
            f"tensor {tensor.name!r} does not contain what its shape says ({error})"
        ) from error
