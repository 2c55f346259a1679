"""What `record` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prelu_tools.core.results.reasons import counted, warnings_of
from prelu_tools.core.results.showing import Shown
from prelu_tools.core.results.verification.result import Coverage


@dataclass(frozen=True, repr=False)
class RecordResult(Shown):
    """A run of a source, saved as a file that `verify` accepts instead of the source."""

    source: str
    """The source as the user wrote it."""
    producer: str
    """The framework and its version."""
    path: str
    """The file that was written."""
    n_bytes: int
    """Its size."""
    format_version: int
    """Version of the file's format."""
    seed: int
    """Random seed of the inputs."""
    samples: int
    """Rows of input that were drawn or replayed."""
    n_searched: int
    """Additional rows of input, from the search for unreached slopes."""
    n_runs: int
    """Number of runs in the file."""
    n_observed: int
    """Number of runs for which it has the values of the layers."""
    n_layers: int
    """PReLU layers."""
    n_outputs: int
    """Outputs."""
    precision: Literal["float64", "float32"]
    """Precision of the values that candidates are compared with."""
    coverage: Coverage
    """How many slopes the inputs reached."""
    versions: Mapping[str, str]
    """Packages that took part."""
    notes: tuple[str, ...] = ()
    """Notes for the user."""
    doubts: tuple[str, ...] = ()
    """Reasons why no comparison with it can prove anything."""

    def _in_short(self) -> str:
        found = f"{counted(self.n_runs, 'run')}, {counted(self.n_layers, 'PReLU layer')}"
        return f"{self.source} -> {self.path}: {found}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes which say that a check with it proves less than it seems to."""
        return warnings_of(self.notes)
