"""Statistics of repeated timings: medians, and ratios with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_RESAMPLES = 400

Clock = Literal["processor", "wall"]
"""`processor`: the time of the one thread that computes, without what other processes take."""
SizesFrom = Literal["model", "--input", "--inputs", "source", "search", "default"]
"""Why a model was timed at its sizes: it has no other, the user gave them, its source was exported
with them (`example_inputs`), they are the largest that run fast enough, or nothing is known."""


@dataclass(frozen=True)
class Ratio:
    """How long one thing takes relative to another, both timed in the same rounds."""

    median: float
    """Median over the rounds of their ratio; below 1 if the first is faster."""
    low: float
    """Lower end of the 95% interval of that median."""
    high: float
    """Upper end of it."""
    n_rounds: int
    """Number of rounds."""


def ratio_of(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Ratio:
    """The ratio of two things that were timed round by round.

    The interval is the bootstrap's over the rounds (Efron and Tibshirani, 1993, chapter 13):
    anything that slows a whole round down cancels in its ratio.

    Args:
        first: seconds of each round.
        second: seconds of the other in the same rounds.
        seed: of the resampling.

    Rounds in which a coarse clock did not advance are left out; if it never did, no difference
    was measured: the ratio is 1, of 0 rounds.
    """
    above, below = np.asarray(first, np.float64), np.asarray(second, np.float64)
    read = (above > 0) & (below > 0)
    ratios = above[read] / below[read]
    if not ratios.size:
        return Ratio(1.0, 1.0, 1.0, 0)
    generator = np.random.default_rng(seed)
    picked = generator.integers(0, ratios.size, (_RESAMPLES, ratios.size))
    low, high = np.quantile(np.median(ratios[picked], axis=1), (0.025, 0.975))
    return Ratio(float(np.median(ratios)), float(low), float(high), int(ratios.size))


@dataclass(frozen=True)
class Latency:
    """A model before and after, timed in one run."""

    before: float
    """Median time of the model before, in seconds."""
    after: float
    """Median time of the model now, in seconds."""
    ratio: Ratio
    """`after` compared with `before`."""
    threads: int
    """Threads that onnxruntime had."""
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    """The inputs' names and shapes."""
    clock: Clock = "wall"
    """The clock that measured the seconds."""
    waited: float = 0.0
    """The share of the time that the processor gave to other processes; 0 if `clock` is `wall`."""
    sizes_from: SizesFrom = "model"
    """Where the sizes in `shapes` come from."""
