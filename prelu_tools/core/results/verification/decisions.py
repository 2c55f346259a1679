"""Decisions of a model, and which branches the inputs took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Decision:
    """A place where numbers decide how a model goes on: an If, a loop, an `if` of Python code."""

    name: str
    """Where it is: `If node_3`, `net.py, line 12`."""
    ways: tuple[str, ...]
    """How it can go on, in words that follow "never": `took its else branch`."""
    taken: frozenset[str]
    """The ways that were taken."""
    by_sizes: bool = False
    """Whether the sizes of the inputs decide it, and not their values."""

    @property
    def untaken(self) -> tuple[str, ...]:
        """The ways that were not."""
        return tuple(way for way in self.ways if way not in self.taken)


class DecisionBook:
    """The decisions of a model over many runs."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        self._decisions: dict[str, Decision] = {}

    def news(self, decisions: Iterable[Decision]) -> list[tuple[str, str]]:
        """The names and ways of known decisions that none took before, and these take."""
        known = self._decisions
        return [
            (one.name, way)
            for one in decisions
            if one.name in known
            for way in known[one.name].untaken
            if way in one.taken
        ]

    def add(self, decisions: Iterable[Decision]) -> None:
        """Add the decisions of one run or several."""
        for decision in decisions:
            known = self._decisions.get(decision.name)
            ways = tuple(dict.fromkeys([*(known.ways if known else ()), *decision.ways]))
            taken = decision.taken | (known.taken if known else frozenset())
            self._decisions[decision.name] = replace(decision, ways=ways, taken=taken)

    def untaken(self, by_sizes: bool) -> list[Decision]:
        """Decisions with a way that no run took, of one of the two kinds."""
        found = self._decisions.values()
        return [one for one in found if one.untaken and one.by_sizes == by_sizes]
