"""Permutations of axes, as in numpy.transpose, and the layouts that frameworks have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Layout = Literal["nchw", "nhwc"]
Permutation = tuple[int, ...]


@dataclass(frozen=True)
class BoundaryAxes:
    """How the axes of a model's inputs and outputs were moved from its source's, by their names.

    Each is a permutation as in numpy.transpose; those that stayed as they were are missing.
    """

    inputs: Mapping[str, Permutation] = field(default_factory=dict)
    outputs: Mapping[str, Permutation] = field(default_factory=dict)


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


def moved_between(
    reference: Mapping[str, Permutation], candidate: Mapping[str, Permutation]
) -> dict[str, Permutation]:
    """How a candidate's tensors were moved from a reference's, by name; only those that were.

    Args:
        reference: how the reference's were moved from those of their common source.
        candidate: the same of the candidate's.
    """
    found = {}
    for name, axes in {**reference, **candidate}.items():
        order = moved_from(reference.get(name), candidate.get(name, tuple(range(len(axes)))))
        if order is not None and order != tuple(sorted(order)):
            found[name] = order
    return found


def compose(outer: Sequence[int], inner: Sequence[int]) -> Permutation:
    """One permutation for transpose(transpose(x, inner), outer)."""
    return tuple(inner[axis] for axis in outer)


def from_layouts(source: Layout, target: Layout, rank: int) -> Permutation:
    """The permutation that takes one layout to the other; the identity below rank 3."""
    if source == target or rank < 3:
        return tuple(range(rank))
    return channels_first(rank) if target == "nchw" else channels_last(rank)
