"""The inputs of a check: drawn or replayed, and moved to each candidate's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prelu_tools.backends.interface import TensorSpec
from prelu_tools.commands.npz import read_arrays
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.inputs import Wanted, draw
from prelu_tools.core.layout import Layout, Permutation, candidates, from_layouts
from prelu_tools.core.options import Dim
from prelu_tools.core.slopes import Shape
from prelu_tools.graph.writer import replacing

Feeds = dict[str, Array]
_NO_ROWS = "has no rows, so nothing would be compared: expected one at least"
_LARGER = 16  # what is added to the first free size: most nets halve four times at most


def rows_of(feeds: Feeds) -> int:
    """How many rows a run has: the first axis of its first input that has any."""
    return next((len(values) for values in feeds.values() if values.ndim), 1)


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
            f"it has {len(candidate)} inputs ({_names(candidate)}); the reference has "
            f"{len(reference)} ({_names(reference)})"
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


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(spec.name for spec in specs)


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


@dataclass(frozen=True)
class DrawPlan:
    """What to draw."""

    samples: int
    """Rows in all."""
    seed: int
    """Of the draws."""
    ranges: Mapping[str, tuple[float, float]]
    """For an input's name the values that it may take."""


def draw_feeds(
    reference: Sequence[TensorSpec],
    others: Sequence[tuple[Sequence[TensorSpec], Sequence[InputLink]]],
    plan: DrawPlan,
) -> list[Feeds]:
    """Draw the inputs of a check in the reference's layout.

    A size that any of the models fixes is kept, the batch included. Else `samples` rows are run in
    one batch, the first of them again alone, and where other sizes are free too, three rows of
    larger sizes, each another one, so that one taken for another is seen.

    Raises:
        PReLUToolsError: a model fixes a batch of no rows.
    """
    shapes = {spec.name: _known_shape(spec, others) for spec in reference}
    return [
        {name: values if shapes[name] else np.asarray(values[0]) for name, values in run.items()}
        for run in _runs(reference, shapes, plan)
    ]


def _runs(
    reference: Sequence[TensorSpec], shapes: Mapping[str, Sequence[Dim]], plan: DrawPlan
) -> list[Feeds]:
    """What to run, with rows even for an input that has no axis."""
    batches = {shape[0] for shape in shapes.values() if shape and isinstance(shape[0], int)}
    for name, shape in shapes.items():
        if shape and shape[0] == 0:
            raise PReLUToolsError(f"input {name} {_NO_ROWS}")
    wanted = {s.name: _wanted(s, shapes[s.name], plan, 0) for s in reference}
    if batches:
        batch = max(batches)
        rows = draw(wanted, -(-plan.samples // batch) * batch, plan.seed)
        own = {name: shape[0] if shape else 1 for name, shape in shapes.items()}
        sizes = {name: size if isinstance(size, int) else batch for name, size in own.items()}
        starts = range(0, len(next(iter(rows.values()))), batch)
        return [
            {name: values[start : start + sizes[name]] for name, values in rows.items()}
            for start in starts
        ]
    rows = draw(wanted, plan.samples, plan.seed)
    feeds = [rows]
    if plan.samples > 1:
        feeds.append({name: values[:1] for name, values in rows.items()})
    if any(isinstance(size, str) for shape in shapes.values() for size in shape[1:]):
        larger = {s.name: _wanted(s, shapes[s.name], plan, _LARGER) for s in reference}
        feeds.append(draw(larger, min(3, plan.samples), plan.seed + 1))
    return feeds


def _known_shape(
    spec: TensorSpec, others: Sequence[tuple[Sequence[TensorSpec], Sequence[InputLink]]]
) -> list[Dim]:
    """An input's shape with the sizes that any of the models fixes."""
    known: list[Dim] = list(spec.shape)
    for specs, links in others:
        link = next(link for link in links if link.reference == spec.name)
        other = next(s for s in specs if s.name == link.candidate)
        for axis, source in enumerate(link.permutation):
            if isinstance(known[source], str) and isinstance(other.shape[axis], int):
                known[source] = other.shape[axis]
    return known


def _wanted(spec: TensorSpec, shape: Sequence[Dim], plan: DrawPlan, more: int) -> Wanted:
    free = list(dict.fromkeys(size for size in shape[1:] if isinstance(size, str)))
    row = tuple(
        size if isinstance(size, int) else example + more * (1 + free.index(size))
        for size, example in zip(shape[1:], spec.example[1:], strict=True)
    )
    return Wanted(spec.dtype, row, plan.ranges.get(spec.name))


def replay_feeds(path: Path, reference: Sequence[TensorSpec]) -> list[Feeds]:
    """The inputs of a check from an `.npz` file with an array for each input.

    `save_feeds` numbers the arrays of several runs: `run0/x`, `run1/x`.

    Raises:
        UsageError: it lacks an input of the reference.
        PReLUToolsError: it cannot be read, or an input has no rows.
    """
    arrays = read_arrays(path)
    runs: dict[str, dict[str, Array]] = {}
    for name, values in arrays.items():
        run, separator, plain = name.partition("/")
        numbered = bool(separator) and run.startswith("run") and run[3:].isdigit()
        runs.setdefault(run if numbered else "", {})[plain if numbered else name] = values
    return [_as_feeds(path, found, reference) for found in runs.values()] or [
        _as_feeds(path, {}, reference)
    ]


def _as_feeds(path: Path, arrays: Mapping[str, Array], reference: Sequence[TensorSpec]) -> Feeds:
    if len(reference) == 1 and len(arrays) == 1:
        arrays = {reference[0].name: next(iter(arrays.values()))}
    for name, values in arrays.items():
        if values.ndim and not len(values):
            raise PReLUToolsError(f"{path}: input {name} {_NO_ROWS}")
    missing = [spec.name for spec in reference if spec.name not in arrays]
    if missing:
        raise UsageError(
            f"{path} has {', '.join(arrays) or 'no arrays'}; expected {_names(reference)}"
        )
    return {spec.name: arrays[spec.name].astype(spec.dtype) for spec in reference}


def save_feeds(path: Path, feeds: Sequence[Feeds]) -> None:
    """Keep inputs as an `.npz` file that `replay_feeds` reads.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    arrays = {f"run{i}/{name}": v for i, feed in enumerate(feeds) for name, v in feed.items()}
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be written: {error.strerror}") from error
