"""Judge one candidate on one execution provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prelu_tools.backends.interface import OnnxGraph, Source
from prelu_tools.backends.runners import Observer
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts, move
from prelu_tools.commands.verify.interface import compare_inputs, compare_outputs
from prelu_tools.commands.verify.layers.finding import Hunt
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.commands.verify.layers.proof import misnamed, settled
from prelu_tools.commands.verify.layers.special import compare_special_values
from prelu_tools.commands.verify.outputs import OutputJudge, differences, pair_outputs
from prelu_tools.commands.verify.power import PowerPlan, measure_power
from prelu_tools.commands.verify.reference.run import Reference
from prelu_tools.commands.verify.reference.steadiness import (
    ACTING_DROPOUT,
    Steadiness,
    is_random,
    random_parts,
    run_again,
    run_unobserved,
)
from prelu_tools.commands.verify.reference.unmoved import of_outputs
from prelu_tools.commands.verify.running import run_feeds, sizes_that_differ
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.progress import counted
from prelu_tools.core.results.reasons import SPECIAL_VALUE_DIFFERS, Reason, as_reason
from prelu_tools.core.results.verification import (
    CandidateReport,
    InterfaceDifference,
    LayerParity,
    OutputParity,
    Power,
    ProviderReport,
    SpecialValue,
    Tolerance,
    Verdict,
)
from prelu_tools.core.rounding.noise import SINGLE
from prelu_tools.core.rounding.parity import worst
from prelu_tools.core.rounding.tolerance import SENSITIVITY, default_tolerance, resolution_of


@dataclass(frozen=True)
class Linked:
    """A candidate that could be opened."""

    spelled: str
    """As the user spelled it."""
    source: Source
    """The source itself."""
    links: tuple[InputLink, ...]
    """How its inputs are fed."""
    layouts: Layouts
    """What the user said of axis orders."""

    @property
    def moved(self) -> frozenset[int]:
        """The ranks of the inputs that have another axis order than the reference's."""
        orders = [link.permutation for link in self.links]
        return frozenset(len(order) for order in orders if tuple(sorted(order)) != order)


@dataclass(frozen=True)
class Checks:
    """What is looked at, beyond slopes and outputs."""

    tolerance: Tolerance
    """What differences may be."""
    layers: bool
    """Whether to look at every layer as the candidate runs."""
    power: bool
    """Whether to plant faults."""
    allow_fallback: bool
    """Whether nodes may run on another provider than the one asked for."""
    allow_no_prelu: bool
    """Whether a model without PReLU may pass on its outputs."""
    strict_special: bool
    """Whether a layer that differs for infinite or NaN inputs only fails."""
    strict_interface: bool
    """Whether any difference in names, types and sizes of inputs and outputs fails."""
    runtime: str
    """The version of onnxruntime."""
    seed: int
    """Of the choice of faults."""


