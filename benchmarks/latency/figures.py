"""Figures of what was measured: ratios within rounds, medians over rounds, and their spread."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.latency.plan import BOUND, OURS, PEERS
from benchmarks.latency.results import Measured

RESAMPLES = 2000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One number and how far it may be off."""

    value: float
    """What was measured."""
    resampled: Floats
    """The same from each bootstrap resample of the rounds, [RESAMPLES]."""

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return float(np.percentile(self.resampled, 2.5))

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return float(np.percentile(self.resampled, 97.5))


def milliseconds(cell: Measured, variant: str) -> float:
    """Return the median time of a run."""
    return float(np.median(cell.microseconds[variant])) / 1000


def best_peer(cell: Measured) -> str:
    """Return the peer whose file was the fastest."""
    return min(
        (peer for peer in PEERS if peer in cell.microseconds),
        key=lambda peer: milliseconds(cell, peer),
    )


def ratio(cell: Measured, variant: str, base: str) -> Figure:
    """Return the median over rounds of the ratio of two times of one round."""
    a, b = _times(cell, variant), _times(cell, base)
    values = a / b
    return Figure(float(np.median(values)), np.median(values[_draws(cell)], axis=1))


def extra_cost_left(cell: Measured) -> Figure | None:
    """Return (ours - bound) / (best peer - bound), of medians over rounds.

    It is what is left of PReLU's extra cost, 0 at the price of ReLU and 1 where nothing was gained.
    None where the best peer's extra cost itself cannot be told from noise.
    """
    times = [_times(cell, variant) for variant in (OURS, best_peer(cell), BOUND)]
    ours, peer, bound = (np.median(values[_draws(cell)], axis=1) for values in times)
    if np.percentile(peer - bound, 2.5) <= 0:
        return None
    whole = [float(np.median(values)) for values in times]
    return Figure((whole[0] - whole[2]) / (whole[1] - whole[2]), (ours - bound) / (peer - bound))


def mean(figures: Sequence[Figure]) -> Figure:
    """Return the mean of figures that were measured independently."""
    value = float(np.mean([figure.value for figure in figures]))
    return Figure(value, np.mean([figure.resampled for figure in figures], axis=0))


def _times(cell: Measured, variant: str) -> Floats:
    return np.array(cell.microseconds[variant])


def _draws(cell: Measured) -> npt.NDArray[np.int64]:
    """Return bootstrap resamples of the numbers of the rounds, [RESAMPLES, rounds].

    Those of one cell are always the same, those of two have nothing to do with each other.
    """
    seed = zlib.crc32(f"{cell.net} {cell.batch} {cell.threads}".encode())
    rounds = len(cell.microseconds[BOUND])
    return np.random.default_rng(seed).integers(0, rounds, (RESAMPLES, rounds))
