"""What is measured: which nets, batches and thread counts, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.nets.catalog import NETS

PEERS = ("raw", "onnxsim", "onnxslim", "onnxruntime")
"""Whose file is compared: the exporter's, two optimizers', onnxruntime's own offline one."""
OURS, BOUND = "prelu-tools", "relu"
"""This project's file, and the net with ReLU in place of PReLU."""
VARIANTS = (*PEERS, OURS, BOUND)

LEAST_ROUNDS, MOST_ROUNDS = 5, 80
"""However slow or fast a net is."""


@dataclass(frozen=True)
class Cell:
    """One net in one setting; all variants of it are measured side by side."""

    net: str
    """Its name in the catalogue."""
    batch: int
    """How many inputs a run takes."""
    threads: int
    """onnxruntime's intra-op threads."""
    seconds: float
    """How long to measure, if that gives rounds enough."""


FULL = {(1, 1): 15.0, (1, 2): 7.0, (8, 1): 6.0, (8, 2): 6.0}
"""Seconds for every batch and thread count. The figures that are quoted are those of (1, 1)."""
SHORT = {(1, 1): 7.0, (1, 2): 4.0, (8, 1): 4.0}
"""For an older onnxruntime, where only the regression and that nothing is slower is asked."""
QUICK = {(1, 1): 0.6, (1, 2): 0.4, (8, 1): 0.4}
"""To try the code; figures mean nothing."""
QUICK_NETS = ("mobilefacenet", "onet", "digits")


def tune_seconds(cell: Cell) -> float:
    """Return how long this project may look for the fastest forms.

    Longest where it counts; longer for eight inputs, where a run takes eight times as long.
    """
    if (cell.batch, cell.threads) == (1, 1):
        return 15.0
    return 8.0 if cell.batch > 1 else 4.0


def cells(
    seconds: dict[tuple[int, int], float],
    nets: Sequence[str] = (),
    batches: Sequence[int] = (),
    threads: Sequence[int] = (),
) -> list[Cell]:
    """List what to measure, what counts most first; nothing named means all."""
    return [
        Cell(net.name, batch, count, budget)
        for (batch, count), budget in seconds.items()
        if (not batches or batch in batches) and (not threads or count in threads)
        for net in NETS
        if not nets or net.name in nets
    ]
