"""Inputs that have something to say: seeded, of both signs, and of several scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prelu_tools.core.arrays import Array

DEFAULT_SAMPLES = 16
DEFAULT_SEED = 0


def draw(
    shapes: Mapping[str, tuple[str, tuple[int, ...]]], samples: int, seed: int
) -> list[dict[str, Array]]:
    """Feeds for a model: the rows in one batch, and the first of them again by itself.

    Floating inputs cycle through N(0, 1), 4 N(0, 1), U(-1, 1), U(0, 1), one value everywhere, and
    N(0, 1) with nine zeros in ten; integers are small and not negative; booleans are fair coins.

    Args:
        shapes: for each input its numpy dtype and the sizes of one row, without the batch.
        samples: rows in all, at least 1.
        seed: of the generator.
    """
    generator = np.random.default_rng(seed)
    batch = {
        name: np.stack([_row(generator, dtype, sizes, i) for i in range(samples)]).astype(dtype)
        for name, (dtype, sizes) in shapes.items()
    }
    return [batch, {name: values[:1] for name, values in batch.items()}]


def _row(generator: np.random.Generator, dtype: str, sizes: Sequence[int], index: int) -> Array:
    if dtype == "bool":
        return generator.random(sizes) < 0.5
    if np.issubdtype(np.dtype(dtype), np.integer):
        return generator.integers(0, 10, sizes)
    kind = index % 6
    if kind in (0, 1):
        return generator.normal(0.0, 1.0 if kind == 0 else 4.0, sizes)
    if kind in (2, 3):
        return generator.uniform(-1.0 if kind == 2 else 0.0, 1.0, sizes)
    if kind == 4:
        return np.full(sizes, generator.normal())
    return np.asarray(generator.normal(0.0, 1.0, sizes) * (generator.random(sizes) < 0.1))
