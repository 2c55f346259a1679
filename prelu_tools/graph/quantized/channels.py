"""Channel factors around a PReLU that preserve the model and help quantization.

PReLU(d * x) = d * PReLU(x) for every d > 0, whatever the slopes. So a factor for each channel in
the layer before a PReLU, and its inverse in the layers after, do not change the model (Nagel et
al., 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1).
If channels are closer in size, one scale for all of them loses less.

A negative factor turns a slope a into 1/a: with P_a(x) = max(x, 0) + a * min(x, 0), P_a(x) = -a *
P_1/a(-x) for every a > 0. So a slope above 1 becomes one below 1, for which a maximum suffices:
P_a(x) = max(x, a * x).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from prelu_tools.core.arrays import Array
from prelu_tools.graph.walk import attribute_of, is_onnx, users_of

_LINEAR: Final = ("AveragePool", "GlobalAveragePool", "Identity")
"""Operators that map d * y to d * y, channel by channel."""
_PER_CHANNEL: Final = (*_LINEAR, "MaxPool", "GlobalMaxPool")
"""The same for d > 0."""
_POWER: Final = 0.5  # of the full factor: activations gain what later weights lose
_LEAST: Final = 1e-3  # of the largest channel: a smaller one is treated as one of this size


@dataclass(frozen=True)
class _Place:
    """A PReLU between layers that can take factors."""

    x: str
    """The tensor that goes into it."""
    slopes: str
    """The tensor of its slopes."""
    source: onnx.NodeProto
    """The layer that produces it, and nothing else."""
    users: tuple[onnx.NodeProto, ...]
    """The layers that read its output."""


def equalize(proto: onnx.ModelProto, peaks: Mapping[str, Array]) -> int:
    """Bring the channels of each PReLU closer in size, in place; the model computes the same.

    Args:
        proto: every PReLU is a PRelu node.
        peaks: by the name of a PReLU's input, the largest size of each channel after it.

    Returns:
        How many layers were equalized.
    """
    constants = _constants(proto.graph)
    done = 0
    for place in _places(proto.graph, constants, _PER_CHANNEL):
        sizes = np.asarray(peaks.get(place.x, ()), np.float64)
        largest = float(sizes.max(initial=0.0))
        if not largest > 0 or sizes.size != _channels(place.source, constants):
            continue
        factors = (largest / np.maximum(sizes, _LEAST * largest)) ** _POWER
        _scale_results(place.source, constants, factors)
        for user in place.users:
            _scale_inputs(user, constants, 1 / factors)
        done += 1
    return done


def negate(proto: onnx.ModelProto) -> int:
    """Negate the channels with slopes above 1, in place, where the layers around allow for it.

    Args:
        proto: every PReLU is a PRelu node.

    Returns:
        How many layers have negated channels.
    """
    constants, users = _constants(proto.graph), users_of(proto.graph)
    done = 0
    for place in _places(proto.graph, constants, _LINEAR):
        slopes, n = constants.get(place.slopes), _channels(place.source, constants)
        if slopes is None or len(users[place.slopes]) != 1 or not n:
            continue
        values = numpy_helper.to_array(slopes)
        at = 1 - len(constants[place.source.input[1]].dims)  # from the end: that of the channels
        if values.size != 1 and (values.size != n or values.ndim < -at or values.shape[at] != n):
            continue
        above = np.isfinite(values) & (values > 1)
        if not above.any():
            continue
        left = np.where(above, inverted(values), values)
        slopes.CopyFrom(numpy_helper.from_array(left.astype(values.dtype), slopes.name))
        each, is_turned = (np.broadcast_to(a.reshape(-1), n) for a in (values, above))
        _scale_results(place.source, constants, np.where(is_turned, -1.0, 1.0))
        for user in place.users:
            _scale_inputs(user, constants, np.where(is_turned, -each.astype(np.float64), 1.0))
        done += 1
    return done


def inverted(slopes: Array) -> Array:
    """The slopes that negated channels have, in the same type; 0 if there is none."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = np.asarray(slopes.dtype.type(1) / slopes)
    return np.where(np.isfinite(found), found, slopes.dtype.type(0))


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    given = {value.name for value in graph.input}
    return {t.name: t for t in graph.initializer if t.name not in given}


