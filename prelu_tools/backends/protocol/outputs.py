"""Names for outputs: in a graph, an input and an output cannot have the same name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")


def distinct_outputs(outputs: Mapping[str, Value], inputs: Iterable[str]) -> dict[str, Value]:
    """The outputs in their order; one with the name of an input is numbered, as `mask_1`."""
    taken = set(inputs) | set(outputs)
    clashing = set(inputs)
    found: dict[str, Value] = {}
    for name, value in outputs.items():
        free, number = name, 0
        while free in clashing or (number and free in taken):
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        found[free] = value
    return found
