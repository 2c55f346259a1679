"""Tables of what was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.latency.figures import (
    Figure,
    best_peer,
    extra_cost_left,
    mean,
    milliseconds,
    ratio,
)
from benchmarks.latency.plan import BOUND, OURS, VARIANTS
from benchmarks.latency.results import Measured, Results
from benchmarks.nets.catalog import BY_NAME

SLOWER = 1.02
"""A ratio whose whole interval lies above this is slower, beyond what noise explains."""

LABELS = {
    "raw": "raw export",
    "onnxsim": "onnxsim",
    "onnxslim": "onnxslim",
    "onnxruntime": "onnxruntime offline",
    OURS: "prelu-tools",
    BOUND: "ReLU (bound)",
}
"""What the variants are called."""

_LEGEND = """\
`make bench` times nets with PReLU as their exporter, other tools and `optimize` write them, and
makes this page. The nets and their weights are in `benchmarks/nets/`. Before version 1.27,
onnxruntime's PRelu kernel was fast, so there is less to gain
([what PReLU costs, and why](../performance.md)).

All files of a net are timed in one process, in rounds of short bursts, in a new order each round.
Ratios are taken within a round. The tables show medians over rounds and, in brackets, 95%
confidence intervals (bootstrap over rounds).

- *Best peer*: the fastest of four files: the exporter's (*raw export*), those that onnxsim and
  onnxslim make from it, and the one that onnxruntime's optimizer writes at its highest level
  (*onnxruntime offline*).
- *Bound*: the same net with ReLU instead of PReLU.
- *Extra cost left*: (prelu-tools - bound) / (best peer - bound). If the best peer does not
  measurably cost more than the bound, there is *nothing to gain*.
- *Mean*: without nets that have nothing to gain, and without digits and the two SRResNets, which
  are regression checks only.
- *Equal outputs*: equal to the raw export's bit for bit, on four inputs of both signs."""


