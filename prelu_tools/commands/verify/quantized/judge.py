"""Judge a quantized candidate: slopes and weights strictly, rounding by its size.

Three questions, each with the limit that fits it:

1. Are the slopes and the weights those of the reference? What the file means in floating point
   (`graph/quantized/meaning.py`) is compared with the reference; it may differ by the effect of
   rounding weights to their steps, which is simulated. Without quantized weights: by no more than
   rounding in floating point.
2. Do the kernels compute what the file says? Each PReLU on its own input, within its codes; the
   outputs, against the file's meaning with noise of the size of its steps.
3. Is the result good enough? The signal-to-noise ratio of each output, on the given inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.commands.verify.candidates.outputs import OutputJudge, pair_outputs
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.quantized.closeness import Closeness
from prelu_tools.commands.verify.quantized.layers import QuantizedLayers
from prelu_tools.commands.verify.quantized.weights import weights_within_half_a_step
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.reasons import Reason, as_reason, listed
from prelu_tools.core.results.verification.candidate import Power
from prelu_tools.core.results.verification.parity import LayerParity, OutputParity, Verdict
from prelu_tools.graph.copies.instrument import tapped
from prelu_tools.graph.quantized.meaning import Meaning
from prelu_tools.graph.quantized.rounding import with_perturbed_weights, with_rounding

MIN_SNR = 10.0
"""Decibels that each output has to have on given inputs: an error of a tenth of its energy."""
_MIN_RANDOM_SNR = 3.0
"""The same on random inputs, which ranges need not fit: below it there is no verdict."""
_MOST_DRAWS, _FEWEST_DRAWS = 16, 6
_EFFORT = 20.0  # seconds of effort for drawing noise, after the minimum number of draws
Results = Sequence[Mapping[str, Array]]


@dataclass(frozen=True)
class QuantizedJudgement:
    """What was found of a quantized candidate."""

    outputs: tuple[OutputParity, ...]
    """Its outputs."""
    layers: tuple[LayerParity, ...]
    """Its layers."""
    notes: tuple[str, ...]
    """How it was judged."""
    doubts: tuple[str, ...]
    """Why there is no verdict."""
    power: Power | None
    """Which slope faults its layers would have shown; None if they were not looked at."""


@dataclass(frozen=True)
class QuantizedPlan:
    """What a quantized candidate is judged by."""

    reference: Reference
    """The reference, which was run."""
    source: OnnxGraph
    """The candidate."""
    label: str
    """Its name."""
    meaning: Meaning
    """What it means."""
    provider: str
    """The execution provider that ran it."""
    feeds: Sequence[Feeds]
    """The inputs as it takes them."""
    outputs: OutputJudge
    """Pairs its outputs with the reference's."""
    results: Results
    """Its outputs in each run."""
    given: bool
    """Whether its inputs were given rather than drawn."""
    layers: bool
    """Whether to look at its layers."""
    is_limited: bool
    """Whether the user says by how much its outputs may differ."""


def judge_quantized(plan: QuantizedPlan, placement: Mapping[str, str]) -> QuantizedJudgement:
    """Answer the three questions for one candidate.

    Raises:
        PReLUToolsError: its meaning cannot be run.
    """
    layers = QuantizedLayers(plan.reference, plan.source.located, plan.meaning)
    if plan.layers and plan.source.located:
        _watch(plan, layers)
    meant = _runs(plan, plan.meaning.model.proto, "what it means")
    strict = plan.outputs.compare(meant)
    weights = _closeness_of_weights(plan, meant, strict)
    kernels = _closeness_of_kernels(plan)
    close, total = weights_within_half_a_step(plan.meaning, plan.reference.source.graph)
    for closeness in weights.values():
        if closeness is not None:
            closeness.directed = close < total
    parities = tuple(
        _parity(plan, parity, weights.get(parity.name), kernels.get(parity.name))
        for parity in plan.outputs.compare(plan.results)
    )
    agreed = bool(parities) and all(parity.verdict != "fail" for parity in parities)
    found = layers.parities(placement, agreed) if plan.layers else ()
    notes = [
        *_notes(plan),
        *layers.notes(plan.label),
        _note_of_weights(plan, weights, close, total),
    ]
    power = layers.power() if plan.layers else None
    return QuantizedJudgement(parities, found, tuple(notes), tuple(_doubts(plan)), power)


