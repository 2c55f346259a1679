"""The tensors and operators of a `.tflite` file, without the bytes of its weights.

Field numbers and codes are those of TensorFlow Lite's schema:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from prelu_tools.backends.runtimes.flatbuffer import Buffer, DamagedError, Table, read_file
from prelu_tools.core.arrays import Array

IDENTIFIER: Final = b"TFL3"
_MOST_AXES: Final = 64
_CUSTOM: Final = 32

TYPES: Final[Mapping[int, str]] = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool",
    7: "int16", 8: "complex64", 9: "int8", 10: "float64", 11: "complex128", 12: "uint64",
    15: "uint32", 16: "uint16", 17: "int4", 18: "bfloat16",
}  # fmt: skip
"""`TensorType`: numpy's names of the types."""

OPERATORS: Final[Mapping[int, str]] = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE", 8: "FLOOR", 9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D",
    18: "MUL", 19: "RELU", 20: "RELU_N1_TO_1", 21: "RELU6", 22: "RESHAPE", 28: "TANH",
    39: "TRANSPOSE", 41: "SUB", 42: "DIV", 43: "SQUEEZE", 47: "EXP", 53: "CAST", 54: "PRELU",
    55: "MAXIMUM", 57: "MINIMUM", 58: "LESS", 59: "NEG", 61: "GREATER", 62: "GREATER_EQUAL",
    63: "LESS_EQUAL", 64: "SELECT", 67: "TRANSPOSE_CONV", 70: "EXPAND_DIMS", 71: "EQUAL",
    72: "NOT_EQUAL", 73: "LOG", 75: "SQRT", 84: "LOGICAL_OR", 86: "LOGICAL_AND",
    87: "LOGICAL_NOT", 98: "LEAKY_RELU", 101: "ABS", 104: "CEIL", 111: "ELU", 114: "QUANTIZE",
    116: "ROUND", 123: "SELECT_V2", 130: "BROADCAST_TO", 132: "CONV_3D", 152: "RELU_0_TO_1",
    158: "SIGN",
}  # fmt: skip
"""`BuiltinOperator`: those that matter here."""

FUSED: Final[Mapping[int, str]] = {
    1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN",
}  # fmt: skip
"""`ActivationFunctionType`: what an operator may do to its result; 0 for nothing."""
_FUSED_FIELD: Final[Mapping[str, int]] = {
    "ADD": 0, "SUB": 0, "MUL": 0, "DIV": 0, "FULLY_CONNECTED": 0, "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4, "TRANSPOSE_CONV": 3, "CONCATENATION": 1, "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5, "CONV_3D": 4,
}  # fmt: skip
"""Where their options have it."""


@dataclass(frozen=True)
class Quantization:
    """real = scale * (stored - zero)."""

    scales: Array
    """One, or one for each place of `axis`."""
    zeros: Array
    """As many."""
    axis: int
    """Which axis has its own scales."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a subgraph."""

    name: str
    """Its name; not always one of its own."""
    dtype: str
    """numpy's name of its type; of one that is unknown here, its number."""
    shape: tuple[int | None, ...]
    """Its sizes, None for a free one."""
    place: tuple[int, int] | None
    """Where its values are in the file: position and bytes; None for what is computed."""
    quantization: Quantization | None
    """None if its numbers are what they say."""


@dataclass(frozen=True)
class Operator:
    """One operator."""

    kind: str
    """Its name in the schema."""
    inputs: tuple[int, ...]
    """Tensors by number; -1 for one that is left out."""
    outputs: tuple[int, ...]
    """Tensors by number."""
    fused: str | None
    """What is done to its result."""
    options: Table | None
    """The table of its options."""
    version: int = 1
    """The version of the operator, as the schema counts."""


@dataclass(frozen=True)
class TfliteModel:
    """The main subgraph of a file."""

    path: Path
    """The file."""
    description: str
    """What the converter says of itself."""
    tensors: Sequence[Tensor]
    """Its tensors; others refer to them by number."""
    operators: Sequence[Operator]
    """Its operators in the order in which they run."""
    inputs: tuple[int, ...]
    """Tensors by number."""
    outputs: tuple[int, ...]
    """Tensors by number."""
    names: Mapping[int, str]
    """What the signature calls inputs and outputs, by tensor."""
    root: Table
    """The file's first table."""
    subgraph: Table
    """The subgraph's."""

    @cached_property
    def n_subgraphs(self) -> int:
        """How many subgraphs the file has: others are bodies of WHILE, IF and the like."""
        return self.root.vector(2, 4)[1]


