"""Which input of a candidate is which of the reference, and in which order of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prelu_tools.backends.interface import TensorSpec
from prelu_tools.commands.feeds import Feeds, names
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.layout import Layout, Permutation, candidates, from_layouts
from prelu_tools.core.slopes import Shape


@dataclass(frozen=True)
class InputLink:
    """How one input of a candidate is fed."""

    reference: str
    """The reference's name of it."""
    candidate: str
    """The candidate's name of it."""
    permutation: Permutation
    """From the reference's axis order to the candidate's."""
    narrow: str | None = None
    """The candidate's type of it where that is float16 and the reference's a wider one."""


@dataclass(frozen=True)
class Layouts:
    """What the user said of the axis orders; None where nothing was said."""

    reference: Layout | None = None
    candidate: Layout | None = None

    def permutation(self, rank: int) -> Permutation | None:
        """From the reference's axis order to the candidate's, where both are given."""
        if self.reference is None or self.candidate is None:
            return None
        return from_layouts(self.reference, self.candidate, rank)


def link_inputs(
    reference: Sequence[TensorSpec], candidate: Sequence[TensorSpec], layouts: Layouts
) -> tuple[InputLink, ...]:
    """Pair the inputs of two models by name, else by order, and find their layouts.

    Raises:
        PReLUToolsError: their numbers or shapes differ, or the layout is in doubt.
    """
    if len(reference) != len(candidate):
        raise PReLUToolsError(
            f"it has {len(candidate)} inputs ({names(candidate)}); the reference has "
            f"{len(reference)} ({names(reference)})"
        )
    by_name = {spec.name: spec for spec in candidate}
    if set(by_name) == {spec.name for spec in reference}:
        pairs = [(spec, by_name[spec.name]) for spec in reference]
    else:
        pairs = list(zip(reference, candidate, strict=True))
    return tuple(
        InputLink(a.name, b.name, _permutation(a, b, layouts), _narrow(a, b)) for a, b in pairs
    )


def _narrow(reference: TensorSpec, candidate: TensorSpec) -> str | None:
    narrower = reference.dtype in ("float32", "float64") and candidate.dtype == "float16"
    return candidate.dtype if narrower else None


def _static(spec: TensorSpec) -> Shape:
    """The shape with None for what is dynamic; the batch counts as dynamic."""
    if not spec.shape:
        return ()
    return (None, *(d if isinstance(d, int) else None for d in spec.shape[1:]))


def _permutation(reference: TensorSpec, candidate: TensorSpec, layouts: Layouts) -> Permutation:
    given = layouts.permutation(len(reference.shape))
    left, right = _static(reference), _static(candidate)
    fitting = candidates(left, right)
    if given is not None and given in fitting:
        return given
    exact = [p for p in fitting if tuple(left[axis] for axis in p) == right]
    chosen = exact if len(exact) == 1 else fitting
    if given is not None or not chosen:
        raise PReLUToolsError(
            f"its input {candidate.name} has shape {_text(candidate)}, and the reference's "
            f"{reference.name} {_text(reference)}: they do not fit"
        )
    if len(chosen) > 1:
        raise PReLUToolsError(
            f"its input {candidate.name} has shape {_text(candidate)}, and the reference's "
            f"{reference.name} {_text(reference)}: their layouts cannot be told from that; give "
            "--layout reference=nchw|nhwc and --layout candidate=nchw|nhwc"
        )
    return chosen[0]


def _text(spec: TensorSpec) -> str:
    return f"[{', '.join(str(size) for size in spec.shape)}]"


def move(feeds: Mapping[str, Array], links: Sequence[InputLink]) -> Feeds:
    """The reference's feeds as the candidate takes them."""
    return {
        link.candidate: np.asarray(
            _rounded(feeds[link.reference], link.narrow).transpose(link.permutation), order="C"
        )
        for link in links
    }


def round_feeds(feeds: Mapping[str, Array], links: Sequence[InputLink]) -> Feeds:
    """Inputs of the reference that a candidate of a narrower type can be given as they are."""
    found = dict(feeds)
    for link in links:
        values = found[link.reference]
        found[link.reference] = _rounded(values, link.narrow).astype(values.dtype)
    return found


def _rounded(values: Array, kind: str | None) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        return values if kind is None else values.astype(kind)
