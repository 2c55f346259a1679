"""`.mnn` files built by hand: they need no MNN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import flatbuffers
import numpy as np
from flatbuffer_tables import Slot, ints, number_slot, offset_slot, table, tables

from prelu_tools.backends.runtimes.mnn.schema import OPERATORS, TYPES
from prelu_tools.core.arrays import Array

SLOPES = np.array([0.25, -0.5, 1.5], np.float32)
_CODES = {name: code for code, name in OPERATORS.items()}
_KINDS = {name: code for code, name in TYPES.items()}
_UNION = {
    "BinaryOp": 6, "Const": 7, "Convolution": 9, "Eltwise": 14, "Input": 21, "PReLU": 32,
    "ReLU": 51, "ConvertTensor": 66, "UnaryOp": 70,
}  # fmt: skip
"""`OpParameter`: which table an operator's parameters are. MNN trusts it; our reader needs none."""
_FIELDS = {"float32": 7, "int32": 5, "float16": 3}

Parameters = dict[int, tuple[str, object]]
"""By field: a kind of number with its value, `ints` or `floats` with a list, or `table`."""


@dataclass
class MnnFile:
    """A file in the making; tensors are known by their numbers."""

    source: int = 3  # ONNX
    tensors: list[str] = field(default_factory=list)
    operators: list[tuple[str, str, Sequence[int], int, Parameters]] = field(default_factory=list)

    def operator(
        self, kind: str, name: str, inputs: Sequence[int], parameters: Parameters | None = None
    ) -> int:
        """An operator; its result."""
        self.tensors.append(name)
        number = len(self.tensors) - 1
        self.operators.append((kind, name, inputs, number, parameters or {}))
        return number

    def input(self, name: str, shape: Sequence[int]) -> int:
        """An input of float32; -1 for a free size."""
        return self.operator("Input", name, [], {0: ("ints", shape), 1: ("Int32", 1)})

    def constant(self, name: str, values: Array) -> int:
        """A constant."""
        kind = str(values.dtype)
        given: Parameters = {0: ("ints", values.shape), 2: ("Int32", _KINDS[kind])}
        return self.operator("Const", name, [], {**given, _FIELDS[kind]: ("array", values)})

    def save(self, path: Path, outputs: Sequence[int]) -> Path:
        """Write the file."""
        b = flatbuffers.Builder(1024)
        operators = [self._operator(b, *operator) for operator in self.operators]
        names = [b.CreateString(name) for name in self.tensors]
        results = [b.CreateString(self.tensors[number]) for number in outputs]
        root = {
            3: offset_slot(tables(b, operators)),
            4: offset_slot(tables(b, results)),
            6: number_slot("Int8", self.source),
            7: offset_slot(tables(b, names)),
        }
        b.Finish(table(b, 12, root))
        path.write_bytes(bytes(b.Output()))
        return path

    @staticmethod
    def _operator(
        b: flatbuffers.Builder,
        kind: str,
        name: str,
        inputs: Sequence[int],
        output: int,
        parameters: Parameters,
    ) -> int:
        fields = {
            0: offset_slot(ints(b, inputs)),
            3: offset_slot(b.CreateString(name)),
            4: offset_slot(ints(b, [output])),
            5: number_slot("Int32", _CODES[kind]),
        }
        if parameters:
            fields[1] = number_slot("Uint8", _UNION[kind])
            fields[2] = offset_slot(_parameters(b, parameters))
        return table(b, 7, fields)


def _parameters(b: flatbuffers.Builder, parameters: Parameters) -> int:
    slots: dict[int, Slot] = {}
    for number, (kind, value) in parameters.items():
        if kind == "array":
            values = np.ascontiguousarray(value)
            flat = values.view(np.uint8).reshape(-1) if values.itemsize < 4 else values.reshape(-1)
            slots[number] = offset_slot(b.CreateNumpyVector(flat))
        elif kind == "ints":
            slots[number] = offset_slot(ints(b, list(value)))  # type: ignore[call-overload]
        elif kind == "table":
            slots[number] = offset_slot(_parameters(b, value))  # type: ignore[arg-type]
        else:
            slots[number] = number_slot(kind, value)  # type: ignore[arg-type]
    return table(b, max(slots) + 1, slots)


def save_mnn_net(path: Path) -> Path:
    """A sum, and its PReLU."""
    file = MnnFile()
    x = file.input("x", (-1, 3))
    bias = file.constant("bias", np.array([[0.5, -0.5, 0.25]], np.float32))
    total = file.operator("BinaryOp", "sum", [x, bias], {0: ("Int32", 0), 1: ("Int32", 1)})
    y = file.operator("PReLU", "act", [total], {0: ("Int32", 3), 1: ("array", SLOPES)})
    return file.save(path, [y])
