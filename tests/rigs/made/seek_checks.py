"""What a search has to do in every framework that gives gradients."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from observing import coverage

from prelu_tools.backends.protocol.inputs import SearchLimits
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.coverage import CoverageBook

Feeds = dict[str, Array]


def normal(rows: int, *sizes: int) -> Array:
    """A batch of N(0, 1)."""
    return np.random.default_rng(0).normal(size=(rows, *sizes)).astype(np.float32)


def limits(seconds: float = 60.0, whole: bool = False, **ranges: tuple[float, float]) -> Any:
    """Limits of a search."""
    end = time.monotonic() + seconds
    return SearchLimits(lambda *_: time.monotonic() < end, 0, ranges, whole)


def seek(source: Any, start: Mapping[str, Array], found: Any) -> tuple[CoverageBook, list[Feeds]]:
    """Look for all that `start` does not reach; what start and the search reach together."""
    book = coverage(source, start)
    targets = {layer.name: ~book.reached(layer.name) for layer in source.layers()}
    batches = list(source.seek(targets, start, found))
    return coverage(source, start, *batches), batches


def watched_seek(source: Any, start: Mapping[str, Array], found: Any) -> CoverageBook:
    """The same while a runner is open, as `verify` does: only its own runs are told."""
    book = coverage(source, start)
    layers = source.layers()
    targets = {layer.name: ~book.reached(layer.name) for layer in layers}
    running = False

    def observe(layer: str, _number: int, x: Array, _y: Array) -> None:
        assert running, "told of a run of the search"
        book.note(layer, x)

    with source.runner(observe) as runner:
        for feeds in source.seek(targets, start, found):
            running = True
            before = sum(book.counts(layer.name).sum() for layer in layers)
            runner.run(feeds)
            assert sum(book.counts(layer.name).sum() for layer in layers) > before
            running = False
    return book
