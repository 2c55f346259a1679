"""A candidate whose inputs are paired with the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.core.prelu.layout import Permutation


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
    leaving: Layouts | None = None
    """Those of outputs, where they are known apart from these."""
    stated: Mapping[str, Permutation] = field(default_factory=dict)
    """The candidate's outputs that were moved from the reference's axes, as the files state it."""

    @property
    def moved(self) -> frozenset[int]:
        """The ranks of the inputs that have another axis order than the reference's."""
        orders = [link.permutation for link in self.links]
        return frozenset(len(order) for order in orders if tuple(sorted(order)) != order)
