"""What `verify` found, as blocks of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prelu_tools.core.results.verification import (
    CandidateReport,
    LayerParity,
    OutputParity,
    VerifyResult,
)
from prelu_tools.reports.facts import (
    LEGEND,
    agreement_line,
    baseline_lines,
    interface_lines,
    n_wrong,
    of_rounding,
    power_lines,
    proven,
    reached,
    rounding_lines,
    slope_word,
    special_lines,
    tapped,
    tolerances,
    unreached,
    where,
)
from prelu_tools.reports.markup import bullets, code, escaped, table
from prelu_tools.reports.tables.parts import moved, percentage, shape


def verify_blocks(result: VerifyResult, heading: str) -> Iterable[str]:
    """The verdict and why, what was done, and each candidate.

    Args:
        result: every text of it printable.
        heading: the mark of its heading, `##`; its candidates' are one deeper.
    """
    yield f"{heading} {result.verdict.upper()}: {code(result.reference)}"
    yield f"{reached(result)}."
    yield bullets(escaped(line) for line in (*result.reasons, *_facts(result)))
    for report in result.candidates:
        yield from _candidate(report, heading)


def _facts(result: VerifyResult) -> Iterator[str]:
    yield from tolerances(result)
    yield from unreached(result)
    for agreement in result.agreements:
        yield agreement_line(agreement)
    yield from baseline_lines(result)
    for note in result.notes:
        yield f"note: {note}"


def _candidate(report: CandidateReport, heading: str) -> Iterator[str]:
    place = f" on {escaped(where(report))}" if where(report) else ""
    yield f"{heading}# {report.verdict}: {code(report.model)}{place}"
    if report.outputs:
        yield _outputs(report.outputs)
    if report.layers:
        yield _layers(report.layers)
        if any(layer.max_ulp_diff is not None for layer in report.layers):
            yield escaped(LEGEND)
    lines = [*interface_lines(report), *rounding_lines(report), *proven(report)]
    lines += power_lines(report.power) if report.power else ()
    lines += special_lines(report.special, documented=True)
    failures = special_lines(report.special, documented=False)
    yield bullets([*(f"**fail** {escaped(line)}" for line in failures), *map(escaped, lines)])


def _outputs(outputs: Iterable[OutputParity]) -> str:
    headers = ("output", "shape", "verdict", "max abs diff", "x rounding", "limit", "max rel diff")
    rows = [
        (
            code(output.name),
            shape(output.shape),
            output.verdict,
            f"{output.max_abs_diff:.2e}",
            of_rounding(output),
            "-" if output.limit is None else f"{output.limit:.1e}",
            f"{output.max_rel_diff:.2e}",
            "-" if output.top1_agreement is None else percentage(output.top1_agreement),
            f"{n_wrong(output):,}",
        )
        for output in outputs
    ]
    return table((*headers, "top-1", "wrong"), rows, left=3)


def _layers(layers: Iterable[LayerParity]) -> str:
    headers = ("layer", "slopes", "verdict", "isolated", "end-to-end", "reached", "min hits")
    rows = [
        (
            code(layer.name),
            _slopes(layer),
            layer.verdict,
            tapped(layer),
            moved(layer.max_abs_diff),
            "-" if layer.coverage is None else percentage(layer.coverage),
            "-" if layer.least_positions is None else f"{layer.least_positions:,}",
        )
        for layer in layers
    ]
    return table(headers, rows, left=3)


def _slopes(layer: LayerParity) -> str:
    """What differs of a layer, or that its slopes are equal; both where something else is wrong."""
    said = escaped(layer.difference or "")
    if layer.slopes_equal:
        return f"equal; {said}" if said else "equal"
    return said or slope_word(layer)
