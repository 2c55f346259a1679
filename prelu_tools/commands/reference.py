"""Run the reference: once as it is, once in float64, and once more for what is left unreached."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from prelu_tools.backends.interface import SearchLimits, Source
from prelu_tools.commands.feeds import Feeds
from prelu_tools.commands.rows import Rows
from prelu_tools.commands.steadiness import (
    depends_on_batch,
    is_random,
    random_parts,
    run_again,
    run_unobserved,
)
from prelu_tools.commands.trying import usable_rows
from prelu_tools.commands.turning import TurnPlan, turn_decisions
from prelu_tools.commands.unmoved import of_inputs, of_slopes, unmoved_outputs
from prelu_tools.core.arrays import Array
from prelu_tools.core.coverage import CoverageBook
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.reasons import Reason
from prelu_tools.core.slopes import PReLULayer
from prelu_tools.core.stash import Stash
from prelu_tools.core.tolerance import Extent

_SEARCHED = 32  # rows that search at once
_PASSES = 4  # a search has to have time for a few runs at least


@dataclass
class Reference:
    """The reference, and everything that was seen of it."""

    source: Source
    """The source itself."""
    layers: tuple[PReLULayer, ...]
    """Its layers."""
    feeds: list[Feeds]
    """The inputs, one a run."""
    rows: Rows
    """Where their rows are."""
    coverage: CoverageBook
    """Which slopes they reached."""
    stash: Stash
    """Outputs of layers, by run, layer and call; see `activation`."""
    outputs: list[dict[str, Array]] = field(default_factory=list)
    """Outputs of each run: in float64, where that was to be had."""
    extents: dict[str, Extent] = field(default_factory=dict)
    """Scale and rounding of each output."""
    kinds: dict[str, str] = field(default_factory=dict)
    """The type of each output, as the reference itself gives it."""
    layer_extents: dict[str, Extent] = field(default_factory=dict)
    """Scale and rounding of each layer's output."""
    precision: Literal["float64", "float32"] = "float32"
    """Of `outputs` and of the stash."""
    n_searched: int = 0
    """Rows that a search added, in feeds after the others."""
    seconds_per_row: float = 0.0
    """What a run takes, as far as it was measured: how long a search may be."""
    n_given: int = 0
    """Feeds that were drawn or replayed."""
    notes: list[str] = field(default_factory=list)
    """What the user should know."""
    doubts: list[str] = field(default_factory=list)
    """What keeps a comparison with it from proving anything."""
    unmoved: dict[str, bool] = field(default_factory=dict)
    """Outputs that are the same for all inputs, and whether each holds floating numbers."""
    untaken: dict[str, list[Reason]] = field(default_factory=dict)
    """Of each candidate's name: what it decided always in the same way."""

    @property
    def is_random(self) -> bool:
        """Whether it gives other outputs each time: what differs from it says nothing."""
        return is_random(self.doubts)

    def activation(self, run: int, layer: str, call: int) -> Array | None:
        """The output of a layer in one run; None where it was not seen."""
        key = (self.precision, run, layer, call)
        return self.stash.get(key) if key in self.stash else None


@dataclass(frozen=True)
class ReferencePlan:
    """How to run a reference."""

    wide: bool
    """Whether to run it in float64 too."""
    layers: bool
    """Whether to keep what its layers give."""
    search_seconds: float
    """How long to look for inputs that reach the slopes left over; 0 for not at all."""
    seed: int
    """Of that search."""
    ranges: Mapping[str, tuple[float, float]]
    """Of the inputs."""
    whole: bool
    """Whether batches have to keep their size, because one of the models fixes it."""
    rows: Rows
    """Where the rows of the inputs are."""
    turning: TurnPlan | None = None
    """Whose decisions the inputs have to turn; None for nobody's."""


@contextmanager
def run_reference(
    source: Source, feeds: Sequence[Feeds], plan: ReferencePlan
) -> Iterator[Reference]:
    """Run a reference; what it holds is gone after the block.

    Raises:
        PReLUToolsError: it cannot be run.
    """
    with Stash() as stash:
        layers = source.layers()
        reference = Reference(source, layers, list(feeds), plan.rows, CoverageBook(layers), stash)
        reference.n_given = len(feeds)
        reference.notes += getattr(source, "notes", ())
        _run_all(reference, plan, 0)
        reference.notes += depends_on_batch(reference.feeds, reference.outputs, plan.rows)
        reference.doubts += [part.within("the reference") for part in random_parts(source)]
        if not reference.is_random:
            unlike = run_unobserved(source, reference.feeds, reference.outputs)
            reference.doubts += [doubt.after("the reference") for doubt in unlike]
        if plan.turning is not None:
            _turn(reference, plan, plan.turning)
        if plan.search_seconds > 0:
            _search(reference, plan)
        reference.unmoved = unmoved_outputs(reference.feeds, reference.outputs, plan.rows)
        reference.notes += of_inputs(reference.feeds)
        reference.notes += of_slopes(reference.coverage) if plan.layers else []
        if plan.wide:
            _run_wide(reference, plan)
        yield reference


