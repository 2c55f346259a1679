"""A `.tflite` model as an ONNX graph, tensor for tensor.

Quantized tensors stand for the real values that their numbers mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from prelu_tools.backends.runtimes.litert.schema import Operator, Tensor, TfliteModel
from prelu_tools.backends.runtimes.translating import GraphBuilder, is_type, type_code
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.model import OnnxModel

DOMAIN: Final = "tflite"

_SAME: Final[Mapping[str, str]] = {
    "ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div", "RELU": "Relu", "PRELU": "PRelu",
    "NEG": "Neg", "ABS": "Abs", "SIGN": "Sign", "SQRT": "Sqrt", "EXP": "Exp", "LOG": "Log",
    "FLOOR": "Floor", "CEIL": "Ceil", "ROUND": "Round", "TANH": "Tanh", "LOGISTIC": "Sigmoid",
    "ELU": "Elu", "MAXIMUM": "Max", "MINIMUM": "Min", "LESS": "Less", "GREATER": "Greater",
    "LESS_EQUAL": "LessOrEqual", "GREATER_EQUAL": "GreaterOrEqual", "EQUAL": "Equal",
    "SELECT": "Where", "SELECT_V2": "Where", "LOGICAL_NOT": "Not", "LOGICAL_AND": "And",
    "LOGICAL_OR": "Or", "QUANTIZE": "Identity",
}  # fmt: skip
"""Operators that ONNX has with the same inputs."""
_CLIPPING: Final[Mapping[str, tuple[float, float]]] = {
    "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1), "RELU_0_TO_1": (0, 1),
}  # fmt: skip
_RESHAPING: Final = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
_LINEAR: Final[Mapping[str, str]] = {
    "CONV_2D": "Conv", "DEPTHWISE_CONV_2D": "Conv", "CONV_3D": "Conv",
    "TRANSPOSE_CONV": "ConvTranspose", "FULLY_CONNECTED": "Gemm", "AVERAGE_POOL_2D": "AveragePool",
    "MAX_POOL_2D": "MaxPool",
}  # fmt: skip
"""Named as in ONNX, for code that looks at the layer before; their inputs are not ONNX's."""


@dataclass(frozen=True)
class Translated:
    """The graph, and which of its tensors is which of the file's."""

    model: OnnxModel
    """The graph."""
    names: tuple[str, ...]
    """The name in the graph of each tensor of the file."""

    def numbers(self) -> dict[str, int]:
        """The tensor of the file of each name."""
        return {name: number for number, name in enumerate(self.names)}


def translated(source: TfliteModel) -> Translated:
    """The main subgraph of a file.

    Raises:
        PReLUToolsError: a constant has fewer bytes than its shape says.
    """
    return _Translator(source).run()


