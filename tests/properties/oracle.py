"""What a random net computes, in float64 and plain numpy: no code of the tool, and no graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from random_nets import Array, Layer, Net, Step


def outputs(net: Net, inputs: Sequence[Array]) -> list[tuple[Array, Array]]:
    """Each output, and how large it is if nothing cancels, which its rounding scales with."""
    values = [x.astype(np.float64) for x in inputs]
    sizes = [np.abs(x) for x in values]
    for step in net.steps:
        values.append(_value(net, step, [values[n] for n in step.sources], bound=False))
        sizes.append(_value(net, step, [sizes[n] for n in step.sources], bound=True))
    return [(values[n], sizes[n]) for n in net.outputs]


def _value(net: Net, step: Step, sources: list[Array], bound: bool) -> Array:
    x = sources[0]
    weight, bias = (
        None if v is None else np.abs(v.astype(np.float64)) if bound else v.astype(np.float64)
        for v in (step.weight, step.bias)
    )
    if step.kind == "prelu":
        layer = net.layers[step.layer]
        return _largest(layer, x) if bound else prelu(layer.slopes.astype(np.float64), x)
    if step.kind == "conv":
        assert weight is not None
        made = _convolved(x, weight)
        return made if bias is None else made + bias.reshape(-1, *[1] * (x.ndim - 2))
    if step.kind == "gemm":
        assert weight is not None
        return x @ weight.T + (0 if bias is None else bias)
    if step.kind == "add":
        return x + sources[1]
    if step.kind == "concat":
        return np.concatenate(sources, axis=1)
    if step.kind == "flatten":
        return x.reshape(len(x), -1)
    if step.kind == "pool":
        return x.mean(axis=tuple(range(2, x.ndim)))
    if step.kind == "scale":
        assert weight is not None
        return x * weight
    assert step.kind == "relu"
    return np.maximum(x, 0)


def prelu(slopes: Array, x: Array) -> Array:
    """The definition, one number after the other."""
    laid = np.broadcast_to(slopes, x.shape)
    flat = [v if v > 0 else a * v for v, a in zip(x.flat, laid.flat, strict=True)]
    return np.array(flat).reshape(x.shape)


def _largest(layer: Layer, size: Array) -> Array:
    slopes = np.abs(layer.slopes.astype(np.float64))
    terms = {"linear": 1 + 2 * slopes, "abs": 1 + 2 * slopes}.get(layer.form, 1 + slopes)
    return np.broadcast_to(terms, size.shape) * size


def _convolved(x: Array, weight: Array) -> Array:
    """Padded such that the sizes stay: the sum over the kernel's places of shifted inputs."""
    sizes, kernel = x.shape[2:], weight.shape[2:]
    padded = np.pad(x, [(0, 0), (0, 0), *((k // 2, k // 2) for k in kernel)])
    total = np.zeros((len(x), len(weight), *sizes))
    for place in np.ndindex(*kernel):
        window = tuple(slice(p, p + n) for p, n in zip(place, sizes, strict=True))
        part = np.einsum("nc...,oc->no...", padded[:, :, *window], weight[:, :, *place])
        total += part
    return total
