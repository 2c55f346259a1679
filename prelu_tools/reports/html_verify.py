"""What `verify` found, as a page: plain HTML and no script; every text of a model is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prelu_tools.core.results.batch import BatchEntry
from prelu_tools.core.results.verification import (
    CandidateReport,
    LayerParity,
    OutputParity,
    VerifyResult,
)
from prelu_tools.reports.assets import asset
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
from prelu_tools.reports.tables.parts import covered, moved, percentage, shape


def page_parts(result: VerifyResult) -> Mapping[str, str]:
    """What `verify.html` has places for.

    Args:
        result: every text of it printable.
    """
    return {
        "title": escaped(f"{result.verdict}: {result.reference} - prelu-tools verify"),
        "style": asset("page.css") + asset("verify.css"),
        "body": "\n".join(part for part in _single(result) if part),
    }


def escaped(text: str) -> str:
    """Text that means itself, in an attribute too."""
    return html.escape(text, quote=True)


def _code(text: str) -> str:
    return f"<code>{escaped(text)}</code>"


def _word(verdict: str) -> str:
    return f'<span class="verdict {verdict}">{verdict}</span>'


def _list(items: Iterable[str], kind: str) -> str:
    lines = "".join(f"<li>{escaped(item)}</li>" for item in items)
    return f'<ul class="{kind}">{lines}</ul>' if lines else ""


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A table of cells that are HTML; the columns from `left` on are numbers."""

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = ["" if place < left else ' class="number"' for place in range(len(cells))]
        made = (f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line("td", row) for row in rows)
    head = line("th", [escaped(header) for header in headers])
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _bar(value: float | None) -> str:
    """A share as a bar; what is more than 1 is full, and marked."""
    if value is None or math.isnan(value):
        return ""
    over = " over" if value > 1 else ""
    return f'<span class="bar{over}"><i style="width:{100 * min(value, 1):.0f}%"></i></span>'


def _single(result: VerifyResult) -> Iterator[str]:
    yield f"<h1>{_word(result.verdict)}{_code(result.reference)}</h1>"
    yield f'<p class="soft">{escaped(reached(result))}</p>'
    yield from _body(result)
    packages = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    yield f'<p class="legend">{escaped(packages)}</p>'


def _body(result: VerifyResult) -> Iterator[str]:
    """Why, what was done, and each candidate."""
    yield _list(result.reasons, f"why {result.verdict}")
    agreements = [agreement_line(agreement) for agreement in result.agreements]
    notes = [f"note: {note}" for note in result.notes]
    facts = (*tolerances(result), *unreached(result), *agreements, *baseline_lines(result), *notes)
    yield _list(facts, "facts")
    for report in result.candidates:
        yield f'<section class="panel">{"".join(_candidate(report))}</section>'


def _candidate(report: CandidateReport) -> Iterator[str]:
    place = f' <span class="soft small">on {escaped(where(report))}</span>' if where(report) else ""
    yield f"<h2>{_word(report.verdict)} {_code(report.model)}{place}</h2>"
    yield _outputs(report.outputs)
    yield _layers(report.layers)
    failures = special_lines(report.special, documented=False)
    yield _list(failures, "why fail")
    power = power_lines(report.power) if report.power else ()
    known = special_lines(report.special, documented=True)
    facts = (*interface_lines(report), *rounding_lines(report), *proven(report), *power, *known)
    yield _list(facts, "facts")


def _outputs(outputs: Sequence[OutputParity]) -> str:
    if not outputs:
        return ""
    headers = ("output", "shape", "verdict", "max abs diff", "of limit", "x rounding", "limit")
    rows = [
        (
            _code(output.name),
            shape(output.shape),
            _word(output.verdict),
            f"{output.max_abs_diff:.2e}",
            _bar(output.max_abs_diff / output.limit) if output.limit else "",
            of_rounding(output),
            "-" if output.limit is None else f"{output.limit:.1e}",
            f"{output.max_rel_diff:.2e}",
            "-" if output.top1_agreement is None else percentage(output.top1_agreement),
            f"{n_wrong(output):,}",
        )
        for output in outputs
    ]
    return _table((*headers, "max rel diff", "top-1", "wrong"), rows, left=3)


def _layers(layers: Sequence[LayerParity]) -> str:
    if not layers:
        return ""
    headers = ("layer", "slopes", "verdict", "isolated", "end-to-end", "reached", "min hits")
    rows = [
        (
            _code(layer.name),
            _slopes(layer),
            _word(layer.verdict),
            tapped(layer),
            moved(layer.max_abs_diff),
            f"{escaped(covered(layer.coverage))}{_bar(layer.coverage)}",
            "-" if layer.least_positions is None else f"{layer.least_positions:,}",
        )
        for layer in layers
    ]
    tapped_any = any(layer.max_ulp_diff is not None for layer in layers)
    legend = f'<p class="legend">{escaped(LEGEND)}</p>' if tapped_any else ""
    return _table(headers, rows, left=3) + legend


def _slopes(layer: LayerParity) -> str:
    said = f'<span class="said">{escaped(layer.difference)}</span>' if layer.difference else ""
    if layer.slopes_equal:
        return f"equal; {said}" if said else "equal"
    return said or slope_word(layer)


def details_of(number: int, entry: BatchEntry, found: VerifyResult | None) -> str:
    """A job of a batch in full; open where it did not pass.

    Args:
        number: of the job, from 1.
        entry: of the job; every text of it printable.
        found: what `verify` found of it; None where there is no result.
    """
    said = f' <span class="soft">{escaped(reached(found))}</span>' if found is not None else ""
    head = f"<summary>{_word(entry.status)} {_code(entry.name)}{said}</summary>"
    parts = _list(entry.reasons, f"why {entry.status}") if found is None else _body(found)
    body = "".join(parts)
    opened = "" if entry.status == "pass" else " open"
    return f'<details class="panel" id="check-{number}"{opened}>{head}{body}</details>'
