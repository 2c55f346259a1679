"""Operators in numpy, to fold constants and to probe for PReLU.

Each step is rounded to the type of the tensor, as the specification says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.files.budget import BudgetError
from prelu_tools.graph.walk import attribute_of, is_onnx

Attributes = Mapping[str, onnx.AttributeProto]
Inputs = Sequence[Array | None]
Step = Callable[[Attributes, Inputs], Array]

_LARGEST: Final = 1 << 24
_LARGER: Final = 10
_HALF: Final = 2  # bytes


def attributes(node: onnx.NodeProto) -> dict[str, onnx.AttributeProto]:
    """The attributes of a node by name."""
    return {attribute.name: attribute for attribute in node.attribute}


def leak_of(node: onnx.NodeProto) -> float | None:
    """The one slope of a LeakyRelu or a Relu (0); None for any other node."""
    if is_onnx(node, "Relu"):
        return 0.0
    return float(attribute_of(node, "alpha", 0.01)) if is_onnx(node, "LeakyRelu") else None


def permutation(node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    """The permutation of a Transpose node on a tensor of this rank."""
    given = attributes(node).get("perm")
    return tuple(given.ints) if given else tuple(reversed(range(rank)))


def n_elements(operator: str, attrs: Attributes, inputs: Inputs) -> int:
    """How many elements an operator of `ELEMENTWISE` or `MOVING` computes; 0 for a view."""
    data = given(inputs) if inputs else np.zeros(0)
    if operator in ("Identity", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Shape"):
        return 0
    if operator == "ConstantOfShape":
        return math.prod(int(size) for size in data)
    if operator == "Tile":
        return data.size * math.prod(int(n) for n in given(inputs, 1))
    if operator == "Gather":
        axis = attrs["axis"].i if "axis" in attrs else 0
        return int(given(inputs, 1).size * (data.size // max(data.shape[axis], 1)))
    arrays = [array for array in inputs if array is not None]
    if operator == "Concat":
        return sum(array.size for array in arrays)
    if operator == "DequantizeLinear":
        return data.size
    shapes = [array.shape for array in arrays]
    if operator == "Expand":
        shapes = [data.shape, tuple(int(size) for size in given(inputs, 1))]
    return math.prod(np.broadcast_shapes(*shapes))


class Limits(NamedTuple):
    """The limits of a floating type."""

    unit: float
    """Half the distance from 1 to the next number: the relative error of one rounding."""
    small: float
    """The smallest number above 0."""
    large: float
    """The largest finite one."""


@lru_cache(maxsize=8)
def limits_of(dtype: np.dtype[Any]) -> Limits:
    """The limits of a floating type; numpy does not know bfloat16."""
    if dtype.kind != "f":
        return Limits(2.0**-8, 2.0**-133, (2 - 2.0**-7) * 2.0**127)
    known = np.finfo(dtype)
    return Limits(float(known.eps) / 2, float(known.smallest_subnormal), float(known.max))


def given(inputs: Inputs, place: int = 0) -> Array:
    """An input that the operator needs; a `ValueError` where it is left out."""
    found = inputs[place] if place < len(inputs) else None
    if found is None:
        raise ValueError("an input that the operator needs is left out")
    return found


def _all(inputs: Inputs) -> list[Array]:
    found = [given(inputs, place) for place in range(len(inputs))]
    if math.prod([array.size for array in found]) > _LARGEST:
        wanted = math.prod(np.broadcast_shapes(*(array.shape for array in found)))
        if wanted > max(_LARGEST, _LARGER * sum(array.size for array in found)):
            raise BudgetError(
                "two constants of different shapes: rejected, because it would need too much memory"
            )
    return found


def _unary(function: Callable[[Array], Any]) -> Step:
    return lambda _, inputs: np.asarray(function(given(inputs)))


def _wide(function: Callable[[Array], Any]) -> Step:
    """A function that no type computes exactly: in float64, and then rounded once."""

    def step(_: Attributes, inputs: Inputs) -> Array:
        x = given(inputs)
        return np.asarray(function(x.astype(np.float64))).astype(x.dtype)

    return step


def _folded(function: Callable[[Array, Array], Any]) -> Step:
    """An operator of two inputs, or of any number from the left to the right."""

    def step(attrs: Attributes, inputs: Inputs) -> Array:
        if "axis" in attrs:
            raise ValueError("laid along an axis, as before opset 7")
        first, *others = _all(inputs)
        for other in others:
            if first.dtype != other.dtype:
                raise TypeError("two types")
            first = np.asarray(function(first, other))
        return first

    return step


def _number(attrs: Attributes, name: str, default: float, like: Array) -> Any:
    return like.dtype.type(attrs[name].f if name in attrs else default)


def _relu(x: Array) -> Array:
    return np.asarray(np.maximum(x, x.dtype.type(0)))


def _leaky_relu(attrs: Attributes, inputs: Inputs) -> Array:
    x = given(inputs)
    return np.asarray(np.where(x >= 0, x, x * _number(attrs, "alpha", 0.01, x)))


def _thresholded_relu(attrs: Attributes, inputs: Inputs) -> Array:
    x = given(inputs)
    return np.where(x > _number(attrs, "alpha", 1.0, x), x, x.dtype.type(0))


def _prelu(_: Attributes, inputs: Inputs) -> Array:
    x, slope = _all(inputs)
    return np.where(x < 0, x * slope, x)


def _clip(attrs: Attributes, inputs: Inputs) -> Array:
    x = given(inputs)
    for place, name, cut in ((1, "min", np.maximum), (2, "max", np.minimum)):
        bound = inputs[place] if place < len(inputs) else None
        if bound is None and name in attrs:
            bound = np.asarray(_number(attrs, name, 0.0, x))
        if bound is not None and bound.size != 1:
            raise ValueError("a bound is one number")
        x = x if bound is None else np.asarray(cut(x, bound.reshape(()).astype(x.dtype)))
    return x


def _divide(a: Array, b: Array) -> Array:
    return np.trunc(a / b).astype(a.dtype) if a.dtype.kind in "iu" else a / b


def _where(_: Attributes, inputs: Inputs) -> Array:
    condition, yes, no = _all(inputs)
    if yes.dtype != no.dtype:
        raise TypeError("two types")
    return np.where(condition, yes, no)


def _power(_: Attributes, inputs: Inputs) -> Array:
    base, exponent = _all(inputs)
    return np.power(base, exponent).astype(base.dtype)


def _mean(_: Attributes, inputs: Inputs) -> Array:
    total = sum(_all(inputs))
    return np.asarray(total / given(inputs).dtype.type(len(inputs)))


# Other types are saturated, wrapped or rounded in ways that versions and attributes change.
_CAST_TO: Final = frozenset(
    onnx.TensorProto.DataType.Value(name)
    for name in (
        "FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "BOOL", "INT8", "INT16", "INT32", "INT64",
        "UINT8", "UINT16", "UINT32", "UINT64",
    )
)  # fmt: skip


def _cast(attrs: Attributes, inputs: Inputs) -> Array:
    data, kind = given(inputs), attrs["to"].i
    wanted = helper.tensor_dtype_to_np_dtype(kind)
    if kind not in _CAST_TO or data.dtype.kind not in "biufV":
        raise ValueError("runtimes do not agree on what this Cast makes")
    if wanted.kind in "iu" and data.dtype.kind not in "biu":
        limits, whole = np.iinfo(wanted), np.trunc(data.astype(np.float64))
        if not ((whole >= limits.min) & (whole <= limits.max)).all():
            raise ValueError("a value is beyond the integers of that type")
    if data.dtype == np.float64 and wanted.itemsize == _HALF:
        data = data.astype(np.float32)  # as onnxruntime rounds
    return data.astype(wanted)


def _cast_like(_: Attributes, inputs: Inputs) -> Array:
    return given(inputs).astype(given(inputs, 1).dtype)


def _softplus(x: Array) -> Array:
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def axes_of(attrs: Attributes, inputs: Inputs) -> tuple[int, ...] | None:
    """The axes that an operator names, as an attribute or as its second input."""
    if "axes" in attrs:
        return tuple(attrs["axes"].ints)
    if len(inputs) > 1 and inputs[1] is not None:
        return tuple(int(axis) for axis in inputs[1])
    return None


def _reshape(attrs: Attributes, inputs: Inputs) -> Array:
    data, target = given(inputs), given(inputs, 1)
    plain = "allowzero" not in attrs or not attrs["allowzero"].i
    return data.reshape(
        [data.shape[i] if size == 0 and plain else int(size) for i, size in enumerate(target)]
    )


def _transpose(attrs: Attributes, inputs: Inputs) -> Array:
    return given(inputs).transpose(tuple(attrs["perm"].ints) if "perm" in attrs else None)


def _expand(_: Attributes, inputs: Inputs) -> Array:
    data, target = given(inputs), given(inputs, 1)
    shape = np.broadcast_shapes(data.shape, tuple(int(s) for s in target))
    return np.broadcast_to(data, shape)


def _tile(_: Attributes, inputs: Inputs) -> Array:
    return np.tile(given(inputs), given(inputs, 1))


def _constant_of_shape(attrs: Attributes, inputs: Inputs) -> Array:
    value = onnx.numpy_helper.to_array(attrs["value"].t) if "value" in attrs else np.float32(0)
    shape = tuple(int(size) for size in given(inputs))
    return np.broadcast_to(np.asarray(value).reshape(()), shape)


def _concat(attrs: Attributes, inputs: Inputs) -> Array:
    return np.concatenate([given(inputs, i) for i in range(len(inputs))], attrs["axis"].i)


def _gather(attrs: Attributes, inputs: Inputs) -> Array:
    axis = attrs["axis"].i if "axis" in attrs else 0
    return np.take(given(inputs), given(inputs, 1).astype(np.int64), axis)


def _dequantize(attrs: Attributes, inputs: Inputs) -> Array:
    data, scale = given(inputs), given(inputs, 1)
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros((), data.dtype)
    scales, zeros = (_laid_over(part, data.shape, attrs) for part in (scale, zero))
    whole = data.astype(np.float64) - zeros.astype(np.float64)  # exact for each type there is
    stated = attrs["output_dtype"].i if "output_dtype" in attrs else 0
    dtype = helper.tensor_dtype_to_np_dtype(stated) if stated else scale.dtype
    return np.asarray((whole.astype(np.float32) * scales.astype(np.float32)).astype(dtype))


def _laid_over(part: Array, shape: tuple[int, ...], attrs: Attributes) -> Array:
    """Scales or zero points: one for all, one for each place of an axis, or for each block."""
    axis = (attrs["axis"].i if "axis" in attrs else 1) % max(len(shape), 1)
    size = attrs["block_size"].i if "block_size" in attrs else 0
    if size and part.ndim:
        if part.ndim != len(shape):
            raise ValueError("blocks of another rank")
        return np.repeat(part, min(size, shape[axis]), axis).take(range(shape[axis]), axis)
    if part.ndim == 1 and len(shape) > 1:
        return part.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return part


_FUNCTIONS: Final[Mapping[str, Callable[[Array], Any]]] = {
    "Sigmoid": lambda x: np.exp(-np.logaddexp(0, -x)),
    "Tanh": np.tanh,
    "Exp": np.exp,
    "Log": np.log,
    "Softplus": _softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Sin": np.sin,
    "Cos": np.cos,
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Erf": lambda x: np.vectorize(math.erf, otypes=[np.float64])(x),
}
SMOOTH: Final = frozenset({*_FUNCTIONS, "Floor", "Ceil", "Round"})
"""Operators of one input that are no multiple of x on either side."""
COMPARISONS: Final[Mapping[str, Callable[[Array, Array], Any]]] = {
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Equal": np.equal,
}
ELEMENTWISE: Final[Mapping[str, Step]] = {
    "Identity": lambda _, inputs: given(inputs),
    "Neg": _unary(np.negative),
    "Abs": _unary(np.abs),
    "Sign": _unary(np.sign),
    "Sqrt": _unary(np.sqrt),
    "Reciprocal": _unary(lambda x: x.dtype.type(1) / x),
    "Floor": _unary(np.floor),
    "Ceil": _unary(np.ceil),
    "Round": _unary(np.round),
    "Not": _unary(np.logical_not),
    "Relu": _unary(_relu),
    "LeakyRelu": _leaky_relu,
    "ThresholdedRelu": _thresholded_relu,
    "PRelu": _prelu,
    "Clip": _clip,
    "Add": _folded(np.add),
    "Sub": _folded(np.subtract),
    "Mul": _folded(np.multiply),
    "Div": _folded(_divide),
    "Sum": _folded(np.add),
    "Max": _folded(np.maximum),
    "Min": _folded(np.minimum),
    "And": _folded(np.logical_and),
    "Or": _folded(np.logical_or),
    "Xor": _folded(np.logical_xor),
    **{name: _folded(function) for name, function in COMPARISONS.items()},
    "Mean": _mean,
    "Pow": _power,
    "Where": _where,
    "Cast": _cast,
    "CastLike": _cast_like,
    **{name: _wide(function) for name, function in _FUNCTIONS.items()},
}
"""Operators with each output element computed from one element of each input."""
MOVING: Final[Mapping[str, Step]] = {
    "Reshape": _reshape,
    "Unsqueeze": lambda attrs, x: np.expand_dims(given(x), axes_of(attrs, x) or ()),
    "Squeeze": lambda attrs, x: np.squeeze(given(x), axes_of(attrs, x)),
    "Transpose": _transpose,
    "Expand": _expand,
    "Tile": _tile,
    "ConstantOfShape": _constant_of_shape,
    "Concat": _concat,
    "Gather": _gather,
    "Shape": lambda _, x: np.array(given(x).shape, np.int64),
    "DequantizeLinear": _dequantize,
}
"""Others that are common among constants."""
MOVED: Final = ("Transpose", "Unsqueeze", "Squeeze", "Concat", "Split")
"""Operators that move elements, or join and split tensors."""
PRODUCTS: Final = ("Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum", "BatchNormalization")
"""Sums of products; some multiply each element by one number (see `products.py`)."""
KNOWN: Final = frozenset({*ELEMENTWISE, *MOVED, *PRODUCTS, "Shape", "Expand", "ConstantOfShape"})
"""The operators that a region may have."""
COPIES: Final = frozenset({"Identity", "Cast", "CastLike", *MOVED, "Shape", "Not", "And", "Or",
                           "Xor", "Expand", "ConstantOfShape", *COMPARISONS})  # fmt: skip
"""Those that cannot be the last one."""
