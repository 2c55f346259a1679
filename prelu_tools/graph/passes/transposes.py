"""Take Transposes away from around PRelu nodes: PReLU acts on each element, wherever it lies."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
from onnx import helper

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import Permutation, compose, inverse
from prelu_tools.core.prelu.slopes import align
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.match.arithmetic import attributes, permutation
from prelu_tools.graph.match.constants import read_constant
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import is_onnx, users_of


def cancel_transposes(model: OnnxModel) -> None:
    """Cancel what undoes itself around the PRelu nodes of the main graph, in place.

    A Transpose before a PRelu moves behind it where only Transposes follow, and two in a row
    become one or none. So there are never more of them than before.
    """
    while _merge_behind(model) or _move_behind(model):
        prune_model(model)


def _merge_behind(model: OnnxModel) -> bool:
    """Merge one Transpose into the Transpose of a PRelu's output before it; whether one was."""
    view = GraphView(model)
    for node in model.proto.graph.node:
        before = _maker(view, node, "Transpose") if is_onnx(node, "Transpose") else None
        if before is None or _maker(view, before, "PRelu") is None:
            continue
        rank = _rank(before, node)
        if rank is None:
            continue
        merged = compose(permutation(node, rank), permutation(before, rank))
        _set(model, node, before.input[0], merged)
        return True
    return False


def _move_behind(model: OnnxModel) -> bool:
    """Move one Transpose behind its PRelu, and merge it with those that are there."""
    view = GraphView(model)
    outputs = {value.name for value in model.proto.graph.output}
    users = users_of(model.proto.graph)
    for node in model.proto.graph.node:
        before = _maker(view, node, "Transpose") if is_onnx(node, "PRelu") else None
        after = users.get(node.output[0], [])
        if before is None or not after or node.output[0] in outputs:
            continue
        if not all(is_onnx(user, "Transpose") for user in after):
            continue
        rank = _rank(before, *after)
        slopes = read_constant(view, node.input[1])
        if rank is None or slopes is None or slopes.values.ndim > rank:
            continue
        order = permutation(before, rank)
        laid = align(slopes.values, rank).transpose(inverse(order))
        _forget_type(model.proto.graph, node.output[0])
        node.input[:] = [before.input[0], _add(model, view, laid)]
        for user in after:
            _set(model, user, node.output[0], compose(permutation(user, rank), order))
        return True
    return False


def _maker(view: GraphView, node: onnx.NodeProto, kind: str) -> onnx.NodeProto | None:
    """The node of this type that makes the first input of a node."""
    found = view.maker(node.input[0])
    return found if found is not None and found.op_type == kind else None


def _rank(*nodes: onnx.NodeProto) -> int | None:
    """The rank that Transposes agree on; None where they do not, or do not say."""
    ranks = {len(attributes(n)["perm"].ints) for n in nodes if "perm" in attributes(n)}
    return ranks.pop() if len(ranks) == 1 else None


def _set(model: OnnxModel, node: onnx.NodeProto, source: str, order: Permutation) -> None:
    """Make a node transpose this tensor; one that would change nothing goes."""
    graph = model.proto.graph
    node.input[0] = source
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("perm", order))
    if order != tuple(range(len(order))):
        return
    output = node.output[0]
    named = {value.name for value in graph.output}
    if output in named and source in named:
        return  # both names have to stay
    node.output[0] = ""
    kept, dropped = (output, source) if output in named else (source, output)
    rename_values(graph, {dropped: kept})


def _forget_type(graph: onnx.GraphProto, tensor: str) -> None:
    """Drop the stated type of a tensor whose axes move."""
    stated = [value for value in graph.value_info if value.name != tensor]
    del graph.value_info[:]
    graph.value_info.extend(stated)


def _add(model: OnnxModel, view: GraphView, values: Array) -> str:
    numbers = itertools.count()
    name = next(n for i in numbers if (n := f"prelu_tools/moved_{i}") not in view.initializers)
    model.proto.graph.initializer.append(model.tensor(name, np.ascontiguousarray(values)))
    return name
