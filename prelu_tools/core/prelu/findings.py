"""Findings about a layer's slopes alone; `docs/findings.md` explains each code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.prelu.statistics import Thresholds, slope_health
from prelu_tools.core.results.inspection import Finding

_FLOAT16_INFINITE = 65520.0  # rounds to infinity: half a step above the largest value, 65504
_FLOAT16_TINY = 2.0**-25  # rounds to 0: half of the smallest subnormal


def slope_findings(layer: PReLULayer, thresholds: Thresholds) -> Iterator[Finding]:
    """Findings that need nothing but the slopes and the shape of the input."""
    yield from _health_findings(layer, thresholds)
    yield from _precision_findings(layer)
    if layer.sharing == "element-wise":
        sizes = " x ".join(str(size) for size in layer.slopes.shape[1:])
        yield Finding(
            "element_wise",
            "warning",
            f"its {layer.slopes.size:,} slopes, one for each position, tie this layer to inputs of "
            f"{sizes}, and so the model to one input size; train it with shared slopes "
            f"(Keras: {_shared_axes(layer)})",
            layer.name,
        )
    if layer.sharing == "channel-shared" and _has_channels(layer):
        yield Finding(
            "one_slope",
            "info",
            "one slope for all channels; for one per channel, use "
            f"nn.PReLU(num_parameters=channels) (torch) or PReLU({_shared_axes(layer)}) (Keras)",
            layer.name,
        )
    if len(layer.nodes) > 1 and not layer.same_instance:
        yield Finding(
            "same_values",
            "info",
            f"{len(layer.nodes):,} nodes use one initializer; exporters merge initializers of "
            "equal value, so these may be several layers",
            layer.name,
        )


def _has_channels(layer: PReLULayer) -> bool:
    """Whether there is more than one, as torch counts them (axis 1) or as Keras does (the last)."""
    shape = layer.input_shape
    return shape is not None and len(shape) > 1 and not {shape[1], shape[-1]} <= {None, 1}


def _shared_axes(layer: PReLULayer) -> str:
    """The argument of Keras that shares slopes along all axes but the last."""
    rank = len(layer.input_shape or ())
    return f"shared_axes={list(range(1, rank - 1))}" if rank > 2 else ""


def _health_findings(layer: PReLULayer, thresholds: Thresholds) -> Iterator[Finding]:
    health = slope_health(layer.slopes, thresholds, layer.start)
    value = float(layer.slopes.reshape(-1)[0])
    if "non_finite" in health:
        count = int((~np.isfinite(layer.slopes)).sum())
        yield Finding(
            "non_finite",
            "error",
            f"{count:,} of {layer.slopes.size:,} slopes are NaN or infinite, and so is the output "
            "for negative inputs; go back to a checkpoint before training diverged",
            layer.name,
        )
    if "at_init" in health:
        yield Finding(
            "at_init",
            "warning",
            f"all slopes have their initial value, {value:g}: they were not trained, or the "
            "trained weights were not loaded",
            layer.name,
        )
    elif "relu_like" in health:
        yield Finding("relu_like", "info", "the layer is effectively a ReLU", layer.name)
    elif "identity_like" in health:
        yield Finding("identity_like", "info", "the layer is effectively the identity", layer.name)
    elif "uniform" in health:
        yield Finding(
            "uniform",
            "info",
            f"all {layer.slopes.size:,} slopes are {value:g}: LeakyRelu would do the same",
            layer.name,
        )


def _precision_findings(layer: PReLULayer) -> Iterator[Finding]:
    values = np.abs(layer.slopes.astype(np.float64))
    finite = np.isfinite(values)
    large = int((values[finite] >= _FLOAT16_INFINITE).sum())
    lost = int(((values[finite] > 0) & (values[finite] <= _FLOAT16_TINY)).sum())
    if large or lost:
        yield Finding(
            "beyond_float16",
            "warning",
            f"in float16 {large} of its slopes become infinite and {lost} become 0: keep this "
            "layer in float32",
            layer.name,
        )
