"""Sums of products that multiply each element by one number are products by a slope."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph_text import SLOPES, fused_one, matches, model, numbers

ZEROS, ONES = np.zeros(3, np.float32), np.ones(3, np.float32)
TO_LAST, TO_FIRST = "Transpose<perm = [0, 2, 3, 1]>", "Transpose<perm = [0, 3, 1, 2]>"
NORMAL = "s = BatchNormalization<epsilon = 0.0>(q, c, zeros, mean, ones)"
PRODUCTS = {
    "a convolution by channels": ("s = Conv<group = 3>(q, w)", SLOPES.reshape(3, 1, 1, 1)),
    "a transposed convolution": ("s = ConvTranspose<group = 3>(q, w)", SLOPES.reshape(3, 1, 1, 1)),
    "a convolution of a diagonal": ("s = Conv(q, w)", np.diag(SLOPES).reshape(3, 3, 1, 1)),
    "an Einsum": ('s = Einsum<equation = "nchw,c->nchw">(q, w)', SLOPES),
    "an Einsum, constant first": ('s = Einsum<equation = "c, nchw->nchw">(w, q)', SLOPES),
    "an Einsum by places": (
        's = Einsum<equation = "nchw,wc->nchw">(q, w)', numbers(5, 3, seed=4)
    ),
    "a normalization": (NORMAL.replace("mean", "zeros").replace("c,", "w,"), SLOPES),
    "a product with a diagonal": (
        f"t = {TO_LAST}(q) u = MatMul(t, w) s = {TO_FIRST}(u)", np.diag(SLOPES)
    ),
}  # fmt: skip
SUMS = {
    "a convolution that adds": ("s = Conv<group = 3>(q, w, ones)", SLOPES.reshape(3, 1, 1, 1)),
    "a convolution of strides": (
        "t = Conv<group = 3, pads = [1, 1, 1, 1]>(q, w) b = Constant<value_ints = [0, 0, 1, 1]>() "
        "e = Constant<value_ints = [9, 9, 5, 6]>() s = Slice(t, b, e)",
        SLOPES.reshape(3, 1, 1, 1),
    ),
    "a matrix": ("s = Conv(q, w)", (np.diag(SLOPES) + np.eye(3, k=1)).reshape(3, 3, 1, 1)),
    "an Einsum that mixes": (
        's = Einsum<equation = "nchw,cd->ndhw">(q, w)', np.diag(SLOPES) + np.eye(3, k=2)
    ),
    "a normalization that adds": (NORMAL, SLOPES),
}  # fmt: skip


def _made(text: str, constant: Any) -> Any:
    constants = {"w": np.ascontiguousarray(constant, np.float32), "c": SLOPES, "ones": ONES,
                 "zeros": ZEROS, "mean": ONES / 8}  # fmt: skip
    return model(f"p = Relu(x) q = Min(x, zero) {text} y = Add(p, s)", constants=constants)


@pytest.mark.parametrize("label", PRODUCTS)
def test_a_product_that_multiplies_is_one_by_slopes(label: str) -> None:
    found = fused_one(_made(*PRODUCTS[label]))
    assert found.x == "x"


@pytest.mark.parametrize("label", SUMS)
def test_a_product_that_adds_is_none(label: str) -> None:
    proto = _made(*SUMS[label])
    assert matches(proto) == []


def test_a_large_matrix_is_not_read() -> None:
    wide = np.zeros((600, 600), np.float32)
    np.fill_diagonal(wide, 0.5)
    proto = model(
        "p = Relu(x) q = Min(x, zero) s = MatMul(q, wide) y = Add(p, s)",
        inputs="float[N,600] x",
        outputs="float[N,600] y",
        constants={"wide": wide},
    )
    assert matches(proto) == []
