"""What operators compute, in numpy: for constants that are folded, and for PReLU that is asked.

Each step is rounded in the type of the tensor, as the specification says of each operator.
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
from prelu_tools.core.errors import PReLUToolsError

Attributes = Mapping[str, onnx.AttributeProto]
Inputs = Sequence[Array | None]
Step = Callable[[Attributes, Inputs], Array]

_LARGEST: Final = 1 << 24
_LARGER: Final = 10


def attributes(node: onnx.NodeProto) -> dict[str, onnx.AttributeProto]:
    """The attributes of a node by name."""
    return {attribute.name: attribute for attribute in node.attribute}


def permutation(node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    """What a Transpose node does to a tensor of this rank."""
    given = attributes(node).get("perm")
    return tuple(given.ints) if given else tuple(reversed(range(rank)))


def fitting(shape: tuple[int, ...], *stored: Array) -> tuple[int, ...]:
    """The shape of a constant that is to be computed from these.

    Raises:
        PReLUToolsError: it would have more than 16 million elements, and ten times theirs.
    """
    wanted, held = math.prod(shape), sum(array.size for array in stored)
    if wanted > max(_LARGEST, _LARGER * held):
        raise PReLUToolsError(
            f"the graph makes a constant of shape {list(shape)[:9]} of {held:,} stored values: "
            "refused, it would fill the memory"
        )
    return shape


class Limits(NamedTuple):
    """What a floating type can hold."""

    unit: float
    """Half the distance from 1 to the next number: what one rounding changes, relatively."""
    small: float
    """The smallest number above 0."""
    large: float
    """The largest finite one."""


@lru_cache(maxsize=8)
def limits_of(dtype: np.dtype[Any]) -> Limits:
    """What a floating type can hold; numpy does not know bfloat16."""
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
        fitting(np.broadcast_shapes(*(array.shape for array in found)), *found)
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


def _cast(attrs: Attributes, inputs: Inputs) -> Array:
    return given(inputs).astype(helper.tensor_dtype_to_np_dtype(attrs["to"].i))


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
    return np.broadcast_to(data, fitting(shape, data))


def _tile(_: Attributes, inputs: Inputs) -> Array:
    data, times = given(inputs), given(inputs, 1)
    fitting(tuple(int(a) * int(b) for a, b in zip(data.shape, times, strict=True)), data)
    return np.tile(data, times)


def _constant_of_shape(attrs: Attributes, inputs: Inputs) -> Array:
    value = onnx.numpy_helper.to_array(attrs["value"].t) if "value" in attrs else np.float32(0)
    shape = tuple(int(size) for size in given(inputs))
    return np.broadcast_to(np.asarray(value).reshape(()), fitting(shape))


def _concat(attrs: Attributes, inputs: Inputs) -> Array:
    return np.concatenate([given(inputs, i) for i in range(len(inputs))], attrs["axis"].i)


def _gather(attrs: Attributes, inputs: Inputs) -> Array:
    data, indices = given(inputs), given(inputs, 1)
    axis = attrs["axis"].i if "axis" in attrs else 0
    rest = (*data.shape[:axis], *data.shape[axis % data.ndim + 1 :])
    fitting((*indices.shape, *rest), data, indices)
    return np.take(data, indices.astype(np.int64), axis)


def _along(attrs: Attributes, data: Array, *constants: Array) -> list[Array]:
    """Scales and zero points, one for each slice along an axis of the data."""
    axis = (attrs["axis"].i if "axis" in attrs else 1) % max(data.ndim, 1)
    shape = [-1 if i == axis else 1 for i in range(data.ndim)]
    fits = data.ndim > 1
    return [c.reshape(shape) if c.ndim == 1 and fits and c.size > 1 else c for c in constants]


def _dequantize(attrs: Attributes, inputs: Inputs) -> Array:
    data, scale = given(inputs), given(inputs, 1)
    zero = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros_like(scale)
    if "block_size" in attrs and attrs["block_size"].i:
        raise ValueError("in blocks")
    scale, zero = _along(attrs, data, scale, zero)
    fitting(np.broadcast_shapes(data.shape, scale.shape, zero.shape), data)
    return np.asarray((data.astype(scale.dtype) - zero.astype(scale.dtype)) * scale)


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
"""Operators of which each element of the output needs one element of each input."""
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
