"""Inputs that may change a decision: single rows, other scales and signs, other sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import Rows
from prelu_tools.core.arrays import Array

_SIZES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_LARGEST: Final = 1 << 22  # values of one input
_ROWS: Final = 32  # that are tried alone
Move = Callable[[Array], Array]


def _scaled(scale: float) -> Move:
    return lambda values: values * scale


def _shifted(by: float) -> Move:
    return lambda values: values + by


def _filled(value: float) -> Move:
    return lambda values: np.full_like(values, value)


def _spike(value: float) -> Move:
    def move(values: Array) -> Array:
        found = np.zeros_like(values)
        found.reshape(len(values) if values.ndim else 1, -1)[:, :1] = value
        return found

    return move


_MOVES: Final[Sequence[Move]] = (
    np.negative,
    np.abs,
    lambda values: -np.abs(values),
    *(_scaled(s) for s in (4.0, -4.0, 0.1, 16.0, -16.0, 0.01, 64.0, -64.0, 256.0, -256.0)),
    *(_shifted(s) for s in (1.0, -1.0, 4.0, -4.0, 16.0, -16.0, 64.0, -64.0, 256.0, -256.0)),
    *(_filled(s) for s in (1.0, -1.0, 10.0, -10.0, 100.0, -100.0)),
    *(_spike(s) for s in (10.0, -10.0, 100.0, -100.0, 1000.0, -1000.0)),
    *(_scaled(s) for s in (1e-4, 1e3, -1e3, 1e4, -1e4, 1e5, -1e5)),
    *(_shifted(s) for s in (1e3, -1e3, 1e4, -1e4)),
    _filled(0.0),
)


@dataclass(frozen=True)
class Domain:
    """What inputs may be."""

    specs: Sequence[TensorSpec]
    """The inputs of the reference."""
    ranges: Mapping[str, tuple[float, float]]
    """Ranges of values, for the inputs that have one."""
    whole: bool
    """Whether batches have to keep their size."""
    rows: Rows
    """Where the rows of the inputs are."""


def by_values(feeds: Sequence[Feeds], domain: Domain) -> Iterator[Feeds]:
    """Batches less and less like the given ones; integers stay among the given values."""
    largest = max(feeds, key=domain.rows.count)
    for row in range(min(domain.rows.count(largest), _ROWS)):
        yield _alone(largest, row, domain)
    bases = [largest, _alone(largest, 0, domain)]
    several = [[name] for name in largest] if len(largest) > 1 else []
    for chosen in [list(largest), *several]:
        for number, move in enumerate(_MOVES):
            for base in bases:
                moved = {name: _moved(name, base[name], move, feeds, number) for name in chosen}
                yield {**base, **{n: _within(v, domain.ranges.get(n)) for n, v in moved.items()}}


def _alone(feeds: Feeds, row: int, domain: Domain) -> Feeds:
    """One row of a batch; in all of the batch where its size has to stay."""
    return domain.rows.take(feeds, np.full(domain.rows.count(feeds) if domain.whole else 1, row))


def _moved(name: str, values: Array, move: Move, feeds: Sequence[Feeds], number: int) -> Array:
    if np.issubdtype(values.dtype, np.floating):
        with np.errstate(over="ignore"):
            return np.asarray(move(values.astype(np.float64)))
    if values.dtype == np.bool_:
        return np.full_like(values, number % 2 == 0) if number < 2 else np.roll(values, number)
    low, high = (int(pick(f[name] for f in feeds if f[name].size)) for pick in (_least, _most))
    if number < 2:
        return np.full_like(values, (low, high)[number])
    drawn = np.random.default_rng(number).integers(low, high, values.shape, endpoint=True)
    return drawn.astype(values.dtype)


def _least(arrays: Iterator[Array]) -> int:
    return min((int(values.min()) for values in arrays), default=0)


def _most(arrays: Iterator[Array]) -> int:
    return max((int(values.max()) for values in arrays), default=0)


def _within(values: Array, limits: tuple[float, float] | None) -> Array:
    return values if limits is None else values.clip(*limits)


def by_sizes(feeds: Sequence[Feeds], domain: Domain) -> Iterator[Feeds]:
    """Batches with other sizes wherever the model leaves them dynamic, one size at a time."""
    names = dict.fromkeys(
        size
        for spec in domain.specs
        for axis, size in enumerate(spec.shape)
        if isinstance(size, str) and not (domain.whole and axis == 0)
    )
    for size in _SIZES:
        for name in names:
            found = {s.name: _resized(feeds[0][s.name], s, name, size) for s in domain.specs}
            if all(values.size <= _LARGEST for values in found.values()):
                yield found


def _resized(values: Array, spec: TensorSpec, name: str, size: int) -> Array:
    for axis, dim in enumerate(spec.shape[: values.ndim]):
        if dim == name and values.shape[axis]:
            values = values.take(np.arange(size) % values.shape[axis], axis=axis)
    return values


def as_given(trial: Feeds, feeds: Sequence[Feeds]) -> Feeds:
    """The trial in the types of the given inputs, which may be narrower."""
    with np.errstate(over="ignore"):
        return {name: values.astype(feeds[0][name].dtype) for name, values in trial.items()}
