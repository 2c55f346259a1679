"""Judge a quantized candidate on one execution provider."""

from __future__ import annotations

from prelu_tools.commands.verify.candidates.candidate import CandidateJudge, Judged
from prelu_tools.commands.verify.candidates.verdict import Findings
from prelu_tools.commands.verify.layers.matching import LayerJudge
from prelu_tools.commands.verify.quantized.judge import QuantizedPlan, judge_quantized
from prelu_tools.commands.verify.reference.perturbed import PerturbedRuns
from prelu_tools.core.results.reasons import as_reason
from prelu_tools.core.rounding.noise import SINGLE
from prelu_tools.core.rounding.tolerance import CALIBRATED, QUANTIZED


class QuantizedCandidateJudge(CandidateJudge):
    """The same for a quantized candidate: see `commands/verify/quantized/judge.py`."""

    def judged(self) -> Judged:
        """Every check that fits integer codes: special values do not."""
        graph = self.graph
        meaning = None if graph is None else graph.meaning()
        if graph is None or meaning is None:
            raise AssertionError("a candidate that is not quantized")
        layers = LayerJudge(self.reference, (), self.linked.layouts, CALIBRATED)
        seen = self.run(layers, observed=False)
        self.note_randomness(seen)
        outputs = self.output_judge()
        plan = QuantizedPlan(
            reference=self.reference,
            source=graph,
            label=self.linked.label,
            meaning=meaning,
            provider=self.provider,
            feeds=self.feeds,
            outputs=outputs,
            results=seen.results,
            given=self.request.inputs_file is not None and self.request.samples is None,
            layers=self.request.layers,
            is_limited=self.request.tolerance.multiple is None,
        )
        judgement = judge_quantized(plan, seen.placement)
        self.notes += [as_reason(n).within(self.linked.label) for n in self.source.notes]
        self.notes += [note.after(self.linked.label) for note in seen.again.notes]
        self.notes += judgement.notes
        seen.doubts += judgement.doubts
        return self.finished(Findings(
            seen=seen,
            outputs=self.doubt_untried(seen, judgement.outputs),
            layers=judgement.layers,
            power=judgement.power if self.request.power else None,
            interface=self.interface(outputs, judgement.outputs, seen),
            tolerance=QUANTIZED,
            is_random=self.is_random(seen),
        ))  # fmt: skip

    @property
    def perturbed_runs(self) -> PerturbedRuns | None:
        """The reference's perturbed runs in float32, the type of the file's meaning."""
        return self.reference.perturbed_to(SINGLE)
