"""Slopes at their initial values: the model was not trained, or its weights not loaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.reasons import Reason, listed

INITIAL_VALUES = (0.25, 0.0)
"""Where frameworks start: torch and the paper at 0.25, Keras at 0."""
_NAMED = 3


def are_at_start(slopes: Array, start: float | None) -> bool:
    """Whether all slopes have the value that training starts from.

    Args:
        slopes: of any shape, with at least one element.
        start: the layer's own first value; None if it is unknown: then `INITIAL_VALUES`.
    """
    starts = INITIAL_VALUES if start is None else (np.asarray(start).astype(slopes.dtype),)
    return any(bool((slopes == value).all()) for value in starts)


def untrained(layers: Sequence[PReLULayer], model: str, advice: str) -> Reason | None:
    """A sentence where every slope of a model is where training starts; otherwise None.

    Args:
        layers: of the model.
        model: what it is called.
        advice: what may be wrong, for the end of the sentence.
    """
    if not layers or not all(are_at_start(one.slopes, one.start) for one in layers):
        return None
    values = list(dict.fromkeys(f"{float(one.slopes.reshape(-1)[0]):g}" for one in layers))
    count = sum(one.slopes.size for one in layers)
    slopes = "the only slope" if count == 1 else f"all {count:,} slopes"
    verb = "has its" if count == 1 else "have their"
    return Reason(
        f"{slopes} of {model} {verb} initial value ({listed(values, _NAMED)}): {advice}",
        "slopes_initial",
    )
