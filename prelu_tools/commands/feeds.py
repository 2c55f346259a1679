"""The inputs of a check: drawn or replayed, and moved to each candidate's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from prelu_tools.backends.interface import TensorSpec
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.inputs import draw
from prelu_tools.core.layout import Layout, Permutation, candidates, from_layouts
from prelu_tools.core.slopes import Shape

Feeds = dict[str, Array]


@dataclass(frozen=True)
class InputLink:
    """How one input of a candidate is fed."""

    reference: str
    """The reference's name of it."""
    candidate: str
    """The candidate's name of it."""
    permutation: Permutation
    """From the reference's axis order to the candidate's."""


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
            f"it has {len(candidate)} inputs ({_names(candidate)}); the reference has "
            f"{len(reference)} ({_names(reference)})"
        )
    by_name = {spec.name: spec for spec in candidate}
    if set(by_name) == {spec.name for spec in reference}:
        pairs = [(spec, by_name[spec.name]) for spec in reference]
    else:
        pairs = list(zip(reference, candidate, strict=True))
    return tuple(InputLink(a.name, b.name, _permutation(a, b, layouts)) for a, b in pairs)


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs)


def _static(spec: TensorSpec) -> Shape:
    """The shape with None for what is dynamic; the batch counts as dynamic."""
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
        link.candidate: np.ascontiguousarray(feeds[link.reference].transpose(link.permutation))
        for link in links
    }


def draw_feeds(
    reference: Sequence[TensorSpec],
    others: Sequence[tuple[Sequence[TensorSpec], Sequence[InputLink]]],
    samples: int,
    seed: int,
) -> list[Feeds]:
    """Draw the inputs of a check in the reference's layout.

    A size that any of the models fixes is kept, the batch included; else `samples` rows are run
    in one batch, and the first of them again alone.
    """
    sizes: dict[str, tuple[str, tuple[int, ...]]] = {}
    batches: set[int] = set()
    for spec in reference:
        known: list[int | str] = list(spec.shape)
        for specs, links in others:
            link = next(link for link in links if link.reference == spec.name)
            other = next(s for s in specs if s.name == link.candidate)
            for axis, source in enumerate(link.permutation):
                if isinstance(known[source], str) and isinstance(other.shape[axis], int):
                    known[source] = other.shape[axis]
        row = [k if isinstance(k, int) else e for k, e in zip(known, spec.example, strict=True)]
        sizes[spec.name] = (spec.dtype, tuple(row[1:]))
        batches |= {size for size in known[:1] if isinstance(size, int)}
    if not batches:
        return draw(sizes, samples, seed)
    batch = max(batches)
    rows = draw(sizes, -(-samples // batch) * batch, seed)[0]
    count = len(next(iter(rows.values()))) // batch
    return [
        {name: values[i * batch : (i + 1) * batch] for name, values in rows.items()}
        for i in range(count)
    ]


def replay_feeds(path: Path, reference: Sequence[TensorSpec]) -> list[Feeds]:
    """The inputs of a check from an `.npz` file with an array for each input.

    Raises:
        UsageError: it lacks an input of the reference.
        PReLUToolsError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        raise PReLUToolsError(f"{path} cannot be read as an .npz file ({error})") from error
    if len(reference) == 1 and len(arrays) == 1:
        return [{reference[0].name: next(iter(arrays.values())).astype(reference[0].dtype)}]
    missing = [spec.name for spec in reference if spec.name not in arrays]
    if missing:
        raise UsageError(
            f"{path} has {', '.join(arrays) or 'no arrays'}; expected {_names(reference)}"
        )
    return [{spec.name: arrays[spec.name].astype(spec.dtype) for spec in reference}]
