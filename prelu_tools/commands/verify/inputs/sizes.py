"""Which sizes to try for a model's dynamic axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Sizes = dict[str, int]
"""A size for each name of a dynamic axis."""

STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Sizes of nets that halve their maps a few times are multiples of this."""

_LARGE = 96  # above this, only sizes below the example are tried, because the example is expensive


def other_sizes(examples: Mapping[str, int]) -> list[Sizes]:
    """Sizes other than the example's: a few, preferably small.

    Larger ones, which most nets take; then primes; smaller ones, odd and even in turn; equal odd
    ones; even ones that are no multiples of 4. Where several are dynamic they differ from each
    other, so that one taken for another is seen, unless it is said that they are equal.

    Args:
        examples: a size for each name.
    """
    names = list(examples)
    if not names:
        return []
    base = {n: e if e <= _LARGE else max(64, e // 2) for n, e in examples.items()}
    primes = _primes(max(base.values()))
    low = {name: max(2, 2 * size // 3) for name, size in base.items()}
    odd = max(3, 5 * min(base.values()) // 6) | 1
    found = [
        {name: examples[name] + 16 * (1 + place) for place, name in enumerate(names)},
        {name: next(primes) for name in names},
        {name: _of(low[name] + 2 * i, is_odd=i % 2 == 0) for i, name in enumerate(names)},
        {name: _of(low[name] + 4 * i, is_odd=i % 2 == 1) for i, name in enumerate(names)},
        dict.fromkeys(names, odd),
        {name: 4 * ((base[name] + 4 * i) // 4) + 2 for i, name in enumerate(names)},
    ]
    return [sizes for i, sizes in enumerate(found) if sizes not in found[:i]]


def coarser(sizes: Mapping[str, int], step: int) -> Sizes:
    """The nearest odd multiples of a step, none of them less than one step."""
    if step == 1:
        return dict(sizes)
    return {
        name: step * (max(0, size - step) // (2 * step) * 2 + 1) for name, size in sizes.items()
    }


def tied(sizes: Mapping[str, int]) -> Sizes:
    """The first of them for all."""
    return dict.fromkeys(sizes, next(iter(sizes.values())))


def n_different(sizes: Mapping[str, int]) -> int:
    """How many sizes there are in them."""
    return len(set(sizes.values()))


def in_words(sizes: Mapping[str, int]) -> str:
    """As in `h=48 w=64`."""
    return " ".join(f"{name}={size}" for name, size in sizes.items())


def _of(size: int, is_odd: bool) -> int:
    return size | 1 if is_odd else size & ~1


def _primes(above: int) -> Iterator[int]:
    number = above + 1
    while True:
        if number > 1 and all(number % other for other in range(2, int(number**0.5) + 1)):
            yield number
        number += 1
