"""The reference of a verification, and all observations of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.commands.verify.reference.perturbed import SPREAD, PerturbedRuns, run_perturbed
from prelu_tools.commands.verify.reference.repeated import is_first_row, is_random
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.files.stash import Stash
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.process.effort import effort_of
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.rounding.noise import SINGLE, Noise
from prelu_tools.core.rounding.tolerance import Extent


class Call(NamedTuple):
    """A call of a layer of the reference."""

    layer: str
    """The layer's name."""
    number: int
    """Which call of it."""
    x: Array
    """Its inputs."""
    y: Array
    """Its outputs."""


@dataclass
class Reference:
    """The reference, and everything that was seen of it."""

    source: Source
    """The source itself."""
    layers: tuple[PReLULayer, ...]
    """Its layers."""
    feeds: list[Feeds]
    """The inputs, one a run."""
    rows: Rows
    """Where their rows are."""
    coverage: CoverageBook
    """Which slopes they reached."""
    stash: Stash
    """Outputs of layers, by run, layer and call; see `activation`."""
    outputs: list[dict[str, Array]] = field(default_factory=list)
    """Outputs of each run: in float64, if that was available."""
    extents: dict[str, Extent] = field(default_factory=dict)
    """Scale and rounding of each output."""
    kinds: dict[str, str] = field(default_factory=dict)
    """The type of each output, as the reference itself gives it."""
    layer_extents: dict[str, Extent] = field(default_factory=dict)
    """Scale and rounding of each layer's output."""
    precision: Literal["float64", "float32"] = "float32"
    """The precision of `outputs` and of the stash."""
    perturbed: PerturbedRuns | None = None
    """The spread of its outputs in perturbed runs; None if its operators cannot be perturbed."""
    n_searched: int = 0
    """Rows that a search added, in feeds after the others."""
    n_values: list[int] = field(default_factory=list)
    """For each run, the values of its inputs and outputs, and those that met a PReLU."""
    n_given: int = 0
    """Feeds that were drawn or replayed."""
    notes: list[str] = field(default_factory=list)
    """Notes for the user."""
    doubts: list[str] = field(default_factory=list)
    """Reasons why a comparison with it proves nothing."""
    unmoved: dict[str, bool] = field(default_factory=dict)
    """Outputs that are the same for all inputs, and whether each holds floating numbers."""
    untaken: dict[str, list[Reason]] = field(default_factory=dict)
    """For each candidate's name: its decisions that always went the same way."""

    looked_at: int = 0
    """The run in which layers are looked for by their values."""
    known_calls: Sequence[Call] | None = None
    """The calls in that run, of a reference that cannot be run again; None for one that can."""
    coarser: dict[float, PerturbedRuns] = field(default_factory=dict)
    """See `perturbed_to`: the runs so far."""

    @property
    def is_random(self) -> bool:
        """Whether its outputs differ each time, so that a difference says nothing."""
        return is_random(self.doubts)

    @property
    def n_samples(self) -> int:
        """Different rows that were drawn or given: the first one is run again by itself."""
        feeds = self.feeds[: self.n_given]
        again = len(feeds) > 1 and is_first_row(feeds[1], feeds[0], self.rows)
        return sum(self.rows.count(feed) for feed in feeds if feed) - int(again)

    @property
    def values_per_row(self) -> float:
        """The values of a row of the first run; 0 if it was not run."""
        return self.n_values[0] / self.rows.count(self.feeds[0]) if self.n_values else 0.0

    @property
    def effort(self) -> float:
        """The effort to run all inputs once (see `core/process/effort.py`)."""
        return sum(effort_of(n, len(self.layers), self.n_parameters) for n in self.n_values)

    def effort_of(self, n_rows: int) -> float:
        """The effort to run that many rows."""
        return effort_of(n_rows * self.values_per_row, len(self.layers), self.n_parameters)

    @cached_property
    def n_parameters(self) -> int:
        """See `Source.n_parameters`."""
        return self.source.n_parameters

    def perturbed_to(self, unit: float) -> PerturbedRuns | None:
        """The spread of runs that round every result to a coarser unit; run on first use."""
        if self.perturbed is None or unit <= SINGLE:
            return self.perturbed
        if unit not in self.coarser:
            runs = self.perturbed.runs
            noise = Noise(0, unit)
            self.coarser[unit] = run_perturbed(self.source, self.feeds, self.outputs, noise, runs)
        return self.coarser[unit]

    def calls(self, layers: Collection[str]) -> list[Call]:
        """The calls of these layers (by their names) in the run `looked_at`.

        Raises:
            PReLUToolsError: the reference cannot be run again, and they were not kept.
        """
        if self.known_calls is not None:
            kept = [call for call in self.known_calls if call.layer in layers]
            if not kept:
                raise PReLUToolsError("the record does not keep the inputs of these layers")
            return kept
        found: list[Call] = []

        def observe(layer: str, number: int, x: Array, y: Array) -> None:
            if layer in layers:
                found.append(Call(layer, number, x.copy(), y.copy()))

        with self.source.runner(observe) as runner:
            runner.run(self.feeds[self.looked_at])
        return found

    def spread(self, run: int, layer: str, call: int) -> Array | None:
        """How far rounding may move each value of a layer's output; None if that is unknown."""
        key = (SPREAD, run, layer, call)
        return self.stash.get(key) if key in self.stash else None

    def activation(self, run: int, layer: str, call: int) -> Array | None:
        """The output of a layer in one run; None if it was not seen."""
        key = (self.precision, run, layer, call)
        return self.stash.get(key) if key in self.stash else None
