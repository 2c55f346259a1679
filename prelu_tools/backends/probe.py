"""Is this layer a PReLU? Ask it, instead of reading its code.

A layer is called with inputs of both signs and with tags in place of its one parameter. It is a
PReLU when it returns positive inputs as they are, and negative ones times an element of that
parameter, bit for bit; which element stands where says how the slopes are laid over the input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.slopes import Shape
from prelu_tools.core.tags import TagBook

_SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)  # powers of two: a product with them is exact
_FREE = 2  # size of a dimension that the layer does not fix

Call = Callable[[Array, Array], Array]


def could_be_slope(parameter_shape: tuple[int, ...], input_shape: Shape) -> bool:
    """Whether a parameter of this shape may be laid over the input at all."""
    sizes = input_shape[1:]
    if int(np.prod(parameter_shape, dtype=np.int64)) == 1:
        return True
    if len(parameter_shape) == 1:
        return parameter_shape[0] in sizes
    if len(parameter_shape) > len(sizes):
        return False
    tail = sizes[len(sizes) - len(parameter_shape) :]
    return all(p == 1 or p == s for p, s in zip(parameter_shape, tail, strict=True))


def probe(call: Call, parameter_shape: tuple[int, ...], input_shape: Shape) -> IntArray | None:
    """Find out how a layer lays its slopes over its input.

    Args:
        call: runs the layer on an input and a value of its parameter, both float32.
        parameter_shape: the shape of the parameter.
        input_shape: the shape of the layer's input, None for a dynamic dimension; the first one
            is the batch.

    Returns:
        Flat indices into the parameter, of the input's rank, size 1 where the slopes are shared
        (so `parameter.reshape(-1)[indices]` broadcasts to the input); None for no PReLU.
    """
    if not could_be_slope(parameter_shape, input_shape):
        return None
    batch = (1,) if len(input_shape) > 1 else (_FREE,) * len(input_shape)
    shape = (*batch, *(_FREE if size is None else size for size in input_shape[1:]))
    book = TagBook()
    tags = book.tag("slope", parameter_shape)
    sizes, others = _scattered(shape, 0), _scattered(shape, 1)
    if not _equal(call(sizes, tags), sizes):
        return None
    result = call(-sizes, tags)
    if result.shape != shape:
        return None
    tagged = book.find(result / -sizes)
    if tagged is None or tagged.sign != 1:
        return None
    mixed = np.where(sizes > 1, others, -others)
    expected = np.where(mixed > 0, mixed, mixed * tagged.restore(tags))
    return _compress(tagged.indices) if _equal(call(mixed, tags), expected) else None


def _scattered(shape: tuple[int, ...], seed: int) -> Array:
    """Sizes that differ from position to position, so that a layer that moves them is found out."""
    generator = np.random.default_rng(seed)
    return np.asarray(generator.choice(np.array(_SIZES, np.float32), size=shape))


def _equal(left: Array, right: Array) -> bool:
    return left.shape == right.shape and bool(np.array_equal(left, right))


def _compress(indices: IntArray) -> IntArray:
    """Give size 1 to every axis along which nothing changes."""
    for axis in range(indices.ndim):
        first = np.take(indices, [0], axis=axis)
        if np.array_equal(np.broadcast_to(first, indices.shape), indices):
            indices = first
    return indices
