"""The outputs of a PReLU layer, as a formula if one gives the same bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import numpy as np

from prelu_tools.core.arrays import Array, same_bits

Formula = Literal["select", "relus"]


def _select(x: Array, slopes: Array) -> Array:
    """As He et al. (2015) and PyTorch have it."""
    return np.where(x > 0, x, slopes * x)


def _relus(x: Array, slopes: Array) -> Array:
    """As Keras has it."""
    zero = x.dtype.type(0)
    return np.asarray(np.maximum(x, zero) + -slopes * np.maximum(-x, zero))


_FORMULAS: Final[Mapping[Formula, Callable[[Array, Array], Array]]] = {
    "select": _select,
    "relus": _relus,
}


def answer(formula: Formula, x: Array, slopes: Array) -> Array:
    """PReLU of an input, as a formula computes it in the input's type.

    Args:
        formula: its name.
        x: the input.
        slopes: of the same type; they broadcast to it.
    """
    with np.errstate(all="ignore"):
        return np.asarray(_FORMULAS[formula](x, slopes).astype(x.dtype))


def formula_of(answers: list[tuple[Array, Array]], slopes: Array) -> Formula | None:
    """The first formula that answers so, bit for bit, a NaN like any other; None for none.

    Args:
        answers: inputs and what the layer made of them.
        slopes: the layer's.
    """
    for name in _FORMULAS:
        if all(_is_same(answer(name, x, slopes), y) for x, y in answers):
            return name
    return None


def _is_same(left: Array, right: Array) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    wrong = np.isnan(left) & np.isnan(right)
    return same_bits(np.where(wrong, 0, left), np.where(wrong, 0, right))
