"""Edit a `.tflite` file in memory: other outputs, or one layer in isolation.

Tables stay where they are. A longer list of outputs is put after the end, since a reference in a
FlatBuffer only goes forward; a shorter list of operators is written over the one that is there.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from prelu_tools.backends.runtimes.litert.schema import TfliteModel
from prelu_tools.core.errors import PReLUToolsError

_LARGEST: Final = (1 << 31) - 1
_INPUTS, _OUTPUTS, _OPERATORS = 1, 2, 3  # fields of SubGraph
_SIGNATURES: Final = 7  # of Model


def with_outputs(model: TfliteModel, numbers: Sequence[int]) -> bytes:
    """The file with these tensors as outputs, too, after its own.

    Raises:
        PReLUToolsError: it cannot be read, or is too large for that.
    """
    data = _content(model.path)
    if numbers:
        _set_list(data, model, _OUTPUTS, [*model.outputs, *numbers])
        _forget_signatures(data, model)
    return bytes(data)


def alone(model: TfliteModel, x: int, y: int) -> bytes:
    """The operators between two tensors as a separate model.

    Raises:
        PReLUToolsError: see `with_outputs`.
    """
    data = _content(model.path)
    start, _ = model.subgraph.vector(_OPERATORS, 4)
    chosen = sorted(_between(model, x, y))
    targets = [
        start + 4 * i + struct.unpack_from("<I", data, start + 4 * i)[0] for i in chosen
    ]  # positions of the tables
    struct.pack_into("<I", data, start - 4, len(chosen))
    for place, target in enumerate(targets):
        struct.pack_into("<I", data, start + 4 * place, target - start - 4 * place)
    _set_list(data, model, _INPUTS, [x])
    _set_list(data, model, _OUTPUTS, [y])
    _forget_signatures(data, model)
    return bytes(data)


def _between(model: TfliteModel, x: int, y: int) -> Collection[int]:
    """The operators that y needs, up to x."""
    makers = {n: i for i, operator in enumerate(model.operators) for n in operator.outputs}
    found: set[int] = set()
    wanted = [y]
    while wanted:
        tensor = wanted.pop()
        number = makers.get(tensor)
        if tensor == x or number is None or number in found:
            continue
        found.add(number)
        wanted += model.operators[number].inputs
    return found


def _content(path: Path) -> bytearray:
    try:
        data = bytearray(path.read_bytes())
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise PReLUToolsError(f"{path} has more than 2 GB: its layers cannot be observed")
    data += bytes(-len(data) % 4)
    return data


def _set_list(data: bytearray, model: TfliteModel, field: int, numbers: Sequence[int]) -> None:
    place = model.subgraph.where(field)
    if place is None:
        raise PReLUToolsError(f"{model.path} has no list of outputs or inputs")
    struct.pack_into("<I", data, place, len(data) - place)
    data += struct.pack(f"<I{len(numbers)}i", len(numbers), *numbers)


def _forget_signatures(data: bytearray, model: TfliteModel) -> None:
    start, count = model.root.vector(_SIGNATURES, 4)
    if count:
        struct.pack_into("<I", data, start - 4, 0)
