"""Sums of products that multiply each element by one number, because all others are 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.graph.match.arithmetic import PRODUCTS
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import attribute_of

_MOST: Final = 1 << 18  # elements of a matrix that is looked at
_CONVOLUTIONS: Final = ("Conv", "ConvTranspose")
Values = Callable[[str], Array | None]
"""The values of a constant; None if they cannot be computed."""


def factor_of(view: GraphView, node: onnx.NodeProto) -> str | None:
    """The constant that may be a factor of a product, judging by shapes; None if there is none."""
    if node.op_type not in PRODUCTS or len(node.input) < 2:
        return None
    place = 0 if node.op_type == "Einsum" and view.is_constant(node.input[0]) else 1
    name: str = node.input[place]
    shape = view.shape(name) if view.is_constant(name) else None
    if not shape or any(size is None for size in shape):
        return None
    sizes = [size or 0 for size in shape]
    if node.op_type == "Einsum":
        terms = _terms(node)
        fits = len(node.input) == 2 and terms is not None and len(terms[0]) == len(sizes)
    elif node.op_type in _CONVOLUTIONS:
        groups = attribute_of(node, "group", 1)
        fits = (
            len(sizes) > 2
            and set(sizes[2:]) <= {1}
            and sizes[0] == groups * sizes[1]
            and 1 in (groups, sizes[1])
        )
        fits &= not any(attribute_of(node, "pads", ()))
        fits &= not any(attribute_of(node, "output_padding", ()))
        fits &= set(attribute_of(node, "strides", ())) <= {1}
    elif node.op_type == "BatchNormalization":
        fits = len(node.input) == 5 and not attribute_of(node, "training_mode", 0)
    else:
        fits = len(sizes) == 2 and sizes[0] == sizes[1]
        fits &= attribute_of(node, "alpha", 1.0) == 1.0 and not attribute_of(node, "transA", 0)
    return name if fits and math.prod(sizes) <= _MOST else None


def only_multiplies(node: onnx.NodeProto, name: str, values: Values) -> bool:
    """Whether a product adds nothing up, with the constant that `factor_of` names."""
    held = values(name)
    added = {"BatchNormalization": node.input[2:4], "Einsum": ()}.get(node.op_type, node.input[2:])
    others = [values(other) for other in added if other]
    if held is None or any(other is None or other.any() for other in others):
        return False
    return not _is_matrix(node, held) or np.count_nonzero(held) == np.count_nonzero(_diagonal(held))


def multipliers(node: onnx.NodeProto, held: Array, values: Values, n_axes: int) -> Array:
    """The numbers of a product, such that they broadcast to its input.

    Args:
        node: the product.
        held: the values of its factor.
        values: those of others.
        n_axes: how many its input has.
    """
    behind = [1] * (n_axes - 2)
    if node.op_type == "Einsum":
        own, whole = _terms(node) or ("", "")
        ordered = held.transpose([own.index(label) for label in whole if label in own])
        sizes = iter(ordered.shape)
        return ordered.reshape([next(sizes) if label in own else 1 for label in whole])
    if node.op_type == "BatchNormalization":
        variance = values(node.input[4])
        if variance is None:
            raise ValueError("a constant that cannot be computed")
        scale = np.sqrt(variance + variance.dtype.type(attribute_of(node, "epsilon", 1e-5)))
        return np.asarray(held / scale).reshape(-1, *behind)
    if node.op_type in _CONVOLUTIONS:
        return (_diagonal(held) if held.shape[1] != 1 else held).reshape(-1, *behind)
    return _diagonal(held)


def _is_matrix(node: onnx.NodeProto, held: Array) -> bool:
    if node.op_type in _CONVOLUTIONS:
        return bool(held.shape[1] != 1)
    return str(node.op_type) in ("MatMul", "Gemm")


def _diagonal(held: Array) -> Array:
    return np.array(held.reshape(held.shape[:2]).diagonal())


def _terms(node: onnx.NodeProto) -> tuple[str, str] | None:
    """The terms of the constant and of the input, if an Einsum keeps the axes of its input."""
    text = attribute_of(node, "equation", b"")
    left, arrow, whole = text.decode().replace(" ", "").partition("->")
    parts = left.split(",")
    if not arrow or len(parts) != 2 or "." in whole or len(set(whole)) < len(whole):
        return None
    own = next((part for part in reversed(parts) if part != whole), whole)
    fits = whole in parts and set(own) <= set(whole) and len(set(own)) == len(own)
    return (own, whole) if fits else None
