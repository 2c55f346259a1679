"""One PRelu node a call, named after its layer, with the source's own slopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.layout import Permutation, candidates
from prelu_tools.core.slopes import align
from prelu_tools.core.tags import TagBook
from prelu_tools.graph.metadata import describe_layer
from prelu_tools.graph.prune import prune
from prelu_tools.graph.reader import OnnxModel
from prelu_tools.graph.recognise import Match, find_prelus
from prelu_tools.graph.view import GraphView


class SlopeParameter(Protocol):
    """What has to be known of a slope tensor of the source."""

    @property
    def layer(self) -> str:
        """The layer's name."""

    @property
    def name(self) -> str:
        """The initializer's name."""

    @property
    def values(self) -> Array:
        """The true values."""

    @property
    def indices(self) -> IntArray:
        """How the source lays them over its input: flat indices, aligned to the input."""

    @property
    def n_calls(self) -> int:
        """How many PRelu nodes there have to be."""


def fuse_prelus(proto: onnx.ModelProto, wanted: Callable[[Match], bool]) -> None:
    """Replace every wanted form by one PRelu node, in place; what is left unused goes."""
    view = GraphView(OnnxModel(proto, None))
    graph = proto.graph
    for number, match in enumerate(m for m in list(find_prelus(view)) if wanted(m)):
        slope = f"prelu_tools/slope_{number}"
        graph.initializer.append(numpy_helper.from_array(match.slopes, slope))
        _replace(graph, match, slope)
    prune(graph)


def _replace(graph: onnx.GraphProto, match: Match, slope: str) -> None:
    """Put PRelu (and the Transpose that a form may hide) where the form's last node is."""
    output = match.node.output[0]
    inner = output if match.order is None else f"{output}/prelu"
    nodes = [helper.make_node("PRelu", [match.x, slope], [inner], name=match.node.name)]
    nodes[0].metadata_props.extend(match.node.metadata_props)
    if match.order is not None:
        perm = list(match.order)
        name = f"{match.node.name}/Transpose"
        nodes.append(helper.make_node("Transpose", [inner], [output], name=name, perm=perm))
    position = next(i for i, node in enumerate(graph.node) if output in node.output)
    del graph.node[position]
    for offset, node in enumerate(nodes):
        graph.node.insert(position + offset, node)


def settle_slopes(
    proto: onnx.ModelProto, tags: TagBook, parameters: Mapping[str, SlopeParameter]
) -> None:
    """Put the true slopes in the place of their tags, and name nodes and initializers, in place.

    A slope gets the fewest axes that no runtime misreads: `[C]` on an input of rank 2, `[C,1,1]`
    on [N,C,H,W], `[1,C]` on [N,T,C], `[1]` where it is shared by all channels. Calls of one
    parameter share an initializer; two parameters never do.

    Raises:
        PReLUToolsError: a call of the source has not become one PRelu node.
    """
    graph = proto.graph
    view = GraphView(OnnxModel(proto, None))
    settled: dict[str, list[Array]] = {}
    counts = dict.fromkeys(parameters, 0)
    for match in list(find_prelus(view)):
        tagged = tags.find(match.slopes)
        if tagged is None or tagged.sign != 1 or match.form != "prelu":
            continue
        parameter = parameters[tagged.key]
        shape = view.shape(match.x)
        found = align(tagged.indices, len(shape) if shape else None)
        values = _minimal(parameter.values.reshape(-1)[found])
        versions = settled.setdefault(parameter.name, [])
        number = next((i for i, v in enumerate(versions) if v.shape == values.shape), len(versions))
        if number == len(versions):
            versions.append(values)
        match.node.input[1] = parameter.name if number == 0 else f"{parameter.name}_{number}"
        count = counts[tagged.key]
        match.node.name = parameter.layer if count == 0 else f"{parameter.layer}_{count}"
        counts[tagged.key] += 1
        describe_layer(match.node, parameter.layer, parameter.name, _axes(parameter.indices, found))
    _check(counts, parameters)
    _store(graph, settled)
    prune(graph)


def _axes(source: IntArray, found: IntArray) -> Permutation | None:
    """The usual permutation that takes the source's order to the one found; None if in doubt."""
    if source.ndim != found.ndim:
        return None
    orders = candidates((None,) * source.ndim, (None,) * source.ndim)
    fitting = [order for order in orders if np.array_equal(source.transpose(order), found)]
    return fitting[0] if len(fitting) == 1 else None


def _minimal(slopes: Array) -> Array:
    """Drop the axes in front that numpy's rule adds by itself; one value becomes `[1]`."""
    if slopes.size == 1:
        return slopes.reshape(1)
    rank = slopes.ndim
    while slopes.ndim > 1 and slopes.shape[0] == 1 and not (slopes.ndim == 2 and rank > 2):
        slopes = slopes.reshape(slopes.shape[1:])
    return slopes


def _check(counts: Mapping[str, int], parameters: Mapping[str, SlopeParameter]) -> None:
    wrong = [
        f"{parameters[key].layer} (called {parameters[key].n_calls} times, {found} PRelu nodes)"
        for key, found in counts.items()
        if found != parameters[key].n_calls
    ]
    if wrong:
        raise PReLUToolsError(
            "the converter wrote a PReLU in a form that is not known: " + ", ".join(wrong)
        )


def _store(graph: onnx.GraphProto, settled: Mapping[str, list[Array]]) -> None:
    """Add the slopes as initializers, under names that nothing else in the graph has."""
    names = {
        name if number == 0 else f"{name}_{number}": values
        for name, versions in settled.items()
        for number, values in enumerate(versions)
    }
    _free_names(graph, set(names))
    for name, values in names.items():
        graph.initializer.append(numpy_helper.from_array(values, name))


def _free_names(graph: onnx.GraphProto, taken: set[str]) -> None:
    """Rename tensors that were called like a slope before the slopes came."""
    old = {tensor.name for tensor in graph.initializer} & taken
    if not old:
        return
    renamed = {name: f"{name}/exported" for name in old}
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for node in graph.node:
        is_settled = node.op_type == "PRelu" and node.input[1] in taken
        for position, name in enumerate(node.input):
            if name in renamed and not (is_settled and position == 1):
                node.input[position] = renamed[name]
