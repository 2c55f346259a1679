"""Figures of a verification that may not get worse, and whether they did.

Each figure is a distance from the ideal: the largest difference of an output or a layer, or how far
a share (coverage, power, rows with the same class) is below 1. It may grow to `factor` times its
old value, and always to a floor, so that rounding noise never fails: an eighth of the check's limit
for a difference, 2 ulp for an isolated error, 0.01 for a share.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prelu_tools.core.results.reasons import listed
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.parity import LayerParity, OutputParity, Verdict
from prelu_tools.core.results.verification.result import BaselineReport, VerifyResult, WorseFigure
from prelu_tools.core.rounding.parity import worst

Figures = Mapping[str, Mapping[str, float]]
"""By part, by name: finite, 0 or more."""
DEFAULT_FACTOR = 2.0
OF_LIMIT, ULPS, OF_SHARE = 1 / 8, 2.0, 0.01
"""The floors."""
_SHARES = ("coverage", "power", "top1_agreement")
_TINY = 1e-9  # what 1 - 0.99 is more than 0.01
_INPUTS = "inputs"


@dataclass(frozen=True)
class Entry:
    """The figures of one check in a baseline."""

    seed: int
    """The seed of the inputs."""
    samples: int
    """Rows of input that were drawn or replayed."""
    figures: Figures
    """The figures."""


@dataclass(frozen=True)
class Baseline:
    """The figures of earlier runs, by the name of the check."""

    path: str
    """The file."""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    """The figures of each check."""


@dataclass(frozen=True)
class _Measured:
    value: float
    floor: float


def entry_of(result: VerifyResult, names: Mapping[str, str] | None = None) -> Entry:
    """The figures of a verification for a baseline.

    Args:
        result: what was found.
        names: names for candidates whose path changes from run to run, by path.
    """
    figures = {
        part: {name: found.value for name, found in measured.items()}
        for part, measured in _measure(result, names or {}).items()
    }
    return Entry(result.seed, result.samples, figures)


def compared_with(
    result: VerifyResult,
    baseline: Baseline,
    check: str,
    factor: float = DEFAULT_FACTOR,
    names: Mapping[str, str] | None = None,
) -> VerifyResult:
    """A verification combined with its baseline: the verdict is the worse of both.

    Args:
        result: what was found.
        baseline: the figures of an earlier run.
        check: the name under which the baseline may know it.
        factor: how many times as bad a figure may be; 1 or more.
        names: as for `entry_of`.
    """
    entry = baseline.entries.get(check)
    if entry is None:
        report = BaselineReport(baseline.path, "inconclusive", factor, 0, unknown=(check,))
        return _with(result, report, [f"it does not contain the check {check!r}: {_RENEW}"])
    if (entry.seed, entry.samples) != (result.seed, result.samples):
        was, now = _inputs(entry.samples, entry.seed), _inputs(result.samples, result.seed)
        report = BaselineReport(baseline.path, "inconclusive", factor, 0)
        return _with(result, report, [f"it was measured on {was}, and this run on {now}: {_RENEW}"])
    report = _compared(baseline.path, entry.figures, _measure(result, names or {}), factor)
    return _with(result, report, [*_reasons(report)])


_RENEW = "update it with --update-baseline"


def _inputs(samples: int, seed: int) -> str:
    return f"{samples:,} samples with seed {seed}"


def _with(result: VerifyResult, report: BaselineReport, reasons: Sequence[str]) -> VerifyResult:
    told = () if result.verdict == "fail" else reasons  # what is wrong is said already
    said = [f"baseline {report.path}: {reason}" for reason in told]
    return replace(
        result,
        verdict=worst([result.verdict, report.verdict]),
        reasons=(*result.reasons, *said),
        baseline=report,
    )


def _compared(
    path: str, before: Figures, now: Mapping[str, Mapping[str, _Measured]], factor: float
) -> BaselineReport:
    n_compared, worse, lost = 0, [], []
    for part, figures in before.items():
        if part not in now:
            lost.append(part)
            continue
        for name, old in figures.items():
            new = now[part].get(name)
            if new is None:
                lost.append(f"{part} {name}")
                continue
            n_compared += 1
            found = _worse(part, name, old, new, factor)
            worse += [found] if found else []
    unknown = tuple(part for part in now if part not in before)
    verdicts: list[Verdict] = ["fail" if worse else "pass"]
    verdicts += ["inconclusive"] if lost or unknown or not n_compared else []
    return BaselineReport(
        path, worst(verdicts), factor, n_compared, tuple(worse), unknown, tuple(lost)
    )


def _worse(part: str, name: str, old: float, new: _Measured, factor: float) -> WorseFigure | None:
    share = name in _SHARES
    bad, was = (1 - new.value, 1 - old) if share else (new.value, old)
    allowed = max(factor * was, new.floor)
    if bad <= allowed * (1 + _TINY):
        return None
    return WorseFigure(part, name, old, new.value, max(0.0, 1 - allowed) if share else allowed)


def _reasons(report: BaselineReport) -> Iterator[str]:
    for one in report.worse:
        yield (
            f"{one.part}: {one.figure} is {one.now:.3g}, it was {one.before:.3g} (up to "
            f"{one.allowed:.3g} is allowed, a factor of {report.factor:g})"
        )
    if report.lost:
        yield f"no longer measured: {listed(report.lost)}; if that is intended, {_RENEW}"
    if report.unknown:
        yield f"it does not contain {listed(report.unknown)}: {_RENEW}"
    if not (report.n_compared or report.lost or report.unknown):
        yield f"it has no figure to compare: {_RENEW}"


def _measure(result: VerifyResult, names: Mapping[str, str]) -> dict[str, dict[str, _Measured]]:
    """All figures to gate; unknown parts are left out."""
    found: dict[str, dict[str, _Measured]] = {}
    if result.coverage is not None and result.coverage.total:
        share = result.coverage.exercised / result.coverage.total
        found[_INPUTS] = {"coverage": _Measured(share, OF_SHARE)}
    for report in result.candidates:
        provider = f"[{report.provider.requested}]" if report.provider else ""
        label = f"{names.get(report.model, report.model)}{provider}"
        found.update(_candidate(label, report))
    return {part: figures for part, figures in found.items() if figures}


def _candidate(label: str, report: CandidateReport) -> Iterator[tuple[str, dict[str, _Measured]]]:
    if report.power is not None and report.power.planted:
        share = report.power.detected / report.power.planted
        yield label, {"power": _Measured(share, OF_SHARE)}
    for output in report.outputs:
        yield f"{label} output {output.name}", dict(_output(output))
    for layer in report.layers:
        yield f"{label} layer {layer.name}", dict(_layer(layer))


def _output(output: OutputParity) -> Iterator[tuple[str, _Measured]]:
    yield from _difference(output.max_abs_diff, output.limit)
    if output.top1_agreement is not None:
        yield "top1_agreement", _Measured(output.top1_agreement, OF_SHARE)


def _layer(layer: LayerParity) -> Iterator[tuple[str, _Measured]]:
    yield from _difference(layer.max_abs_diff, layer.limit)
    if layer.max_ulp_diff is not None:
        yield "max_ulp_diff", _Measured(float(layer.max_ulp_diff), ULPS)
    if layer.coverage is not None:
        yield "coverage", _Measured(layer.coverage, OF_SHARE)


def _difference(value: float | None, limit: float | None) -> Iterator[tuple[str, _Measured]]:
    if value is not None and math.isfinite(value):
        known = limit is not None and math.isfinite(limit)
        yield "max_abs_diff", _Measured(value, OF_LIMIT * limit if known and limit else 0.0)
