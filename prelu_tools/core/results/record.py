"""What `record` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prelu_tools.core.results.showing import Shown
from prelu_tools.core.results.verification import Coverage


@dataclass(frozen=True, repr=False)
class RecordResult(Shown):
    """A run of a source, kept as a file that `verify` takes in its place."""

    source: str
    """As the user spelled it."""
    producer: str
    """The framework and its version."""
    path: str
    """The file that was written."""
    n_bytes: int
    """Its size."""
    format_version: int
    """Of the file's format."""
    seed: int
    """Of the inputs."""
    samples: int
    """Rows of input that were drawn or replayed."""
    n_searched: int
    """Rows beside these that a search for unreached slopes found."""
    n_runs: int
    """Runs that it holds."""
    n_observed: int
    """Those of which it holds what the layers gave."""
    n_layers: int
    """PReLU layers."""
    n_outputs: int
    """Outputs."""
    precision: Literal["float64", "float32"]
    """Of what a candidate is compared with."""
    coverage: Coverage
    """How many slopes the inputs reached."""
    versions: Mapping[str, str]
    """Packages that took part."""
    notes: tuple[str, ...] = ()
    """What the user should know."""
    doubts: tuple[str, ...] = ()
    """What keeps any comparison with it from proving anything."""

    def _in_short(self) -> str:
        return f"{self.source} -> {self.path}: {self.n_runs} runs, {self.n_layers} PReLU layers"