def read_tflite(path: Path) -> TfliteModel:
    """Read a file; its weights stay in it.

    Raises:
        PReLUToolsError: it cannot be read, or is no TensorFlow Lite model.
    """
    return read_file(path, "TensorFlow Lite model", _model)


def _model(path: Path, buffer: Buffer) -> TfliteModel:
    if buffer.size < 8 or buffer.read(4, 4) != IDENTIFIER:
        raise DamagedError("expected TFL3 at byte 4")
    root = buffer.root()
    version = root.number(0, "I")
    if version != 3:
        raise DamagedError(f"its schema is of version {version}, expected 3")
    subgraphs = root.tables(2)
    if not subgraphs:
        raise DamagedError("it has no subgraph")
    main = subgraphs[0]
    places = [_place(table, buffer.size) for table in root.tables(4)]
    tensors = [_tensor(table, places) for table in main.tables(0)]
    codes = [_code(table) for table in root.tables(1)]
    operators = [_operator(table, codes) for table in main.tables(3)]
    inputs, outputs = (tuple(main.numbers(field, "i4").tolist()) for field in (1, 2))
    for operator in operators:
        _check([*operator.inputs, *operator.outputs], len(tensors), least=-1)
    _check([*inputs, *outputs], len(tensors))
    names = _signature(root)
    return TfliteModel(
        path, root.text(3), tensors, operators, inputs, outputs, names, root, main
    )  # fmt: skip


def _check(numbers: Sequence[int], count: int, least: int = 0) -> None:
    wrong = [number for number in numbers if not least <= number < count]
    if wrong:
        raise DamagedError(f"it refers to tensor {wrong[0]} of {count}")


def _place(table: Table, size: int) -> tuple[int, int] | None:
    start, count = table.vector(0, 1)
    if count:
        return start, count
    offset, length = table.number(1, "Q"), table.number(2, "Q")
    if offset <= 1:  # buffers 0 and 1 hold no data
        return None
    if offset + length > size:
        raise DamagedError(f"weights extend to byte {offset + length:,} of {size:,}")
    return offset, length


def _tensor(table: Table, places: Sequence[tuple[int, int] | None]) -> Tensor:
    shape = table.numbers(0, "i4").tolist()
    signature = table.numbers(7, "i4").tolist()
    sizes = signature if len(signature) == len(shape) else shape
    if len(shape) > _MOST_AXES or min(sizes, default=0) < -1:
        raise DamagedError(f"a tensor has the shape {sizes}")
    code, number = table.number(1, "b"), table.number(2, "I")
    if number >= len(places):
        raise DamagedError(f"it refers to buffer {number} of {len(places)}")
    return Tensor(
        name=table.text(3),
        dtype=TYPES.get(code, str(code)),
        shape=tuple(None if size == -1 else size for size in sizes),
        place=places[number],
        quantization=_quantization(table.table(4)),
    )


def _quantization(table: Table | None) -> Quantization | None:
    if table is None:
        return None
    scales, zeros = table.numbers(2, "f4"), table.numbers(3, "i8")
    if not scales.size:
        return None
    if zeros.size != scales.size:
        zeros = np.zeros(scales.size, np.int64)
    return Quantization(scales, zeros, table.number(6, "i"))


def _code(table: Table) -> tuple[str, int]:
    code = max(table.number(0, "b"), table.number(3, "i"))
    name = table.text(1) if code == _CUSTOM else OPERATORS.get(code, f"BUILTIN_{code}")
    return name or "CUSTOM", table.number(2, "i", 1)


def _operator(table: Table, codes: Sequence[tuple[str, int]]) -> Operator:
    number = table.number(0, "I")
    if number >= len(codes):
        raise DamagedError(f"it refers to operator {number} of {len(codes)}")
    kind, version = codes[number]
    inputs, outputs = (tuple(table.numbers(field, "i4").tolist()) for field in (1, 2))
    options = table.table(4)
    field = _FUSED_FIELD.get(kind)
    code = 0 if options is None or field is None else options.number(field, "b")
    return Operator(kind, inputs, outputs, FUSED.get(code), options, version)


def _signature(root: Table) -> dict[int, str]:
    """The names that the first signature of the main subgraph gives tensors."""
    for table in root.tables(7):
        if table.number(4, "I") == 0:
            entries = [*table.tables(0), *table.tables(1)]
            return {int(entry.number(1, "I")): entry.text(0) for entry in entries}
    return {}
