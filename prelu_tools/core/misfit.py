"""Why a file of weights does not fit a model, in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class _Prefix:
    """The prefix that only one side's names have."""

    text: str
    is_in_file: bool
    n_fitting: int

    def said(self) -> str:
        how = "removed from" if self.is_in_file else "added to"
        return f"with {self.text!r} {how} its names, {self.n_fitting:,} would"


def misfit(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> str | None:
    """What does not fit, as the end of a sentence; None if names and shapes do.

    Args:
        found: the shapes of the file's tensors by their names.
        expected: those of the model's.
    """
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    common = [name for name in expected if name in found]
    wrong = [name for name in common if found[name] != expected[name]]
    if not (missing or unexpected or wrong):
        return None
    parts = [f"{len(common):,} of {len(expected):,} names match"]
    best = _prefix(found, expected) if missing else None
    if best is not None and best.n_fitting > len(common):
        parts.append(best.said())
    parts += [_first("missing in the file", missing), _first("not in the model", unexpected)]
    if wrong:
        shapes = f"{list(found[wrong[0]])} in the file and {list(expected[wrong[0]])} in the model"
        count = f"{len(wrong):,} shapes differ: " if len(wrong) > 1 else ""
        parts.append(f"{count}{wrong[0]} is {shapes}")
    return "; ".join(filter(None, parts))


def _first(what: str, names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    if not names:
        return ""
    rest = len(names) - 1
    return f"{what}: {next(iter(names))}{f' and {rest:,} more' if rest else ''}"


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
