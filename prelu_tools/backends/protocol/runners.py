"""Runners of a model, and the observers of its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from prelu_tools.core.arrays import Array

if TYPE_CHECKING:
    from prelu_tools.core.results.verification.candidate import ProviderReport


class Runner(Protocol):
    """Runs a model, within a `with` block."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name, in the model's order, for inputs by name.

        Raises:
            PReLUToolsError: the model rejects them.
        """
        ...


Observer = Callable[[str, int, Array, Array], None]
"""Called for each call of a PReLU: the layer's name, the number of the call, its input and output.

The arrays are in the model's own axis order and type, and may be gone once the observer returns.
"""


class WideRunner(Runner, Protocol):
    """Runs a model in float64; outputs are float64 arrays."""

    @property
    def stayed_narrow(self) -> Sequence[str]:
        """Parts of the model that computed in a narrower type all the same, after running."""
        ...


class PlacedRunner(Runner, Protocol):
    """Runs a model on the execution provider that was requested."""

    @property
    def report(self) -> ProviderReport:
        """The provider that each node was assigned to."""
        ...

    def placement(self) -> dict[str, str]:
        """The execution provider of each node, by the node's name."""
        ...


class LayerWatch(Protocol):
    """Runs a model for its PReLU layers alone."""

    def run(self, feeds: Mapping[str, Array], observe: Observer) -> None:
        """Tell an observer of every call that can be observed.

        Raises:
            PReLUToolsError: the model rejects the inputs.
        """
        ...
