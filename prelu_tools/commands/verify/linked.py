"""A candidate whose inputs are paired with the reference's."""

from __future__ import annotations

from dataclasses import dataclass

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts


@dataclass(frozen=True)
class Linked:
    """A candidate that could be opened."""

    label: str
    """As the user spelled it."""
    source: Source
    """The source itself."""
    links: tuple[InputLink, ...]
    """How its inputs are fed."""
    layouts: Layouts
    """The user's axis orders."""

    @property
    def moved(self) -> frozenset[int]:
        """The ranks of the inputs that have another axis order than the reference's."""
        orders = [link.permutation for link in self.links]
        return frozenset(len(order) for order in orders if tuple(sorted(order)) != order)
