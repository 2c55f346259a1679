"""An MNN model as an ONNX graph, tensor for tensor.

MNN applies the slopes of PReLU along axis 1, whatever the rank. Its converter writes most PReLUs as
x times a Select between the slope and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from prelu_tools.backends.runtimes.flatbuffer import DamagedError, Table
from prelu_tools.backends.runtimes.mnn.schema import TYPES, MnnModel, Operator
from prelu_tools.backends.runtimes.translating import GraphBuilder
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.model import OnnxModel

DOMAIN: Final = "mnn"

_BINARY: Final[Mapping[int, str]] = {
    0: "Add", 1: "Sub", 2: "Mul", 3: "Div", 4: "Max", 5: "Min", 6: "Pow", 7: "Div", 8: "Min",
    9: "Max", 10: "Greater", 11: "GreaterOrEqual", 12: "Less", 15: "Equal", 16: "LessOrEqual",
}  # fmt: skip
_TRUTH: Final = ("Greater", "GreaterOrEqual", "Less", "Equal", "LessOrEqual")
_UNARY: Final[Mapping[int, str]] = {
    0: "Abs", 1: "Neg", 2: "Floor", 3: "Ceil", 5: "Sqrt", 7: "Exp", 8: "Log", 15: "Reciprocal",
    22: "Sign", 23: "Round", 29: "Sigmoid", 30: "Tanh",
}  # fmt: skip
_SINGLE: Final[Mapping[str, str]] = {
    "AbsVal": "Abs", "Sigmoid": "Sigmoid", "TanH": "Tanh", "ConvertTensor": "Identity",
    "Dropout": "Identity", "Select": "Where",
}  # fmt: skip
_ELTWISE: Final = ("Mul", "Add", "Max", "Sub")
_LINEAR: Final[Mapping[str, str]] = {
    "Convolution": "Conv", "ConvolutionDepthwise": "Conv", "Convolution3D": "Conv",
    "Deconvolution": "ConvTranspose", "DeconvolutionDepthwise": "ConvTranspose",
    "InnerProduct": "Gemm",
}  # fmt: skip
"""Named as in ONNX, for code that looks at the layer before."""
_FOUR: Final = ("Convolution", "ConvolutionDepthwise", "Deconvolution", "DeconvolutionDepthwise",
                "Interp", "Pooling")  # fmt: skip
_SAME_RANK: Final = ("PReLU", "ReLU", "ReLU6", "UnaryOp", "AbsVal", "Sigmoid", "TanH", "Dropout",
                     "ConvertTensor", "Scale", "Softmax", "Permute", "Slice", "Concat", "Cast",
                     "Padding", "Eltwise")  # fmt: skip
_RELU, _RELU6 = 12, 13  # fields of `Convolution2DCommon`: activations fused into the operator


def translated(source: MnnModel) -> OnnxModel:
    """The main graph of a file.

    Raises:
        PReLUToolsError: it refers to parts that are not in it.
    """
    try:
        return _Translator(source).run()
    except (DamagedError, OverflowError) as error:
        raise PReLUToolsError(f"{source.path} is not a readable MNN model: {error}") from error


class _Translator:
    def __init__(self, source: MnnModel) -> None:
        self._source = source
        self._builder = GraphBuilder(source.path, DOMAIN)
        self._names = [
            self._builder.name(name or f"tensor {number}")
            for number, name in enumerate(source.tensors)
        ]
        self._ranks: dict[int, int | None] = {}
        self._truths: set[str] = set()

    def run(self) -> OnnxModel:
        source, builder = self._source, self._builder
        for operator in source.operators:
            rank = self._rank(operator)
            self._ranks.update(dict.fromkeys(operator.outputs, rank))
            self._operator(operator)
        outputs = set(source.outputs)
        for number, name in enumerate(source.tensors):
            if name in outputs:
                kind = "bool" if self._names[number] in self._truths else "float32"
                builder.output(self._names[number], kind, _free(self._ranks.get(number)))
        return builder.finished("MNN")

    def _rank(self, operator: Operator) -> int | None:
        main, kind = operator.main, operator.kind
        before = [self._ranks.get(number) for number in operator.inputs]
        if kind in ("Input", "Const", "TrainableParam"):
            return None if main is None else len(main.numbers(0, "i4"))
        if kind in _FOUR:
            return 4
        if kind in ("BinaryOp", "Select"):
            known = [rank for rank in before if rank is not None]
            return max(known) if len(known) == len(before) and known else None
        if kind == "Reshape" and main is not None:
            return len(main.numbers(0, "i4")) or None
        return before[0] if before and kind in _SAME_RANK else None

    def _operator(self, operator: Operator) -> None:
        names = [self._names[number] for number in operator.outputs]
        inputs = [self._names[number] for number in operator.inputs]
        if not names:
            return
        if operator.kind == "Input":
            kind, shape = input_of(operator)
            self._builder.input(names[0], kind, shape)
        elif operator.kind in ("Const", "TrainableParam"):
            self._constant(operator, names[0])
        elif len(names) > 1 or not self._simple(operator, inputs, names[0]):
            self._linear(operator, inputs, names)
        if operator.kind not in ("Input", "Const", "TrainableParam"):
            for number, name in zip(operator.outputs, names, strict=True):
                kind = "bool" if name in self._truths else "float32"
                self._builder.typed(name, kind, _free(self._ranks[number]))

    def _constant(self, operator: Operator, name: str) -> None:
        """A tensor with values in the file; others are results of an operator without inputs."""
        blob = operator.main
        kind = TYPES.get(blob.number(2, "i", 1), "") if blob is not None else ""
        field = {"float32": 7, "int32": 5, "int8": 4, "uint8": 3, "float16": 3}.get(kind)
        if blob is None or field is None:
            self._builder.other("Const", [], [name])
            return
        width = {"int8": 1, "uint8": 1, "float16": 1}.get(kind, 4)
        start, count = blob.vector(field, width)
        shape = blob.numbers(0, "i4").tolist()
        size = np.dtype(kind).itemsize
        n_elements = int(np.prod([max(one, 0) for one in shape], dtype=object)) if shape else 1
        if not count or n_elements * size != count * width:
            self._builder.other("Const", [], [name])  # stored in a separate file, or damaged
            return
        place = (start, count * width)
        self._builder.stored(name, kind, shape, place, self._source.path)

    def _simple(self, operator: Operator, inputs: list[str], output: str) -> bool:
        """An operator that ONNX has as well; False for any other."""
        builder, kind, main = self._builder, operator.kind, operator.main
        if kind == "PReLU" and main is not None:
            slopes = self._slopes(operator, main, f"{operator.name or output}.slope")
            builder.node("PRelu", [*inputs, slopes], [output])
        elif kind == "ReLU":
            alpha = 0.0 if main is None else float(main.number(0, "f"))
            attributes = {"alpha": alpha} if alpha else {}
            builder.node("LeakyRelu" if alpha else "Relu", inputs, [output], **attributes)
        elif kind == "ReLU6":
            self._clip(main, inputs, output)
        elif kind == "UnaryOp" and main is not None and main.number(0, "i") in _UNARY:
            builder.node(_UNARY[main.number(0, "i")], inputs, [output])
        elif kind == "BinaryOp" and main is not None and main.number(0, "i") in _BINARY:
            self._binary(_BINARY[main.number(0, "i")], inputs, output)
        elif kind in _SINGLE:
            builder.node(_SINGLE[kind], inputs, [output])
        elif kind == "Permute" and main is not None:
            perm = main.numbers(0, "i4").tolist()
            if sorted(perm) != list(range(len(perm))):
                return False
            builder.node("Transpose", inputs[:1], [output], perm=perm)
        elif kind == "Eltwise" and main is not None and len(inputs) == 2:
            if main.vector(1, 4)[1] or not 0 <= main.number(0, "b") < len(_ELTWISE):
                return False
            builder.node(_ELTWISE[main.number(0, "b")], inputs, [output])
        else:
            return False
        return True

    def _binary(self, operator: str, inputs: list[str], output: str) -> None:
        if operator in _TRUTH:
            self._truths.add(output)
        self._builder.node(operator, inputs, [output])

    def _clip(self, main: Table | None, inputs: list[str], output: str) -> None:
        ends = (0.0, 6.0) if main is None else (main.number(0, "f", 0.0), main.number(1, "f", 6.0))
        names = [
            self._builder.constant(self._builder.name(f"{output} bound"), np.array(end, np.float32))
            for end in ends
        ]
        self._builder.node("Clip", [*inputs, *names], [output])

    def _slopes(self, operator: Operator, main: Table, name: str) -> str:
        """The slopes along axis 1."""
        builder = self._builder
        start, count = main.vector(1, 4)
        if not count:
            raise DamagedError(f"PReLU {operator.name} has no slopes")
        rank = self._ranks[operator.outputs[0]] or 4
        stored, laid = builder.name(name), builder.name(f"{name} laid")
        builder.stored(stored, "float32", [count], (start, 4 * count), self._source.path)
        sizes = np.array([count, *[1] * (rank - 2)], np.int64)
        shape = builder.constant(builder.name(f"{name} shape"), sizes)
        builder.node("Reshape", [stored, shape], [laid])
        return laid

    def _linear(self, operator: Operator, inputs: list[str], outputs: list[str]) -> None:
        """Any other operator, and what it does to its result."""
        builder, main = self._builder, operator.main
        fused = None
        if operator.kind in _FOUR[:4] and main is not None:
            common = main.table(0)
            if common is not None:
                fused = next((f for f in (_RELU, _RELU6) if common.number(f, "?", 0)), None)
            inputs = [*inputs, *self._weights(operator, main)]
        before = outputs[:1] if fused is None else [builder.name(f"{outputs[0]} before ReLU")]
        kind = _LINEAR.get(operator.kind, operator.kind)
        builder.other(kind, inputs, [*before, *outputs[1:]])
        if fused == _RELU:
            builder.node("Relu", before, outputs[:1])
        elif fused == _RELU6:
            self._clip(None, before, outputs[0])

    def _weights(self, operator: Operator, main: Table) -> list[str]:
        """The weights and biases of a convolution, for who counts them."""
        names = []
        for field in (1, 2):
            start, count = main.vector(field, 4)
            if count:
                names.append(self._builder.name(f"{operator.name}.{field}"))
                place = (start, 4 * count)
                self._builder.stored(names[-1], "float32", [count], place, self._source.path)
        return names


def input_of(operator: Operator) -> tuple[str, Shape]:
    """The type and the sizes of an input."""
    main = operator.main
    if main is None:
        return "float32", ()
    sizes = main.numbers(0, "i4").tolist()
    kind = TYPES.get(main.number(1, "i", 1), "float32")
    return kind, tuple(size if size > 0 else None for size in sizes)


def _free(rank: int | None) -> Shape | None:
    return None if rank is None else (None,) * rank
