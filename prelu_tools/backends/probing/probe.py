"""Is this a PReLU? Ask it, instead of reading its code.

What a model computes between two tensors is called again: with inputs of both signs and of sizes
from far below 1 to far above. It is a PReLU if it returns positive inputs unchanged, and negative
inputs times a number that depends only on their position: the *effective slope*, however it is
computed. Replacing one constant with other values (positive, negative, large and equal marks) tells
a slope from a constant that only looks like one (a scale of 1, a bias of 0), and shows how it
broadcasts over the input, and whether it is the constant itself or a function of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.core.prelu.tags import TagBook

_SIZES = (1.0, 2.0**-100, 5e-4, 30.0, 2.0**110, 0.02)
_FEW = 4096  # elements; a larger input has enough positions for each size in every call
_TINY = np.finfo(np.float32).tiny
_FREE = 2  # size of a dimension that the layer does not fix
_ROUNDING = 4 * 2.0**-23  # of the largest term: for forms with terms that cancel

Call = Callable[[Array, Mapping[str, Array]], Array]
"""Computes the output of an input, with other values in the place of some constants, by name."""


@dataclass(frozen=True)
class Answer:
    """What is known of a PReLU."""

    origin: str
    """The constant that its slopes come from."""
    is_own: bool
    """Whether its slopes are the elements of that constant, all of them, and not a function."""
    values: Array
    """That constant where they are; otherwise the effective slopes, size 1 where they are
    shared."""
    indices: IntArray
    """How the values are laid over the input: flat indices of its rank, size 1 where they are
    shared, so that `values.reshape(-1)[indices]` broadcasts to it."""

    @property
    def is_reordered(self) -> bool:
        """Whether its slopes are those of the constant in another order along one axis."""
        order = self.indices.reshape(-1)
        return order.size in self.indices.shape and bool((np.diff(order) < 0).any())


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


def probe(
    call: Call, constants: Mapping[str, Array], input_shape: Shape, rows: int = 1
) -> Answer | None:
    """Find out whether something is a PReLU, and with which slopes.

    Args:
        call: computes it, in float32.
        constants: what its slopes may come from, by name; the values that count. The first that
            they depend on is their origin.
        input_shape: the shape of its input, None for a dynamic dimension; the first one is the
            batch.
        rows: the batch size of the probe.

    Returns:
        The slopes; None for no PReLU. What raises an error for some input is none either.
    """
    batch = (rows,) if len(input_shape) > 1 else (_FREE,) * len(input_shape)
    shape = (*batch, *(_FREE if size is None else size for size in input_shape[1:]))
    asked = _Asked(call, shape)
    slopes = asked.slopes({})
    if slopes is None:
        return None
    for name in constants:
        answer = _made_of(asked, name, constants[name], slopes)
        if answer is not None:
            return answer if _fits(answer.indices, input_shape) else None
    return None


class _Asked:
    """The probes, with inputs of one shape."""

    def __init__(self, call: Call, shape: tuple[int, ...]) -> None:
        self._call = call
        self._shape = shape
        self._inputs: list[Array] | None = None

    def slopes(self, changed: Mapping[str, Array]) -> Array | None:
        """The effective slope of each position; None if it is not a PReLU.

        Positions with an infinite or NaN slope are not probed: some forms return NaN there for a
        positive input.
        """
        with np.errstate(all="ignore"):
            slopes = self._output(np.full(self._shape, -1, np.float32), changed)
            if slopes is None:
                return None
            slopes = np.float32(0) - slopes  # 0, and not -0, for a branch of 0
            finite = np.isfinite(slopes)
            if not all(self._holds(x, slopes, finite, changed) for x in self._drawn()):
                return None
        return slopes

    def _output(self, x: Array, changed: Mapping[str, Array]) -> Array | None:
        try:
            found = np.asarray(self._call(x, changed))
        except Exception:
            return None
        return found if found.shape == self._shape and found.dtype.kind == "f" else None

    def _holds(self, x: Array, slopes: Array, asked: Array, changed: Mapping[str, Array]) -> bool:
        found = self._output(x, changed)
        if found is None:
            return False
        expected = np.where(x > 0, x, slopes * x)
        near = np.abs(found - expected) <= _ROUNDING * (1 + np.abs(slopes)) * np.abs(x)
        return bool((near | (found == expected) | ~asked).all())

    def _drawn(self) -> list[Array]:
        """Inputs of each sign and of each size, for every position if there are few."""
        if self._inputs is None:
            generator = np.random.default_rng(0)
            n = int(np.prod(self._shape))
            self._inputs = []
            for turn in range(len(_SIZES) if n < _FEW else 2):
                sizes = np.asarray(_SIZES)[(np.arange(n) + turn) % len(_SIZES)]
                drawn = generator.uniform(0.5, 1, n) * sizes * generator.choice([-1, 1], n)
                x = drawn.astype(np.float32).reshape(self._shape)
                self._inputs += [x, -x]
            self._inputs.append(np.zeros(self._shape, np.float32))
        return self._inputs


def _made_of(asked: _Asked, name: str, own: Array, slopes: Array) -> Answer | None:
    """The slopes as a function of one constant; None if they do not depend on it."""
    book = TagBook()
    tags = book.tag(name, own.shape)
    answers = asked.slopes({name: tags})
    tagged = None if answers is None else book.find(answers)
    if tagged is not None and tagged.sign == 1:
        restored = tagged.restore(own.astype(np.float32))
        complete = np.unique(tagged.indices).size == own.size
        if complete and _are_equal(restored, slopes):
            return Answer(name, True, own, _compress(tagged.indices, [tagged.indices]))
    if not np.isfinite(slopes).all():
        return None
    others = [answers, *(asked.slopes({name: marks}) for marks in _marks(own))]
    known = [found for found in others if found is not None]
    if all(np.array_equal(found, slopes) for found in known):
        return None
    places = _compress(np.arange(slopes.size).reshape(slopes.shape), [slopes, *known])
    values = slopes.reshape(-1)[places]
    return Answer(name, False, values, np.arange(values.size).reshape(values.shape))


def _are_equal(left: Array, right: Array) -> bool:
    """Whether two arrays are equal, for a framework that takes what is below `_TINY` for 0 too."""
    left, right = (np.where(np.abs(array) < _TINY, 0, array) for array in (left, right))
    return np.array_equal(left, right, equal_nan=True)


def _marks(own: Array) -> Iterator[Array]:
    generator = np.random.default_rng(1)
    yield generator.uniform(-2, -0.1, own.shape).astype(np.float32)
    yield generator.uniform(0.1, 0.9, own.shape).astype(np.float32)
    yield generator.uniform(50, 900, own.shape).astype(np.float32)
    yield np.full(own.shape, 0.3, np.float32)


def _compress(indices: IntArray, patterns: list[Array]) -> IntArray:
    """Give size 1 to every axis along which no pattern, of the shape of the indices, changes."""
    for axis in range(indices.ndim):
        if all((pattern == np.take(pattern, [0], axis=axis)).all() for pattern in patterns):
            indices = np.take(indices, [0], axis=axis)
            patterns = [np.take(pattern, [0], axis=axis) for pattern in patterns]
    return indices


def _fits(indices: IntArray, input_shape: Shape) -> bool:
    """Whether the slopes are the same along the batch and along every axis of a dynamic size."""
    free = [axis for axis, size in enumerate(input_shape) if size is None]
    return all(indices.shape[axis] == 1 for axis in free)
