"""Run the reference: once as it is, once in float64, and once more for what is left unreached."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from prelu_tools.backends.inputs import SearchLimits
from prelu_tools.backends.interface import Source
from prelu_tools.commands.untrained import untrained_notes
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.inputs.trial_runs import usable_rows
from prelu_tools.commands.verify.inputs.turning import TurnPlan, turn_decisions
from prelu_tools.commands.verify.reference.moved import (
    RUNS,
    SPREAD,
    Moved,
    affordable_runs,
    run_moved,
)
from prelu_tools.commands.verify.reference.steadiness import (
    depends_on_batch,
    is_first_row,
    is_random,
    random_parts,
    run_again,
    run_unobserved,
)
from prelu_tools.commands.verify.reference.unmoved import of_inputs, of_slopes, unmoved_outputs
from prelu_tools.commands.verify.reference.witness import settle_layers, settle_outputs
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.progress import counted
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.rounding.noise import SINGLE, Noise
from prelu_tools.core.rounding.tolerance import Extent

_SEARCHED = 32  # rows that search at once
_PASSES = 4  # a search has to have time for a few runs at least


class Call(NamedTuple):
    """A call of a layer of the reference."""

    layer: str
    """The layer's name."""
    number: int
    """Which call of it."""
    x: Array
    """What it was given."""
    y: Array
    """What it gave."""


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
    """Outputs of each run: in float64, where that was available."""
    extents: dict[str, Extent] = field(default_factory=dict)
    """Scale and rounding of each output."""
    kinds: dict[str, str] = field(default_factory=dict)
    """The type of each output, as the reference itself gives it."""
    layer_extents: dict[str, Extent] = field(default_factory=dict)
    """Scale and rounding of each layer's output."""
    precision: Literal["float64", "float32"] = "float32"
    """Of `outputs` and of the stash."""
    moved: Moved | None = None
    """What its moved runs say of its outputs; None where its operators cannot be moved."""
    n_searched: int = 0
    """Rows that a search added, in feeds after the others."""
    seconds_per_row: float = 0.0
    """What a run takes, as far as it was measured: how long a search may be."""
    seconds: float = 0.0
    """What it took to run all inputs once."""
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

    looked_at: int = 0
    """The run in which layers are looked for by their values."""
    known_calls: Sequence[Call] | None = None
    """The calls in that run, of a reference that cannot be run again; None for one that can."""
    coarser: dict[float, Moved] = field(default_factory=dict)
    """See `moved_to`: what was run so far."""

    @property
    def is_random(self) -> bool:
        """Whether it gives different outputs each time: what differs from it says nothing."""
        return is_random(self.doubts)

    @property
    def n_samples(self) -> int:
        """Different rows that were drawn or given: the first one is run again by itself."""
        feeds = self.feeds[: self.n_given]
        again = len(feeds) > 1 and is_first_row(feeds[1], feeds[0], self.rows)
        return sum(self.rows.count(feed) for feed in feeds if feed) - int(again)

    def moved_to(self, unit: float) -> Moved | None:
        """What moved runs say that round every result to a coarser unit; run when first asked."""
        if self.moved is None or unit <= SINGLE:
            return self.moved
        if unit not in self.coarser:
            runs = self.moved.runs
            noise = Noise(0, unit)
            self.coarser[unit] = run_moved(self.source, self.feeds, self.outputs, noise, runs)
        return self.coarser[unit]

    def calls(self, layers: Collection[str]) -> list[Call]:
        """The calls of these layers (by their names) in the run `looked_at`.

        Raises:
            PReLUToolsError: the reference cannot be run again, and they were not kept.
        """
        if self.known_calls is not None:
            kept = [call for call in self.known_calls if call.layer in layers]
            if not kept:
                raise PReLUToolsError("the record does not keep the inputs of these layers")
            return kept
        found: list[Call] = []

        def observe(layer: str, number: int, x: Array, y: Array) -> None:
            if layer in layers:
                found.append(Call(layer, number, x.copy(), y.copy()))

        with self.source.runner(observe) as runner:
            runner.run(self.feeds[self.looked_at])
        return found

    def spread(self, run: int, layer: str, call: int) -> Array | None:
        """How far rounding may take each value that a layer gives; None where that is unknown."""
        key = (SPREAD, run, layer, call)
        return self.stash.get(key) if key in self.stash else None

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
        reference.notes += [*source.notes, *untrained_notes(source)]
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
            _run_moved(reference, plan)
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
        numbers = range(first, len(reference.feeds))
        for run in counted(numbers, "running the reference"):
            began = time.monotonic()
            outputs = runner.run(reference.feeds[run])
            taken = time.monotonic() - began
            reference.seconds += taken
            reference.seconds_per_row = taken / plan.rows.count(reference.feeds[run])
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
            "no search for inputs: one run of the reference takes too long for --search-seconds "
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
        found = reference.source.seek(targets, start, limits)
        for feeds in counted(found, "looking for inputs that reach the slopes left over", 0):
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


