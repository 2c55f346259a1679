"""Run the reference a few more times, perturbed by rounding, to see how far values move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.process.progress import counted
from prelu_tools.core.rounding.noise import Noise
from prelu_tools.core.rounding.spread import Spread, SpreadBook, pooled

RUNS = 6
"""Perturbed runs of each input."""
FEWEST = 4
"""Perturbed runs of a slow model: with fewer, all may by chance show too little rounding."""
EFFORT = 60.0
"""The seconds of effort above which there are fewer."""
SPREAD = "spread"
"""Where the spread of a layer's output is in the stash: in the place of a precision."""
_DEARER = 3.0  # times the effort of an unperturbed run


@dataclass
class PerturbedRuns:
    """The spread in the perturbed runs of a reference."""

    runs: int
    """How many there were of each input."""
    outputs: list[dict[str, Spread]] = field(default_factory=list)
    """For each input, by the name of the output."""


def affordable_runs(effort: float) -> int:
    """How many perturbed runs there may be, by the effort to run all inputs once."""
    numbers = range(RUNS, FEWEST, -1)
    return next((n for n in numbers if n * _DEARER * effort <= EFFORT), FEWEST)


def run_perturbed(
    source: Source,
    feeds: Sequence[Feeds],
    outputs: Sequence[Mapping[str, Array]],
    noise: Noise,
    runs: int,
    stash: Stash | None = None,
) -> PerturbedRuns:
    """Run a reference, perturbed.

    Args:
        source: the reference.
        feeds: its inputs.
        outputs: its outputs for them.
        noise: how to perturb it.
        runs: how often.
        stash: the outputs of its layers; takes their spread too. None if it is not needed.

    Raises:
        PReLUToolsError: its operators cannot be perturbed.
    """
    found = PerturbedRuns(runs)
    layers = None if stash is None else _Layers(stash)
    with source.perturbed_runner(noise, None if layers is None else layers.observe) as runner:
        pairs = list(enumerate(zip(feeds, outputs, strict=True)))
        for number, (feed, base) in counted(pairs, "running the reference, perturbed by rounding"):
            books = {name: SpreadBook(values) for name, values in base.items()}
            if layers is not None:
                layers.run = number
            for _ in range(runs):
                result = runner.run(feed)
                for name, book in books.items():
                    book.add(result[name])
            for name, book in books.items():
                if book.is_elsewhere:
                    raise PReLUToolsError(f"output {name!r} changes completely when perturbed")
            found.outputs.append({name: book.finished() for name, book in books.items()})
            if layers is not None:
                layers.finish(runs)
    return found


class _Layers:
    """Collects the perturbed runs of every layer's output, in the stash."""

    def __init__(self, stash: Stash) -> None:
        self.run = -1  # operators before the first input do not count
        self._stash = stash
        self._seen: set[tuple[str, int]] = set()

    def observe(self, layer: str, call: int, _x: Array, y: Array) -> None:
        base = ("float32", self.run, layer, call)
        if base not in self._stash:
            return
        values = self._stash.get(base)
        if values.shape != y.shape:
            return
        with np.errstate(all="ignore"):
            norm = np.nan_to_num(y.astype(np.float32) - values, posinf=0, neginf=0)
        key = (SPREAD, self.run, layer, call)
        norm = np.hypot(norm, self._stash.get(key)) if key in self._stash else np.abs(norm)
        self._stash.put(key, norm)
        self._seen.add((layer, call))

    def finish(self, runs: int) -> None:
        """Turn the sums over the runs of one input into a scale."""
        for layer, call in self._seen:
            key = (SPREAD, self.run, layer, call)
            base = self._stash.get(("float32", self.run, layer, call))
            self._stash.put(key, pooled(self._stash.get(key), runs, base))
        self._seen.clear()
