"""The torch functions that a PReLU may be written with, by their Python names."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

JOINS = frozenset(("cat", "concat", "concatenate", "hstack", "vstack", "dstack", "stack"))
MOVES = JOINS | frozenset((
    "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "view",
    "reshape", "view_as", "reshape_as", "flatten", "unflatten", "unsqueeze", "squeeze",
    "expand", "getitem", "select", "narrow", "slice", "index_select", "chunk", "split",
    "split_with_sizes", "tensor_split", "unbind", "unsafe_view", "index", "masked_select",
    "nonzero", "nonzero_numpy", "argwhere",
))  # fmt: skip
"""Functions that move elements, or say where they are, and compute nothing."""
PRODUCTS = frozenset((
    "conv1d", "conv2d", "conv3d", "convolution", "einsum", "matmul", "rmatmul", "mm", "bmm",
    "linear", "addmm", "mv",
))  # fmt: skip
"""Sums of products, which multiply each element by one number if all other numbers are 0."""
SMOOTH = MOVES | PRODUCTS | frozenset((
    "add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "div", "truediv",
    "neg", "to", "to_copy", "float", "clone", "contiguous", "detach", "alias",
))  # fmt: skip
"""Functions that do the same on both sides of 0: no PReLU consists of these alone."""
_NAMED = frozenset((
    "add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "mul", "rmul", "imul", "multiply",
    "div", "truediv", "neg", "positive", "pos", "abs", "absolute", "sign", "sgn", "relu",
    "leaky_relu", "prelu", "prelu_kernel", "threshold", "hardtanh", "clamp", "clamp_min",
    "clamp_max", "clip", "max", "min", "fmax", "fmin", "maximum", "minimum", "where",
    "masked_fill", "logical_not", "bitwise_not", "invert", "gt", "ge", "lt", "le", "ne",
    "greater", "greater_equal", "less", "less_equal", "not_equal", "zeros_like", "ones_like",
    "full_like", "to", "to_copy", "type_as", "float", "double", "clone", "contiguous", "detach",
    "alias", "expand_as", "and", "or", "xor", "setitem", "index_put", "masked_scatter",
    "empty", "empty_like", "new_empty", "new_zeros", "new_ones", "new_full",
))  # fmt: skip
"""Functions that compute each element from those at its place, by the names of Python."""
_CURVED = frozenset((
    "acos", "acosh", "angle", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "celu", "cos",
    "cosh", "deg2rad", "digamma", "elu", "erf", "erfc", "erfinv", "exp", "exp2", "expm1",
    "float_power", "floor", "fmod", "frac", "gelu", "hardsigmoid", "hardswish", "hypot", "i0",
    "lgamma", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logit", "mish",
    "pow", "rad2deg", "remainder", "round", "rsqrt", "selu", "sigmoid", "silu", "sin", "sinc",
    "sinh", "softplus", "tan", "tanh", "trunc",
))  # fmt: skip
"""Functions of one element that do not return a multiple of it: never part of a PReLU."""


@cache
def is_elementwise(label: str) -> bool:
    """Whether functions of this name compute each element from those at its place.

    PyTorch states this for its operators, except those that a PReLU has no use for.
    """
    if label in _NAMED or label in _CURVED or label.startswith("special_"):
        return label in _NAMED
    return any(torch.Tag.pointwise in overload.tags for overload in _overloads(label))


def _overloads(label: str) -> list[Any]:
    packet = getattr(torch.ops.aten, label, None) if label.isidentifier() else None
    return [getattr(packet, name) for name in packet.overloads()] if packet else []


@cache
def is_repeatable(label: str) -> bool:
    """Whether functions of this name are deterministic."""
    if label in MOVES or label in PRODUCTS or label in _NAMED:
        return True
    overloads = _overloads(label)
    draws = any(torch.Tag.nondeterministic_seeded in overload.tags for overload in overloads)
    return (
        bool(overloads) and not draws and not label.startswith(("empty", "new_empty", "fraction"))
    )


def emptied(function: Any) -> Any:
    """A function that makes a tensor to be written to, filled with NaN."""

    def made(*args: Any, **kwargs: Any) -> torch.Tensor:
        tensor: torch.Tensor = function(*args, **kwargs)
        return tensor.fill_(torch.nan) if tensor.is_floating_point() else tensor

    made.__name__ = label_of(function)
    return made


def setitem(tensor: torch.Tensor, index: Any, value: Any) -> torch.Tensor:
    """The result of `tensor[index] = value`, as a new tensor."""
    written = tensor.clone()
    written[index] = value
    return written


def label_of(function: Any) -> str:
    """A function's name: `mul` of `torch.mul`, of `aten.mul.Tensor` and of `mul_`."""
    return str(getattr(function, "__name__", "")).partition(".")[0].strip("_")
