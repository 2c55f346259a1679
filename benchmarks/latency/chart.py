"""A chart of the latency against the best peer, net by net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from benchmarks.latency.figures import best_peer, ratio
from benchmarks.latency.plan import BOUND, OURS, PEERS
from benchmarks.latency.results import Measured, Results
from benchmarks.latency.table import LABELS
from benchmarks.nets.catalog import BY_NAME

GREYS = dict(zip(PEERS, ("#8d949e", "#a6acb5", "#bfc4cb", "#d6dade"), strict=True))
ACCENT, LINE, INK, FAINT = "#0f766e", "#dc2626", "#1f2933", "#6b7280"
WIDTH = 0.16


def draw(run: Results, path: Path) -> None:
    """Write a PNG of the nets on one thread with batch 1, the most gained first."""
    cells = [
        cell
        for cell in run.cells
        if (cell.batch, cell.threads) == (1, 1) and OURS in cell.microseconds
    ]
    cells.sort(key=lambda cell: ratio(cell, OURS, best_peer(cell)).value)
    sheet = Sheet(figsize=(11, 4.8), dpi=160, layout="constrained", facecolor="white")
    axes = sheet.subplots()
    top = _top(cells)
    for place, cell in enumerate(cells):
        _net(axes, place, cell, top)
    for variant, color in {**GREYS, OURS: ACCENT}.items():
        axes.bar([0], [0], color=color, label=LABELS[variant])
    axes.plot([], [], color=LINE, lw=2, label="the same net with ReLU (bound)")
    axes.axhline(1, color=FAINT, lw=0.8, zorder=0)
    axes.set_xticks(range(len(cells)), [_name(cell) for cell in cells], fontsize=9, color=INK)
    axes.set_xlim(-0.6, len(cells) - 0.4)
    axes.set_ylim(0, top)
    axes.set_ylabel("latency, best peer = 1", color=INK)
    axes.tick_params(length=0, labelcolor=INK)
    axes.yaxis.grid(color="#eceef1", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#9aa1ab")
    axes.set_title(
        "Nets with PReLU on onnxruntime's CPU provider",
        fontsize=13,
        fontweight="bold",
        color=INK,
        loc="left",
        pad=50,
    )
    axes.annotate(
        _words(run, cells), (0, 1), (0, 34), "axes fraction", "offset points", color=FAINT
    )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=6,
        frameon=False,
        fontsize=8.5,
        handlelength=1.2,
        columnspacing=1.4,
        labelcolor=INK,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.savefig(path, metadata={"Software": None})


def _words(run: Results, cells: list[Measured]) -> str:
    """Say what ran, and that outputs agree where they do."""
    equal = all(cell.differences[OURS] < 0 for cell in cells)
    outputs = "outputs equal bit for bit" if equal else "outputs compared in the table"
    return f"onnxruntime {run.onnxruntime}, 1 thread, batch 1, {run.processor}; {outputs}"


def _top(cells: list[Measured]) -> float:
    """Return where the scale ends: above every label, unless noise would flatten the rest."""
    ends = [ratio(cell, OURS, best_peer(cell)).high for cell in cells]
    return min(1.6, max([1.12, *(end + 0.12 for end in ends)]))


def _net(axes: Axes, place: int, cell: Measured, top: float) -> None:
    """Draw one net's bars, and its bound across them."""
    peer = best_peer(cell)
    bars = [variant for variant in (*PEERS, OURS) if variant in cell.microseconds]
    left = place - WIDTH * (len(bars) - 1) / 2
    for number, variant in enumerate(bars):
        figure = ratio(cell, variant, peer)
        at = left + number * WIDTH
        color = ACCENT if variant == OURS else GREYS[variant]
        axes.bar(at, figure.value, WIDTH * 0.92, color=color, zorder=2)
        if variant == OURS:
            ends = np.array([[figure.value - figure.low], [figure.high - figure.value]]).clip(0)
            axes.errorbar(at, figure.value, ends, color=INK, lw=1, capsize=2, zorder=4)
            axes.annotate(
                f"{figure.value:.2f}",
                (at, min(figure.high + 0.02, top - 0.07)),
                ha="center",
                fontsize=9,
                fontweight="bold",
                color=ACCENT,
            )
    bound = ratio(cell, BOUND, peer).value
    axes.plot([left - WIDTH * 0.7, left + WIDTH * (len(bars) - 0.3)], [bound, bound], color=LINE,
              lw=1.8, zorder=3, solid_capstyle="round")  # fmt: skip


def _name(cell: Measured) -> str:
    """Break a title into lines that do not run into each other."""
    return BY_NAME[cell.net].title.replace(", ", ",\n").replace(" (", "\n(").replace(" 3", "\n3")
