"""Search for inputs that use the negative branch of slopes that random inputs did not reach.

Each row of a batch is assigned one such slope. Adam (Kingma and Ba, 2015,
https://arxiv.org/abs/1412.6980) moves the row down the gradient of the smallest input that this
slope receives, until that input is negative. All that a framework has to provide is the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.backends.protocol.runners import Observer, Runner
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer

_STEPS = 60
_RATE = 0.2  # of the first attempt; each later attempt doubles the step
_DECAY, _DECAY_SQUARE, _TINY = 0.9, 0.99, 1e-8
_RUNS = 4  # that a step takes as long as: a run with its operators watched, and back
_PATIENCE, _PROGRESS = 20, 0.01  # steps after which some slope has to be nearer by this share
_ENOUGH = 1e-3  # of the scale of the layer's input: other kernels round differently


class Pick(NamedTuple):
    """What one row is to do."""

    row: int
    """The row of the batch."""
    layer: str
    """The layer's name."""
    where: tuple[int | slice, ...]
    """The part of the layer's input, without the batch, that meets the slope."""


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A slope that is looked for."""

    layer: str
    index: int
    where: tuple[int | slice, ...]


Pull = Callable[[Mapping[str, Array], list[Pick]], tuple[Array, dict[str, Array]]]
"""Runs a batch; returns, for each pick, the smallest input of its slope in its row (over all calls
of the layer), and for each floating-point input the gradient of the sum of these."""


def seek(
    layers: Iterable[PReLULayer],
    runner: Callable[[Observer], AbstractContextManager[Runner]],
    pull: Pull,
    targets: Mapping[str, Array],
    start: Mapping[str, Array],
    limits: SearchLimits,
) -> Iterator[dict[str, Array]]:
    """See `Source.seek`.

    Args:
        layers: the model's layers.
        runner: of the source.
        pull: see `Pull`.
        targets: see `Source.seek`.
        start: see `Source.seek`.
        limits: see `Source.seek`.
    """
    shapes = {layer.name: layer.slopes.shape for layer in layers}
    wanted = [
        _Wanted(name, int(index), _where(shapes[name], int(index)))
        for name, mask in targets.items()
        for index in np.flatnonzero(mask)
    ]
    rows = limits.count(start)
    generator = np.random.default_rng(limits.seed)
    if not wanted or not limits.spend(rows, 1):
        return
    lows, scale = _survey(runner, start, wanted)
    for attempt in range(8):
        waiting, wanted = wanted, []
        while waiting:
            group, waiting = waiting[:rows], waiting[rows:]
            nearest = [lows[one] for one in group]
            feeds = _begin(start, nearest, generator, attempt, limits)
            picks = [Pick(row, one.layer, one.where) for row, one in enumerate(group)]
            goals = np.array([-_ENOUGH * scale.get(one.layer, 1.0) for one in group])
            reached = _descend(pull, feeds, picks, goals, limits, _RATE * 2**attempt)
            if reached.any():
                rows_reached = np.flatnonzero(reached)
                yield feeds if limits.whole else limits.take(feeds, rows_reached)
            if not limits.spend(0, 0):
                return
            wanted += [one for one, done in zip(group, reached, strict=True) if not done]
            waiting = [one for one in waiting if targets[one.layer][one.index]]
        wanted = [one for one in wanted if targets[one.layer][one.index]]


def _where(shape: tuple[int, ...], index: int) -> tuple[int | slice, ...]:
    """The part of a row of a layer's input that one of its slopes meets."""
    place = np.unravel_index(index, shape)
    return tuple(
        slice(None) if size == 1 else int(at) for at, size in zip(place[1:], shape[1:], strict=True)
    )


def _survey(
    runner: Callable[[Observer], AbstractContextManager[Runner]],
    start: Mapping[str, Array],
    wanted: Sequence[_Wanted],
) -> tuple[dict[_Wanted, int], dict[str, float]]:
    """For each slope the row that comes nearest, and for each layer the scale of its input."""
    nearest = dict.fromkeys(wanted, (np.inf, 0))
    scale: dict[str, float] = {}

    def observe(layer: str, _call: int, x: Array, _y: Array) -> None:
        scale[layer] = max(scale.get(layer, 0.0), float(np.abs(x).mean()))
        for one in wanted:
            if one.layer == layer and x.ndim == len(one.where) + 1:
                low = x[(slice(None), *one.where)].reshape(len(x), -1).min(axis=1)
                row = int(low.argmin())
                nearest[one] = min(nearest[one], (float(low[row]), row))

    with runner(observe) as running:
        running.run(start)
    return {one: row for one, (_, row) in nearest.items()}, scale


def _begin(
    start: Mapping[str, Array],
    rows: list[int],
    generator: np.random.Generator,
    attempt: int,
    limits: SearchLimits,
) -> dict[str, Array]:
    """Rows that start closest to the slopes' negative branches; shifted at random later."""
    chosen = [*rows, *[0] * (limits.count(start) - len(rows) if limits.whole else 0)]
    feeds = limits.take(start, chosen)
    for name, values in feeds.items():
        if np.issubdtype(values.dtype, np.floating) and attempt:
            spread = (float(values.std()) if values.size else 0.0) or 1.0
            moved = values + generator.normal(0.0, attempt * spread, values.shape)
            if name in limits.ranges:
                moved = moved.clip(*limits.ranges[name])
            feeds[name] = moved.astype(values.dtype)
    return feeds


def _descend(
    pull: Pull,
    feeds: dict[str, Array],
    picks: list[Pick],
    goals: Array,
    limits: SearchLimits,
    rate: float,
) -> Array:
    """Move the rows in place until each has reached its goal, or none comes nearer; which have."""
    momentum: dict[str, tuple[Array, Array]] = {}
    reached = np.zeros(len(picks), np.bool_)
    nearest, moved_at = np.full(len(picks), np.inf), 0
    for step in range(1, _STEPS + 1):
        if not limits.spend(limits.count(feeds), _RUNS):
            break
        values, gradients = pull(feeds, picks)
        reached |= values < goals
        nearer = values - goals < (1 - _PROGRESS) * nearest
        nearest = np.where(nearer, values - goals, nearest)
        moved_at = step if (nearer & ~reached).any() else moved_at
        if reached.all() or not gradients or step - moved_at >= _PATIENCE:
            break
        resting = [pick.row for pick, done in zip(picks, reached, strict=True) if done]
        for name, given in gradients.items():
            gradient = np.nan_to_num(given, nan=0.0, posinf=0.0, neginf=0.0)
            first, second = momentum.get(name, (np.zeros_like(gradient), np.zeros_like(gradient)))
            first = _DECAY * first + (1 - _DECAY) * gradient
            second = _DECAY_SQUARE * second + (1 - _DECAY_SQUARE) * gradient**2
            momentum[name] = first, second
            mean = first / (1 - _DECAY**step)
            move = rate * mean / (np.sqrt(second / (1 - _DECAY_SQUARE**step)) + _TINY)
            moved = feeds[name] - limits.rest(name, move, resting)
            if name in limits.ranges:
                moved = moved.clip(*limits.ranges[name])
            feeds[name] = moved.astype(feeds[name].dtype)
    return reached


def redraw(start: Mapping[str, Array], limits: SearchLimits) -> Iterator[dict[str, Array]]:
    """Batches at random, of growing scale, where a framework gives no gradients: a few dozen."""
    generator = np.random.default_rng(limits.seed)
    every = list(range(limits.count(start)))
    for attempt in range(1, 33):
        if not limits.spend(len(every), 1):
            return
        yield _begin(start, every, generator, attempt, limits)
