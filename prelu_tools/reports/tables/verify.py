"""What `verify` found, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from prelu_tools.core.results.verification import (
    CandidateReport,
    LayerParity,
    OutputParity,
    VerifyResult,
)
from prelu_tools.reports import Style
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
from prelu_tools.reports.tables.parts import (
    COLOURS,
    covered,
    grid,
    moved,
    percentage,
    shape,
    word,
    wrapped,
)

_SIDE_BY_SIDE = 3  # candidates that have room beside each other


def verify_tables(result: VerifyResult, style: Style) -> RenderableType:
    """The outputs, the layers, what else was found, and the verdict."""
    reports = result.candidates
    marks = [f"[{number}]" for number in range(1, len(reports) + 1)]
    parts: list[RenderableType] = [Text(f"reference  {result.reference}")]
    for mark, report in zip(marks, reports, strict=True):
        label = "candidate" if len(reports) == 1 else mark.rjust(9)
        place = where(report)
        parts.append(Text(f"{label}  {report.model}{f' on {place}' if place else ''}"))
    if any(report.outputs for report in reports):
        parts += [Text(""), _output_table(marks, reports)]
    if any(report.layers for report in reports):
        parts += _layer_tables(marks, reports)
    facts = [*_facts(result, marks, style.width)]
    parts += [Text(""), *facts] if facts else []
    summary = Text("\n")
    summary.append(result.verdict.upper(), style=COLOURS[result.verdict])
    summary.append(f"  {reached(result)}")
    parts.append(summary)
    parts += [wrapped(reason, style.width, "  ") for reason in result.reasons]
    return Group(*parts)


def _facts(result: VerifyResult, marks: Sequence[str], width: int) -> Iterator[Text]:
    """What else was found, a sentence a line; what failed has the colour of a failure."""
    for line in (*tolerances(result), *unreached(result)):
        yield wrapped(line, width)
    for mark, report in zip(marks, result.candidates, strict=True):
        start = "" if len(marks) == 1 else f"{mark} "
        for line in interface_lines(report):
            yield wrapped(start + line, width)
        for line in (
            *rounding_lines(report),
            *proven(report),
            *(power_lines(report.power) if report.power else ()),
        ):
            yield wrapped(start + line, width)
        for line in special_lines(report.special, documented=False):
            yield wrapped(start + line, width, style=COLOURS["fail"])
        for line in special_lines(report.special, documented=True):
            yield wrapped(start + line, width)
    for agreement in result.agreements:
        passed = agreement.verdict == "pass"
        colour = "" if passed else COLOURS[agreement.verdict]
        yield wrapped(agreement_line(agreement), width, style=colour)
    for line in baseline_lines(result):
        yield wrapped(line, width)
    for note in result.notes:
        yield wrapped(f"note: {note}", width)


def _output_table(marks: Sequence[str], reports: Sequence[CandidateReport]) -> Table:
    """A row an output; columns of which nothing is known are left out."""
    outputs = [output for report in reports for output in report.outputs]
    rounding = any(output.of_rounding is not None for output in outputs)
    limit = any(output.of_rounding is None and output.limit is not None for output in outputs)
    top1 = any(output.top1_agreement is not None for output in outputs)
    extra = [("x rounding", rounding), ("limit", limit), ("top-1", top1)]
    shown = [name for name, known in extra if known]
    table = grid("output", "shape", "max abs diff", *shown, "wrong", "verdict", left=2)
    for mark, report in zip(marks, reports, strict=True):
        for output in report.outputs:
            cells = _output_cells(output)
            table.add_row(
                output.name if len(reports) == 1 else f"{mark} {output.name}",
                shape(output.shape),
                f"{output.max_abs_diff:.2e}",
                *(cells[name] for name in shown),
                f"{n_wrong(output):,}",
                word(output.verdict),
            )
    return table


def _output_cells(output: OutputParity) -> dict[str, str]:
    """What is not known of every output; a dash where it is not known of this one."""
    limit, top1 = output.limit, output.top1_agreement
    return {
        "x rounding": of_rounding(output),
        "limit": "-" if limit is None else f"{limit:.1e}",
        "top-1": "-" if top1 is None else percentage(top1),
    }


def _layer_tables(
    marks: Sequence[str], reports: Sequence[CandidateReport]
) -> Iterator[RenderableType]:
    """One candidate in full; of several, a few at a time side by side."""
    if len(reports) == 1:
        yield Text("")
        yield _full_layer_table(reports[0].layers)
        if any(layer.max_ulp_diff is not None for layer in reports[0].layers):
            yield Text(LEGEND, style="dim")
        return
    for start in range(0, len(reports), _SIDE_BY_SIDE):
        part = slice(start, start + _SIDE_BY_SIDE)
        yield Text("")
        yield _layers_side_by_side(marks[part], reports[part])


def _full_layer_table(layers: Sequence[LayerParity]) -> Table:
    headers = ("layer", "slopes", "isolated", "end-to-end", "reached", "min hits", "verdict")
    table = grid(*headers, left=2)
    for layer in layers:
        table.add_row(
            layer.name,
            _slopeword(layer),
            tapped(layer),
            moved(layer.max_abs_diff),
            covered(layer.coverage),
            "-" if layer.least_positions is None else f"{layer.least_positions:,}",
            word(layer.verdict),
        )
    return table


def _layers_side_by_side(marks: Sequence[str], reports: Sequence[CandidateReport]) -> Table:
    """A row a layer; a column a candidate: its slopes, and the layer by itself."""
    table = grid("layer", "reached", *marks)
    names = dict.fromkeys(layer.name for report in reports for layer in report.layers)
    for name in names:
        found = [
            next((layer for layer in report.layers if layer.name == name), None)
            for report in reports
        ]
        coverage = next((x.coverage for x in found if x and x.coverage is not None), None)
        table.add_row(name, covered(coverage), *(_in_short(layer) for layer in found))
    return table


def _slopeword(layer: LayerParity) -> Text:
    if layer.slopes_equal:
        return Text("equal", style=COLOURS["pass"])
    word = slope_word(layer)
    if word != "differ":
        return Text(word, style=COLOURS[layer.verdict])
    return _unequal(layer, word)


def _unequal(layer: LayerParity, failed: str) -> Text:
    known = layer.verdict != "inconclusive"
    return Text(failed if known else "unknown", style=COLOURS["fail" if known else "inconclusive"])


def _in_short(layer: LayerParity | None) -> Text:
    """The slopes and the layer by itself; `fail` where the slopes are equal and it still fails."""
    if layer is None:
        return Text("-")
    failed = layer.slopes_equal and layer.verdict != "pass"
    text = _unequal(layer, "fail") if failed else _slopeword(layer)
    if layer.max_ulp_diff is not None:
        text.append(f" {tapped(layer)}")
    return text