class _Translator:
    def __init__(self, source: TfliteModel) -> None:
        self._source = source
        self._builder = GraphBuilder(source.path, DOMAIN)
        self._names = [
            self._builder.name(_short(tensor.name) or f"tensor {number}")
            for number, tensor in enumerate(source.tensors)
        ]

    def run(self) -> Translated:
        source, builder = self._source, self._builder
        made = {number for operator in source.operators for number in operator.outputs}
        made.update(source.inputs)
        for number, tensor in enumerate(source.tensors):
            if number not in made and tensor.place is not None:
                self._constant(number, tensor)
        for number in source.inputs:
            builder.input(self._names[number], *_typed(source.tensors[number]))
        for number in source.outputs:
            builder.output(self._names[number], *_typed(source.tensors[number]))
        for number in made - {*source.inputs, *source.outputs}:
            if 0 <= number < len(source.tensors):
                builder.typed(self._names[number], *_typed(source.tensors[number]))
        for operator in source.operators:
            self._operator(operator)
        return Translated(builder.finished(source.description), tuple(self._names))

    def _constant(self, number: int, tensor: Tensor) -> None:
        builder, name = self._builder, self._names[number]
        if tensor.place is None or not is_type(tensor.dtype) or tensor.dtype == "string":
            return
        shape = [size or 0 for size in tensor.shape]
        self._check_size(tensor, shape)
        known = tensor.quantization
        builder.stored(name, tensor.dtype, shape, tensor.place, self._source.path)
        if known is None:
            return
        self._names[number] = real = builder.name(f"{name} as real numbers")
        one = known.scales.size == 1
        scales = known.scales.reshape(() if one else (-1,))
        zeros = known.zeros.reshape(scales.shape).astype(tensor.dtype)
        scale = builder.constant(builder.name(f"{name} scale"), scales)
        zero = builder.constant(builder.name(f"{name} zero"), zeros)
        builder.node("DequantizeLinear", [name, scale, zero], [real], axis=known.axis)

    def _check_size(self, tensor: Tensor, shape: list[int]) -> None:
        if tensor.place is None or tensor.dtype == "int4":
            return
        size = 2 if tensor.dtype == "bfloat16" else np.dtype(tensor.dtype).itemsize
        wanted = math.prod(shape) * size
        if wanted != tensor.place[1]:
            raise PReLUToolsError(
                f"{self._source.path} is not a readable TensorFlow Lite model: tensor "
                f"{tensor.name!r} has {tensor.place[1]:,} bytes, but its shape {shape} needs "
                f"{wanted:,}"
            )

    def _operator(self, operator: Operator) -> None:
        names = [self._names[n] for n in operator.outputs if n >= 0]
        if not names:
            return
        result = names[0]
        if operator.fused is not None:
            names[0] = self._builder.name(f"{result} before {operator.fused}")
            kind = operator.outputs[0]
            self._builder.typed(names[0], *_typed(self._source.tensors[kind]))
        self._plain(operator, names)
        if operator.fused is not None:
            self._one(operator.fused, [names[0]], result)

    def _plain(self, operator: Operator, outputs: list[str]) -> None:
        inputs = [self._names[number] if number >= 0 else "" for number in operator.inputs]
        kind, source, out = operator.kind, self._source, operator.outputs[0]
        alone = len(outputs) == 1 and "" not in inputs and inputs
        if alone and kind in _RESHAPING and None not in source.tensors[out].shape:
            self._reshape(inputs[0], out, outputs[0])
        elif alone and kind == "TRANSPOSE" and self._permutation(operator) is not None:
            self._builder.node("Transpose", inputs[:1], outputs, perm=self._permutation(operator))
        elif alone and kind in ("CAST", "DEQUANTIZE"):
            real = kind == "DEQUANTIZE" and source.tensors[operator.inputs[0]].quantization
            to = type_code(_typed(source.tensors[out])[0])
            extra = {} if real else {"to": to}
            self._builder.node("Identity" if real else "Cast", inputs, outputs, **extra)
        elif alone and kind == "LEAKY_RELU":
            alpha = 0.0 if operator.options is None else operator.options.number(0, "f")
            self._builder.node("LeakyRelu", inputs, outputs, alpha=alpha)
        elif alone and kind == "NOT_EQUAL":
            equal = self._builder.name(f"{outputs[0]} equal")
            self._builder.node("Equal", inputs, [equal])
            self._builder.node("Not", [equal], outputs)
        elif not alone or not self._one(kind, inputs, outputs[0]):
            self._builder.other(_LINEAR.get(kind, kind), inputs, outputs)

    def _one(self, kind: str, inputs: list[str], output: str) -> bool:
        """An operator that needs nothing but its inputs; False if ONNX has none for it."""
        builder = self._builder
        if kind in _SAME:
            builder.node(_SAME[kind], inputs, [output])
        elif kind in _CLIPPING:
            ends = [
                builder.constant(builder.name(f"{output} bound"), np.array(end, np.float32))
                for end in _CLIPPING[kind]
            ]
            builder.node("Clip", [*inputs, *ends], [output])
        else:
            return False
        return True

    def _reshape(self, data: str, number: int, output: str) -> None:
        sizes = np.array([size or 0 for size in self._source.tensors[number].shape], np.int64)
        shape = self._builder.constant(self._builder.name(f"{output} shape"), sizes)
        self._builder.node("Reshape", [data, shape], [output])

    def _permutation(self, operator: Operator) -> list[int] | None:
        """The axes of a TRANSPOSE; None if they are computed, or impossible."""
        rank = len(self._source.tensors[operator.inputs[0]].shape)
        tensor = self._source.tensors[operator.inputs[1]] if len(operator.inputs) > 1 else None
        if tensor is None or tensor.place is None or tensor.dtype not in ("int32", "int64"):
            return None
        if tensor.place[1] != rank * np.dtype(tensor.dtype).itemsize:
            return None
        with self._source.path.open("rb") as file:
            file.seek(tensor.place[0])
            axes = np.frombuffer(file.read(tensor.place[1]), tensor.dtype).tolist()
        return axes if sorted(axes) == list(range(rank)) else None


def _typed(tensor: Tensor) -> tuple[str, tuple[int | None, ...]]:
    """The type of the values that a tensor stands for, and its shape."""
    return ("float32" if tensor.quantization else tensor.dtype), tensor.shape


def _short(name: str) -> str:
    """A name of its own length; of a fused one, the scope that its parts have in common."""
    parts = name.split(";")
    if len(parts) == 1:
        return name
    paths = [part.split("/") for part in parts]
    shared = 0
    while all(len(p) > shared + 1 and p[shared] == paths[0][shared] for p in paths):
        shared += 1
    return "/".join(paths[0][:shared]) or parts[0]
