"""Write each PRelu node of a graph in another form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import onnx

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.copies.carrying import path_of
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer, locate_layers
from prelu_tools.graph.passes.prune import prune
from prelu_tools.graph.passes.writing import WRITTEN, Draft, Place, Tensors, write
from prelu_tools.graph.view import GraphView, nested_views
from prelu_tools.graph.walk import all_graphs, all_nodes, set_nodes

_NARROW = {"depthwise"}
"""Forms with a convolution, for which onnxruntime has no float64 kernel."""


def lowerable(model: OnnxModel) -> tuple[LocatedLayer, ...]:
    """The layers of a model whose nodes are all PRelu, those in bodies that can be looked into."""
    views = [view for view in nested_views(GraphView(model)) if path_of(view) is not None]
    found = locate_layers(views)
    return tuple(item for item in found if all(m.form == "prelu" for m in item.matches))


def fitting_forms(item: LocatedLayer, special: bool, rounding: bool) -> Iterator[str]:
    """The forms that can be written in the place of every call of a layer; `prelu` is one.

    Args:
        item: the layer.
        special: whether infinities and NaN have to give PRelu's results.
        rounding: whether a form may round otherwise than PRelu.
    """
    places = [Place(match.slopes, view.shape(match.x)) for view, match in item.calls]
    kinds = {match.slopes.dtype for match in item.matches}
    for name, writing in WRITTEN.items():
        if name != "prelu" and any(kind.kind != "f" for kind in kinds):
            continue  # LeakyRelu, Relu of integers: not in every opset, nor in every runtime
        if name in _NARROW and any(kind.itemsize > 4 for kind in kinds):
            continue
        allowed = (writing.special or not special) and (rounding or not writing.rounds)
        if allowed and all(writing.fits(place) for place in places):
            yield name


def lower(model: OnnxModel, forms: Mapping[str, str]) -> None:
    """Write layers of a model in other forms, in place.

    Args:
        model: every PReLU is a PRelu node (`graph/passes/canonical.py`).
        forms: a form for each layer's name; a layer that is not named stays as it is.

    Raises:
        PReLUToolsError: there is no such layer, or the form does not equal PReLU there.
    """
    layers = {item.layer.name: item for item in lowerable(model)}
    for name, form in forms.items():
        if name not in layers:
            raise PReLUToolsError(
                f"found no PRelu layer {name!r} in the model; it has {', '.join(layers) or 'none'}"
            )
        if form not in fitting_forms(layers[name], special=False, rounding=True):
            raise PReLUToolsError(
                f"{name} cannot be written as {form!r}: expected "
                f"{', '.join(fitting_forms(layers[name], special=False, rounding=True))}"
            )
    graph = model.proto.graph
    calls = [
        (view, forms[name], match)
        for name in forms
        for view, match in layers[name].calls
        if forms[name] != "prelu"
    ]
    drop_slopes(graph, [match.node for _, _, match in calls])
    tensors = Tensors(graph)
    written = []
    for view, form, match in calls:
        draft = Draft(match.node, match.slopes, match.parameter, tensors)
        write(draft, form)
        written.append((view, match.node, draft.nodes))
    put_nodes(graph, written)
    prune(graph)


def put_nodes(
    graph: onnx.GraphProto,
    written: Iterable[tuple[GraphView, onnx.NodeProto, Sequence[onnx.NodeProto]]],
) -> None:
    """Put nodes in the place of others, in place, in the main graph and in bodies.

    Args:
        graph: the main graph.
        written: the graph that a node is in, the node, and those in its place.
    """
    found: dict[int, dict[str, Sequence[onnx.NodeProto]]] = {}
    for view, node, nodes in written:
        found.setdefault(id(view.graph), {})[node.output[0]] = nodes
    for one in reversed(list(all_graphs(graph))):  # bodies before what is around them
        new = found.get(id(one))
        if new:
            old = ((node, node.output[0] if node.output else "") for node in one.node)
            set_nodes(one, [each for node, name in old for each in new.get(name, [node])])


def drop_slopes(graph: onnx.GraphProto, rewritten: Sequence[onnx.NodeProto]) -> None:
    """Remove slopes that only these nodes use, so that their names are free for what follows."""
    left = Counter(name for node in all_nodes(graph.node) for name in node.input)
    left.update(value.name for one in all_graphs(graph) for value in one.output)
    left.subtract(name for node in rewritten for name in node.input)
    slopes = {node.input[1] for node in rewritten} - {name for name, n in left.items() if n > 0}
    kept = [tensor for tensor in graph.initializer if tensor.name not in slopes]
    del graph.initializer[:]
    graph.initializer.extend(kept)
