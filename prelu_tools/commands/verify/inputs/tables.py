"""Find the tables that inputs index, by changing one input at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prelu_tools.backends.protocol.inputs import Lookup
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.sizes import Sizes
from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.domains import Values
from prelu_tools.core.errors import PReLUToolsError

Look = Callable[[Feeds], Sequence[Lookup]]
_STARTS = (0, 1)  # lengths of 0 are no lengths
_WIDEST = 64  # positions of a last axis that are checked one by one


@dataclass(frozen=True)
class Probe:
    """A run at some sizes, to look at."""

    feeds: Feeds
    """The inputs."""
    sizes: Sizes
    """The sizes of its dynamic axes."""


def find_tables(look: Look, names: Sequence[str], probes: Sequence[Probe]) -> dict[str, Values]:
    """The values of the inputs that index something, so that all of it is within reach.

    An input is 0, then 1 everywhere. How far the positions of each lookup move shows whether they
    are made of the input, and by which factor: ids may be cast, reshaped, have the offset of their
    field added, or be put together, `country * 5 + device`. What is looked up in something as long
    as a dynamic axis goes with that; a second run at other sizes shows it. A floating input is one
    of ids if its fractions make no difference and the positions grow evenly with it.

    Args:
        look: runs the model; see `Source.lookups`.
        names: the inputs to move.
        probes: the run to look at, and another one at other sizes.
    """
    first = _Reach(look, names, probes[0])
    if not first.tops:
        return {}
    others = [_Reach(look, list(first.tops), probe) for probe in probes[1:]]
    found = {}
    for name, top in first.tops.items():
        places = first.places(name)
        if places:
            found[name] = Values(first.lows[name], max(places), tops=places, origin="table")
            continue
        again = [(other.tops.get(name), other.probe.sizes) for other in others]
        values = _bounded(top, first.probe.sizes, again)
        found[name] = replace(values, low=first.lows[name])
    return found


def _bounded(
    top: int, sizes: Mapping[str, int], again: Sequence[tuple[int | None, Mapping[str, int]]]
) -> Values:
    """The same number at other sizes, or one that matches one of them; otherwise the smaller."""
    known = [(other, theirs) for other, theirs in again if other is not None]
    if all(other == top for other, _ in known):
        return Values(0, top, origin="table")
    for name, size in sizes.items():
        if all(other - theirs[name] == top - size for other, theirs in known):
            return Values(0, top - size, up_to=name, origin="table")
    return Values(0, min(top, *(other for other, _ in known)), origin="table")


class _Reach:
    """How far each input may go in one run."""

    def __init__(self, look: Look, names: Sequence[str], probe: Probe) -> None:
        self.probe = probe
        self._look = look
        self._names = names
        self._start = 0
        self._base = dict(probe.feeds)
        still = None
        for self._start in _STARTS:
            self._base |= {n: np.full_like(probe.feeds[n], self._start) for n in names}
            if (still := self._seen({})) is not None:
                break
        self._still = still or ()
        self._moved = {name: self._factors_of(name) if self._still else [] for name in names}
        self.lows, self.tops = self._find()

    def _ahead(self, name: str, by: float = 1) -> Feeds:
        return {name: np.full_like(self._base[name], self._start + by)}

    def _seen(self, changed: Mapping[str, Array]) -> Sequence[Lookup] | None:
        try:
            return self._look({**self._base, **changed})
        except PReLUToolsError:
            return None

    def _factors_of(self, name: str) -> list[IntArray]:
        found = self._factors(self._ahead(name))
        is_floating = np.issubdtype(self._base[name].dtype, np.floating)
        if not is_floating or not any(factors.any() for factors in found):
            return found
        half, more, twice = (self._factors(self._ahead(name, by)) for by in (0.5, 1.5, 2))
        holds = _all_equal(more, found) and not any(factors.any() for factors in half)
        return found if holds and (not twice or _all_equal(twice, [2 * f for f in found])) else []

    def _factors(self, changed: Mapping[str, Array]) -> list[IntArray]:
        """By how much the positions of each lookup move; nothing if the run is another one."""
        seen = self._seen(changed)
        if seen is None or [_kind(a) for a in seen] != [_kind(b) for b in self._still]:
            return []
        return [
            b.positions.astype(np.int64) - a.positions.astype(np.int64)
            for a, b in zip(self._still, seen, strict=True)
        ]

    def _find(self) -> tuple[dict[str, int], dict[str, int]]:
        """The smallest and the largest value of each input that is part of a position."""
        lows: dict[str, int] = {}
        tops: dict[str, int] = {}
        for number, lookup in enumerate(self._still):
            moved = {
                name: f[number] for name, f in self._moved.items() if f and (f[number] > 0).any()
            }
            if not moved:
                continue
            steps = {name: int(factors.max()) for name, factors in moved.items()}
            places = lookup.positions[np.any([f > 0 for f in moved.values()], axis=0)]
            for name, more in _shared(steps, lookup.size - 1 - int(places.max())).items():
                tops[name] = min(self._start + more, tops.get(name, self._start + more))
                # -1 means the last row, which is hardly intended
                less = max(0, -int(places.min())) if len(steps) == 1 else 0
                low = self._start - (-less // steps[name]) if less else 0
                lows[name] = max(low, lows.get(name, 0))
        return lows, tops

    def places(self, name: str) -> tuple[int, ...]:
        """The largest value at each place of the last axis; nothing if these are the same."""
        shape = self._base[name].shape
        touched = [f.any() for f in self._moved[name]]
        sizes = {x.size for x, t in zip(self._still, touched, strict=True) if t}
        if len(shape) < 2 or shape[-1] > _WIDEST or len(sizes) < 2:
            return ()
        tops = [self._at(name, place) for place in range(shape[-1])]
        known = [top if top is not None else self.tops[name] for top in tops]
        return tuple(known) if len(set(known)) > 1 else ()

    def _at(self, name: str, place: int) -> int | None:
        changed = self._base[name].copy()
        changed[..., place] = self._start + 1
        tops = [
            (lookup.size - 1 - int(lookup.positions[step > 0].max())) // int(step.max())
            for lookup, step in zip(self._still, self._factors({name: changed}), strict=False)
            if (step > 0).any()
        ]
        return self._start + min(tops) if tops else None


def _kind(lookup: Lookup) -> tuple[int, tuple[int, ...]]:
    return lookup.size, lookup.positions.shape


def _all_equal(left: Sequence[Array], right: Sequence[Array]) -> bool:
    return len(left) == len(right) and all(map(np.array_equal, left, right))


def _shared(steps: Mapping[str, int], room: int) -> dict[str, int]:
    """How far several inputs may go that add up to one position, each by its own factor."""
    order = sorted(steps, key=lambda name: -steps[name])
    found: dict[str, int] = {}
    for larger, name in itertools.pairwise(order):
        digits = steps[larger] // steps[name] - 1
        found[name] = digits if digits > 0 else room // (len(order) * steps[name])
    if order:
        rest = room - sum(steps[name] * top for name, top in found.items())
        found[order[0]] = max(0, rest // steps[order[0]])
    return found
