"""How ONNX operators round: which only copy values, and which round inside.

And in which narrower type a model computes.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import TensorProto

from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.natives import inferred
from prelu_tools.graph.view import GraphView, nested_views


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXACT = _names(
    """
    Abs And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil
    CenterCropPad Clip Compress Concat ConcatFromSequence Constant ConstantOfShape DepthToSpace
    DequantizeLinear Dropout DynamicQuantizeLinear Equal Expand EyeLike Flatten Floor Gather
    GatherElements GatherND GlobalMaxPool Greater GreaterOrEqual Hardmax Identity If IsInf IsNaN
    Less LessOrEqual Loop Max MaxPool MaxRoiPool MaxUnpool Min Neg NonMaxSuppression NonZero Not
    OneHot Optional OptionalGetElement OptionalHasElement Or Pad QuantizeLinear RandomNormal
    RandomNormalLike RandomUniform RandomUniformLike Range ReduceMax ReduceMin Relu Reshape
    ReverseSequence Round Scan Scatter ScatterElements ScatterND SequenceAt SequenceConstruct
    SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Shrink Sign Size Slice
    SpaceToDepth Split SplitToSequence Squeeze ThresholdedRelu Tile TopK Transpose Trilu Unique
    Unsqueeze Upsample Where Xor
    """
)
"""Their results are input values or whole numbers; in bodies, the operators count."""
LINEAR = _names(
    """
    AveragePool Conv ConvTranspose CumSum DFT Einsum GRU Gemm GlobalAveragePool LSTM MatMul RNN
    ReduceL1 ReduceMean ReduceSum ReduceSumSquare STFT
    """
)
"""Sums of many terms."""
ROUNDED_ONCE = _names(
    "Add Div HardSigmoid HardSwish LeakyRelu Mean Mod Mul PRelu Reciprocal Sqrt Sub Sum"
)
KERNELS = _names(
    """
    Acos Acosh Asin Asinh Atan Atanh Cos Cosh Erf Exp Log Pow Sin Sinh Softplus Softsign Tan Tanh
    """
)
"""Functions whose kernels are off by a few units."""
RELATIVE_TO_ONE = _names("Celu Elu LogSoftmax Selu Sigmoid")
"""Off by a unit of 1, since 1 is added or subtracted inside."""
GATES = _names("Gelu Mish Swish")
"""A factor times a value that is off by a unit of 1."""
_NARROW: Mapping[int, str] = {TensorProto.BFLOAT16: "bfloat16", TensorProto.FLOAT16: "float16"}


def computes_in(proto: onnx.ModelProto) -> str | None:
    """The narrowest floating type below float32 in which an operator computes; None for none.

    A Cast, or a node that only moves values, computes nothing: a model whose last node casts to
    float16 rounds to it once, and a cast to float16 and back in the middle earns no extra
    tolerance.
    """
    whole = GraphView(OnnxModel(inferred(proto), None), typed=True)
    kinds = {
        view.element_type(name)
        for view in nested_views(whole)
        for node in view.graph.node
        if node.op_type not in EXACT
        for name in node.output
    }
    return next((_NARROW[kind] for kind in _NARROW if kind in kinds), None)