def _watch(plan: QuantizedPlan, layers: QuantizedLayers) -> None:
    """Look at the candidate's layers as it runs."""
    model = plan.source.model
    known = {name for node in model.proto.graph.node for name in node.output}
    known |= {value.name for value in model.proto.graph.input}
    names = layers.tensors(known)
    inside = [name for name in names if name not in plan.feeds[0]]
    if not inside:
        return
    session = _session(plan, tapped(model.proto, inside))
    for run, feed in enumerate(plan.feeds):
        fetched = session.fetch(feed, inside)
        layers.observe(run, {**{n: feed[n] for n in names if n in feed}, **fetched})


def _session(plan: QuantizedPlan, proto: onnx.ModelProto, provider: str = "") -> Session:
    folder = plan.source.model.folder
    return Session(proto, provider or plan.provider, plan.label, folder)


def _runs(plan: QuantizedPlan, proto: onnx.ModelProto, what: str) -> list[dict[str, Array]]:
    session = Session(proto, "cpu", f"{what} of {plan.label}", plan.meaning.model.folder)
    return [session.run(feed) for feed in plan.feeds]


def _drawn(
    plan: QuantizedPlan, make: Callable[[Meaning, int], onnx.ModelProto]
) -> list[list[dict[str, Array]]]:
    """The outputs of copies with noise: fewer of large models."""
    most = max(_FEWEST_DRAWS, min(_MOST_DRAWS, int(_EFFORT / max(plan.reference.effort, 1e-3))))
    return [_runs(plan, make(plan.meaning, draw), "what it means") for draw in range(most)]


@np.errstate(all="ignore")
def _closeness_of_weights(
    plan: QuantizedPlan, meant: Results, strict: Sequence[OutputParity]
) -> dict[str, Closeness | None]:
    """For each output: None if the file's meaning equals the reference up to rounding."""
    found: dict[str, Closeness | None] = {parity.name: None for parity in strict}
    wrong = [parity.name for parity in strict if parity.verdict == "fail"]
    if not wrong:
        return found
    draws = _drawn(plan, with_perturbed_weights)
    references = plan.reference.outputs
    for mine, name in pair_outputs(references[0], meant[0]):
        if name not in wrong:
            continue
        closeness = Closeness(len(draws), directed=True)
        for run, results in enumerate(meant):
            expected, base = references[run][mine], results[name]
            turned = plan.outputs.to_reference(expected, base, name)
            drawn = [plan.outputs.to_reference(expected, draw[run][name], name) for draw in draws]
            limit = plan.outputs.limit(mine, run, turned)
            allowed = np.asarray(limit.atol + limit.rtol * np.abs(expected))
            closeness.add(expected, turned, turned, drawn, allowed)
        found[name] = closeness
    return found


def _closeness_of_kernels(plan: QuantizedPlan) -> dict[str, Closeness]:
    """Compare each output of the candidate with its meaning, given the steps and ends of codes."""
    if plan.meaning.kind == "dynamic" or not plan.meaning.rounded:
        return {}
    ends = _runs(plan, with_rounding(plan.meaning, None), "what it means")
    draws = _drawn(plan, with_rounding)
    found = {}
    for name in plan.results[0]:
        closeness = Closeness(len(draws))
        for run, results in enumerate(plan.results):
            base = ends[run][name]
            floor = np.asarray(1e-5 * np.abs(base.astype(np.float64)).max(initial=0.0))
            drawn = [draw[run][name] for draw in draws]
            closeness.add(base, results[name], base, drawn, floor)
        found[name] = closeness
    return found


