"""Reject impossible tensors: of an impossible shape, place or size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import onnx

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.limits import allowed_memory
from prelu_tools.core.files.pointers import refuse_pointer
from prelu_tools.graph.io.locations import data_file
from prelu_tools.graph.io.model import (
    all_tensors,
    external_tensors,
    is_external,
    n_bytes_of,
    place_of,
)

_MOST_AXES: Final = 64  # numpy's limit
_LARGEST: Final = 2**63 - 1
_SHOWN: Final = 120
_DIGITS: Final = 20
_VALUES: Final = frozenset(
    name for name in onnx.TensorProto.DESCRIPTOR.fields_by_name if name.endswith("_data")
) - {"external_data"}  # fmt: skip


class BrokenGraphError(Exception):
    """What is wrong, as the end of a sentence that begins with the model's name."""


def named(name: str) -> str:
    """A name in a message: quoted, and not longer than it can be read."""
    return repr(name if len(name) <= _SHOWN else f"{name[: _SHOWN - 20]}...{name[-17:]}")


def refuse_no_text(*texts: str) -> None:
    """Every text is one: protobuf hands out bytes if it is not UTF-8.

    Raises:
        BrokenGraphError: one is none.
    """
    try:
        "".join(texts)
    except TypeError:
        found = next(text for text in texts if isinstance(text, bytes))
        raise BrokenGraphError(f"its text {found[:_SHOWN]!r} is not UTF-8") from None


def refuse_tensors(proto: onnx.ModelProto, path: Path) -> None:
    """Look at every tensor of a model.

    Args:
        proto: the model.
        path: its file; whether the files of its data are there is for their reader to say.

    Raises:
        BrokenGraphError: one cannot be.
        PReLUToolsError: one is kept where it must not be.
    """
    for tensor in all_tensors(proto):
        refuse_no_text(tensor.name, *(t for e in tensor.external_data for t in (e.key, e.value)))
        _tensor(tensor, path.name)
    _outside(external_tensors(proto), path)


def _tensor(tensor: onnx.TensorProto, file: str) -> None:
    """Its shape is one, and it has as many bytes as that says."""
    count = math.prod(tensor.dims)
    if len(tensor.dims) > _MOST_AXES or any(d < 0 for d in tensor.dims) or count > _LARGEST:
        shape = f"{list(tensor.dims[:8])}{' and more' if len(tensor.dims) > 8 else ''}"
        raise BrokenGraphError(f"tensor {named(tensor.name)} has the impossible shape {shape}")
    sets = [field.name for field, _ in tensor.ListFields() if field.name in _VALUES]
    if len(sets) + is_external(tensor) > 1:
        also = " and ".join([*sets, *(["external data"] if is_external(tensor) else [])])
        raise BrokenGraphError(f"tensor {named(tensor.name)} has its values twice, as {also}")
    held = None
    if tensor.HasField("raw_data"):
        held = len(tensor.raw_data)
    elif is_external(tensor):
        place = place_of(tensor)
        if len(place) < len(tensor.external_data):
            raise BrokenGraphError(f"tensor {named(tensor.name)} is stored at two places")
        stated = place.get("length", "")
        if len(stated) > _DIGITS:
            raise BrokenGraphError(
                f"tensor {named(tensor.name)} has a length of {len(stated):,} digits"
            )
        held = int(stated) if place.get("location") == file and stated.isdecimal() else None
    try:
        wanted = n_bytes_of(tensor)
    except PReLUToolsError:
        return  # of an unknown type: reading its values raises an error
    if held is not None and held != wanted:
        raise BrokenGraphError(
            f"tensor {named(tensor.name)} should have {wanted:,} bytes, according to its shape "
            f"{list(tensor.dims)}, but has {held:,}"
        )


def _outside(tensors: Iterable[onnx.TensorProto], path: Path) -> None:
    """External data is in allowed files, within their size, and no part is used twice."""
    sizes: dict[str, int] = {}
    wanted = 0
    for tensor in tensors:
        location = place_of(tensor).get("location", "")
        if location not in sizes:
            file = path if location == path.name else data_file(path, tensor.name, location)
            refuse_pointer(file)
            sizes[location] = file.stat().st_size if file.is_file() else 0
        with suppress(PReLUToolsError):  # of a type that is unknown here
            n_bytes = n_bytes_of(tensor)
            wanted += n_bytes
            if n_bytes > sizes[location] > 0:
                raise BrokenGraphError(
                    f"tensor {named(tensor.name)} should have {n_bytes:,} bytes, but is stored "
                    f"in {location!r}, which has {sizes[location]:,}"
                )
    held = sum(sizes.values())
    if held and wanted > allowed_memory(held):
        raise BrokenGraphError(
            f"its tensors have {wanted:,} bytes, but reuse the same {held:,} bytes"
        )