def _places(
    graph: onnx.GraphProto, constants: Mapping[str, onnx.TensorProto], through: Sequence[str]
) -> list[_Place]:
    """The PReLU layers whose neighbours accept factors; `through` has the layers between them."""
    makers = {name: node for node in graph.node for name in node.output}
    users = users_of(graph)
    outputs = {value.name for value in graph.output}
    found = []
    for node in graph.node:
        source = makers.get(node.input[0]) if is_onnx(node, "PRelu") else None
        if source is None or len(users[node.input[0]]) != 1 or node.input[0] in outputs:
            continue
        readers = _readers(node.output[0], users, outputs, through)
        layers = [source, *readers]
        if readers and all(_is_plain(layer, constants, users) for layer in layers):
            found.append(_Place(node.input[0], node.input[1], source, tuple(readers)))
    return found


def _readers(
    tensor: str, users: Mapping[str, Sequence[onnx.NodeProto]], outputs: set[str],
    through: Sequence[str],
) -> list[onnx.NodeProto]:  # fmt: skip
    """The layers that read a tensor past operators that keep channels; none if others read it."""
    found: list[onnx.NodeProto] = []
    left = [tensor]
    while left:
        name = left.pop()
        if name in outputs:
            return []
        for user in users.get(name, ()):
            if is_onnx(user, *through) and len(user.output) == 1:
                left.append(user.output[0])
            elif is_onnx(user, "Conv", "ConvTranspose", "Gemm") and user.input[0] == name:
                found.append(user)
            else:
                return []
    return found


def _is_plain(
    node: onnx.NodeProto,
    constants: Mapping[str, onnx.TensorProto],
    users: Mapping[str, Sequence[onnx.NodeProto]],
) -> bool:
    """Whether a layer's weights are stored, and its own alone."""
    if not is_onnx(node, "Conv", "ConvTranspose", "Gemm") or attribute_of(node, "transA", 0):
        return False
    stored = [name for name in node.input[1:] if name]
    return len(set(node.input)) == len(node.input) and all(
        name in constants and len(users[name]) == 1 for name in stored
    )


def _channels(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> int:
    """The number of a layer's output channels; 0 if it accepts no factors for them."""
    dims = constants[node.input[1]].dims
    if node.op_type == "ConvTranspose":
        return 0
    size = int(dims[0] if node.op_type == "Conv" or attribute_of(node, "transB", 0) else dims[1])
    bias = constants[node.input[2]].dims if len(node.input) > 2 and node.input[2] else [size]
    return size if list(bias)[-1:] == [size] else 0


def _scale_results(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], factors: Array
) -> None:
    weight = constants[node.input[1]]
    is_last = node.op_type == "Gemm" and not attribute_of(node, "transB", 0)
    shape = (1, -1) if is_last else (-1, *[1] * (len(weight.dims) - 1))
    _multiply(weight, factors.reshape(shape))
    if len(node.input) > 2 and node.input[2]:
        _multiply(constants[node.input[2]], factors)


def _scale_inputs(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto], factors: Array
) -> None:
    weight = constants[node.input[1]]
    if node.op_type == "Gemm":
        shape: tuple[int, ...] = (1, -1) if attribute_of(node, "transB", 0) else (-1, 1)
        _multiply(weight, factors.reshape(shape))
    elif node.op_type == "ConvTranspose":  # [inputs, results of a group, ...]
        _multiply(weight, factors.reshape(-1, *[1] * (len(weight.dims) - 1)))
    else:  # [results, inputs of a group, ...]
        groups = int(attribute_of(node, "group", 1))
        by_group = factors.reshape(groups, -1)
        each = np.repeat(by_group, weight.dims[0] // groups, axis=0)
        _multiply(weight, each.reshape(*each.shape, *[1] * (len(weight.dims) - 2)))


def _multiply(tensor: onnx.TensorProto, factors: Array) -> None:
    values = numpy_helper.to_array(tensor)
    scaled = (values * factors).astype(values.dtype)
    tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))
