"""Run the reference: as it is, in float64, and with a search for unreached slopes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.untrained import untrained_notes
from prelu_tools.commands.verify.inputs.branch_search import BranchPlan, search_branches
from prelu_tools.commands.verify.inputs.feeds import Feeds, n_values
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.reference.constant import constant_outputs, of_inputs, of_slopes
from prelu_tools.commands.verify.reference.expected import expected_layers, expected_outputs
from prelu_tools.commands.verify.reference.perturbed import (
    RUNS,
    SPREAD,
    PerturbedRuns,
    affordable_runs,
    run_perturbed,
)
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.repeated import (
    depends_on_batch,
    random_parts,
    run_again,
    run_unobserved,
)
from prelu_tools.commands.verify.reference.searching import SearchPlan, SlopeSearch
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.process.progress import counted
from prelu_tools.core.results.reasons import listed
from prelu_tools.core.rounding.noise import Noise
from prelu_tools.core.rounding.tolerance import Extent


@dataclass(frozen=True)
class ReferencePlan:
    """How to run a reference."""

    wide: bool
    """Whether to run it in float64 too."""
    layers: bool
    """Whether to keep the outputs of its layers."""
    search: SearchPlan
    """How long to look for inputs that reach the slopes left over."""
    seed: int
    """The seed of that search."""
    ranges: Mapping[str, tuple[float, float]]
    """The ranges of the inputs."""
    whole: bool
    """Whether batches have to keep their size, because one of the models fixes it."""
    rows: Rows
    """Where the rows of the inputs are."""
    turning: BranchPlan | None = None
    """The decisions that the inputs should change; None for none."""


@contextmanager
def run_reference(
    source: Source, feeds: Sequence[Feeds], plan: ReferencePlan
) -> Iterator[Reference]:
    """Run a reference; its resources are released after the block.

    Raises:
        PReLUToolsError: it cannot be run.
    """
    with Stash() as stash:
        layers = source.layers()
        reference = Reference(source, layers, list(feeds), plan.rows, CoverageBook(layers), stash)
        reference.n_given = len(feeds)
        reference.notes = [*source.notes, *untrained_notes(source)]
        _run_all(reference, plan, 0)
        reference.notes += depends_on_batch(reference.feeds, reference.outputs, plan.rows)
        reference.doubts += [part.within("the reference") for part in random_parts(source)]
        if not reference.is_random:
            unlike = run_unobserved(source, reference.feeds, reference.outputs)
            reference.doubts += [doubt.after("the reference") for doubt in unlike]
        if plan.turning is not None:
            _turn(reference, plan, plan.turning)
        if plan.search.seconds != 0:
            _search(reference, plan)
        reference.unmoved = constant_outputs(reference.feeds, reference.outputs, plan.rows)
        reference.notes += of_inputs(reference.feeds)
        reference.notes += of_slopes(reference.coverage) if plan.layers else []
        if plan.wide:
            _run_all_perturbed(reference, plan)
            _run_wide(reference, plan)
        yield reference


def _run_all(reference: Reference, plan: ReferencePlan, first: int) -> None:
    """Run the feeds from this one on, and some of them again."""
    run: int | None = first

    def observe(layer: str, call: int, x: Array, y: Array) -> None:
        if run is None:
            return
        reference.n_values[run] += x.size
        reference.coverage.note(layer, x)
        if plan.layers:
            reference.stash.put(("float32", run, layer, call), y)
            reference.layer_extents.setdefault(layer, Extent()).note(y)

    with reference.source.runner(observe) as runner:
        numbers = range(first, len(reference.feeds))
        for run in counted(numbers, "running the reference"):
            reference.n_values.append(n_values(reference.feeds[run]))
            outputs = runner.run(reference.feeds[run])
            reference.n_values[run] += n_values(outputs)
            reference.outputs.append(outputs)
            reference.kinds = {name: values.dtype.name for name, values in outputs.items()}
            for name, values in outputs.items():
                reference.extents.setdefault(name, Extent()).note(values)
        run = None
        found = run_again(runner, reference.feeds[first:], reference.outputs[first:])
    reference.doubts += [doubt.after("the reference") for doubt in found.doubts]
    reference.notes += [note.after("the reference") for note in found.notes]


def _turn(reference: Reference, plan: ReferencePlan, turning: BranchPlan) -> None:
    """Add inputs that take the ways which none took so far."""
    before = len(reference.feeds)
    turned = search_branches(reference.source, reference.feeds, turning, reference.effort)
    reference.feeds += turned.feeds
    reference.n_searched = sum(map(plan.rows.count, turned.feeds))
    reference.notes += turned.notes
    reference.doubts += [d.within("the reference") for d in turned.doubts.pop("", [])]
    reference.untaken = turned.doubts
    if turned.feeds:
        _run_all(reference, plan, before)


def _search(reference: Reference, plan: ReferencePlan) -> None:
    """Look for inputs that reach the slopes left over, and add the batches that do."""
    search = SlopeSearch(reference, plan.search, plan.seed, dict(plan.ranges), plan.whole)
    search.run()
    before = len(reference.feeds)
    reference.feeds += search.found
    reference.n_searched += sum(map(plan.rows.count, search.found))
    if search.found:
        _run_all(reference, plan, before)


def _run_all_perturbed(reference: Reference, plan: ReferencePlan) -> None:
    """Run everything perturbed; where that fails, there is a limit for each tensor only."""
    if reference.is_random:
        return
    runs = affordable_runs(reference.effort)
    stash = reference.stash if plan.layers else None
    try:
        reference.perturbed = run_perturbed(
            reference.source, reference.feeds, reference.outputs, Noise(plan.seed), runs, stash
        )
    except (PReLUToolsError, KeyError, ValueError) as error:
        reference.stash.keep(lambda key: key[0] != SPREAD)
        reference.notes.append(
            f"the operators of the reference cannot be perturbed ({error}): each output "
            "has one limit for all its values"
        )
    if reference.perturbed is not None and runs < RUNS:
        reference.notes.append(
            f"the reference is large: it was run {runs} times with its operators perturbed, "
            f"instead of {RUNS}"
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
        if reference.perturbed is None:
            reference.notes.append(
                f"float64 is not available for the reference ({error}): the default tolerance of "
                "each type is used"
            )
        return
    perturbed = reference.perturbed
    if perturbed is None:
        taken = _take_plausible(reference, outputs, seen)
    else:
        taken = _take_perturbed(reference, perturbed, outputs, seen)
    if not taken:
        reference.stash.keep(lambda key: key[0] != "float64")
        return
    reference.precision = "float64"
    reference.stash.keep(lambda key: key[0] != "float32")
    if narrow_parts:
        reference.notes.append(
            f"computed in a narrower type even in the float64 run: {listed(narrow_parts)}"
        )


def _take_perturbed(
    reference: Reference,
    perturbed: PerturbedRuns,
    wide: list[dict[str, Array]],
    seen: list[tuple[int, str, int]],
) -> bool:
    """Use float64, value by value, where it equals float32 up to rounding; False if nowhere."""
    settled = expected_outputs(reference.outputs, wide, perturbed)
    for name, (strange, total) in settled.strange.items():
        reference.notes.append(
            f"output {name!r}: {strange:,} of {total:,} values differ in float64 by more than "
            "rounding; there, candidates are compared with the float32 run"
        )
    if settled.strange and not settled.n_agreed:
        return False
    reference.layer_extents |= expected_layers(reference.stash, seen)
    reference.outputs, reference.extents = settled.outputs, settled.extents
    return True


def _take_plausible(
    reference: Reference, wide: list[dict[str, Array]], seen: list[tuple[int, str, int]]
) -> bool:
    """All or nothing: only perturbed runs show the effect of rounding on each value."""
    extents: dict[str, Extent] = {}
    for narrow, found in zip(reference.outputs, wide, strict=True):
        for name, values in narrow.items():
            extents.setdefault(name, Extent()).note(values, found[name])
    layers = expected_layers(reference.stash, seen)
    strange = [name for name, extent in extents.items() if not extent.is_plausible]
    strange += [name for name, extent in layers.items() if not extent.is_plausible]
    if strange:
        reference.notes.append(
            f"{strange[0]!r} differs in float64 by far more than rounding: that run is not used; "
            "the default tolerance of each type is used instead"
        )
        return False
    reference.outputs, reference.extents = wide, extents
    reference.layer_extents |= layers
    return True
