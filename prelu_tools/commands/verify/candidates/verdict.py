"""The findings on a candidate, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prelu_tools.commands.verify.candidates.outputs import differences
from prelu_tools.commands.verify.layers.watched import OUTPUT
from prelu_tools.commands.verify.reference.repeated import RepeatedRun
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.results.reasons import (
    SPECIAL_VALUE_DIFFERS,
    Reason,
    as_reason,
    code_of,
    counted,
)
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    Power,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.parity import (
    InterfaceDifference,
    LayerParity,
    OutputParity,
    SpecialValue,
    Verdict,
)
from prelu_tools.core.rounding.parity import worst


@dataclass
class Seen:
    """What a candidate did as it ran."""

    results: list[dict[str, Array]]
    """The outputs of each run."""
    reached: CoverageBook
    """Which of its slopes the inputs reached."""
    again: RepeatedRun
    """Whether its outputs are the same when it is run again."""
    provider: ProviderReport | None = None
    """What ran it."""
    placement: Mapping[str, str] = field(default_factory=dict)
    """The execution provider that ran each node."""
    doubts: list[str] = field(default_factory=list)
    """Why there is no verdict."""
    faults: list[str] = field(default_factory=list)
    """Faults that count whatever its outputs are."""


@dataclass(frozen=True)
class Findings:
    """All that the checks of a candidate found."""

    seen: Seen
    """What it did."""
    outputs: tuple[OutputParity, ...]
    """Each output, compared."""
    layers: tuple[LayerParity, ...]
    """Each PReLU layer, compared."""
    interface: tuple[InterfaceDifference, ...]
    """Names, types, sizes and axes that differ."""
    tolerance: Tolerance
    """What differences may be."""
    is_random: bool
    """Whether one of the two models is random."""
    special: tuple[SpecialValue, ...] = ()
    """Infinite and NaN inputs that layers treat differently."""
    power: Power | None = None
    """What the checks would have caught; None if it was not measured."""
    sizes: str | None = None
    """The sizes at which outputs differ, in words; None if that does not depend on sizes."""


def report_of(label: str, found: Findings, request: VerifyRequest) -> CandidateReport:
    """The report of a candidate that was run.

    Args:
        label: the candidate, as the user spelled it.
        found: what the checks found.
        request: the options.
    """
    diverging = next((layer for layer in found.layers if layer.verdict == "fail"), None)
    concluded = list(_conclusions(found, request))
    reasons = [reason for _, reason in concluded]
    differing = [*_layer_reasons(found.layers, diverging), *differences(found.outputs)]
    differing += [found.sizes] if found.sizes else []
    return CandidateReport(
        model=label,
        verdict=worst([*_of_values(found), *(verdict for verdict, _ in concluded)]),
        provider=found.seen.provider,
        tolerance=found.tolerance,
        outputs=found.outputs,
        layers=found.layers,
        first_divergence=None if diverging is None else diverging.name,
        reasons=tuple(
            reasons + differing if found.is_random else differing + reasons  # the cause first
        ),
        special=found.special,
        power=found.power,
        interface=found.interface,
    )


def _of_values(found: Findings) -> list[Verdict]:
    """The verdicts of outputs and layers; of a random model, differing values prove nothing."""
    layers = found.layers
    numeric = [*(o.verdict for o in found.outputs), *(x.verdict for x in layers if x.slopes_equal)]
    if found.is_random:
        numeric = ["inconclusive" if verdict == "fail" else verdict for verdict in numeric]
    return [*numeric, *(x.verdict for x in layers if not x.slopes_equal)]


def _conclusions(found: Findings, request: VerifyRequest) -> Iterator[tuple[Verdict, str]]:
    """What follows from all else, each with its reason."""
    for value in found.special:
        if value.documented is None:
            yield "fail", _words(value)
    provider = found.seen.provider
    if provider and provider.nodes_elsewhere and not request.allow_fallback:
        n_elsewhere = counted(len(provider.nodes_elsewhere), "node")
        yield (
            "inconclusive",
            f"{provider.requested} was requested, but {n_elsewhere} ran on "
            f"{', '.join(provider.actual)}; --allow-fallback permits that",
        )
    for one in found.interface:
        if one.fails or request.strict_interface:
            yield "fail", Reason(one.words, one.code)
    yield from (("fail", fault) for fault in found.seen.faults)
    yield from (("inconclusive", doubt) for doubt in found.seen.doubts)
    layers = found.layers
    own = [layer for layer in layers if layer.found != "additional" or layer.verdict == "fail"]
    if not own and not request.allow_no_prelu:
        yield "inconclusive", _nothing_compared(len(layers))


def _nothing_compared(n_additional: int) -> str:
    if not n_additional:
        why = "there is no PReLU on either side"
    else:
        why = (
            f"the reference shows no PReLU, and the candidate has {n_additional:,}: no slope was "
            "compared"
        )
    return f"{why}; use --allow-no-prelu if equal outputs are enough"


def _layer_reasons(layers: Sequence[LayerParity], diverging: LayerParity | None) -> Iterator[str]:
    """The difference of each layer, and its node.

    First what is wrong with a layer itself, in order; then those that fail only by their output in
    the running model, which may only propagate an error; then all others.
    """
    for layer in sorted(layers, key=_blame):
        if layer.difference is None:
            continue
        said = as_reason(layer.difference)
        if layer is diverging and layer.node is not None:
            slopes = f"slopes {layer.parameter!r} in the reference, " if layer.parameter else ""
            place = f"{slopes}node {layer.node!r} in the candidate"
            said = said.before(f"the first layer that differs ({place})")
        elif layer.verdict == "fail" and layer.node is not None:
            said = said.before(f"node {layer.node!r}")
        yield said


def _blame(layer: LayerParity) -> tuple[bool, bool]:
    return layer.verdict != "fail", code_of(layer.difference) == OUTPUT


def _words(value: SpecialValue) -> Reason:
    return Reason(
        f"{value.layer}: {value.value:g} with slope {value.slope:g} gives {value.found:g}, but "
        f"{value.expected:g} in the reference ({value.form})",
        SPECIAL_VALUE_DIFFERS,
    )
