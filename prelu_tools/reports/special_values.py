"""Sentences on what layers make of special values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from prelu_tools.core.results.verification.parity import SpecialValue
from prelu_tools.reports.words import counted

_MOST_KINDS = 5


def special_lines(values: Iterable[SpecialValue], documented: bool) -> tuple[str, ...]:
    """What layers make of special values, those of one kind in one sentence.

    Args:
        values: of one candidate.
        documented: whether those that are to be expected are wanted, or the failures.
    """
    kinds: dict[tuple[str, ...], list[SpecialValue]] = {}
    for one in values:
        if documented and one.documented is not None:
            kinds.setdefault((one.documented,), []).append(one)
        elif not documented and one.documented is None:
            # As text: a NaN is not equal to itself.
            numbers = map(_value, (one.value, one.found, one.expected))
            key = (*numbers, _sign(one.slope), one.form)
            kinds.setdefault(key, []).append(one)
    lines = [(_documented if documented else _special)(kind) for kind in kinds.values()]
    rest = len(lines) - _MOST_KINDS
    more = [f"special values: {counted(rest, 'more kind')}"] if rest > 0 else []
    return (*lines[:_MOST_KINDS], *more)


def _documented(kind: Sequence[SpecialValue]) -> str:
    values = list(dict.fromkeys(_value(one.value) for one in kind))
    return (
        f"special values: permitted difference in {_layers(kind)} for {_and(values)} "
        f"({kind[0].documented})"
    )


def _and(words: Sequence[str]) -> str:
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def _layers(kind: Sequence[SpecialValue]) -> str:
    layers = list(dict.fromkeys(one.layer for one in kind))
    return ", ".join(layers) if len(layers) <= 3 else f"{len(layers):,} layers"


def _special(kind: Sequence[SpecialValue]) -> str:
    first = kind[0]
    slopes = dict.fromkeys(_value(one.slope) for one in kind)
    slope = f"slope {next(iter(slopes))}" if len(slopes) == 1 else _sign(first.slope)
    return (
        f"special values: {_value(first.value)} with {slope} gives {_value(first.found)} in "
        f"{first.form}, {_value(first.expected)} in the reference, in {_layers(kind)} (not "
        "documented)"
    )


def _sign(slope: float) -> str:
    if slope == 0:
        return "a slope of 0"
    if math.isnan(slope):
        return "slope NaN"
    return "a negative slope" if slope < 0 else "a positive slope"


def _value(value: float) -> str:
    """A number to six digits, the sign of a zero included."""
    if value == 0:
        return "-0.0" if math.copysign(1.0, value) < 0 else "0.0"
    return "NaN" if math.isnan(value) else f"{value:.6g}"
