"""The tensors and operators of an `.mnn` file, without the bytes of its weights.

Field numbers and codes are those of MNN's schema:
https://github.com/alibaba/MNN/tree/master/schema/default
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prelu_tools.backends.runtimes.flatbuffer import Buffer, DamagedError, Table, read_file
from prelu_tools.core.errors import PReLUToolsError

TYPES: Final[Mapping[int, str]] = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64",
    10: "bool", 19: "float16",
}  # fmt: skip
"""`DataType`: numpy's names of the types."""

OPERATORS: Final[Mapping[int, str]] = {
    0: "AbsVal", 7: "BinaryOp", 9: "Cast", 10: "Concat", 11: "Const", 12: "Convolution",
    13: "ConvolutionDepthwise", 17: "Deconvolution", 18: "DeconvolutionDepthwise", 21: "Dropout",
    22: "Eltwise", 26: "ExpandDims", 28: "Flatten", 33: "InnerProduct", 34: "Input", 35: "Interp",
    39: "MatMul", 45: "Padding", 46: "Permute", 47: "Pooling", 49: "PReLU", 69: "ReLU",
    70: "ReLU6", 73: "Reshape", 77: "Scale", 81: "Sigmoid", 83: "Slice", 85: "Softmax",
    90: "Squeeze", 95: "TanH", 100: "Transpose", 101: "UnaryOp", 107: "Unsqueeze",
    113: "Convolution3D", 129: "ConvertTensor", 257: "Select", 266: "TrainableParam",
    513: "ConvInt8", 514: "Int8ToFloat", 515: "DepthwiseConvInt8", 516: "PoolInt8",
    517: "FloatToInt8", 518: "EltwiseInt8", 600: "While", 601: "If",
}  # fmt: skip
"""`OpType`: those that matter here."""
_TENSORFLOW: Final = (1, 2)  # `NetSource`: their tensors have the channels last
_NARROW: Final = 3  # `IDSTQuan.type`: weights in float16
_PACKED: Final = 2  # `MNN_DATA_FORMAT`: NC4HW4
_PACKING: Final = ("Convolution", "ConvolutionDepthwise", "Deconvolution",
                   "DeconvolutionDepthwise", "Convolution3D", "Pooling")  # fmt: skip
_KEEPING: Final = ("PReLU", "ReLU", "ReLU6", "UnaryOp", "AbsVal", "Sigmoid", "TanH", "Scale",
                   "Eltwise", "BinaryOp", "Dropout", "Interp")  # fmt: skip
"""Their results have the layout of their first input."""
_WITH_WEIGHTS: Final = ("Convolution", "ConvolutionDepthwise", "Deconvolution",
                        "DeconvolutionDepthwise")  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """One operator."""

    kind: str
    """Its name in the schema."""
    name: str
    """Its own name."""
    inputs: tuple[int, ...]
    """Tensors by number."""
    outputs: tuple[int, ...]
    """Tensors by number."""
    main: Table | None
    """The table of its parameters."""

    @property
    def narrow(self) -> str | None:
        """The type in which its weights were stored, `float16` or `int8`; None for float32."""
        if self.kind in ("ConvInt8", "DepthwiseConvInt8"):
            return "int8"
        stored = self.main.table(3) if self.main and self.kind in _WITH_WEIGHTS else None
        if stored is None:
            return None
        return "float16" if stored.number(2, "i") == _NARROW else "int8"


@dataclass(frozen=True)
class MnnModel:
    """The main graph of a file."""

    path: Path
    """The file."""
    tensors: Sequence[str]
    """The names of its tensors; others refer to them by number."""
    operators: Sequence[Operator]
    """Its operators in the order in which they run."""
    outputs: tuple[str, ...]
    """The names of its outputs."""


def read_mnn(path: Path) -> MnnModel:
    """Read a file; its weights stay in it.

    Raises:
        PReLUToolsError: it cannot be read, is not an MNN model, or was made from TensorFlow.
    """
    return read_file(path, "MNN model", _model)


def _model(path: Path, buffer: Buffer) -> MnnModel:
    if buffer.size < 8:
        raise DamagedError(f"it has {buffer.size:,} bytes")
    root = buffer.root()
    if root.number(6, "b") in _TENSORFLOW:
        raise PReLUToolsError(
            f"{path} was converted from TensorFlow, with the channels last: expected a model that "
            "was converted from ONNX, PyTorch or Caffe"
        )
    tensors = root.texts(7)
    operators = [_operator(table) for table in root.tables(3)]
    if not operators:
        raise DamagedError("it has no operators")
    for operator in operators:
        numbers = (*operator.inputs, *operator.outputs)
        wrong = [number for number in numbers if not 0 <= number < len(tensors)]
        if wrong:
            raise DamagedError(f"it refers to tensor {wrong[0]} of {len(tensors)}")
    made = {tensors[n] for operator in operators for n in operator.outputs}
    outputs = tuple(name for name in root.texts(4) if name in made)
    return MnnModel(path, tensors, operators, outputs or _unread(tensors, operators))


def packed_tensors(model: MnnModel) -> set[str]:
    """The tensors in layout NC4HW4 in a running model: from a convolution to a ConvertTensor."""
    found: set[int] = set()
    for operator in model.operators:
        if operator.kind == "ConvertTensor":
            is_packed = operator.main is not None and operator.main.number(1, "b") == _PACKED
        elif operator.kind in _KEEPING:
            is_packed = bool(operator.inputs) and operator.inputs[0] in found
        else:
            is_packed = operator.kind in _PACKING
        found.update(operator.outputs if is_packed else ())
    return {model.tensors[number] for number in found}


def _unread(tensors: Sequence[str], operators: Sequence[Operator]) -> tuple[str, ...]:
    """The results that no operator reads: the outputs of a file that names none."""
    read = {number for operator in operators for number in operator.inputs}
    made = [number for operator in operators for number in operator.outputs]
    return tuple(tensors[number] for number in made if number not in read)


def _operator(table: Table) -> Operator:
    code = table.number(5, "i")
    inputs, outputs = (tuple(table.numbers(field, "i4").tolist()) for field in (0, 4))
    kind = OPERATORS.get(code, f"OpType_{code}")
    return Operator(kind, table.text(3), inputs, outputs, table.table(2))