def _run_moved(reference: Reference, plan: ReferencePlan) -> None:
    """Run everything moved; where that fails, there is a limit for each tensor only."""
    if reference.is_random:
        return
    runs = affordable_runs(reference.seconds)
    stash = reference.stash if plan.layers else None
    try:
        reference.moved = run_moved(
            reference.source, reference.feeds, reference.outputs, Noise(plan.seed), runs, stash
        )
    except (PReLUToolsError, KeyError, ValueError) as error:
        reference.stash.keep(lambda key: key[0] != SPREAD)
        reference.notes.append(
            f"the operators of the reference cannot be perturbed ({error}): each output "
            "has one limit for all its values"
        )
    if reference.moved is not None and runs < RUNS:
        reference.notes.append(
            f"the reference takes {reference.seconds:.0f} s: it was run {runs} times with its "
            f"operators perturbed, instead of {RUNS}"
        )


def _run_wide(reference: Reference, plan: ReferencePlan) -> None:
    """Run everything in float64; where that fails, the reference stays as it is."""
    outputs: list[dict[str, Array]] = []
    run = 0

    seen: list[tuple[int, str, int]] = []

    def observe(layer: str, call: int, _x: Array, y: Array) -> None:
        if ("float32", run, layer, call) in reference.stash:
            reference.stash.put(("float64", run, layer, call), y)
            seen.append((run, layer, call))

    try:
        with reference.source.wide_runner(observe if plan.layers else None) as runner:
            numbers = range(len(reference.feeds))
            for run in counted(numbers, "running the reference in float64"):
                feeds = reference.feeds[run]
                found = runner.run(feeds)
                outputs.append({name: found[name] for name in reference.outputs[run]})
            narrow_parts = tuple(runner.stayed_narrow)
    except (PReLUToolsError, KeyError, ValueError) as error:
        reference.stash.keep(lambda key: key[0] != "float64")
        if reference.moved is None:
            reference.notes.append(
                f"float64 is not available for the reference ({error}): the defaults of each type "
                "are used"
            )
        return
    taken = _take_moved if reference.moved is not None else _take_plausible
    if not taken(reference, outputs, seen):
        reference.stash.keep(lambda key: key[0] != "float64")
        return
    reference.precision = "float64"
    reference.stash.keep(lambda key: key[0] != "float32")
    if narrow_parts:
        named = ", ".join(narrow_parts[:5]) + (", ..." if len(narrow_parts) > 5 else "")
        reference.notes.append(f"in float64 these stayed narrower inside: {named}")


def _take_moved(
    reference: Reference, wide: list[dict[str, Array]], seen: list[tuple[int, str, int]]
) -> bool:
    """Take float64, value by value, where it is the same but for rounding; False where nowhere."""
    if reference.moved is None:
        raise AssertionError("moved runs are needed")
    settled = settle_outputs(reference.outputs, wide, reference.moved)
    for name, (strange, total) in settled.strange.items():
        reference.notes.append(
            f"output {name}: {strange:,} of {total:,} values differ in float64 by more than "
            "rounding; there, candidates are compared with the float32 run"
        )
    if settled.strange and all(a == b for a, b in settled.strange.values()):
        return False
    reference.layer_extents |= settle_layers(reference.stash, seen)
    reference.outputs, reference.extents = settled.outputs, settled.extents
    return True


def _take_plausible(
    reference: Reference, wide: list[dict[str, Array]], seen: list[tuple[int, str, int]]
) -> bool:
    """All of it or nothing: without moved runs nothing says what rounding does to each value."""
    extents: dict[str, Extent] = {}
    for narrow, found in zip(reference.outputs, wide, strict=True):
        for name, values in narrow.items():
            extents.setdefault(name, Extent()).note(values, found[name])
    layers = settle_layers(reference.stash, seen)
    strange = [name for name, extent in extents.items() if not extent.is_plausible]
    strange += [name for name, extent in layers.items() if not extent.is_plausible]
    if strange:
        reference.notes.append(
            f"in float64 {strange[0]} differs by far more than rounding: that run is not used; "
            "the defaults of each type are used instead"
        )
        return False
    reference.outputs = wide
    reference.extents |= extents
    reference.layer_extents |= layers
    return True
