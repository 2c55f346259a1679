"""Tables of FlatBuffers, as files that are built by hand need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flatbuffers
import numpy as np

Slot = Callable[[flatbuffers.Builder, int], None]
"""Puts a field into the table that is being built."""


def number_slot(kind: str, value: float) -> Slot:
    """A number; its kind as flatbuffers calls it, `Int32`."""

    def put(b: flatbuffers.Builder, slot: int) -> None:
        getattr(b, f"Prepend{kind}Slot")(slot, value, 0)

    return put


def offset_slot(value: int) -> Slot:
    """What was built before."""
    return lambda b, slot: b.PrependUOffsetTRelativeSlot(slot, value, 0)


def table(b: flatbuffers.Builder, size: int, fields: dict[int, Slot]) -> int:
    """A table of at most so many fields."""
    b.StartObject(size)
    for slot, put in fields.items():
        put(b, slot)
    return int(b.EndObject())


def ints(b: flatbuffers.Builder, values: Sequence[int]) -> int:
    """A vector of integers."""
    return int(b.CreateNumpyVector(np.array(values, np.int32)))


def tables(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    """A vector of tables, or of texts."""
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
