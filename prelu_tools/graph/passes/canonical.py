"""One PRelu node per call, named after its layer, with the source's slopes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping

import onnx
from onnx import helper

from prelu_tools.core.arrays import Array, IntArray, same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation
from prelu_tools.core.prelu.slopes import Shape, SlopeParameter, align, sharing_of
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.graph.io.metadata import describe_layer
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import call_number
from prelu_tools.graph.match.recognise import Match, find_prelus
from prelu_tools.graph.passes.prune import prune_model
from prelu_tools.graph.passes.tidy import rename_values
from prelu_tools.graph.targets.slope_shapes import usual_shape
from prelu_tools.graph.view import GraphView, nested_views
from prelu_tools.graph.walk import free_name, inner_names


def fuse_prelus(model: OnnxModel, wanted: Callable[[Match], bool]) -> None:
    """Replace every wanted form with one PRelu node, in place, in bodies too; prune the rest."""
    view = GraphView(model, owned=True)  # until all are found
    graph = model.proto.graph
    numbers = itertools.count()
    found = [(v.graph, m) for v in nested_views(view) for m in find_prelus(v) if wanted(m)]
    for body, match in found:
        slope = next(n for i in numbers if (n := f"prelu_tools/slope_{i}") not in view.initializers)
        graph.initializer.append(model.tensor(slope, match.slopes))
        replace_by_prelu(body, match, slope)
    prune_model(model)


def replace_by_prelu(graph: onnx.GraphProto, match: Match, slope: str) -> None:
    """Put PRelu (and the Transpose that a form may hide) where the form's last node is."""
    output, inner = match.node.output[0], prelu_output(match)
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


def prelu_output(match: Match) -> str:
    """The name that `replace_by_prelu` gives the output of the PRelu itself."""
    output = match.node.output[0]
    return output if match.order is None else f"{output}/prelu"


def settle_slopes(
    model: OnnxModel,
    tags: TagBook,
    parameters: Mapping[str, SlopeParameter],
    is_verified: bool = False,
) -> tuple[str, ...]:
    """Put the true slopes in the place of their tags, and name nodes and initializers, in place.

    A slope gets the shape that is right in most runtimes (`targets.slope_shapes.usual_shape`):
    `[C]` on an input of rank 2, `[C,1,1]` on [N,C,H,W], `[1,1,C]` on [N,T,C], `[1]` where it is
    shared by all channels. Calls of one parameter share an initializer; two parameters never do.

    Args:
        model: every PReLU that is known is one PRelu node, its slopes are tags.
        tags: the meaning of the tags.
        parameters: the slope tensors by their key in `tags`.
        is_verified: whether the result will be compared with its source, layer by layer: then calls
            may be missing, which a converter merges with equal ones, or drops if nothing reads
            them.

    Returns:
        The layers with missing calls, in words.

    Raises:
        PReLUToolsError: a call of the source has not become one PRelu node.
    """
    graph = model.proto.graph
    view = GraphView(model)
    boundary = {value.name for value in [*graph.input, *graph.output]} | inner_names(graph)
    settled = _Settled(parameters.values(), boundary)
    counts = dict.fromkeys(parameters, 0)
    slopes: list[tuple[onnx.NodeProto, str]] = []
    every = [(inner, match) for inner in nested_views(view) for match in find_prelus(inner)]
    every.sort(key=lambda item: call_number(item[1]))  # a call keeps its number where it has one
    for inner, match in every:
        tagged = tags.find(match.slopes)
        if tagged is None or tagged.sign != 1 or match.form != "prelu":
            continue
        parameter = parameters[tagged.key]
        shape = inner.shape(match.x)
        found = _shared(align(tagged.indices, len(shape) if shape else None))
        values = _usual(parameter.values.reshape(-1)[found], shape)
        if shape == () and values.size == 1:
            values = values.reshape(())  # [1] does not broadcast to []
        slopes.append((match.node, settled.initializer(parameter.name, values)))
        match.node.name = settled.node(parameter.layer, parameter.call + counts[tagged.key])
        counts[tagged.key] += 1
        describe_layer(
            match.node,
            parameter.layer,
            parameter.name,
            _axes(parameter.indices, found),
            sharing_of(found.shape, shape),
        )
    missing = _missing(counts, parameters)
    if missing and not (is_verified and _only_fewer(counts, parameters)):
        raise PReLUToolsError(unknown_form(missing))
    # A tensor that the exporter named like a slope is renamed.
    rename_values(graph, {name: f"{name}/exported" for name in settled.values})
    for node, name in slopes:
        node.input[1] = name
    for name, values in settled.values.items():
        graph.initializer.append(model.tensor(name, values))
    prune_model(model)
    return missing


class _Settled:
    """Names for slopes and nodes: the source's own first, then numbered ones that are free."""

    def __init__(self, parameters: Iterable[SlopeParameter], boundary: set[str]) -> None:
        self.values: dict[str, Array] = {}
        self._versions: dict[str, list[str]] = {}
        sources = list(parameters)
        self._tensors = {parameter.name for parameter in sources} | boundary
        self._boundary = boundary
        self._nodes = {parameter.layer for parameter in sources}
        self._used: set[str] = set()

    def initializer(self, parameter: str, values: Array) -> str:
        """The initializer of a parameter with its slopes laid so."""
        versions = self._versions.setdefault(parameter, [])
        for name in versions:
            if same_bits(self.values[name], values):
                return name
        free = not versions and parameter not in self._boundary
        name = parameter if free else free_name(parameter, self._tensors, max(len(versions), 1))
        versions.append(name)
        self.values[name] = values
        return name

    def node(self, layer: str, count: int) -> str:
        """The node of a layer's call number `count`."""
        first = count == 0 and layer not in self._used
        name = layer if first else free_name(layer, self._nodes, max(count, 1))
        self._used.add(name)
        return name


def _axes(source: IntArray, found: IntArray) -> Permutation | None:
    """The usual permutation that takes the source's order to the one found; None if in doubt."""
    fitting = AxisAlignment.usual(source.ndim).equating(source, found)
    return fitting[0] if len(fitting) == 1 else None


def _shared(indices: IntArray) -> IntArray:
    """The indices without what a source repeats along an axis: one slope, expanded to C."""
    for axis, size in enumerate(indices.shape):
        first = indices.take([0], axis) if size > 1 else indices
        if size > 1 and bool((indices == first).all()):
            indices = first
    return indices


def _usual(slopes: Array, shape: Shape | None) -> Array:
    """The slopes in the shape that is right in most runtimes; one value is `[1]`."""
    if slopes.size == 1:
        return slopes.reshape(1)
    return slopes if shape is None else slopes.reshape(usual_shape(shape, slopes.shape))


def _only_fewer(counts: Mapping[str, int], parameters: Mapping[str, SlopeParameter]) -> bool:
    return all(found <= parameters[key].n_calls for key, found in counts.items())


def _missing(
    counts: Mapping[str, int], parameters: Mapping[str, SlopeParameter]
) -> tuple[str, ...]:
    return tuple(
        f"{parameters[key].layer} (called {parameters[key].n_calls} times, {found} PRelu nodes)"
        for key, found in counts.items()
        if found != parameters[key].n_calls
    )


def unknown_form(missing: Iterable[str]) -> str:
    """The error for a conversion that lacks calls."""
    return f"the converter wrote a PReLU in an unknown form: {', '.join(missing)}"
