"""Pair the inputs of a candidate with the reference's, and find their axis order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.feeds import Feeds, names
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import BoundaryAxes, Layout, Permutation, from_layouts
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.graph.io.metadata import stated_boundary


@dataclass(frozen=True)
class InputLink:
    """How one input of a candidate is fed."""

    reference: str
    """The reference's name of it."""
    candidate: str
    """The candidate's name of it."""
    permutation: Permutation
    """From the reference's axis order to the candidate's."""
    kind: str | None = None
    """The candidate's type of it where that is another one than the reference's."""
    others: tuple[Permutation, ...] = ()
    """Other axis orders that the shapes leave open, if the order is not stated."""


class LayoutError(UsageError):
    """The user's axis orders contradict the shapes of two models that fit otherwise."""


@dataclass(frozen=True)
class Layouts:
    """The user's axis orders; None if there are none."""

    reference: Layout | None = None
    candidate: Layout | None = None

    @property
    def turned(self) -> Layouts:
        """The same with the sides swapped."""
        return Layouts(self.candidate, self.reference)

    def permutation(self, rank: int) -> Permutation | None:
        """From the reference's axis order to the candidate's, where both are given."""
        if self.reference is None or self.candidate is None:
            return None
        return from_layouts(self.reference, self.candidate, rank)


def stated_axes(source: Source) -> BoundaryAxes:
    """How inputs and outputs were moved from the axes of what was exported, as a file states it."""
    return BoundaryAxes() if source.graph is None else stated_boundary(source.graph.model.proto)


def link_inputs(
    reference: Sequence[TensorSpec],
    candidate: Sequence[TensorSpec],
    layouts: Layouts,
    stated: Mapping[str, Permutation] | None = None,
) -> tuple[InputLink, ...]:
    """Pair the inputs of two models by name, otherwise by order, and find their layouts.

    Args:
        reference: the inputs of one model.
        candidate: those of the other.
        layouts: the user's axis orders.
        stated: the candidate's inputs that were moved, as the files state it.

    Raises:
        LayoutError: the shapes fit, but not in the user's axis orders.
        PReLUToolsError: their numbers or shapes differ.
    """
    by_name = {spec.name: spec for spec in candidate}
    if set(by_name) <= {spec.name for spec in reference}:  # unused inputs may be left out
        pairs = [(spec, by_name[spec.name]) for spec in reference if spec.name in by_name]
    elif len(reference) == len(candidate):
        pairs = list(zip(reference, candidate, strict=True))
    else:
        raise PReLUToolsError(
            f"it has {len(candidate)} inputs ({names(candidate)}); the reference has "
            f"{len(reference)} ({names(reference)})"
        )
    return tuple(_link(a, b, layouts, (stated or {}).get(b.name)) for a, b in pairs)


def other_links(links: Sequence[InputLink]) -> tuple[tuple[InputLink, ...], ...]:
    """The same links in the other axis orders that the shapes leave open, all moved alike."""
    count = max((len(link.others) for link in links), default=0)
    return tuple(
        tuple(
            replace(link, permutation=link.others[i]) if i < len(link.others) else link
            for link in links
        )
        for i in range(count)
    )


def _link(
    reference: TensorSpec, candidate: TensorSpec, layouts: Layouts, stated: Permutation | None
) -> InputLink:
    first, *others = _permutations(reference, candidate, layouts, stated)
    kind = candidate.dtype if candidate.dtype != reference.dtype else None
    return InputLink(reference.name, candidate.name, first, kind, tuple(others))


def _static(spec: TensorSpec) -> Shape:
    """The shape with None for what is dynamic; the batch counts as dynamic."""
    if not spec.shape:
        return ()
    return (None, *(d if isinstance(d, int) else None for d in spec.shape[1:]))


def _permutations(
    reference: TensorSpec, candidate: TensorSpec, layouts: Layouts, stated: Permutation | None
) -> tuple[Permutation, ...]:
    """The axis orders that are possible, the likeliest first, as far as shapes allow it.

    That is the one that the files state, otherwise the same one.

    Orders that differ in axes of size 1 only are one. The user's order has to fit as well as any:
    no size that is free on one side alone, where another order has none of these.
    """
    given = layouts.permutation(len(reference.shape))
    left, right = _static(reference), _static(candidate)
    fitting = AxisAlignment.between(left, right)
    exact = [p for p in fitting if tuple(left[axis] for axis in p) == right]
    if given is not None and given in (exact or fitting):
        return (given,)
    if not fitting:
        raise PReLUToolsError(
            f"its input {candidate.name!r} has shape {_text(candidate)}, but the reference's "
            f"{reference.name!r} has shape {_text(reference)}"
        )
    if given is not None:
        turned = replace(reference, shape=tuple(reference.shape[axis] for axis in given))
        raise LayoutError(
            f"--layout does not fit the models: with reference={layouts.reference} and "
            f"candidate={layouts.candidate}, the reference's input {reference.name!r} of shape "
            f"{_text(reference)} becomes {_text(turned)}, but the candidate's {candidate.name!r} "
            f"has shape {_text(candidate)}: correct it, or leave it out"
        )
    chosen = exact if len(exact) == 1 else sorted(fitting, key=lambda order: order != stated)
    orders = {tuple(axis for axis in order if left[axis] != 1): order for order in chosen[::-1]}
    return tuple(order for order in chosen if order in orders.values())


def _text(spec: TensorSpec) -> str:
    return f"[{', '.join(str(size) for size in spec.shape)}]"


def move(feeds: Mapping[str, Array], links: Sequence[InputLink]) -> Feeds:
    """The reference's feeds as the candidate takes them.

    Raises:
        PReLUToolsError: an input has another type there, which does not hold its values.
    """
    return {
        link.candidate: np.asarray(
            _cast(feeds[link.reference], link).transpose(link.permutation), order="C"
        )
        for link in links
    }


def round_feeds(feeds: Mapping[str, Array], links: Sequence[InputLink]) -> Feeds:
    """Inputs of the reference that a candidate of a narrower type can be given as they are."""
    found = dict(feeds)
    for link in links:
        values = found[link.reference]
        if link.kind is not None and values.dtype.kind == "f" == np.dtype(link.kind).kind:
            found[link.reference] = _cast(values, link).astype(values.dtype)
    return found


def _cast(values: Array, link: InputLink) -> Array:
    """Values in the type of the candidate: floats are rounded, all others have to stay as they are.

    Raises:
        PReLUToolsError: they do not.
    """
    if link.kind is None:
        return values
    with np.errstate(all="ignore"):
        found = values.astype(link.kind)
        if (values.dtype.kind, found.dtype.kind) == ("f", "f"):
            return found
        if not np.array_equal(found.astype(values.dtype), values):
            raise PReLUToolsError(
                f"its input {link.candidate!r} is {link.kind}, which cannot represent the values "
                f"of the reference's {link.reference!r} ({values.dtype}): limit them with "
                f"--input-range {link.reference}=LOW,HIGH"
            )
    return found
