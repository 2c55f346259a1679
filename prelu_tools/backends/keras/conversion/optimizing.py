"""tf2onnx's optimizers, applied to a foreign graph, without their losses in loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import onnx
from onnx import helper, shape_inference

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.walk import attribute_of, reads

_BARRIER = "Barrier"  # an operator that no optimizer knows, so that all leave it alone


def optimized(tf2onnx: Any, proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The graph with Transposes moved together, and away where they cancel.

    Args:
        tf2onnx: the package.
        proto: a graph of its; changed.
        name: the model's, for messages.

    Raises:
        PReLUToolsError: the optimizers fail.
    """
    _own_outputs(proto.graph)
    _free_last_transposes(proto.graph)
    _add_barriers(proto.graph, shape_inference.infer_shapes(proto).graph.value_info)
    try:
        found: onnx.ModelProto = tf2onnx.graph.GraphUtil.optimize_model_proto(
            proto, catch_errors=False
        )
    except Exception as error:
        raise PReLUToolsError(
            f"tf2onnx cannot optimize {name} ({type(error).__name__}: {error})"
        ) from error
    _remove_barriers(found.graph)
    return found


def _own_outputs(graph: onnx.GraphProto) -> None:
    """Let the body of a loop produce its outputs with its own nodes only, in place."""
    for node in graph.node:
        for attribute in node.attribute:
            if not attribute.HasField("g"):
                continue
            body = attribute.g
            made = {name for inner in body.node for name in inner.output}
            for value in body.output:
                if value.name not in made:
                    own = f"{node.name}/{value.name}/own"
                    body.node.append(helper.make_node("Identity", [value.name], [own], name=own))
                    value.name = own
            _own_outputs(body)


def _free_last_transposes(graph: onnx.GraphProto) -> None:
    """Let no Transpose make an output of the graph itself, in place: nothing would cancel it."""
    outputs = {value.name for value in graph.output}
    for node in [n for n in graph.node if n.op_type == "Transpose" and n.output[0] in outputs]:
        output, inner = node.output[0], f"{node.output[0]}/transposed"
        rename_values(graph, {output: inner})
        next(value for value in graph.output if value.name == inner).name = output
        graph.node.append(helper.make_node("Identity", [inner], [output], name=inner))


def _add_barriers(graph: onnx.GraphProto, types: Iterable[onnx.ValueInfoProto]) -> None:
    """Keep what a body takes from outside, and a Transpose of the batch, where they are.

    The first is lost where a Transpose before it is moved past it; the second, as a loop over time
    steps makes it, would be moved past the PReLU next to it, whose input then has no batch in
    front.
    """
    nodes: list[onnx.NodeProto] = []
    alike: dict[str, str] = {}  # tensors, and tensors of the same type
    made = {name for node in graph.node for name in node.output}
    for node in graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            inside = set(reads(node)) - set(node.input)
            names = {name: f"{node.name}/{name}/kept" for name in sorted(inside & made)}
            nodes += [
                helper.make_node(_BARRIER, [name], [kept], name=kept)
                for name, kept in names.items()
            ]
            alike |= {kept: name for name, kept in names.items()}
            for attribute in node.attribute:
                rename_values(attribute.g, names)
        perm = attribute_of(node, "perm")  # without one, the axes are reversed
        if node.op_type != "Transpose" or (perm is not None and perm[0] == 0):
            nodes.append(node)
            continue
        before, after = f"{node.name}/before", f"{node.name}/after"
        alike |= {before: node.input[0], after: node.output[0], node.output[0]: node.output[0]}
        nodes += [
            helper.make_node(_BARRIER, [node.input[0]], [before], name=before),
            helper.make_node("Transpose", [before], [after], name=node.name, perm=perm),
            helper.make_node(_BARRIER, [after], [node.output[0]], name=after),
        ]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    known = {value.name: value for value in types}
    _keep_types(graph, {name: known[like] for name, like in alike.items() if like in known})


def _keep_types(graph: onnx.GraphProto, types: Mapping[str, onnx.ValueInfoProto]) -> None:
    """Add the known types of tensors: inference ends at an unknown operator."""
    left = [value for value in graph.value_info if value.name not in types]
    del graph.value_info[:]
    graph.value_info.extend(left)
    for name, value in types.items():
        graph.value_info.add(name=name, type=value.type)


def _remove_barriers(graph: onnx.GraphProto) -> None:
    kept = {value.name for value in graph.output}
    names: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == _BARRIER and node.output[0] in kept:
            names[node.input[0]] = node.output[0]
        elif node.op_type == _BARRIER:
            names[node.output[0]] = names.get(node.input[0], node.input[0])
    left = [node for node in graph.node if node.op_type != _BARRIER]
    del graph.node[:]
    graph.node.extend(left)
    rename_values(graph, names)
