"""Open an ONNX file without reading its weights.

The file is walked field by field; small fields are copied to a skeleton of the model, and the
payload of a large tensor becomes *external data* that points to its place in the file itself. So
memory does not grow with the model, a slope is one positioned read, and the skeleton is a valid
model that onnxruntime can run. Reads are positioned, not mapped: mapped pages stay resident.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

import onnx
from google.protobuf.message import DecodeError

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.pointers import refuse_pointer
from prelu_tools.graph.io.locations import data_file, refuse_odd_name
from prelu_tools.graph.io.model import (
    INLINE_LIMIT,
    MEMORY,
    OnnxModel,
    external_tensors,
    locations_of,
    names_memory,
    place_of,
    set_place,
)
from prelu_tools.graph.io.sanity import refuse_broken
from prelu_tools.graph.io.wire import CHILDREN, FileBytes, MalformedError, fields, heading

__all__ = ["INLINE_LIMIT", "OnnxModel", "files_beside", "read_model"]

_RAW_DATA: Final = 9
_SHOWN: Final = 100
_COUNTED: Final = ("Node", "Tensor")
_MOST: Final = 250_000
_LITTLE_ENDIAN: Final = {4: onnx.TensorProto.FLOAT, 10: onnx.TensorProto.DOUBLE}  # packed = raw


def read_model(path: Path) -> OnnxModel:
    """Read the skeleton of an ONNX file.

    Raises:
        PReLUToolsError: the file is missing, unreadable, not an ONNX model, or one that no runtime
            would load.
    """
    refuse_pointer(path)
    try:
        with path.open("rb") as file:
            source = FileBytes(file.fileno())
            skeleton = _Walker(source, path.name).message("Model", 0, source.size)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise PReLUToolsError(f"{path} is not an ONNX model (it is nested too deeply)") from error
    except TooMuchError as error:
        raise PReLUToolsError(
            f"{path} has more than {_MOST:,} nodes and tensors: rejected, because it would take "
            "too much memory and time"
        ) from error
    except (MalformedError, DecodeError) as error:
        raise PReLUToolsError(f"{path} is not an ONNX model ({error})") from error
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(skeleton)
    except DecodeError as error:
        raise PReLUToolsError(f"{path} is not an ONNX model ({error})") from error
    if not proto.HasField("graph"):
        raise PReLUToolsError(f"{path} is not an ONNX model (it has no graph)")
    # Looked for in the bytes first: a walk over all tensors of every model would cost time.
    claimed = names_memory(proto) if MEMORY.encode() in skeleton else None
    if claimed is not None:
        raise PReLUToolsError(
            f"{path} stores tensor {claimed!r} at {MEMORY!r}, which is not a file: rejected"
        )
    refuse_broken(proto, path)
    return OnnxModel(proto, _settle(proto, path))


def _settle(proto: onnx.ModelProto, path: Path) -> Path:
    """Where a model is to be taken from: from the target of its link if its data is there too.

    onnxruntime follows no link out of a model's folder, and that is how Hugging Face's cache is
    laid out. The graph's locations become those of the files that the links lead to.
    """
    tensors = list(external_tensors(proto))
    if not path.is_symlink() or not tensors:
        return path
    real = path.resolve()
    places = [place_of(tensor) for tensor in tensors]
    for tensor, place in zip(tensors, places, strict=True):
        inside = place["location"] == path.name
        file = real if inside else data_file(path, tensor.name, place["location"])
        if not file.is_relative_to(real.parent):
            return path
        place["location"] = str(file.relative_to(real.parent))
    for tensor, place in zip(tensors, places, strict=True):
        set_place(tensor, place)
    return real


def files_beside(path: Path) -> tuple[str, ...]:
    """The files with a model's tensors, in its own folder; none if it cannot be read.

    Files outside that folder are left out: such a model is rejected on reading.
    """
    try:
        proto = read_model(path).proto
    except PReLUToolsError:
        return ()
    names = locations_of(proto) - {"", path.name}
    inside = (name for name in names if ".." not in PurePosixPath(name).parts)
    return tuple(sorted(name for name in inside if not PurePosixPath(name).is_absolute()))


class TooMuchError(Exception):
    """A file has more parts than are looked at."""


class _Walker:
    """Builds the skeleton."""

    def __init__(self, file: FileBytes, name: str) -> None:
        self._file = file
        self._name = name
        self._count = 0

    def message(self, kind: str, start: int, end: int) -> bytes:
        """The skeleton of a message that is not a tensor."""
        parts = []
        for field in fields(self._file, start, end):
            child = CHILDREN.get((kind, field.number))
            self._count += child in _COUNTED
            if self._count > _MOST:
                raise TooMuchError
            if child is None or field.end - field.payload <= INLINE_LIMIT:
                parts.append(self._file.read(field.start, field.end))
                continue
            build = self.tensor if child == "Tensor" else self.message
            body = build(child, field.payload, field.end)
            parts.append(heading(field.number, len(body)) + body)
        return b"".join(parts)

    def tensor(self, _kind: str, start: int, end: int) -> bytes:
        """A tensor whose large payload has become external data in the same file."""
        parts, places = [], []
        for field in fields(self._file, start, end):
            elidable = field.number == _RAW_DATA or field.number in _LITTLE_ENDIAN
            if elidable and field.end - field.payload > INLINE_LIMIT:
                places.append((field.payload, field.end))
            else:
                parts.append(self._file.read(field.start, field.end))
        rest = b"".join(parts)
        if not places:
            return rest
        if len(places) > 1:
            raise MalformedError("a tensor has its values in several pieces")
        return rest + self._placed(rest, *places[0])

    def _placed(self, rest: bytes, start: int, end: int) -> bytes:
        """The entry that marks values in this file as external data.

        It comes last and so counts: a tensor may say of itself that its data are not external.
        """
        stated = onnx.TensorProto.FromString(rest)
        others = [field.name for field, _ in stated.ListFields() if field.name.endswith("_data")]
        if set(others) - {"external_data"} or stated.data_location == onnx.TensorProto.EXTERNAL:
            raise MalformedError(f"the tensor {stated.name[:_SHOWN]!r} has its values twice")
        refuse_odd_name(Path(self._name))
        external = onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
        place = {"location": self._name, "offset": str(start), "length": str(end - start)}
        for key, value in place.items():
            external.external_data.add(key=key, value=value)
        return external.SerializeToString()
