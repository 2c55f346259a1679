"""`.tflite` files built by hand: they need no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import flatbuffers
import numpy as np

from prelu_tools.backends.litert.schema import OPERATORS, TYPES
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
        buffers = [_table(b, 3, {})]
        numbers = []
        for _, _, _, values, _ in self.tensors:
            numbers.append(0 if values is None else len(buffers))
            if values is not None:
                raw = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
                buffers.append(_table(b, 3, {0: _offset(b.CreateNumpyVector(raw))}))
        tensors = [
            self._tensor(b, tensor, number)
            for tensor, number in zip(self.tensors, numbers, strict=True)
        ]
        kinds = sorted({kind for kind, *_ in self.operators})
        codes = [_table(b, 4, {0: _number("Int8", min(_CODES[k], 127)),
                               3: _number("Int32", _CODES[k])}) for k in kinds]  # fmt: skip
        operators = [self._operator(b, operator, kinds) for operator in self.operators]
        parts = {
            0: _offset(_tables(b, tensors)),
            1: _offset(_ints(b, inputs)),
            2: _offset(_ints(b, outputs)),
            3: _offset(_tables(b, operators)),
        }
        main = _table(b, 5, parts)
        root = {
            0: _number("Uint32", 3),
            1: _offset(_tables(b, codes)),
            2: _offset(_tables(b, [main])),
            3: _offset(b.CreateString("by hand")),
            4: _offset(_tables(b, buffers)),
        }
        b.Finish(_table(b, 8, root), file_identifier=b"TFL3")
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
            0: _offset(_ints(b, shape)),
            1: _number("Int8", _KINDS[dtype]),
            2: _number("Uint32", number),
            3: _offset(b.CreateString(name)),
        }
        if quantization is not None:
            scale = b.CreateNumpyVector(np.array(quantization[:1], np.float32))
            zero = b.CreateNumpyVector(np.array(quantization[1:], np.int64))
            fields[4] = _offset(_table(b, 7, {2: _offset(scale), 3: _offset(zero)}))
        return _table(b, 8, fields)

    @staticmethod
    def _operator(
        b: flatbuffers.Builder,
        operator: tuple[str, Sequence[int], Sequence[int], dict[int, tuple[str, float]]],
        kinds: Sequence[str],
    ) -> int:
        kind, inputs, outputs, options = operator
        names = {"b": "Int8", "f": "Float32"}
        fields = {
            0: _number("Uint32", kinds.index(kind)),
            1: _offset(_ints(b, inputs)),
            2: _offset(_ints(b, outputs)),
        }
        if options:
            slots = {n: _number(names[letter], value) for n, (letter, value) in options.items()}
            fields[4] = _offset(_table(b, max(slots) + 1, slots))
        return _table(b, 5, fields)


def save_prelu_net(path: Path) -> Path:
    """A model of one PRELU with three slopes, behind a sum."""
    file = TfliteFile()
    x, total, y = (file.tensor(name, (1, 3)) for name in ("x", "sum", "act/out"))
    bias = file.constant("bias", np.array([0.5, -0.5, 0.25], np.float32))
    alpha = file.constant("act/alpha", np.array([0.25, -0.5, 1.5], np.float32))
    file.operator("ADD", [x, bias], total)
    file.operator("PRELU", [total, alpha], y)
    return file.save(path, [x], [y])


Slot = Callable[[flatbuffers.Builder, int], None]


def _number(kind: str, value: float) -> Slot:
    def put(b: flatbuffers.Builder, slot: int) -> None:
        getattr(b, f"Prepend{kind}Slot")(slot, value, 0)

    return put


def _offset(value: int) -> Slot:
    return lambda b, slot: b.PrependUOffsetTRelativeSlot(slot, value, 0)


def _table(b: flatbuffers.Builder, size: int, fields: dict[int, Slot]) -> int:
    b.StartObject(size)
    for slot, put in fields.items():
        put(b, slot)
    return int(b.EndObject())


def _ints(b: flatbuffers.Builder, values: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.array(values, np.int32)))


def _tables(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
