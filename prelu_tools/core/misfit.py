"""Why a file of weights does not fit a model, in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

Shape = tuple[int, ...]


class Misfit(NamedTuple):
    """Why weights do not fit."""

    text: str
    """The end of a sentence."""
    is_near: bool
    """Whether at least half of the names of either side match."""


@dataclass(frozen=True)
class _Prefix:
    """The prefix that only one side's names have."""

    text: str
    is_in_file: bool
    n_fitting: int

    def put(self, names: Mapping[str, Shape]) -> dict[str, Shape]:
        """The file's names without it, or with it if the model has it."""
        if not self.is_in_file:
            return {f"{self.text}{name}": shape for name, shape in names.items()}
        return {name.removeprefix(self.text): shape for name, shape in names.items()}

    @property
    def said(self) -> str:
        """How the names match, as the beginning of a sentence."""
        return f"with {self.text!r} {'removed from' if self.is_in_file else 'added to'} its names, "


def misfit(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> Misfit | None:
    """What does not fit, as the end of a sentence; None if names and shapes do.

    If a prefix makes more names match, the names are compared with it.

    Args:
        found: the shapes of the file's tensors by their names.
        expected: those of the model's.
    """
    begin, n_common = "", sum(name in found for name in expected)
    best = _prefix(found, expected) if n_common < len(expected) else None
    if best is not None and best.n_fitting > n_common:
        begin, found = best.said, best.put(found)
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    common = [name for name in expected if name in found]
    wrong = [name for name in common if found[name] != expected[name]]
    if not (missing or unexpected or wrong or begin):
        return None
    parts = [f"{begin}{len(common):,} of {len(expected):,} names match"]
    parts += [_first("missing in the file", missing, found)]
    parts.append(_first("not in the model", unexpected, expected))
    if wrong:
        shapes = f"{list(found[wrong[0]])} in the file and {list(expected[wrong[0]])} in the model"
        count = f"{len(wrong):,} shapes differ: " if len(wrong) > 1 else ""
        parts.append(f"{count}{wrong[0]} is {shapes}")
    is_near = 2 * len(common) >= min(len(found), len(expected))
    return Misfit("; ".join(filter(None, parts)), is_near)


def _first(what: str, names: Sequence[str], others: Collection[str]) -> str:
    """The first of some names and how many more there are, or the module that has them all.

    Args:
        what: what is said of them.
        names: those that the other side does not have.
        others: the other side's.
    """
    if not names:
        return ""
    rest = len(names) - 1
    parts = zip(*(one.split(".")[:-1] for one in names), strict=False)
    shared = takewhile(lambda found: len(set(found)) == 1, parts)
    module = "".join(f"{found[0]}." for found in shared)
    if rest and module and not any(one.startswith(module) for one in others):
        return f"{what}: {module}* ({len(names):,} names)"
    return f"{what}: {names[0]}{f' and {rest:,} more' if rest else ''}"


def _prefix(found: Collection[str], expected: Collection[str]) -> _Prefix | None:
    """The prefix that makes most names fit; None if none makes any."""
    ways = (
        (Counter(_heads(found, set(expected))), True),
        (Counter(_heads(expected, set(found))), False),
    )
    best = [
        _Prefix(text, is_in_file, count)
        for counts, is_in_file in ways
        for text, count in counts.most_common(1)
    ]
    return max(best, key=lambda one: one.n_fitting, default=None)


def _heads(longer: Collection[str], shorter: Collection[str]) -> Iterator[str]:
    """The prefix of each name of one side that ends in a name of the other."""
    for name in longer:
        at = name.find(".")
        while at >= 0:
            if name[at + 1 :] in shorter:
                yield name[: at + 1]
            at = name.find(".", at + 1)
