"""Judge one candidate on one execution provider."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from prelu_tools.backends.protocol.interface import OnnxGraph, Source
from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.commands.verify.candidates.interface import compare_inputs, compare_outputs
from prelu_tools.commands.verify.candidates.outputs import OutputJudge, pair_outputs
from prelu_tools.commands.verify.candidates.power import PowerPlan, measure_power
from prelu_tools.commands.verify.candidates.running import (
    run_feeds,
    sizes_that_differ,
    without_added_axes,
)
from prelu_tools.commands.verify.candidates.verdict import Findings, Seen, report_of
from prelu_tools.commands.verify.inputs.linking import move
from prelu_tools.commands.verify.layers.finding import LayerSearch
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.commands.verify.layers.proof import blamed, misnamed, settled, unsearched
from prelu_tools.commands.verify.layers.special import compare_special_values
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.reference.constant import of_outputs
from prelu_tools.commands.verify.reference.perturbed import PerturbedRuns
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.repeated import (
    ACTING_DROPOUT,
    is_random,
    random_parts,
    run_again,
    run_unobserved,
)
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopediff import LayerPairs
from prelu_tools.core.process.progress import counted
from prelu_tools.core.process.versions import installed_version
from prelu_tools.core.results.reasons import Reason, as_reason
from prelu_tools.core.results.verification.candidate import CandidateReport, Power, Tolerance
from prelu_tools.core.results.verification.parity import (
    InterfaceDifference,
    LayerParity,
    OutputParity,
    SpecialValue,
)
from prelu_tools.core.rounding.tolerance import (
    SENSITIVITY,
    default_tolerance,
    resolution_of,
)

_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")


@dataclass
class Judged:
    """A candidate on a provider: the report, and its basis."""

    report: CandidateReport
    """What was found."""
    results: list[dict[str, Array]] = field(default_factory=list)
    """The outputs of each run; empty if it could not be run."""
    notes: tuple[str, ...] = ()
    """Notes for the user."""


class CandidateJudge:
    """One candidate on one provider, and what is known of it while it is judged."""

    def __init__(
        self,
        reference: Reference,
        linked: Linked,
        provider: str | None,
        request: VerifyRequest,
    ) -> None:
        self.reference = reference
        self.linked = linked
        self.source = linked.source
        self.provider = provider or ""
        self.graph = linked.source.graph if provider else None  # what onnxruntime runs
        self.request = request
        self.feeds = [move(feed, linked.links) for feed in reference.feeds]
        self.notes: list[str] = []

    def judged(self) -> Judged:
        """Every check, each after those that it depends on."""
        layers = self._layer_judge(self.source)
        seen = self.run(layers)
        sources = self.reference.source, self.source
        added = without_added_axes(sources, self.reference.outputs[0], seen.results)
        self.notes.extend(note.within(self.linked.label) for note in added)
        outputs = self.output_judge()
        parities = outputs.compare(seen.results)
        fails = not parities or any(parity.verdict == "fail" for parity in parities)
        interface = self.interface(outputs, parities, seen)
        self.note_randomness(seen)
        self._note_types(seen)
        special = self._special(seen)
        power = self._power(outputs, seen)
        agreed = not fails and all(parity.verdict == "pass" for parity in parities)
        compared = self._layers(layers, seen, agreed, fails)
        wrong_slopes = any(x.verdict == "fail" and not x.slopes_equal for x in compared)
        feeds = self.reference.feeds
        where = (
            sizes_that_differ(feeds, outputs, seen.results) if fails and not wrong_slopes else None
        )
        self.notes += [f"{self.linked.label}: {x.name}: {x.note}" for x in compared if x.note]
        found = Findings(
            seen=seen,
            outputs=self.doubt_untried(seen, parities),
            layers=compared,
            special=special,
            power=power,
            interface=interface,
            tolerance=self._tolerance_used(seen),
            is_random=self.is_random(seen),
            sizes=where,
        )
        return self.finished(found)

    def is_random(self, seen: Seen) -> bool:
        """Whether one of the two models is."""
        return self.reference.is_random or is_random(seen.doubts)

    def finished(self, found: Findings) -> Judged:
        """The report."""
        report = report_of(self.linked.label, found, self.request)
        return Judged(report, found.seen.results, tuple(self.notes))

    @property
    def perturbed_runs(self) -> PerturbedRuns | None:
        """The reference's perturbed runs, in the type that the candidate computes in."""
        return self.reference.perturbed_to(resolution_of(self.source.computes_in or "float32"))

    def _layer_judge(self, source: Source, pairs: LayerPairs | None = None) -> LayerJudge:
        return LayerJudge(
            self.reference,
            source.layers(),
            self.linked.layouts,
            self.request.tolerance,
            pairs,
            source.computes_in or "float32",
        )

    def output_judge(self) -> OutputJudge:
        """What compares its outputs."""
        perturbed = self.perturbed_runs
        return OutputJudge(
            self.reference.outputs,
            self.reference.extents,
            self.linked.leaving or self.linked.layouts,
            self.linked.moved,
            self.request.tolerance,
            None if perturbed is None else perturbed.outputs,
            self.linked.stated,
        )

    def run(self, layers: LayerJudge, observed: bool = True) -> Seen:
        """Run it, twice at one size; its layers are observed on request."""
        source = self.source
        own = source.layers() if observed else ()
        reached = CoverageBook(own)
        heard = True

        def observe(layer: str, call: int, x: Array, y: Array) -> None:
            if heard:
                reached.note(layer, x)
                layers.observe(layer, call, x, y)

        observer = observe if self.request.layers and own else None
        if self.graph is None:
            with source.runner(observer) as runner:
                results = run_feeds(runner, self.feeds, layers, source)
                heard = False
                again = run_again(runner, self.feeds, results)
            again.doubts += run_unobserved(source, self.feeds, results) if observer else []
            return Seen(results, reached, again, source.runtime)
        session = self.graph.session(self.provider)
        results = run_feeds(session, self.feeds, layers, source)
        again = run_again(session, self.feeds, results)
        seen = Seen(results, reached, again, session.report, session.placement())
        del session  # a large model is not kept twice in memory
        if observer is not None:
            self._observe(self.graph, layers, observer)
        return seen

    def _observe(self, graph: OnnxGraph, layers: LayerJudge, observe: Observer) -> None:
        if graph.can_be_watched:
            tapped = graph.tapped(self.provider)
            numbered = list(enumerate(self.feeds))
            for layers.run, feed in counted(numbered, "observing its layers"):
                tapped.run(feed, observe)

    def interface(
        self, outputs: OutputJudge, parities: Iterable[OutputParity], seen: Seen
    ) -> tuple[InterfaceDifference, ...]:
        """How its inputs and outputs differ from the reference's."""
        reference, results = self.reference, seen.results[0]
        models, expected = (reference.source, self.source), reference.outputs[0]
        links, layouts = outputs.links(results, parities), self.linked.layouts
        return (
            *compare_inputs(models, self.linked.links, layouts),
            *compare_outputs(models, expected, reference.kinds, results, links, layouts),
        )

    def note_randomness(self, seen: Seen) -> None:
        """What the graph says, and what running it again has shown."""
        parts = random_parts(self.source)
        if not self.reference.is_random:
            seen.faults += [part for part in parts if part.code == ACTING_DROPOUT]
        seen.doubts += [part for part in parts if part not in seen.faults]
        seen.doubts += [doubt.after("it") for doubt in seen.again.doubts]

    def _note_types(self, seen: Seen) -> None:
        """What the source says of itself, and where it computes in fewer bits."""
        label = self.linked.label
        rounded = self._rounded()
        self.notes += [as_reason(note).within(label) for note in self.source.notes]
        self.notes += rounded
        self.notes += [note.after(label) for note in seen.again.notes]
        narrow = self.source.computes_in
        wider = {layer.dtype for layer in self.reference.layers} - {"float16", "bfloat16"}
        if narrow and self.perturbed_runs is not None and wider and not rounded:
            self.notes.append(
                f"{label} computes in {narrow}: each value may differ by as much as rounding "
                f"to {narrow} changes it in the reference"
            )

    def _rounded(self) -> list[str]:
        """Says so where slopes are compared as float16 holds them."""
        kinds = {layer.dtype for layer in self.source.layers()}
        wider = {layer.dtype for layer in self.reference.layers} - {"float16"}
        if "float16" not in kinds or not wider:
            return []
        inputs = any(link.kind == "float16" for link in self.linked.links)
        return [
            f"{self.linked.label} is float16: its slopes are compared with the reference's "
            f"slopes rounded to float16{', and its inputs are rounded too' if inputs else ''}"
        ]

    def _special(self, seen: Seen) -> tuple[SpecialValue, ...]:
        if not (self.request.layers and self.reference.layers and self.source.layers()):
            return ()
        try:
            return compare_special_values(
                self.reference.source,
                self.source,
                self.provider,
                (installed_version(*_RUNTIMES) or "") if self.provider else "",
                self.linked.layouts,
                self.request.strict_special,
            )
        except PReLUToolsError as error:
            seen.doubts.append(f"special values could not be tested ({error})")
            return ()

    def _power(self, outputs: OutputJudge, seen: Seen) -> Power | None:
        wanted = self.request.power and self.request.layers and self.reference.layers
        if not wanted or seen.doubts or seen.faults:
            return None
        if self.graph is None:
            self._say_where_power_is_measured()
            return None
        plan = PowerPlan(
            references=self.reference.layers,
            source=self.graph,
            provider=self.provider,
            feeds=self.feeds,
            outputs=outputs,
            reached=seen.reached,
            seed=self.request.seed,
        )
        try:
            return measure_power(plan)
        except PReLUToolsError as error:
            self.notes.append(
                f"{self.linked.label}: power (how many planted slope faults the checks catch) was "
                f"not measured: {error}"
            )
            return None

    def _say_where_power_is_measured(self) -> None:
        """Another runtime takes no slopes as inputs, so no faults are planted in what it runs."""
        if self.source.runtime is not None:
            text = (
                f"{self.linked.label}: planted faults are measured on onnxruntime only, not on "
                f"{self.source.runtime.requested}"
            )
            self.notes.append(Reason(text, "power_not_measured"))

    def _layers(
        self, layers: LayerJudge, seen: Seen, agreed: bool, fails: bool
    ) -> tuple[LayerParity, ...]:
        """Each layer compared; one that differs or is not there is looked for elsewhere."""
        if self.request.layers and not fails:
            layers = self._renamed(layers)
        found = layers.parities(seen.placement, agreed)
        search = LayerSearch(
            self.reference, self.source, self.provider or "cpu", self.feeds, layers.agrees
        )
        settle = blamed if fails else settled if self.request.layers else unsearched
        return settle(found, layers, search)

    def _renamed(self, layers: LayerJudge) -> LayerJudge:
        """The layers in other pairs, where names and order paired layers of unequal slopes.

        Every output agrees, so the candidate may have other layer names. Pairs by slopes count if
        each layer, at its place, then has the outputs of its counterpart.
        """
        wrong = misnamed(layers.parities({}))
        reached = all((self.reference.coverage.counts(name) > 0).all() for name in wrong)
        pairs = layers.paired_by_slopes(wrong) if wrong and reached else None
        if pairs is None or self.graph is None:
            return layers
        other = self._layer_judge(self.graph, pairs)
        self._observe(self.graph, other, other.observe)
        return layers if misnamed(other.parities({})) or other.strays else other

    def doubt_untried(
        self, seen: Seen, outputs: Sequence[OutputParity]
    ) -> tuple[OutputParity, ...]:
        """Doubt branches that no input took, and outputs that no input moved.

        Returns:
            The outputs, those among them with their doubts.
        """
        reference = self.reference
        seen.doubts += reference.untaken.get(self.linked.label, [])
        pairs = pair_outputs(reference.outputs[0], seen.results[0])
        doubts, notes = of_outputs(reference.unmoved, pairs, reference.source, self.source)
        seen.doubts += doubts.values()
        self.notes += notes
        return tuple(replace(output, doubt=doubts.get(output.name)) for output in outputs)

    def _tolerance_used(self, seen: Seen) -> Tolerance:
        """A calibrated tolerance depends on which runs of the reference were possible."""
        tolerance = self.request.tolerance
        if tolerance.multiple is not None and self.reference.perturbed is not None:
            return SENSITIVITY
        if tolerance.multiple is None or self.reference.precision == "float64":
            return tolerance
        first = next(iter(seen.results[0].values()), None)
        return tolerance if first is None else default_tolerance(first.dtype)
