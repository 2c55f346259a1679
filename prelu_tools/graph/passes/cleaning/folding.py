"""Fold constants: transposed kernels, batch normalisation, known shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import align
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.natives import inferred
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import users_of


def attach_weights(model: OnnxModel, weights: Mapping[str, Array]) -> None:
    """Turn graph inputs into initializers with these values, which are not copied, in place."""
    graph = model.proto.graph
    kept = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(kept)
    for name, values in weights.items():
        graph.initializer.append(model.tensor(name, np.asarray(values)))


def fold_constants(model: OnnxModel) -> None:
    """Replace nodes that depend only on parameters with an initializer, in place."""
    view = GraphView(model)
    graph = model.proto.graph
    wanted = {value.name for value in graph.output}
    for node in graph.node:
        foldable = not view.is_constant(node.output[0])
        wanted.update(name for name in node.input if name and foldable)
    folded = {}
    for node in graph.node:
        name = node.output[0]
        if name in wanted and node.op_type != "Constant" and view.is_constant(name):
            constant = read_constant(view, name)
            if constant is not None:
                values = constant.values
                folded[name] = np.ascontiguousarray(values).reshape(values.shape)
    for node in graph.node:
        if node.output[0] in folded:
            node.output[0] = ""  # its output is an initializer now: prune takes the rest
    for name, values in folded.items():
        graph.initializer.append(model.tensor(name, values))
    prune_model(model)


def fix_reshapes(model: OnnxModel) -> None:
    """Write the target of a Reshape as a constant where only one size is dynamic, in place."""
    graph = model.proto.graph
    view = GraphView(replace(model, proto=inferred(model.proto, data_prop=True)))
    for number, node in enumerate(graph.node):
        if node.op_type != "Reshape" or view.is_constant(node.input[1]):
            continue
        shape = view.shape(node.output[0])
        if shape is None or sum(size is None for size in shape) > 1 or 0 in shape:
            continue
        target = np.array([-1 if size is None else size for size in shape], np.int64)
        name = f"prelu_tools/shape_{number}"
        graph.initializer.append(model.tensor(name, target))
        node.input[1] = name
    prune_model(model)


def fold_batch_normalization(model: OnnxModel) -> None:
    """Fold a Mul, Add and Sub by constants per channel into the convolution before them, in place.

    In float64: weight' = weight * scale, bias' = bias * scale + shift (Jacob et al., 2018,
    https://arxiv.org/abs/1712.05877, section 3.2).
    """
    view = GraphView(model)
    graph = model.proto.graph
    users = users_of(graph)
    kept = {value.name for value in graph.output}
    for node in [n for n in graph.node if n.op_type == "Conv"]:
        while len(used := users.get(node.output[0], [])) == 1 and node.output[0] not in kept:
            if not _fold_into(view, node, used[0]):
                break
    prune_model(model)


def _fold_into(view: GraphView, conv: onnx.NodeProto, user: onnx.NodeProto) -> bool:
    """Fold one of these after a convolution into it; whether that was possible."""
    weight = read_constant(view, conv.input[1])
    if user.op_type not in ("Mul", "Add", "Sub") or weight is None:
        return False
    is_first = user.input[0] == conv.output[0]
    if user.op_type == "Sub" and not is_first:
        return False
    other = user.input[1] if is_first else user.input[0]
    constant = read_constant(view, other)
    if constant is None:
        return False
    n_channels, rank = weight.values.shape[0], weight.values.ndim
    if constant.values.ndim > rank:
        return False
    aligned = align(constant.values, rank)
    if aligned.size not in (1, n_channels) or aligned.size != aligned.shape[1]:
        return False
    term = np.broadcast_to(aligned.reshape(-1), (n_channels,)).astype(np.float64)
    has_bias = len(conv.input) > 2 and conv.input[2]
    bias_constant = read_constant(view, conv.input[2]) if has_bias else None
    if has_bias and bias_constant is None:
        return False
    bias = bias_constant.values if bias_constant else np.zeros(n_channels)
    dtype = weight.values.dtype
    if user.op_type == "Mul":
        scaled = weight.values.astype(np.float64) * term.reshape(-1, *[1] * (rank - 1))
        _set_input(view, conv, 1, scaled.astype(dtype))
        if has_bias:
            _set_input(view, conv, 2, (bias.astype(np.float64) * term).astype(dtype))
    else:
        shift = -term if user.op_type == "Sub" else term
        _set_input(view, conv, 2, (bias.astype(np.float64) + shift).astype(dtype))
    conv.output[0] = user.output[0]
    view.producer[user.output[0]] = conv
    user.output[0] = ""
    return True


def _set_input(view: GraphView, node: onnx.NodeProto, position: int, values: Array) -> None:
    name = f"{node.output[0]}/{'weight' if position == 1 else 'bias'}/folded"
    if name in view.initializers:
        view.initializers[name].CopyFrom(view.model.tensor(name, values))
    else:
        tensor = view.graph.initializer.add()
        tensor.CopyFrom(view.model.tensor(name, values))
        view.initializers[name] = tensor
    while len(node.input) <= position:
        node.input.append("")
    node.input[position] = name