def _run_all(reference: Reference, plan: ReferencePlan, first: int) -> None:
    """Run the feeds from this one on, and some of them again."""
    run: int | None = first

    def observe(layer: str, call: int, x: Array, y: Array) -> None:
        if run is None:
            return
        reference.coverage.note(layer, x)
        if plan.layers:
            reference.stash.put(("float32", run, layer, call), y)
            reference.layer_extents.setdefault(layer, Extent()).note(y)

    with reference.source.runner(observe) as runner:
        for run in range(first, len(reference.feeds)):
            began = time.monotonic()
            outputs = runner.run(reference.feeds[run])
            taken = (time.monotonic() - began) / plan.rows.count(reference.feeds[run])
            reference.seconds_per_row = taken
            reference.outputs.append(outputs)
            reference.kinds = {name: values.dtype.name for name, values in outputs.items()}
            for name, values in outputs.items():
                reference.extents.setdefault(name, Extent()).note(values)
        run = None
        found = run_again(runner, reference.feeds[first:], reference.outputs[first:])
    reference.doubts += [doubt.after("the reference") for doubt in found.doubts]
    reference.notes += [note.after("the reference") for note in found.notes]


def _turn(reference: Reference, plan: ReferencePlan, turning: TurnPlan) -> None:
    """Add inputs that take the ways which none took so far."""
    before = len(reference.feeds)
    turned = turn_decisions(reference.source, reference.feeds, turning)
    reference.feeds += turned.feeds
    reference.n_searched += sum(map(plan.rows.count, turned.feeds))
    reference.notes += turned.notes
    reference.doubts += [d.within("the reference") for d in turned.doubts.pop("", [])]
    reference.untaken = turned.doubts
    if turned.feeds:
        _run_all(reference, plan, before)


def _search(reference: Reference, plan: ReferencePlan) -> None:
    """Look for inputs that reach the slopes left over, and add the batches that do."""
    book = reference.coverage
    targets = {layer.name: ~book.reached(layer.name) for layer in reference.layers}
    if not any(mask.any() for mask in targets.values()):
        return
    first = reference.feeds[0]
    rows = int(plan.search_seconds / (_PASSES * max(reference.seconds_per_row, 1e-6)))
    if rows < (plan.rows.count(first) if plan.whole else 1):
        reference.notes.append(
            f"no search for inputs: one run of the reference takes too long for --search-seconds "
            f"{plan.search_seconds:g}"
        )
        return
    count = min(rows, _SEARCHED)
    given = np.arange(plan.rows.count(first))
    start = first if plan.whole else plan.rows.take(first, np.resize(given, count))
    deadline = time.monotonic() + plan.search_seconds
    limits = SearchLimits(deadline, plan.seed, plan.ranges, plan.whole, plan.rows.axes)
    before = len(reference.feeds)
    with reference.source.runner(lambda layer, _call, x, _y: trial.note(layer, x)) as runner:
        for feeds in reference.source.seek(targets, start, limits):
            trial = CoverageBook(reference.layers)
            if not usable_rows(runner.run(feeds), plan.rows.count(feeds)).all():
                continue  # it would prove nothing
            new = {name: mask & trial.reached(name) for name, mask in targets.items()}
            if any(mask.any() for mask in new.values()):
                reference.feeds.append(feeds)
                reference.n_searched += plan.rows.count(feeds)
                targets = {name: mask & ~new[name] for name, mask in targets.items()}
            if not any(mask.any() for mask in targets.values()):
                break
    _run_all(reference, plan, before)


def _run_wide(reference: Reference, plan: ReferencePlan) -> None:
    """Run everything in float64; where that fails, the reference stays as it is."""
    extents: dict[str, Extent] = {}
    outputs: list[dict[str, Array]] = []
    run = 0

    def observe(layer: str, call: int, _x: Array, y: Array) -> None:
        key = ("float32", run, layer, call)
        if key in reference.stash:
            narrow = reference.stash.get(key)
            wide_layers.setdefault(layer, Extent()).note(narrow, y)
            reference.stash.put(("float64", run, layer, call), y)

    wide_layers: dict[str, Extent] = {}
    try:
        with reference.source.wide_runner(observe if plan.layers else None) as runner:
            for run, feeds in enumerate(reference.feeds):
                found = runner.run(feeds)
                for name, narrow in reference.outputs[run].items():
                    extents.setdefault(name, Extent()).note(narrow, found[name])
                outputs.append(found)
            narrow_parts = tuple(runner.stayed_narrow)
    except (PReLUToolsError, KeyError, ValueError) as error:
        reference.notes.append(
            f"float64 is not to be had for the reference ({error}): the defaults of each type are "
            "used"
        )
        return
    strange = [name for name, extent in extents.items() if not extent.is_plausible]
    strange += [name for name, extent in wide_layers.items() if not extent.is_plausible]
    if strange:
        reference.notes.append(
            f"in float64 {strange[0]} is another value altogether, beyond any rounding: that run "
            "is not used, and the defaults of each type are"
        )
        return
    reference.outputs = outputs
    reference.extents |= extents
    reference.layer_extents |= wide_layers
    reference.precision = "float64"
    reference.stash.keep(lambda key: key[0] == "float64")
    if narrow_parts:
        named = ", ".join(narrow_parts[:5]) + (", ..." if len(narrow_parts) > 5 else "")
        reference.notes.append(f"in float64 these stayed narrower inside: {named}")