@dataclass
class Judged:
    """A candidate on a provider: the report, and what it rests on."""

    report: CandidateReport
    """What was found."""
    results: list[dict[str, Array]] = field(default_factory=list)
    """The outputs of each run; empty where it could not be run."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


@dataclass
class _Seen:
    """What a candidate did."""

    results: list[dict[str, Array]]
    reached: CoverageBook
    again: Steadiness
    provider: ProviderReport | None = None
    placement: Mapping[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    where: str | None = None
    faults: list[str] = field(default_factory=list)


def judge(reference: Reference, linked: Linked, provider: str | None, checks: Checks) -> Judged:
    """Run a candidate and compare it with the reference.

    Args:
        reference: the reference, which was run.
        linked: the candidate.
        provider: what runs it; None for a candidate that onnxruntime does not run.
        checks: what is looked at.

    Raises:
        PReLUToolsError: it cannot be run, or its outputs cannot be paired.
    """
    feeds = [move(feed, linked.links) for feed in reference.feeds]
    narrow = linked.source.computes_in
    found = linked.source.layers()
    layers = LayerJudge(reference, found, linked.layouts, checks.tolerance, narrow=narrow)
    seen = _run(linked.source, provider, feeds, layers, checks)
    moved = reference.moved_to(resolution_of(narrow) if narrow else SINGLE)
    outputs = OutputJudge(
        reference.outputs,
        reference.extents,
        linked.layouts,
        linked.moved,
        checks.tolerance,
        None if moved is None else moved.outputs,
    )
    parities = outputs.compare(seen.results)
    interface = _interface(reference, linked, seen.results[0])
    if any(parity.verdict == "fail" for parity in parities):
        seen.where = sizes_that_differ(reference.feeds, outputs, seen.results)
    _note_randomness(reference, linked, seen)
    notes: list[str] = [as_reason(note).within(linked.spelled) for note in linked.source.notes]
    rounded = _rounded(reference, linked)
    notes += rounded
    notes += [note.after(linked.spelled) for note in seen.again.notes]
    wider = {layer.dtype for layer in reference.layers} - {"float16", "bfloat16"}
    if narrow and moved is not None and wider and not rounded:
        notes.append(
            f"{linked.spelled} computes in {narrow}: each value may differ by what rounding to "
            f"{narrow} does to it in the reference"
        )
    special = _special(reference, linked, provider, checks, seen)
    power = _power(reference, linked, provider, checks, feeds, outputs, seen, notes)
    agreed = all(output.verdict == "pass" for output in parities)
    layer_parities = layers.parities(seen.placement, agreed)
    if checks.layers and not any(output.verdict == "fail" for output in parities):
        layers = _renamed(reference, linked, provider, checks, feeds, layers, layer_parities)
        layer_parities = layers.parities(seen.placement, agreed)
        hunt = Hunt(reference, linked.source, provider or "cpu", feeds, layers.agrees)
        layer_parities = settled(layer_parities, layers, hunt)
    notes += [f"{linked.spelled}: {x.name}: {x.note}" for x in layer_parities if x.note]
    seen.doubts += reference.untaken.get(linked.spelled, [])
    pairs = pair_outputs(reference.outputs[0], seen.results[0])
    doubts, unmoved = of_outputs(reference.unmoved, pairs, reference.source, linked.source)
    seen.doubts += doubts
    notes += unmoved
    report = _report(
        linked,
        seen,
        checks,
        parities,
        layer_parities,
        special,
        power,
        _used(reference, seen, checks.tolerance),
        is_random=reference.is_random or is_random(seen.doubts),
        interface=interface,
    )
    return Judged(report, seen.results, tuple(notes))


def _renamed(
    reference: Reference,
    linked: Linked,
    provider: str | None,
    checks: Checks,
    feeds: Sequence[Feeds],
    layers: LayerJudge,
    found: Sequence[LayerParity],
) -> LayerJudge:
    """The layers in other pairs, where names and order paired layers of unequal slopes.

    Every output agrees, so that the candidate may call its layers otherwise. Pairs by slopes count
    if each layer, in its own place, then gives what its counterpart gives.
    """
    source = linked.source.graph
    wrong = misnamed(found)
    reached = all((reference.coverage.counts(name) > 0).all() for name in wrong)
    pairs = layers.paired_by_slopes(wrong) if wrong and reached else None
    if pairs is None or source is None or provider is None:
        return layers
    narrow, tolerance = source.computes_in, checks.tolerance
    other = LayerJudge(reference, source.layers(), linked.layouts, tolerance, pairs, narrow)
    _observe(source, provider, feeds, other, other.observe)
    return layers if misnamed(other.parities({})) or other.strays else other


def _interface(
    reference: Reference, linked: Linked, results: Mapping[str, Array]
) -> tuple[InterfaceDifference, ...]:
    specs = reference.source.inputs(), linked.source.inputs()
    pairs = pair_outputs(reference.outputs[0], results)
    return (
        *compare_inputs(*specs, linked.links),
        *compare_outputs(reference.outputs[0], reference.kinds, results, pairs),
    )


def _note_randomness(reference: Reference, linked: Linked, seen: _Seen) -> None:
    """What the graph says, and what running it again has shown."""
    parts = random_parts(linked.source)
    if not reference.is_random:
        seen.faults += [part for part in parts if part.code == ACTING_DROPOUT]
    seen.doubts += [part for part in parts if part not in seen.faults]
    seen.doubts += [doubt.after("it") for doubt in seen.again.doubts]


def _rounded(reference: Reference, linked: Linked) -> list[str]:
    """Says so where slopes are compared as float16 holds them."""
    kinds = {layer.dtype for layer in linked.source.layers()}
    wider = {layer.dtype for layer in reference.layers} - {"float16"}
    if "float16" not in kinds or not wider:
        return []
    inputs = any(link.kind == "float16" for link in linked.links)
    return [
        f"{linked.spelled} is float16: its slopes are compared with the reference's, rounded to "
        f"that{', and its inputs are rounded too' if inputs else ''}"
    ]


def _run(
    source: Source,
    provider: str | None,
    feeds: Sequence[Feeds],
    layers: LayerJudge,
    checks: Checks,
) -> _Seen:
    reached = CoverageBook(source.layers())
    heard = True

    def observe(layer: str, call: int, x: Array, y: Array) -> None:
        if heard:
            reached.note(layer, x)
            layers.observe(layer, call, x, y)

    observer = observe if checks.layers and source.layers() else None
    graph = source.graph
    if graph is None or provider is None:
        with source.runner(observer) as runner:
            results = run_feeds(runner, feeds, layers, source)
            heard = False
            again = run_again(runner, feeds, results)
        again.doubts += run_unobserved(source, feeds, results) if observer else []
        return _Seen(results, reached, again, source.runtime)
    session = graph.session(provider)
    results = run_feeds(session, feeds, layers, source)
    again = run_again(session, feeds, results)
    seen = _Seen(results, reached, again, session.report, session.placement())
    del session  # a large model is not held twice
    if observer is not None:
        _observe(graph, provider, feeds, layers, observer)
    return seen


def _observe(
    source: OnnxGraph,
    provider: str,
    feeds: Sequence[Feeds],
    layers: LayerJudge,
    observe: Observer,
) -> None:
    if source.can_be_watched:
        tapped = source.tapped(provider)
        numbered = list(enumerate(feeds))
        for layers.run, feed in counted(numbered, "looking at its layers"):
            tapped.run(feed, observe)


def _special(
    reference: Reference,
    linked: Linked,
    provider: str | None,
    checks: Checks,
    seen: _Seen,
) -> tuple[SpecialValue, ...]:
    if not (checks.layers and reference.layers and linked.source.layers()):
        return ()
    runtime = checks.runtime if provider else ""
    try:
        return compare_special_values(
            reference.source,
            linked.source,
            provider or "",
            runtime,
            linked.layouts,
            checks.strict_special,
        )
    except PReLUToolsError as error:
        seen.doubts.append(f"special values could not be tried ({error})")
        return ()


def _power(
    reference: Reference,
    linked: Linked,
    provider: str | None,
    checks: Checks,
    feeds: Sequence[Feeds],
    outputs: OutputJudge,
    seen: _Seen,
    notes: list[str],
) -> Power | None:
    source = linked.source.graph
    wanted = checks.power and checks.layers and reference.layers
    if not wanted or provider is None or source is None or seen.doubts or seen.faults:
        return None
    plan = PowerPlan(
        references=reference.layers,
        source=source,
        provider=provider,
        feeds=feeds,
        outputs=outputs,
        reached=seen.reached,
        seed=checks.seed,
    )
    try:
        return measure_power(plan)
    except PReLUToolsError as error:
        notes.append(f"{linked.spelled}: power was not measured ({error})")
        return None


def _used(reference: Reference, seen: _Seen, tolerance: Tolerance) -> Tolerance:
    """What was really used: a calibrated tolerance depends on what the reference could be asked."""
    if tolerance.multiple is not None and reference.moved is not None:
        return SENSITIVITY
    if tolerance.multiple is None or reference.precision == "float64":
        return tolerance
    first = next(iter(seen.results[0].values()), None)
    return tolerance if first is None else default_tolerance(first.dtype)


def _report(
    linked: Linked,
    seen: _Seen,
    checks: Checks,
    outputs: tuple[OutputParity, ...],
    layers: tuple[LayerParity, ...],
    special: tuple[SpecialValue, ...],
    power: Power | None,
    tolerance: Tolerance,
    is_random: bool,
    interface: tuple[InterfaceDifference, ...],
) -> CandidateReport:
    numeric = [*(o.verdict for o in outputs), *(x.verdict for x in layers if x.slopes_equal)]
    if is_random:
        numeric = ["inconclusive" if verdict == "fail" else verdict for verdict in numeric]
    verdicts: list[Verdict] = [*numeric, *(x.verdict for x in layers if not x.slopes_equal)]
    diverging = next((layer for layer in layers if layer.verdict == "fail"), None)
    reasons = [*_layer_reasons(layers, diverging), *differences(outputs)]
    reasons += [seen.where] if seen.where else []
    wrong = [value for value in special if value.documented is None]
    if wrong:
        verdicts.append("fail")
        reasons += [_words(value) for value in wrong]
    elsewhere = seen.provider.nodes_elsewhere if seen.provider else ()
    if elsewhere and seen.provider and not checks.allow_fallback:
        verdicts.append("inconclusive")
        reasons.append(
            f"{seen.provider.requested} was requested, but {len(elsewhere)} nodes ran on "
            f"{', '.join(seen.provider.actual)}; --allow-fallback permits that"
        )
    for one in interface:
        if one.fails or checks.strict_interface:
            verdicts.append("fail")
            reasons.append(Reason(one.words, one.code))
    for fault in seen.faults:
        verdicts.append("fail")
        reasons.append(fault)
    for doubt in seen.doubts:
        verdicts.append("inconclusive")
        reasons.append(doubt)
    own = [layer for layer in layers if layer.found != "additional" or layer.verdict == "fail"]
    if not own and not checks.allow_no_prelu:
        verdicts.append("inconclusive")
        reasons.append(_nothing_compared(len(layers)))
    return CandidateReport(
        model=linked.spelled,
        verdict=worst(verdicts),
        provider=seen.provider,
        tolerance=tolerance,
        outputs=outputs,
        layers=layers,
        first_divergence=None if diverging is None else diverging.name,
        reasons=tuple(reasons),
        special=special,
        power=power,
        interface=interface,
    )


def _nothing_compared(n_additional: int) -> str:
    if not n_additional:
        return "there is no PReLU on either side; use --allow-no-prelu to compare outputs only"
    return (
        f"the reference shows no PReLU, and the candidate has {n_additional}: no slope was "
        "compared; use --allow-no-prelu to compare outputs only"
    )


def _layer_reasons(layers: Sequence[LayerParity], diverging: LayerParity | None) -> Iterator[str]:
    """What differs of each layer and at which node: those that fail first, in order."""
    for layer in sorted(layers, key=lambda layer: layer.verdict != "fail"):
        fails = layer.verdict == "fail"
        if not (layer.difference or fails):
            continue
        said = as_reason(layer.difference or f"{layer.name}: it differs")
        if layer is diverging and layer.node is not None:
            place = f"{layer.parameter} in the reference, " if layer.parameter else ""
            said = said.before(
                f"the first layer to diverge: {place}node {layer.node} in the candidate"
            )
        elif fails and layer.node is not None:
            said = said.before(f"node {layer.node}")
        yield said


def _words(value: SpecialValue) -> Reason:
    return Reason(
        f"{value.layer}: {value.value:g} with slope {value.slope:g} gives {value.found:g} where "
        f"the reference gives {value.expected:g} ({value.form})",
        SPECIAL_VALUE_DIFFERS,
    )
