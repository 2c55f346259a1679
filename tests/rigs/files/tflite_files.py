"""`.tflite` files built by hand: they need no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import flatbuffers
import numpy as np
from flatbuffer_tables import ints, number_slot, offset_slot, table, tables

from prelu_tools.backends.runtimes.litert.schema import OPERATORS, TYPES
from prelu_tools.core.arrays import Array

_CODES = {name: code for code, name in OPERATORS.items()}
_KINDS = {name: code for code, name in TYPES.items()}


@dataclass
class TfliteFile:
    """A file in the making; tensors are known by their numbers."""

    tensors: list[tuple[str, str, tuple[int, ...], Array | None, tuple[float, int] | None]] = field(
        default_factory=list
    )
    operators: list[tuple[str, Sequence[int], Sequence[int], dict[int, tuple[str, float]]]] = field(
        default_factory=list
    )

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        values: Array | None = None,
        dtype: str = "float32",
        quantization: tuple[float, int] | None = None,
    ) -> int:
        """A tensor; with values, a constant, and with a quantization (scale, zero) one of int8."""
        self.tensors.append((name, dtype, tuple(shape), values, quantization))
        return len(self.tensors) - 1

    def constant(self, name: str, values: Array) -> int:
        """A constant of the type of its values."""
        return self.tensor(name, values.shape, values, str(values.dtype))

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        output: int,
        options: dict[int, tuple[str, float]] | None = None,
    ) -> int:
        """An operator; options by field, each a kind of number (`b`, `f`) and its value."""
        self.operators.append((kind, inputs, [output], options or {}))
        return output

    def save(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        """Write the file."""
        b = flatbuffers.Builder(1024)
        buffers = [table(b, 3, {})]
        numbers = []
        for _, _, _, values, _ in self.tensors:
            numbers.append(0 if values is None else len(buffers))
            if values is not None:
                raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
                buffers.append(table(b, 3, {0: offset_slot(b.CreateNumpyVector(raw))}))
        tensors = [
            self._tensor(b, tensor, number)
            for tensor, number in zip(self.tensors, numbers, strict=True)
        ]
        kinds = sorted({kind for kind, *_ in self.operators})
        codes = [table(b, 4, {0: number_slot("Int8", min(_CODES[k], 127)),
                               3: number_slot("Int32", _CODES[k])}) for k in kinds]  # fmt: skip
        operators = [self._operator(b, operator, kinds) for operator in self.operators]
        parts = {
            0: offset_slot(tables(b, tensors)),
            1: offset_slot(ints(b, inputs)),
            2: offset_slot(ints(b, outputs)),
            3: offset_slot(tables(b, operators)),
        }
        main = table(b, 5, parts)
        root = {
            0: number_slot("Uint32", 3),
            1: offset_slot(tables(b, codes)),
            2: offset_slot(tables(b, [main])),
            3: offset_slot(b.CreateString("by hand")),
            4: offset_slot(tables(b, buffers)),
        }
        b.Finish(table(b, 8, root), file_identifier=b"TFL3")
        path.write_bytes(bytes(b.Output()))
        return path

    @staticmethod
    def _tensor(
        b: flatbuffers.Builder,
        tensor: tuple[str, str, tuple[int, ...], Array | None, tuple[float, int] | None],
        number: int,
    ) -> int:
        name, dtype, shape, _, quantization = tensor
        fields = {
            0: offset_slot(ints(b, shape)),
            1: number_slot("Int8", _KINDS[dtype]),
            2: number_slot("Uint32", number),
            3: offset_slot(b.CreateString(name)),
        }
        if quantization is not None:
            scale = b.CreateNumpyVector(np.array(quantization[:1], np.float32))
            zero = b.CreateNumpyVector(np.array(quantization[1:], np.int64))
            fields[4] = offset_slot(table(b, 7, {2: offset_slot(scale), 3: offset_slot(zero)}))
        return table(b, 8, fields)

    @staticmethod
    def _operator(
        b: flatbuffers.Builder,
        operator: tuple[str, Sequence[int], Sequence[int], dict[int, tuple[str, float]]],
        kinds: Sequence[str],
    ) -> int:
        kind, inputs, outputs, options = operator
        names = {"b": "Int8", "f": "Float32"}
        fields = {
            0: number_slot("Uint32", kinds.index(kind)),
            1: offset_slot(ints(b, inputs)),
            2: offset_slot(ints(b, outputs)),
        }
        if options:
            slots = {n: number_slot(names[letter], value) for n, (letter, value) in options.items()}
            fields[4] = offset_slot(table(b, max(slots) + 1, slots))
        return table(b, 5, fields)


def save_prelu_net(path: Path) -> Path:
    """A model of one PRELU with three slopes, behind a sum."""
    file = TfliteFile()
    x, total, y = (file.tensor(name, (1, 3)) for name in ("x", "sum", "act/out"))
    bias = file.constant("bias", np.array([0.5, -0.5, 0.25], np.float32))
    alpha = file.constant("act/alpha", np.array([0.25, -0.5, 1.5], np.float32))
    file.operator("ADD", [x, bias], total)
    file.operator("PRELU", [total, alpha], y)
    return file.save(path, [x], [y])
