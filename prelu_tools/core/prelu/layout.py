"""Permutations of axes, as in numpy.transpose, and the layouts that frameworks have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
    """How one file's axes became another's, according to the source that both state.

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
