"""Axis orders: is one array the other with its channels moved, and how do we know?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from prelu_tools.core.prelu.slopes import Shape

Layout = Literal["nchw", "nhwc"]
Permutation = tuple[int, ...]


def channels_first(rank: int) -> Permutation:
    """The permutation that takes N...C to NC..., as in numpy.transpose."""
    return (0, rank - 1, *range(1, rank - 1))


def channels_last(rank: int) -> Permutation:
    """The permutation that takes NC... to N...C, as in numpy.transpose."""
    return (0, *range(2, rank), 1)


def inverse(permutation: Sequence[int]) -> Permutation:
    """The permutation that undoes this one."""
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def moved_from(reference: Permutation | None, axes: Permutation | None) -> Permutation | None:
    """How one file's axes became another one's, by what each states of a common source.

    Args:
        reference: how the source's axes were moved to the first one's; None if it is the source.
        axes: the same of the second one; None if it does not say.
    """
    if reference is None or axes is None:
        return axes
    return compose(axes, inverse(reference)) if len(axes) == len(reference) else None


def compose(outer: Sequence[int], inner: Sequence[int]) -> Permutation:
    """One permutation for transpose(transpose(x, inner), outer)."""
    return tuple(inner[axis] for axis in outer)


def from_layouts(source: Layout, target: Layout, rank: int) -> Permutation:
    """The permutation that takes one layout to the other; the identity below rank 3."""
    if source == target or rank < 3:
        return tuple(range(rank))
    return channels_first(rank) if target == "nchw" else channels_last(rank)


def _fits(source: Shape, target: Shape, permutation: Permutation) -> bool:
    moved = [source[axis] for axis in permutation]
    return all(a == b or a is None or b is None for a, b in zip(moved, target, strict=True))


def candidates(source: Shape, target: Shape) -> tuple[Permutation, ...]:
    """Every usual permutation (none, to channels first, to channels last) that fits two shapes.

    None stands for any size. An empty result: the shapes do not belong together. More than one:
    the shapes leave a doubt.
    """
    if len(source) != len(target):
        return ()
    rank = len(source)
    usual = [tuple(range(rank))]
    if rank >= 3:
        usual += [channels_first(rank), channels_last(rank)]
    return tuple(dict.fromkeys(p for p in usual if _fits(source, target, p)))
