"""How often each slope received a negative input: only then does it have an effect."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.prelu.slopes import PReLULayer, laid_over


class CoverageBook:
    """Counts, for each slope of a model, the positions at which its input was negative."""

    def __init__(self, layers: Iterable[PReLULayer]) -> None:
        """Nothing is reached yet."""
        self.n_values = 0
        """The values of all inputs that were noted."""
        self._layers = {layer.name: layer for layer in layers}
        self._counts = {
            name: np.zeros(layer.slopes.shape, np.int64) for name, layer in self._layers.items()
        }

    def note(self, layer: str, x: Array) -> None:
        """Add the input of one call.

        Args:
            layer: the layer's name; one that is not known is passed over.
            x: its input; if its slopes do not broadcast to that rank, nothing is counted.
        """
        self.n_values += x.size
        known = self._layers.get(layer)
        slopes = None if known is None else laid_over(known, x.ndim)
        if slopes is None:
            return
        shape = slopes.shape
        shared = tuple(axis for axis, size in enumerate(shape) if size == 1)
        negative = (x < 0).sum(axis=shared, keepdims=True)
        if negative.shape == shape:
            self._counts[layer] += negative.reshape(self._counts[layer].shape)

    def add(self, layer: str, counts: IntArray) -> None:
        """Add another book's counts of a layer.

        Args:
            layer: the layer's name.
            counts: see `counts`.
        """
        self._counts[layer] += counts.reshape(self._counts[layer].shape)

    def counts(self, layer: str) -> IntArray:
        """For each slope of a layer, flat, the positions at which its input was negative."""
        return self._counts[layer].reshape(-1)

    def reached(self, layer: str) -> Array:
        """For each slope of a layer, flat, whether its negative branch was used at all."""
        return self.counts(layer) > 0

    @property
    def total(self) -> int:
        """All slopes."""
        return sum(counts.size for counts in self._counts.values())

    @property
    def exercised(self) -> int:
        """Slopes that were reached."""
        return sum(int((counts > 0).sum()) for counts in self._counts.values())

    def unreached(self) -> tuple[str, ...]:
        """The others, as `layer[index]` into the flat slopes."""
        return tuple(
            f"{name}[{index}]"
            for name in self._counts
            for index in np.flatnonzero(~self.reached(name))
        )