def document(runs: Sequence[Results], chart: str | None = None) -> str:
    """Render all tables; ``runs`` with the onnxruntime that counts first."""
    parts = ["# What PReLU costs on onnxruntime, before and after `optimize`", _LEGEND]
    if any(run.quick for run in runs):
        parts.insert(1, "**A quick try of the code: these figures mean nothing.**")
    if chart:
        parts.append(f"![Latency relative to the best peer]({chart})")
    for run in runs:
        parts += _sections(run)
    if len(runs) > 1:
        parts += ["## PReLU relative to ReLU, on each onnxruntime version", _kernel(runs)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _sections(run: Results) -> list[str]:
    tools = ("onnxsim", "onnxslim", "prelu-tools")
    versions = ", ".join(f"{tool} {run.versions[tool]}" for tool in tools)
    parts = [
        f"## onnxruntime {run.onnxruntime}",
        f"{run.processor}, {run.cores} cores; {versions}. Files of prelu-tools: `{run.ours}`.",
    ]
    if single := [cell for cell in run.cells if (cell.batch, cell.threads) == (1, 1)]:
        parts += [
            "One thread, batch 1:",
            _single(single),
            "The time of each file relative to the raw export:",
        ]
        parts.append(_variants(single))
    settings = sorted({(cell.batch, cell.threads) for cell in run.cells})
    if len(settings) > 1:
        parts += ["Latency relative to the best peer in every setting:", _settings(run, settings)]
    return [*parts, _notes(run)]


def _single(cells: Sequence[Measured]) -> str:
    """A row a net: the ratio, the bound, what is left of the extra cost, whether outputs agree."""
    rows, left = [], []
    for cell in cells:
        peer = best_peer(cell)
        row = [_title(cell), f"{LABELS[peer]}, {_ms(milliseconds(cell, peer))}"]
        if OURS in cell.microseconds:
            figure = extra_cost_left(cell)
            left += [figure] if figure and BY_NAME[cell.net].yardstick else []
            row += [
                _spread(ratio(cell, OURS, peer)),
                f"{ratio(cell, BOUND, peer).value:.2f}",
                _percent(figure) if figure else "nothing to gain",
                _equal(cell.differences[OURS]),
            ]
        else:
            row += ["no file", f"{ratio(cell, BOUND, peer).value:.2f}", "", ""]
        rows.append(row)
    if left:
        rows.append([f"**mean of the {len(left)} nets**", "", "", "", _percent(mean(left)), ""])
    head = ["net", "best peer", "prelu-tools / best peer", "bound / best peer", "extra cost left",
            "equal outputs"]  # fmt: skip
    return _markdown(head, rows)


def _variants(cells: Sequence[Measured]) -> str:
    """A row a net: every file's time against the raw one's."""
    rows = []
    for cell in cells:
        row = [_title(cell), _ms(milliseconds(cell, "raw"))]
        for variant in VARIANTS[1:]:
            known = variant in cell.microseconds
            row.append(f"{ratio(cell, variant, 'raw').value:.2f}" if known else "")
        rows.append(row)
    return _markdown(["net", *(LABELS[variant] for variant in VARIANTS)], rows)


def _settings(run: Results, settings: Sequence[tuple[int, int]]) -> str:
    """A row a net, a column a setting; bold is slower."""
    found = {(cell.net, cell.batch, cell.threads): cell for cell in run.cells}
    rows = []
    for net in dict.fromkeys(cell.net for cell in run.cells):
        row = [BY_NAME[net].title]
        for batch, threads in settings:
            cell = found.get((net, batch, threads))
            row.append("" if cell is None or OURS not in cell.microseconds else _against(cell))
        rows.append(row)
    heads = [f"batch {batch}, {threads} thread{'s'[: threads > 1]}" for batch, threads in settings]
    return _markdown(["net", *heads], rows)


def _against(cell: Measured) -> str:
    figure = ratio(cell, OURS, best_peer(cell))
    equal = "" if cell.differences[OURS] < 0 else " (not equal)"
    text = f"**{_spread(figure)} slower**" if figure.low > SLOWER else _spread(figure)
    return text + equal


def _kernel(runs: Sequence[Results]) -> str:
    """How many times ReLU's latency a net with PReLU has, on each version, one thread."""
    singles = [
        {cell.net: cell for cell in run.cells if (cell.batch, cell.threads) == (1, 1)}
        for run in runs
    ]
    rows = []
    for net in singles[0]:
        row = [BY_NAME[net].title]
        for single in singles:
            for variant in ("raw", OURS):
                known = net in single and variant in single[net].microseconds
                row.append(f"{ratio(single[net], variant, BOUND).value:.2f}" if known else "")
        rows.append(row)
    heads = [f"{LABELS[v]}, {run.onnxruntime}" for run in runs for v in ("raw", OURS)]
    lead = (
        "Latency relative to the same net with ReLU, one thread, batch 1, each version on the "
        "processor named above:"
    )
    return f"{lead}\n\n{_markdown(['net', *heads], rows)}"


def _notes(run: Results) -> str:
    """Which peers' outputs differ, and which files could not be made."""
    notes: dict[str, None] = {}
    for cell in run.cells:
        for variant, difference in cell.differences.items():
            if difference >= 0 and variant != OURS:
                notes[
                    f"{LABELS[variant]} changes outputs of {_title(cell)} (by {difference:.1e})."
                ] = None
        for variant, reason in cell.missing.items():
            if variant != OURS:
                notes[f"{LABELS[variant]} made no file of {_title(cell)}: {reason}"] = None
    return "\n".join(f"- {note}" for note in notes)


def _title(cell: Measured) -> str:
    return BY_NAME[cell.net].title


def _ms(value: float) -> str:
    return f"{value:.2f} ms" if value < 10 else f"{value:.0f} ms"


def _spread(figure: Figure) -> str:
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def _percent(figure: Figure) -> str:
    return f"{figure.value:.0%} [{figure.low:.0%}, {figure.high:.0%}]"


def _equal(difference: float) -> str:
    return "yes" if difference < 0 else f"no: {difference:.1e}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