def _parity(
    plan: QuantizedPlan, parity: OutputParity, weights: Closeness | None, kernels: Closeness | None
) -> OutputParity:
    """The output with the verdict that fits a quantized candidate, and its reasons."""
    if parity.deviation is None:  # another shape
        return parity
    said: list[Reason] = []
    if parity.n_nonfinite_mismatch:
        said.append(
            Reason(f"output {parity.name!r}: NaN or infinite on one side only", "not_finite")
        )
    alike = weights.alike if weights is not None and weights.directed else 0.0
    off = 0.0 if weights is None else max(weights.worst, alike)
    if off > 1:
        said.append(Reason(
            f"output {parity.name!r}: the quantized weights and slopes differ from the "
            f"reference's by {off:.3g} times what rounding can explain",
            "int8_weights_differ",
        ))  # fmt: skip
    if kernels is not None and kernels.worst > 1:
        said.append(Reason(
            f"output {parity.name!r}: the runtime differs from what the file defines by "
            f"{kernels.worst:.3g} times what rounding to integer codes can explain",
            "int8_kernels_differ",
        ))  # fmt: skip
    if plan.is_limited and parity.difference and not said:
        said.append(as_reason(parity.difference))
    snr = parity.deviation.snr_db
    if plan.given and not said and snr is not None and snr < MIN_SNR:
        said.append(Reason(
            f"output {parity.name!r}: its signal-to-noise ratio is {snr:.1f} dB, below "
            f"{MIN_SNR:g} dB, although the slopes and weights are right: the ranges do not fit "
            "these inputs",
            "int8_snr",
        ))  # fmt: skip
    verdict: Verdict = "fail" if said else "pass"
    if not said and (doubt := _unproven(plan, parity.name, snr, (weights, kernels))) is not None:
        verdict = "inconclusive"
        said.append(doubt)
    if not said and parity.verdict == "inconclusive":
        verdict = "inconclusive"
    words = Reason("; ".join(said), said[0].code) if said else None
    return replace(
        parity, verdict=verdict, difference=words or (parity.difference if verdict != "pass"
                                                      else None),
        n_mismatched=0 if verdict == "pass" else parity.n_mismatched,
        limit=None, of_rounding=None, worst_of_rounding=None,
    )  # fmt: skip


def _unproven(
    plan: QuantizedPlan, name: str, snr: float | None, found: Sequence[Closeness | None]
) -> Reason | None:
    """Why an output within the limits of rounding proves nothing; None if it proves something."""
    ratios = [None if each is None else each.decibels for each in found]
    if plan.meaning.kind == "dynamic":  # its ranges depend on the inputs
        ratios.append(snr)
    left = min((ratio for ratio in ratios if ratio is not None), default=np.inf)
    if plan.is_limited:
        return None
    if left < MIN_SNR:
        return Reason(
            f"output {name!r}: rounding to the codes leaves a signal-to-noise ratio of "
            f"{left:.1f} dB, which could explain almost any difference; at least {MIN_SNR:g} dB "
            "are needed",
            "int8_steps_too_wide",
        )
    if snr is not None and snr < _MIN_RANDOM_SNR:
        return Reason(
            f"output {name!r}: its signal-to-noise ratio is {snr:.1f} dB on random inputs: the "
            "quantization ranges cut off most of it; use data like the calibration data "
            "(--inputs)",
            "int8_snr",
        )
    return None


def _doubts(plan: QuantizedPlan) -> Iterator[str]:
    coarse = [name for name, weight in plan.meaning.steps.items() if weight.is_coarse]
    if coarse:
        yield Reason(
            f"the scales of {listed(coarse, 3)} are so wide that fewer than an eighth "
            "of the codes are used: rounding could explain any weights",
            "int8_scales_too_wide",
        )


def _note_of_weights(
    plan: QuantizedPlan, weights: Mapping[str, Closeness | None], close: int, total: int
) -> Reason:
    """The number of weights compared one by one, and the sensitivity for the others."""
    words = (
        f"{plan.label}: {close:,} of {total:,} quantized tensors match a tensor of the reference "
        "to within half a step in every value"
    )
    found = {name: each.least_factor for name, each in weights.items() if each is not None}
    seen = [(factor, name) for name, factor in found.items() if factor is not None]
    if close < total and seen:
        factor, name = max(seen)
        words += (
            "; the others (equalized, or folded differently) are compared by their effect on "
            f"each output, which would show a factor of {1 + factor:.4f} on {name!r}"
        )
    return Reason(words, "int8_weights_compared")


def _notes(plan: QuantizedPlan) -> list[str]:
    notes: list[str] = [
        Reason(
            f"{plan.label} is quantized {plan.meaning.words}: its slopes may differ by half a "
            "quantization step, and each output by the effect of rounding to integer codes",
            "quantized_candidate",
        )
    ]
    if not plan.given and plan.meaning.kind != "weights only":
        notes.append(Reason(
            f"{plan.label}: the signal-to-noise ratios are for random inputs; for meaningful "
            "ones, use data like the calibration data (--inputs)",
            "int8_random_inputs",
        ))  # fmt: skip
    return notes
