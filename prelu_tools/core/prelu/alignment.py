"""Match the axes of an array with those of another model: the only search for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Permutation, channels_first, channels_last, inverse
from prelu_tools.core.prelu.slopes import Shape, broadcasts


class AxisAlignment(tuple[Permutation, ...]):
    """The possible axis orders of one model's array in another model, likeliest first.

    Each is a permutation as in numpy.transpose, from the first model's axes to the second's. With
    none, the arrays do not belong together; with several, there is a doubt.
    """

    __slots__ = ()

    @classmethod
    def usual(cls, rank: int) -> AxisAlignment:
        """The orders that frameworks use: unchanged, channels first, channels last."""
        orders = [tuple(range(rank))]
        if rank >= 3:
            orders += [channels_first(rank), channels_last(rank)]
        return cls(dict.fromkeys(orders))

    @classmethod
    def between(cls, source: Shape, target: Shape) -> AxisAlignment:
        """The usual orders that fit two shapes; None stands for any size."""
        return cls.usual(len(source)).taking(source, target)

    @classmethod
    def every(cls, source: Shape, target: Shape) -> AxisAlignment:
        """All orders that fit two shapes, of few axes: n axes of one size have n! of them."""
        if len(source) != len(target):
            return cls()
        return cls(itertools.permutations(range(len(source)))).taking(source, target)

    @classmethod
    def inside(cls, source: Shape, target: Shape) -> AxisAlignment:
        """Those of tensors inside two models: where no usual order fits, all that keep the rows.

        A converter may leave out, or move, any Transpose around an activation.
        """
        usual = cls.between(source, target)
        return usual or cls(order for order in cls.every(source, target) if order[:1] == (0,))

    def taking(self, source: Shape, target: Shape) -> AxisAlignment:
        """Those that take one shape to the other; None stands for any size."""
        if len(source) != len(target):
            return AxisAlignment()
        return AxisAlignment(
            order
            for order in self._of_rank(len(source))
            if all(
                source[axis] == size or source[axis] is None or size is None
                for axis, size in zip(order, target, strict=True)
            )
        )

    def laying(self, slopes: tuple[int, ...], shape: Shape) -> AxisAlignment:
        """Those in which slopes of a shape broadcast to an input of as many axes."""
        if len(slopes) != len(shape):
            return AxisAlignment()
        return AxisAlignment(
            order
            for order in self._of_rank(len(slopes))
            if broadcasts(tuple(slopes[axis] for axis in order), shape)
        )

    def equating(self, source: Array, target: Array) -> AxisAlignment:
        """Those in which two arrays are equal."""
        orders = self._of_rank(source.ndim)
        return AxisAlignment(o for o in orders if np.array_equal(source.transpose(o), target))

    def only(self, order: Permutation | None) -> AxisAlignment:
        """An order alone, where it is among these; otherwise all of them."""
        return self if order is None or order not in self else AxisAlignment([order])

    def stated(self, *said: Permutation | None) -> Permutation | None:
        """The first order that somebody states and that is among these, otherwise the likeliest.

        None if there is none.
        """
        return next((order for order in (*said, *self) if order in self), None)

    def restored(self, values: Array, shape: Shape) -> Iterator[tuple[Permutation, Array]]:
        """An array of the second model in the first one's axes, in each order of that shape."""
        for order in self._of_rank(values.ndim):
            moved = values.transpose(inverse(order))
            if moved.shape == shape:
                yield order, moved

    def distances(self, expected: Array, values: Array) -> dict[Permutation, tuple[float, int]]:
        """How far an array of the second model is from one of the first, in each fitting order.

        That is the sum of all finite differences, then the number of infinite ones.
        """
        restored = self.restored(values, expected.shape)
        return {order: _distance(expected, moved) for order, moved in restored}

    def nearest(self, expected: Array, values: Array) -> Array | None:
        """An array of the second model in the order in which it is nearest to one of the first.

        None if no order gives its shape.
        """
        fitting = [moved for _, moved in self.restored(values, expected.shape)]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        return min(fitting, key=lambda moved: _distance(expected, moved))

    def _of_rank(self, rank: int) -> Iterator[Permutation]:
        return (order for order in self if len(order) == rank)


def _distance(left: Array, right: Array) -> tuple[float, int]:
    """The sum of all finite differences, and the number of infinite ones."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.abs(left.astype(np.float64) - right.astype(np.float64))
        finite = float(np.nan_to_num(difference, nan=0.0, posinf=0.0).sum())
    return finite, int(np.isinf(difference).sum())
