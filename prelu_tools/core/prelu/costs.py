"""A cost model for forms of PReLU on onnxruntime's CPU provider.

Nanoseconds per element on one thread, from profiles of chains of convolutions (docs/performance.md
says how they were taken); only their order matters, since `optimize` measures. *Blocked* is
onnxruntime's own layout NCHWc, in which it keeps a chain of 2D convolutions: leaving it and coming
back costs two reorders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_BLOCK, _PART = 8, 4
"""Channels of a block (8 with AVX2, 16 with AVX-512), and those that a tensor may be short of."""
_REORDER = 0.16
_SLOW_PRELU, _FAST_PRELU = 5.6, 0.34  # since onnxruntime 1.27, and before it
_SLOW_SINCE = (1, 27)

_PLAIN: Mapping[str, float] = {
    "identity": 0.0,
    "relu": 0.0,
    "leaky_relu": 0.1,
    "max": 0.36,
    "max_neg": 0.48,
    "max_min": 0.54,
    "relu_neg": 0.60,
    "relu_mul": 0.66,
    "linear": 0.56,
    "depthwise": 0.75,
}
_BLOCKED: Mapping[str, float] = {
    "identity": 0.0,
    "relu": 0.0,
    "leaky_relu": 0.19,
    "relu_mul": 0.53,
    "depthwise": 0.54,
    "linear": 0.53,
}


@dataclass(frozen=True)
class Surroundings:
    """Where a layer stands."""

    n_elements: int
    """Elements of its input."""
    n_channels: int
    """Size of axis 1."""
    blocked: bool
    """Whether onnxruntime has its input in the blocked layout."""
    by_channel: bool
    """Whether it has a slope for each channel: other constants are no convolution."""


def forecast(form: str, place: Surroundings, runtime: str) -> float:
    """Nanoseconds that a layer takes in a form.

    Args:
        form: a name of `graph.match.forms` that is written.
        place: where it stands.
        runtime: the version of onnxruntime.
    """
    around = 2 * _REORDER if place.blocked else 0.0
    if form == "prelu":
        return place.n_elements * (around + (_SLOW_PRELU if _is_slow(runtime) else _FAST_PRELU))
    uniform = form in ("identity", "relu", "leaky_relu")
    odd = place.n_channels % _PART != 0
    if not place.blocked:
        return place.n_elements * _PLAIN[form]
    if not (uniform or (place.by_channel and form in _BLOCKED)):
        twice = _REORDER if place.by_channel and form == "max" else 0.0  # x, and its product
        left = 0.0 if odd else around  # channels that do not fill a block leave the layout anyway
        return place.n_elements * (_PLAIN[form] + left + twice)
    if odd and form == "depthwise":  # a grouped convolution has to fill its blocks
        return place.n_elements * (_PLAIN[form] + _REORDER)
    padding = -place.n_channels % _BLOCK / place.n_channels
    return place.n_elements * (1.0 + padding) * _BLOCKED[form]


def _is_slow(runtime: str) -> bool:
    parts = runtime.split(".")[:2]
    if len(parts) < 2 or not all(part.isdigit() for part in parts):
        return True
    return (int(parts[0]), int(parts[1])) >= _SLOW_SINCE
